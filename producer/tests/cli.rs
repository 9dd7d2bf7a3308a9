//! The real program, without a broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// A temporary fleet: a library with one file that is no film, a share, and a broker that refuses.
struct Fleet {
    dir: tempfile::TempDir,
}

impl Fleet {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let fleet = Self { dir };
        fs::create_dir_all(fleet.path("lib")).unwrap();
        fs::write(fleet.path("lib/text.mkv"), "this is no film\n").unwrap();
        let at = |p: &str| fleet.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = \"amqp://127.0.0.1:1/dovi\"\n[library]\nstable_s = 0\n[library.roots]\nfilms = {:?}\n\
             [share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n",
            at("lib"),
            at("state"),
            at("out")
        );
        fs::write(fleet.path("config.toml"), config).unwrap();
        fleet
    }

    fn path(&self, p: &str) -> PathBuf {
        self.dir.path().join(p)
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = producer();
        command.current_dir(self.dir.path()).args(args).args(["--config", "config.toml"]).output().unwrap()
    }

    /// Every path below the folder, to see that nothing changed.
    fn tree(&self) -> Vec<PathBuf> {
        let mut all: Vec<PathBuf> =
            walkdir::WalkDir::new(self.dir.path()).into_iter().map(|e| e.unwrap().into_path()).collect();
        all.sort();
        all
    }
}

/// The program, with nobody's environment.
fn producer() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dovi-producer"));
    for (key, _) in std::env::vars_os().filter(|(k, _)| k.to_string_lossy().starts_with("DOVI")) {
        command.env_remove(key);
    }
    command
}

fn stdout(o: &Output) -> String {
    String::from_utf8(o.stdout.clone()).unwrap()
}

fn stderr(o: &Output) -> String {
    String::from_utf8(o.stderr.clone()).unwrap()
}

/// The first line names the error, the second says what to do, and there is no third.
fn named_error(o: &Output, exit: i32, what: &str) {
    let text = stderr(o);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(o.status.code(), Some(exit), "{text}");
    assert!(lines[0].starts_with("error: ") && lines[0].contains(what), "{what:?} is not in {text}");
    assert!(lines.get(1).is_some_and(|l| l.starts_with("hint: ")) && lines.len() == 2, "{text}");
}

fn json_lines(o: &Output) -> Vec<Value> {
    stdout(o).lines().map(|l| serde_json::from_str(l).unwrap()).collect()
}

#[test]
fn help_names_commands_examples_and_exit_codes() {
    let o = producer().arg("--help").output().unwrap();
    assert_eq!(o.status.code(), Some(0));
    let text = stdout(&o);
    let commands =
        ["scan", "rescan", "reconcile", "status", "failed", "inspect", "setup", "doctor", "config"];
    for part in commands.iter().chain(&["Exit codes:", "Examples:"]) {
        assert!(text.contains(part), "{part} is missing in\n{text}");
    }
    let o = producer().arg("scann").output().unwrap();
    assert_eq!(o.status.code(), Some(2));
}

#[test]
fn a_dry_run_needs_no_broker_and_changes_nothing() {
    let fleet = Fleet::new();
    fs::write(fleet.path("lib/empty.mkv"), "").unwrap();
    let before = fleet.tree();
    let o = fleet.run(&["scan", "--dry-run"]);
    assert_eq!(o.status.code(), Some(0), "{}", stderr(&o));
    let text = stdout(&o);
    assert!(text.contains("First run:") && text.contains("would be made"), "{text}");
    assert!(text.contains("not-MKV        skip") && text.contains("films:text.mkv"), "{text}");
    assert!(text.contains("empty          skip"), "{text}");
    assert!(text.ends_with("2 films: 0 would be queued, 2 skipped\n"), "{text}");
    assert_eq!(before, fleet.tree());
}

