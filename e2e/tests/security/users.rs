//! Users that `setup` makes, every documented command with its user, and no secret in anything that was printed.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use e2e::broker::{Extras, PrivateBroker};
use e2e::wait;
use serde_json::{Value, json};

use crate::fleet::{Fleet, SOON};

const ADMIN: &str = "boss";
const ADMIN_PASSWORD: &str = "Adm1n-s3cret-0815";
const CONSUMER: &str = env!("CARGO_BIN_EXE_consumer-under-test");

fn password(fleet: &Fleet<'_>, user: &str) -> String {
    fs::read_to_string(fleet.path(format!("secrets/{user}.password"))).unwrap().trim().to_owned()
}

/// Lets the programs log in as this user from now on, with the file that `setup` made.
fn log_in(fleet: &Fleet<'_>, user: &str) {
    let file = fleet.path(format!("secrets/{user}.password"));
    let url = format!("amqp://{}/{}", fleet.broker.address(), fleet.vhost);
    fleet.configure(&format!("url = {url:?}\nusername = {user:?}\npassword_file = {file:?}"));
}

pub fn made_by_setup_can_do_their_work(broker: &PrivateBroker, ca: &Path) {
    let fleet = Fleet::bare(broker, "made");
    broker.add_user(ADMIN, ADMIN_PASSWORD, "administrator").unwrap();
    fs::write(fleet.path("admin"), format!("{ADMIN_PASSWORD}\n")).unwrap();
    log_in(&fleet, "dovi-cli");
    fleet.film("one");
    setup(&fleet);
    // The test's own eyes and hands.
    broker.grant(fleet.vhost, "guest", ".*", ".*", ".*").unwrap();
    over_https(&fleet, ca);
    let before = ["dovi-worker", "dovi-cli"].map(|u| password(&fleet, u));
    rotate(&fleet);
    commands(&fleet);
    connections_say_who_they_are(&fleet);
    exposed_files(&fleet);
    nothing_was_told(&fleet, &before);
}

fn admin_url(fleet: &Fleet<'_>) -> String {
    fleet.broker.management_url().replace("://", &format!("://{ADMIN}@"))
}

fn setup(fleet: &Fleet<'_>) {
    let (url, file, dir) = (admin_url(fleet), fleet.path("admin"), fleet.path("secrets"));
    let (file, dir) = (file.to_str().unwrap(), dir.to_str().unwrap());
    let args = ["setup", "--admin", &url, "--admin-password-file", file, "--secrets", dir];
    let first = fleet.produced(&args);
    assert!(
        first.contains("made dovi.films") && first.contains("user dovi-worker: made a password"),
        "{first}"
    );
    assert!(first.contains("the user guest exists"), "{first}");
    let names = ["dovi-cli", "dovi-monitor", "dovi-producer", "dovi-worker"];
    let passwords = names.map(|n| password(fleet, n));
    for name in names {
        let mode = fs::metadata(fleet.path(format!("secrets/{name}.password"))).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
    }
    let again = fleet.produced(&[&args[..], &["--json"]].concat());
    let lines: Vec<Value> = again.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    assert!(lines.iter().all(|l| l["made"] == false), "a second run changes nothing: {again}");
    assert_eq!(names.map(|n| password(fleet, n)), passwords);

    let refused = |args: &[&str], code: i32, words: &str| {
        let (output, text) = fleet.producer(args);
        assert!(output.status.code() == Some(code) && text.contains(words), "{args:?}: {text}");
    };
    let with_password = url.replace('@', ":hunter2@");
    refused(&["setup", "--admin", &with_password, "--secrets", dir], 2, "holds a password");
    refused(&["setup", "--admin", &url, "--secrets", dir], 2, "DOVI_ADMIN_PASSWORD");
    fs::write(fleet.path("wrong"), "wrong\n").unwrap();
    let wrong = fleet.path("wrong");
    let wrong = wrong.to_str().unwrap();
    refused(
        &["setup", "--admin", &url, "--admin-password-file", wrong, "--secrets", dir],
        3,
        "does not accept user boss",
    );
    // Somebody else's folder must not lock running workers out.
    let other = fleet.path("other");
    let other = other.to_str().unwrap();
    refused(&["setup", "--admin", &url, "--admin-password-file", file, "--secrets", other], 2, "already");
    let monitor = url.replace(ADMIN, "dovi-monitor");
    let own = fleet.path("secrets/dovi-monitor.password");
    let own = own.to_str().unwrap();
    refused(
        &["setup", "--admin", &monitor, "--admin-password-file", own, "--secrets", dir],
        3,
        "tag administrator",
    );
}

