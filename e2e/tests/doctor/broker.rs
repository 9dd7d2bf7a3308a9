//! The broker: there, with its queues, with the right users, and patient.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use common::broker::users::{PRODUCER as PRODUCER_USER, WORKER as WORKER_USER};
use common::broker::{BrokerOptions, Link, topology};
use e2e::broker::PrivateBroker;
use e2e::wait;
use lapin::types::FieldTable;
use lapin::{Connection, ConnectionProperties};

use super::bench::{BOTH, Bench, Case, PRODUCER, Program, lines};

pub const CASES: &[Case] = &[
    Case {
        programs: BOTH,
        check: "secret",
        level: "ok",
        says: "not for everybody",
        arrange: |b| password_file(b, "secret", 0o600),
    },
    Case {
        programs: BOTH,
        check: "secret",
        level: "warning",
        says: "chmod 600",
        arrange: |b| password_file(b, "secret", 0o644),
    },
    Case {
        programs: BOTH,
        check: "secret",
        level: "failed",
        says: "is empty",
        arrange: |b| password_file(b, "", 0o600),
    },
    Case { programs: BOTH, check: "secret", level: "failed", says: "mode 0600", arrange: no_password_file },
    Case { programs: BOTH, check: "broker", level: "ok", says: "takes the password", arrange: prepared },
    Case {
        programs: BOTH,
        check: "broker",
        level: "failed",
        says: "Is RabbitMQ running there",
        arrange: |_| true,
    },
    Case {
        programs: BOTH,
        check: "broker",
        level: "failed",
        says: "does not accept user",
        arrange: wrong_password,
    },
    Case {
        programs: BOTH,
        check: "queues",
        level: "ok",
        says: "all 3 exchanges and 6 queues",
        arrange: prepared,
    },
    Case {
        programs: BOTH,
        check: "queues",
        level: "failed",
        says: "dovi-producer setup",
        arrange: empty_vhost,
    },
    Case {
        programs: BOTH,
        check: "queues",
        level: "warning",
        says: "there is no dovi.films.first: `dovi-producer priority` has no effect",
        arrange: set_up_long_ago,
    },
    Case { programs: BOTH, check: "rights", level: "ok", says: "may publish films", arrange: own_user },
    Case { programs: BOTH, check: "rights", level: "warning", says: "also declare", arrange: prepared },
    Case {
        programs: BOTH,
        check: "rights",
        level: "failed",
        says: "may not publish films",
        arrange: user_without_rights,
    },
    Case { programs: BOTH, check: "arguments", level: "ok", says: "every queue", arrange: prepared },
    Case { programs: BOTH, check: "arguments", level: "ok", says: "every queue", arrange: monitored },
    Case { programs: BOTH, check: "arguments", level: "skipped", says: "--management", arrange: own_user },
    Case {
        programs: BOTH,
        check: "arguments",
        level: "failed",
        says: "x-message-ttl",
        arrange: other_delays,
    },
    Case { programs: BOTH, check: "ack-timeout", level: "skipped", says: "--management", arrange: prepared },
    Case {
        programs: BOTH,
        check: "ack-timeout",
        level: "skipped",
        says: "no worker is connected",
        arrange: monitored,
    },
    Case {
        programs: BOTH,
        check: "ack-timeout",
        level: "ok",
        says: "7 d",
        arrange: |b| says_timeout(b, "604800000"),
    },
    Case {
        programs: BOTH,
        check: "ack-timeout",
        level: "warning",
        says: "4 h",
        arrange: |b| says_timeout(b, "14400000"),
    },
    Case {
        programs: BOTH,
        check: "ack-timeout",
        level: "failed",
        says: "consumer_timeout = 604800000",
        arrange: |b| says_timeout(b, "1800000"),
    },
    Case {
        programs: PRODUCER,
        check: "workers",
        level: "ok",
        says: "1 worker connected",
        arrange: somebody_takes_films,
    },
    Case {
        programs: PRODUCER,
        check: "workers",
        level: "warning",
        says: "systemctl start",
        arrange: prepared,
    },
    Case {
        programs: PRODUCER,
        check: "workers",
        level: "warning",
        says: "dovi-producer resume",
        arrange: everybody_is_paused,
    },
];

/// A virtual host that no other case has.
fn vhost() -> String {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    format!("doctor{}", NUMBER.fetch_add(1, Ordering::Relaxed))
}

fn node<'a>(bench: &Bench<'a>) -> &'a PrivateBroker {
    bench.broker.expect("a case with a broker")
}

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Runtime::new().unwrap().block_on(work)
}