#[test]
fn json_has_one_object_per_line_and_totals_last() {
    let fleet = Fleet::new();
    let lines = json_lines(&fleet.run(&["scan", "--dry-run", "--json"]));
    assert_eq!(lines.len(), 2);
    assert_eq!((&lines[0]["type"], &lines[0]["film"]), (&"film".into(), &"films:text.mkv".into()));
    assert_eq!((&lines[0]["action"], &lines[0]["code"]), (&"skip".into(), &"source.not-matroska".into()));
    assert_eq!(
        (&lines[1]["type"], &lines[1]["skip"], &lines[1]["dry_run"]),
        (&"totals".into(), &1.into(), &true.into())
    );
}

#[test]
fn a_pipe_with_a_film_name_is_not_opened() {
    let fleet = Fleet::new();
    // Opening it would wait for ever.
    assert!(Command::new("mkfifo").arg(fleet.path("lib/pipe.mkv")).status().unwrap().success());
    let lines = json_lines(&fleet.run(&["scan", "--dry-run", "--json"]));
    assert_eq!(lines.last().unwrap()["films"], 1, "{lines:?}");
}

#[test]
fn a_young_file_is_left_for_later() {
    let fleet = Fleet::new();
    let lines = json_lines(&fleet.run(&["scan", "--dry-run", "--json", "--set", "library.stable_s=3600"]));
    assert_eq!((&lines[0]["action"], &lines[0]["verdict"]), (&"wait".into(), &Value::Null));
}

#[test]
fn a_broker_that_is_down_is_named_and_nothing_is_written() {
    let fleet = Fleet::new();
    let before = fleet.tree();
    named_error(&fleet.run(&["scan"]), 3, "failed to reach the broker at 127.0.0.1:1");
    assert_eq!(before, fleet.tree(), "no state folder, no queued/");
}

#[test]
fn a_root_that_is_not_there_is_no_empty_library() {
    let fleet = Fleet::new();
    let typo = |dir: &str| fleet.run(&["scan", "--dry-run", "--set", &format!("library.roots.films={dir}")]);
    named_error(&typo("/mnt/nsa/films"), 3, "the library root films is not there: /mnt/nsa/films");
    let o = fleet.run(&["scan", "-n", "-v", "--set", "library.roots.films=/mnt/nsa/films"]);
    assert!(
        stderr(&o).starts_with("error: ") && stderr(&o).contains("\ncause: No such file"),
        "{}",
        stderr(&o)
    );
    fs::create_dir(fleet.path("mount")).unwrap();
    named_error(&typo("mount"), 3, "is an empty folder");
}

#[test]
fn a_share_that_is_gone_is_named() {
    let fleet = Fleet::new();
    let scan = |dir: &str| fleet.run(&["scan", "--dry-run", "--set", &format!("share.state_dir={dir}")]);
    named_error(&scan("none/state"), 3, "the share is not there");
    fs::create_dir_all(fleet.path("mount")).unwrap();
    named_error(&scan("mount"), 3, "the share is gone");
    for command in [&["status"][..], &["failed", "list"], &["reconcile"]] {
        named_error(&fleet.run(command), 3, "the share is gone");
    }
}

#[test]
fn wrong_use_is_named() {
    let fleet = Fleet::new();
    named_error(
        &fleet.run(&["scan", "-n", "/etc/hostname"]),
        2,
        "/etc/hostname is not below any library root",
    );
    named_error(&fleet.run(&["scan", "-n", "lib/none.mkv"]), 2, "there is no lib/none.mkv");
    named_error(&fleet.run(&["scan", "--set", "recipe.crf=99"]), 2, "recipe.crf");
    named_error(&fleet.run(&["scan", "--set", "recipe.crfx=9"]), 2, "crfx");
    let o =
        producer().current_dir(fleet.dir.path()).args(["scan", "--config", "none.toml"]).output().unwrap();
    named_error(&o, 2, "none.toml does not exist");
}

#[test]
fn a_scan_can_be_narrowed_to_paths() {
    let fleet = Fleet::new();
    fs::create_dir(fleet.path("lib/sub")).unwrap();
    fs::write(fleet.path("lib/sub/b.mkv"), "x").unwrap();
    let films = |paths: &[&str]| -> Vec<Value> {
        let o = fleet.run(&[&["scan", "-n", "--json"], paths].concat());
        assert_eq!(o.status.code(), Some(0), "{}", stderr(&o));
        json_lines(&o).into_iter().filter(|l| l["type"] == "film").map(|l| l["film"].clone()).collect()
    };
    assert_eq!(films(&["lib/sub"]), ["films:sub/b.mkv"]);
    assert_eq!(films(&["films:sub/b.mkv", "lib/sub"]), ["films:sub/b.mkv"]);
    assert_eq!(films(&[]), ["films:sub/b.mkv", "films:text.mkv"]);
}