fn over_https(fleet: &Fleet<'_>, ca: &Path) {
    let url = format!("https://{ADMIN}@localhost:{}", fleet.broker.https_port());
    let dir = fleet.path("secrets");
    let ca = format!("broker.ca_file={}", ca.join("ca.pem").display());
    let args = ["setup", "--admin", &url, "--secrets", dir.to_str().unwrap()];
    let env = [("DOVI_ADMIN_PASSWORD", ADMIN_PASSWORD)];
    let program = env!("CARGO_BIN_EXE_producer-under-test");
    let (output, text) = fleet.run(program, &[&args[..], &["--set", &ca]].concat(), &env);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let (output, text) = fleet.run(program, &args, &env);
    assert!(output.status.code() == Some(3) && text.contains("not trusted here"), "{text}");
}

/// New passwords: the old ones are worthless from then on.
fn rotate(fleet: &Fleet<'_>) {
    let old = password(fleet, "dovi-worker");
    let (url, dir) = (admin_url(fleet), fleet.path("secrets"));
    let args = ["setup", "--rotate", "--admin", &url, "--secrets", dir.to_str().unwrap()];
    let env = [("DOVI_ADMIN_PASSWORD", ADMIN_PASSWORD)];
    let (output, text) = fleet.run(env!("CARGO_BIN_EXE_producer-under-test"), &args, &env);
    assert_eq!(output.status.code(), Some(0), "{text}");
    let new = password(fleet, "dovi-worker");
    assert_ne!(old, new);
    for (password, works) in [(&old, false), (&new, true)] {
        let url = fleet.broker.url(fleet.vhost, "dovi-worker", password);
        let options = common::broker::BrokerOptions::new(&url, "", "").unwrap();
        let link = fleet.runtime.block_on(common::broker::Link::connect(&options, "x"));
        assert_eq!(link.is_ok(), works, "{link:?}");
    }
}

/// Every documented command with the user that docs/SECURITY.md names for it.
fn commands(fleet: &Fleet<'_>) {
    fs::write(fleet.path("lib/cut.mkv"), &fs::read(fleet.path("lib/one.mkv")).unwrap()[..9000]).unwrap();
    log_in(fleet, "dovi-producer");
    let scan = fleet.produced(&["scan"]);
    assert!(scan.contains("one.mkv"), "{scan}");
    for args in [&["status"][..], &["reconcile"], &["doctor"], &["scan"]] {
        fleet.produced(args);
    }
    let status: Value = serde_json::from_str(&fleet.produced(&["status", "--json"])).unwrap();
    assert_eq!(status["queues"]["films"]["ready"], 1, "{status}");
    let (output, text) = fleet.producer(&["failed", "retry", "--all"]);
    assert!(output.status.code() == Some(3) && text.contains("does not let this user"), "{text}");

    // A film that fails: queued by hand, since a scan sees that it is cut.
    fleet.publish_job(&fleet.job(Path::new("cut.mkv")));
    log_in(fleet, "dovi-worker");
    let (output, text) = fleet.run(CONSUMER, &["doctor"], &[]);
    assert!(!text.contains("does not let"), "{text}");
    assert!(matches!(output.status.code(), Some(0 | 3)), "{text}");
    fleet.work();

    log_in(fleet, "dovi-cli");
    let list = fleet.produced(&["failed", "list", "--json"]);
    let letter: Value = serde_json::from_str(list.lines().next().unwrap()).unwrap();
    let id = letter["id"].as_str().unwrap();
    assert_eq!(letter["letter"], true, "{list}");
    fleet.produced(&["failed", "show", id]);
    fleet.produced(&["failed", "retry", id]);
    fleet.wait_for("the film again", |d| d.films.ready == 1 && d.failed.ready == 0);
    log_in(fleet, "dovi-worker");
    fleet.work();
    log_in(fleet, "dovi-cli");
    fleet.produced(&["failed", "discard", "--all"]);
    fleet.wait_for("nothing left", |d| d.films.ready == 0 && d.failed.ready == 0);
    for args in [&["scan"][..], &["rescan", "films:cut.mkv"], &["status"], &["reconcile"], &["doctor"]] {
        fleet.produced(args);
    }
}