fn options(bench: &Bench, vhost: &str) -> BrokerOptions {
    let url = node(bench).admin_url(vhost);
    BrokerOptions::new(&url, "", "").unwrap().retry_delays([60, 600, 3600].map(Duration::from_secs))
}

fn empty(bench: &mut Bench) -> String {
    let vhost = vhost();
    node(bench).add_vhost(&vhost).unwrap();
    let url = node(bench).admin_url(&vhost);
    bench.set("broker.url", &url);
    vhost
}

fn empty_vhost(bench: &mut Bench) -> bool {
    empty(bench);
    true
}

fn with_queues(bench: &mut Bench) -> String {
    let vhost = empty(bench);
    let path = format!("/api/definitions/{vhost}");
    let mut all = topology::definitions(&vhost, &[60, 600, 3600].map(Duration::from_secs));
    all.as_object_mut().unwrap().remove("vhosts");
    let (status, answer) = node(bench).api("POST", &path, Some(&all)).unwrap();
    assert!((200..300).contains(&status), "{answer}");
    vhost
}

fn prepared(bench: &mut Bench) -> bool {
    with_queues(bench);
    true
}

/// By a version that had no queue for films that go first.
fn set_up_long_ago(bench: &mut Bench) -> bool {
    let vhost = with_queues(bench);
    let path = format!("/api/queues/{vhost}/{}", topology::FIRST);
    assert_eq!(node(bench).api("DELETE", &path, None).unwrap().0, 204);
    true
}

fn password_file(bench: &mut Bench, password: &str, mode: u32) -> bool {
    let file = bench.path("password");
    fs::write(&file, password).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    bench.set_path("broker.password_file", "password");
    true
}

fn no_password_file(bench: &mut Bench) -> bool {
    bench.set_path("broker.password_file", "none");
    true
}

fn wrong_password(bench: &mut Bench) -> bool {
    let address = node(bench).address();
    bench.set("broker.url", &format!("amqp://{address}/"));
    bench.set("broker.username", "guest");
    bench.set("broker.password", "wrong");
    true
}

/// The user that docs/SECURITY.md names for the program.
fn own_user(bench: &mut Bench) -> bool {
    let vhost = with_queues(bench);
    let user = if bench.program == Program::Consumer { WORKER_USER } else { PRODUCER_USER };
    log_in(bench, &vhost, user.name, [user.configure, user.write, user.read]);
    true
}

fn user_without_rights(bench: &mut Bench) -> bool {
    let vhost = with_queues(bench);
    log_in(bench, &vhost, "nobody", ["^$", "^dovi\\.films$", "^$"]);
    true
}

fn log_in(bench: &mut Bench, vhost: &str, user: &str, [configure, write, read]: [&str; 3]) {
    node(bench).add_user(user, "pw", "").unwrap();
    node(bench).grant(vhost, user, configure, write, read).unwrap();
    let url = node(bench).url(vhost, user, "pw");
    bench.set("broker.url", &url);
    bench.set("broker.username", user);
}

/// Queues that were made with other delays than the configuration has now.
fn other_delays(bench: &mut Bench) -> bool {
    let vhost = with_queues(bench);
    let path = format!("/api/queues/{vhost}/dovi.retry.1m");
    let (_, queue) = node(bench).api("GET", &path, None).unwrap();
    let mut arguments = queue["arguments"].clone();
    arguments["x-message-ttl"] = 1000.into();
    assert_eq!(node(bench).api("DELETE", &path, None).unwrap().0, 204);
    let body = serde_json::json!({"durable": true, "arguments": arguments});
    assert_eq!(node(bench).api("PUT", &path, Some(&body)).unwrap().0, 201);
    true
}

/// Somebody who may see the broker's tables, and nothing else.
fn monitored(bench: &mut Bench) -> bool {
    own_user(bench);
    let vhost = vhost_of(bench);
    look_as_monitor(bench, &vhost);
    true
}

fn look_as_monitor(bench: &mut Bench, vhost: &str) {
    node(bench).add_user("dovi-monitor", "look", "monitoring").unwrap();
    node(bench).grant(vhost, "dovi-monitor", "^$", "^$", "^$").unwrap();
    let url = node(bench).management_url().replace("http://", "http://dovi-monitor@");
    bench.argument(&["--management", &url]);
    bench.env("DOVI_MANAGEMENT_PASSWORD", "look");
}