#[test]
fn status_works_without_the_broker_and_says_so() {
    let fleet = Fleet::new();
    common::share::ShareState::new(fleet.path("state")).init().unwrap();
    let o = fleet.run(&["status"]);
    assert_eq!(o.status.code(), Some(0), "{}", stderr(&o));
    let text = stdout(&o);
    assert!(text.starts_with("films   0 queued, 0 running, 0 done"), "{text}");
    assert!(text.contains("broker  not there: failed to reach the broker at 127.0.0.1:1"), "{text}");
    let json = &json_lines(&fleet.run(&["status", "--json"]))[0];
    assert_eq!((&json["counts"]["done"], &json["queues"]), (&0.into(), &Value::Null));
}

#[test]
fn setup_makes_the_share_before_it_needs_the_broker() {
    let fleet = Fleet::new();
    named_error(&fleet.run(&["setup"]), 3, "failed to reach the broker");
    assert!(fleet.path("state/sentinel").is_file());
    let o = fleet.run(&["failed", "list"]);
    assert_eq!((o.status.code(), stdout(&o).as_str()), (Some(0), "No film has failed.\n"));
    assert!(stderr(&o).starts_with("warning: only the reports on the share are shown"), "{}", stderr(&o));
    named_error(&fleet.run(&["failed", "retry", "--all"]), 3, "failed to reach the broker");
}