/// What the management UI shows of a worker: which one, which slot, which version, and no secret.
fn connections_say_who_they_are(fleet: &Fleet<'_>) {
    log_in(fleet, "dovi-worker");
    let mut command = Command::new(CONSUMER);
    command.args(["run", "--slots", "2", "--config"]).arg(fleet.path("config.toml"));
    command.current_dir(fleet.dir.path()).stderr(fs::File::create(fleet.path("worker.log")).unwrap());
    let mut worker = command.spawn().unwrap();
    let mine = || -> Vec<Value> {
        let (_, all) = fleet.broker.api("GET", "/api/connections", None).unwrap();
        let ours = |c: &&Value| c["vhost"] == fleet.vhost && c["user"] == "dovi-worker";
        all.as_array().into_iter().flatten().filter(ours).cloned().collect()
    };
    let both = |all: &[Value]| {
        ["1", "2"].iter().all(|slot| {
            let is = |c: &Value| {
                let p = &c["client_properties"];
                p["connection_name"].as_str().is_some_and(|n| n.contains("w1") && n.ends_with("consume"))
                    && (&p["worker"], &p["slot"], &p["product"])
                        == (&json!("w1"), &json!(slot), &json!("dovi-fleet"))
                    && p["version"].is_string()
                    && p["system"].as_str().is_some_and(|s| s.contains("linux"))
            };
            all.iter().any(is)
        })
    };
    let seen = wait::until(SOON, "both slots in the management plugin", || both(&mine()));
    let all = mine();
    let text = Value::from(all).to_string();
    let arguments = fs::read(format!("/proc/{}/cmdline", worker.id())).unwrap();
    worker.kill().unwrap();
    worker.wait().unwrap();
    seen.unwrap_or_else(|e| panic!("{e}: {text}"));
    fleet.said.borrow_mut().push_str(&text);
    fleet.said.borrow_mut().push_str(&String::from_utf8_lossy(&arguments));
    fleet.said.borrow_mut().push_str(&fs::read_to_string(fleet.path("worker.log")).unwrap());
}

fn exposed_files(fleet: &Fleet<'_>) {
    log_in(fleet, "dovi-cli");
    let file = fleet.path("secrets/dovi-cli.password");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    // Its lines fit a terminal, wherever the file's name breaks them.
    let doctor = || fleet.producer(&["doctor"]).1.split_whitespace().collect::<Vec<_>>().join(" ");
    let text = doctor();
    assert!(text.contains("can be read by everybody"), "{text}");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let text = doctor();
    assert!(!text.contains("can be read by everybody"), "{text}");
}