/// The management API of RabbitMQ 4, which shows the timeout of each consumer; 3.10 does not.
fn says_timeout(bench: &mut Bench, milliseconds: &str) -> bool {
    prepared(bench);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let consumers = format!(r#"[{{"queue": {{"name": "dovi.films"}}, "consumer_timeout": {milliseconds}}}]"#);
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut request = [0; 4096];
            let n = stream.read(&mut request).unwrap_or(0);
            let request = String::from_utf8_lossy(&request[..n]).into_owned();
            let body = if request.contains("/api/consumers/") {
                consumers.as_str()
            } else {
                r#"{"rabbitmq_version": "4.1.2"}"#
            };
            let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
            let _ = stream.write_all((head + body).as_bytes());
        }
    });
    bench.argument(&["--management", &format!("http://dovi-monitor@127.0.0.1:{port}")]);
    bench.env("DOVI_MANAGEMENT_PASSWORD", "look");
    true
}

/// Who stands still has no consumer, and is there all the same.
fn everybody_is_paused(bench: &mut Bench) -> bool {
    with_queues(bench);
    let now = jiff::Timestamp::now();
    let info = serde_json::json!({
        "v": 1, "name": "vm1", "host": "vm1", "pid": 7, "slots": 1, "state": "paused", "since": now, "started_at": now,
        "updated_at": now, "beat_s": 20.0, "why": "paused by anna@nas",
        "pause": {"cause": "order", "frozen": false, "until": null, "by": "anna@nas"},
    });
    let dir = bench.path("state/workers");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("vm1.json"), info.to_string()).unwrap();
    true
}

fn somebody_takes_films(bench: &mut Bench) -> bool {
    let vhost = with_queues(bench);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let url = node(bench).admin_url(&vhost);
    let consumer = runtime.block_on(async {
        let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        let taking = channel.basic_consume(
            topology::FILMS.into(),
            "w".into(),
            Default::default(),
            FieldTable::default(),
        );
        (taking.await.unwrap(), channel, connection)
    });
    bench.kept.push(Box::new((consumer, runtime)));
    true
}

/// What a check tries must not touch a film: one that waits is still there, and was handed to nobody.
pub fn a_worker_is_content_with_its_own_user(broker: &PrivateBroker) {
    let mut bench = Bench::new(Some(broker));
    own_user(&mut bench);
    let vhost = vhost_of(&bench);
    block_on(async {
        let options = options(&bench, &vhost);
        let link = Link::connect(&options, "test").await.unwrap();
        link.close().await;
    });
    let body = serde_json::json!({
        "properties": {"delivery_mode": 2}, "routing_key": "film", "payload": "a film", "payload_encoding": "string",
    });
    let path = format!("/api/exchanges/{vhost}/dovi.work/publish");
    assert_eq!(broker.api("POST", &path, Some(&body)).unwrap().1["routed"], true);
    let output = bench.run(&["--only", "broker,queues,rights,arguments,secret"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(output.status.code(), Some(0), "{text}");
    let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains("may publish films, publish events, take films, and nothing more"), "{text}");
    let get = serde_json::json!({"count": 5, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let (_, films) = broker.api("POST", &format!("/api/queues/{vhost}/dovi.films/get"), Some(&get)).unwrap();
    assert_eq!(films.as_array().unwrap().len(), 1, "{films}");
    assert_eq!(
        (&films[0]["payload"], &films[0]["redelivered"]),
        (&"a film".into(), &false.into()),
        "{films}"
    );
}

/// What the broker itself says, where it says it: from 3.12 on, some seconds after a worker came.
pub fn the_timeout_is_the_brokers_own(broker: &PrivateBroker) {
    let (_, overview) = broker.api("GET", "/api/overview", None).unwrap();
    let version = overview["rabbitmq_version"].as_str().unwrap();
    let tells = !["3.9", "3.10", "3.11"].iter().any(|old| version.starts_with(old));
    let mut bench = Bench::new(Some(broker));
    somebody_takes_films(&mut bench);
    let vhost = vhost_of(&bench);
    look_as_monitor(&mut bench, &vhost);
    let look = || {
        let all = lines(&bench.run(&["--json", "--only", "ack-timeout"]));
        (all[0]["level"].as_str().unwrap().to_owned(), all[0].clone())
    };
    let wanted = if tells { "ok" } else { "skipped" };
    let seen = wait::until(Duration::from_secs(30), "the consumer in the broker's tables", || {
        let (level, finding) = look();
        level == wanted && !finding["text"].as_str().unwrap().contains("no worker")
    });
    seen.unwrap_or_else(|e| panic!("RabbitMQ {version}: {e}: {}", look().1));
    if tells {
        // deploy/rabbitmq/90-fleet.conf
        assert_eq!(look().1["measured"]["ack_timeout_s"], 604_800);
    }
}

fn vhost_of(bench: &Bench) -> String {
    bench.setting("broker.url").rsplit('/').next().unwrap().to_owned()
}