#[test]
fn doctor_names_what_is_wrong_with_a_hint() {
    let fleet = Fleet::new();
    let o = fleet.run(&["doctor"]);
    assert_eq!(o.status.code(), Some(3));
    let text = stdout(&o);
    for part in [
        "ok       library        films = ",
        "warning  share          ",
        "failed   broker         failed to reach",
        "hint: Is RabbitMQ running",
        "skipped  queues         it needs broker",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    let checks = json_lines(&fleet.run(&["doctor", "--json", "--set", "library.roots.films=/none"]));
    let library = checks.iter().find(|c| c["check"] == "library").unwrap();
    assert_eq!(library["level"], "failed");
}

#[test]
fn inspect_needs_no_configuration_and_names_what_is_no_film() {
    let dir = tempfile::tempdir().unwrap();
    let inspect = |args: &[&str]| {
        let mut c = producer();
        c.current_dir(dir.path()).arg("inspect").args(args).output().unwrap()
    };
    fs::write(dir.path().join("empty.mkv"), "").unwrap();
    fs::write(dir.path().join("text.mkv"), "not a film at all").unwrap();
    fs::write(dir.path().join("-x.mkv"), [0x1a, 0x45, 0xdf, 0xa3]).unwrap();
    let codes = |args: &[&str]| -> Vec<Value> {
        let o = inspect(args);
        assert_eq!(o.status.code(), Some(1), "{}", stderr(&o));
        json_lines(&o).iter().map(|l| l["code"].clone()).collect()
    };
    let expected = ["source.empty", "source.not-matroska", "source.missing"];
    assert_eq!(codes(&["--json", "empty.mkv", "text.mkv", "none.mkv"]), expected);
    assert_eq!(codes(&["--json", "--full", "empty.mkv", "text.mkv", "none.mkv"]), expected);
    assert_eq!(codes(&["--json", "."]), ["source.unreadable"]);
    assert_eq!(codes(&["--json", "--", "-x.mkv"]).len(), 1);
    let text = stdout(&inspect(&["text.mkv"]));
    assert!(text.contains("verdict   not-MKV") && text.contains("hint      "), "{text}");
}

#[test]
fn a_closed_pipe_is_no_panic() {
    let fleet = Fleet::new();
    for n in 0..2000 {
        fs::write(fleet.path(&format!("lib/{n}.mkv")), "x").unwrap();
    }
    let line = format!("'{}' scan -n --config config.toml | head -1", env!("CARGO_BIN_EXE_dovi-producer"));
    let o = Command::new("sh").current_dir(fleet.dir.path()).args(["-c", &line]).output().unwrap();
    assert_eq!(stderr(&o), "");
    assert!(Path::new(&stdout(&o)).to_str().unwrap().starts_with("First run"), "{}", stdout(&o));
}

#[test]
fn ctrl_c_ends_a_scan_with_its_own_code_and_the_totals() {
    use std::io::{BufRead, BufReader, Read};
    let fleet = Fleet::new();
    for n in 0..5000 {
        fs::write(fleet.path(&format!("lib/{n}.mkv")), "x").unwrap();
    }
    let mut command = producer();
    command.current_dir(fleet.dir.path()).args(["scan", "-n", "--config", "config.toml"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    // It has begun and, since nobody reads the rest, stands still in the middle of its lines.
    for _ in 0..3 {
        lines.read_line(&mut text).unwrap();
    }
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    lines.read_to_string(&mut text).unwrap();
    let o = child.wait_with_output().unwrap();
    assert_eq!(o.status.code(), Some(4), "{}", stderr(&o));
    assert_eq!(stderr(&o), "error: stopped; 0 films were queued, run it again to go on\n");
    assert!(text.lines().last().unwrap().starts_with("5001 films: 0 would be queued"), "{text}");
    assert!(text.lines().count() < 5000, "it went on to the end");
}

#[test]
fn config_show_hides_secrets_and_names_origins() {
    let fleet = Fleet::new();
    let o = fleet.run(&["config", "show", "--set", "broker.password=hunter2"]);
    let text = stdout(&o);
    assert!(text.contains("broker.password") && !text.contains("hunter2"), "{text}");
    assert!(text.lines().any(|l| l.starts_with("share.state_dir") && l.ends_with("config.toml")), "{text}");
}

/// A terminal of its own for the program: `script` makes one and records what is written to it.
#[test]
fn the_view_that_stays_gives_the_terminal_back() {
    let fleet = Fleet::new();
    common::share::ShareState::new(fleet.path("state")).init().unwrap();
    let watch = format!(
        "stty cols 80 rows 24; '{}' status --watch --config config.toml",
        env!("CARGO_BIN_EXE_dovi-producer")
    );
    for end in ["q", "\u{3}"] {
        let mut command = Command::new("script");
        command.current_dir(fleet.dir.path()).args(["-qefc", &watch, "record"]).env("TERM", "xterm");
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        let record = || fs::read_to_string(fleet.path("record")).unwrap_or_default();
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(30);
        while !record().contains("is empty") {
            assert!(std::time::Instant::now() < deadline, "{:?}", record());
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        std::io::Write::write_all(child.stdin.as_mut().unwrap(), end.as_bytes()).unwrap();
        let status = child.wait().unwrap();
        let record = record();
        assert_eq!(status.code(), Some(0), "{end:?} {record:?}");
        let (entered, left) = (record.find("\x1b[?1049h"), record.rfind("\x1b[?1049l"));
        assert!(entered.is_some() && left > entered, "{record:?}");
        assert!(record.rfind("\x1b[?25h") > record.rfind("\x1b[?25l"), "the cursor is back: {record:?}");
        fs::remove_file(fleet.path("record")).unwrap();
    }
}

#[test]
fn without_a_terminal_the_view_is_lines_again_and_again() {
    use std::io::{BufRead, BufReader};
    let fleet = Fleet::new();
    common::share::ShareState::new(fleet.path("state")).init().unwrap();
    let mut command = producer();
    command.current_dir(fleet.dir.path()).args(["status", "--watch", "--config", "config.toml"]);
    let mut child =
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).env("TERM", "xterm").spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut first = String::new();
    lines.read_line(&mut first).unwrap();
    assert_eq!(first, "films   0 queued, 0 running, 0 done, 0 failed\n");
    assert!(Command::new("kill").args(["-TERM", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