/// Neither at full log nor in an error nor in `config show`, wherever the password was given.
fn nothing_was_told(fleet: &Fleet<'_>, old: &[String]) {
    let secret = password(fleet, "dovi-cli");
    let program = env!("CARGO_BIN_EXE_producer-under-test");
    let env = [("DOVI_FLEET__BROKER__PASSWORD", secret.as_str())];
    let address = fleet.broker.address();
    fleet.configure(&format!("url = \"amqp://{address}/{}\"\nusername = \"dovi-cli\"", fleet.vhost));
    for args in [&["config", "show"][..], &["-v", "status"], &["doctor"], &["failed", "list"]] {
        let (output, text) = fleet.run(program, args, &env);
        assert_eq!(output.status.code(), Some(0), "{text}");
    }
    let inside = [
        format!("amqp://dovi-cli:{secret}@{address}/{}", fleet.vhost),
        format!("amqp://dovi-cli:{secret}@{address}/nowhere"),
        format!("amqp://dovi-cli:{secret}@127.0.0.1:1/made"),
        format!("amqp://dovi-cli:{secret}@no-such-host.invalid/made"),
        format!("amqp://dovi-cli:{secret}@{address}:x/made"),
        format!("amqps://dovi-cli:{secret}@{address}/made"),
        format!("http://dovi-cli:{secret}@{address}/made"),
    ];
    for url in &inside {
        fleet.configure(&format!("url = {url:?}"));
        for args in [&["config", "show"][..], &["-v", "status"], &["-v", "scan"], &["doctor"]] {
            fleet.producer(args);
        }
        for args in [&["config", "show"][..], &["-v", "doctor"]] {
            fleet.run(CONSUMER, args, &[]);
        }
    }
    let said = fleet.said.borrow();
    assert!(said.len() > 10_000 && said.contains("DEBUG"), "nothing was logged at full level");
    let names = ["dovi-cli", "dovi-monitor", "dovi-producer", "dovi-worker"];
    let mut secrets: Vec<String> = names.map(|n| password(fleet, n)).to_vec();
    secrets.extend(old.iter().cloned());
    secrets.extend([ADMIN_PASSWORD.to_owned(), "hunter2".to_owned()]);
    for secret in &secrets {
        // As it is, as bytes in a debug print, and as a login travels in HTTP.
        let bytes = format!("{:?}", secret.as_bytes());
        let bytes = bytes.trim_matches(['[', ']']);
        for form in [secret.as_str(), bytes] {
            if let Some(at) = said.find(form) {
                let from = said[..at].rfind('\n').map_or(0, |n| n + 1);
                let line: String =
                    said[from..].lines().next().unwrap_or_default().chars().take(300).collect();
                panic!("a secret was printed: {}", line.replace(form, "(it)"));
            }
        }
    }
}

/// A broker that starts with the file of `setup --definitions` has our users and no guest.
pub fn written_for_a_first_start(broker: &PrivateBroker) {
    let fleet = Fleet::bare(broker, "dovi");
    log_in(&fleet, "dovi-producer");
    let (file, dir) = (fleet.path("fleet.json"), fleet.path("secrets"));
    let args = ["setup", "--definitions", file.to_str().unwrap(), "--secrets", dir.to_str().unwrap()];
    // The configured address is another broker's; nothing is talked to.
    fleet.produced(&args);
    let (output, text) = fleet.producer(&args);
    assert!(
        output.status.code() == Some(3) && text.contains("does not exist yet"),
        "no file is overwritten: {text}"
    );
    let text = fs::read_to_string(&file).unwrap();
    assert!(!text.contains(&password(&fleet, "dovi-worker")));

    let extras = Extras { definitions: Some(file), tls: None };
    let own = PrivateBroker::start_with(&fleet.path("broker"), &extras).unwrap();
    assert_eq!(own.api("GET", "/api/overview", None).unwrap().0, 401, "guest is not there");
    let login = |user: &str| {
        let file = fleet.path(format!("secrets/{user}.password"));
        fleet.configure(&format!(
            "url = \"amqp://{}/dovi\"\nusername = {user:?}\npassword_file = {file:?}",
            own.address()
        ));
    };
    fleet.film("one");
    login("dovi-producer");
    fleet.produced(&["scan"]);
    login("dovi-worker");
    fleet.work();
    login("dovi-cli");
    let status: Value = serde_json::from_str(&fleet.produced(&["status", "--json"])).unwrap();
    assert_eq!(
        (&status["counts"]["done"], &status["queues"]["films"]["ready"]),
        (&json!(1), &json!(0)),
        "{status}"
    );
}
