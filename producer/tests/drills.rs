//! Recovery drills of docs/OPERATIONS.md that need no broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::job::JobId;
use common::share::{Folder, ShareState};
use serde_json::{Value, json};

/// A second of Profile 7.
const FILM: &[u8] = include_bytes!("../../consumer/src/pipeline/selftest/film.mkv");

fn producer(dir: &Path, args: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dovi-producer"));
    for (key, _) in std::env::vars_os().filter(|(k, _)| k.to_string_lossy().starts_with("DOVI")) {
        command.env_remove(key);
    }
    command.current_dir(dir).args(args).output().unwrap()
}

/// What a scan would do with each film, and the job that it is.
fn actions(dir: &Path) -> Vec<(String, String, JobId)> {
    let o = producer(dir, &["scan", "--dry-run", "--json"]);
    assert_eq!(o.status.code(), Some(0), "{}", String::from_utf8_lossy(&o.stderr));
    let lines = String::from_utf8(o.stdout).unwrap();
    let films =
        lines.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()).filter(|l| l["type"] == "film");
    let text = |v: &Value| v.as_str().unwrap().to_owned();
    films.map(|f| (text(&f["film"]), text(&f["action"]), text(&f["job"]).parse().unwrap())).collect()
}

fn shell(dir: &Path, line: &str) {
    let o = Command::new("sh").current_dir(dir).args(["-ec", line]).output().unwrap();
    assert!(o.status.success(), "{line}: {}", String::from_utf8_lossy(&o.stderr));
}

#[test]
fn a_lost_state_folder_comes_back_from_the_backup_of_done_and_failed() {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    for folder in ["films", "nas", "out"] {
        fs::create_dir(dir.join(folder)).unwrap();
    }
    for name in ["done", "failed", "new"] {
        fs::write(dir.join(format!("films/{name}.mkv")), FILM).unwrap();
    }
    fs::write(dir.join("nas/other"), "").unwrap();
    fs::write(
        dir.join("dovi-fleet.toml"),
        "[broker]\nurl = \"amqp://127.0.0.1:1/dovi\"\n[library]\nstable_s = 0\n[library.roots]\nfilms = \"films\"\n\
         [share]\nstate_dir = \"nas/state\"\n[output]\ndir = \"out\"\n",
    )
    .unwrap();
    let share = ShareState::new(dir.join("nas/state"));
    share.init().unwrap();
    let before = actions(dir);
    assert!(before.len() == 3 && before.iter().all(|(_, action, _)| action == "queue"), "{before:?}");
    let job = |name: &str| before.iter().find(|(film, _, _)| film.contains(name)).unwrap().2;
    share.write(Folder::Done, job("done"), &json!({"a": "certificate"})).unwrap();
    share.write(Folder::Failed, job("failed"), &json!({"a": "report"})).unwrap();
    let known = actions(dir);
    let expected = ["done", "failed", "queue"];
    assert_eq!(known.iter().map(|(_, a, _)| a.as_str()).collect::<Vec<_>>(), expected);

    shell(dir, "tar -C nas/state -cf dovi-state.tar done failed");
    shell(dir, "rm -r nas/state");
    let lost = actions(dir);
    assert!(lost.iter().all(|(_, action, _)| action == "queue"), "that is what the backup is for: {lost:?}");
    // The share is made before the broker is needed, which is not there.
    assert_eq!(producer(dir, &["setup"]).status.code(), Some(3));
    shell(dir, "tar -C nas/state -xf dovi-state.tar");
    assert_eq!(actions(dir), known);
}
