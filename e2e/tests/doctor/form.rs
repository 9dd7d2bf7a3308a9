//! What scripts and people get.

use std::path::Path;

use serde_json::Value;

use super::bench::{Bench, Program, lines};

const GOLDEN: &str = include_str!("doctor.jsonl");

/// Every kind of line, with its figures made the same everywhere.
pub fn json_is_as_documented() {
    let mut bench = Bench::new(None);
    bench.set("library.roots.films", "/mnt/nsa/films");
    bench.script("tools.mkvmerge", "echo \"mkvmerge v65.0.0 ('Any Song') 64-bit\"");
    let mut all = lines(&bench.run(&["--json", "--only", "settings,mkvmerge,library,output"]));
    let dir = bench.dir.path().display().to_string();
    all.last_mut().unwrap()["seconds"] = 0.1.into();
    let text: String = all.iter().map(|l| format!("{l}\n").replace(&dir, "DIR")).collect();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/doctor.jsonl");
    assert_eq!(text, GOLDEN, "{} should be:\n{text}", file.display());
    let page = include_str!("../../../docs/MESSAGES.md");
    let documented =
        |field: &String| assert!(page.contains(&format!("`{field}`")), "{field} is not in docs/MESSAGES.md");
    all.iter().for_each(|line: &Value| line.as_object().unwrap().keys().for_each(documented));
}

pub fn choices_and_exit_codes() {
    let mut bench = Bench::new(None);
    let o = bench.run(&["--only", "shaer"]);
    let said = String::from_utf8_lossy(&o.stderr).into_owned();
    assert_eq!(o.status.code(), Some(2));
    assert!(said.contains("there is no check called \"shaer\"") && said.contains("share-rights"), "{said}");
    let all = lines(&bench.run(&["--json", "--fast", "--only", "settings,encoder,scratch-speed"]));
    assert_eq!((&all[0]["check"], all.len()), (&"settings".into(), 2), "{all:?}");
    // What needs something that failed is not looked at, nor what needs that.
    bench.unset("share.state_dir");
    let all = lines(&bench.run(&["--json", "--only", "settings,share,share-rights"]));
    let levels: Vec<&Value> = all.iter().map(|l| &l["level"]).collect();
    assert_eq!(levels[..3], [&Value::from("failed"), &"skipped".into(), &"skipped".into()], "{all:?}");
    assert_eq!((&all[3]["failed"], &all[3]["skipped"]), (&1.into(), &2.into()));
    for secret in ["--management", "http://a:s3cret@127.0.0.1:1"].chunks(2) {
        bench.argument(secret);
    }
    bench.env("DOVI_MANAGEMENT_PASSWORD", "hunter2");
    let o = bench.run(&["--only", "arguments,ack-timeout"]);
    let said = format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
    assert!(!said.contains("s3cret") && !said.contains("hunter2"), "{said}");
}

/// 80 columns, but for a command or a path that must not be broken; no colour in a pipe.
pub fn lines_for_people_fit_a_terminal() {
    for program in [Program::Consumer, Program::Producer] {
        let mut bench = Bench::new(None);
        bench.program = program;
        let o = bench.run(&["--fast"]);
        let text = String::from_utf8_lossy(&o.stdout).into_owned();
        assert!(!text.contains('\u{1b}'), "{text:?}");
        let long: Vec<&str> = text.lines().filter(|l| l.chars().count() > 80).collect();
        let whole = |l: &&&str| !l.trim_start().contains(' ') || l.contains('`') || l.contains("/tmp");
        assert_eq!(long.iter().filter(|l| !whole(l)).count(), 0, "{long:?}");
        assert!(text.contains("failed   broker         failed to reach the broker"), "{text}");
        assert!(text.ends_with("Not ready: what failed must be put right first.\n"), "{text}");
    }
}
