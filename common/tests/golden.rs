//! Every format that leaves a program, as files in the tree (`data/golden`). Each file is read and written again without a
//! difference, and read once more with fields in it that a later version may add. See docs/MESSAGES.md.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::BTreeSet;
use std::fmt::Debug;
use std::fs;
use std::path::PathBuf;

use common::job::{Certificate, FailureReport, FilmEvent, JobMessage, Notice, ProgressEvent, WorkerEvent};
use common::share::{Entry, LeaseInfo, OutboxEntry, WorkerInfo};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/golden")
}

/// Adds a field of a later version to every object. Left out are the recipe, where a worker refuses what it could not honour, and
/// the figures of a check, which are a map of their own.
fn of_a_later_version(value: &mut Value) {
    match value {
        Value::Object(object) => {
            for (key, inner) in object.iter_mut() {
                if key != "recipe" && key != "figures" {
                    of_a_later_version(inner);
                }
            }
            object.insert("of_a_later_version".into(), json!({"x": [1, null]}));
        }
        Value::Array(list) => list.iter_mut().for_each(of_a_later_version),
        _ => {}
    }
}

fn holds<T: Serialize + DeserializeOwned + PartialEq + Debug>(name: &str) -> String {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let value: T = serde_json::from_str(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
    let written = serde_json::to_value(&value).unwrap();
    let mut read: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(written, read, "{name} should be:\n{}", serde_json::to_string_pretty(&value).unwrap());
    of_a_later_version(&mut read);
    let later: T = serde_json::from_value(read).unwrap_or_else(|e| panic!("{name} of a later version: {e}"));
    assert_eq!(later, value, "{name} of a later version");
    name.to_owned()
}

#[test]
fn every_format_is_as_it_was() {
    let held: BTreeSet<String> = [
        holds::<JobMessage>("job.json"),
        holds::<FailureReport>("report.json"),
        holds::<FailureReport>("report-no-job.json"),
        holds::<Certificate>("certificate.json"),
        holds::<LeaseInfo>("lease.json"),
        holds::<WorkerInfo>("worker.json"),
        holds::<Entry>("journal-start.json"),
        holds::<Entry>("journal-end.json"),
        holds::<FilmEvent>("event-film.json"),
        holds::<ProgressEvent>("event-progress.json"),
        holds::<WorkerEvent>("event-worker.json"),
        holds::<Notice>("notice-done.json"),
        holds::<Notice>("notice-failed.json"),
        holds::<Notice>("notice-ill.json"),
        holds::<Notice>("notice-queue-empty.json"),
        holds::<OutboxEntry>("outbox.json"),
        holds::<common::broker::Notice>("control-order.json"),
        holds::<common::broker::Notice>("control-cancel.json"),
    ]
    .into();
    let there: BTreeSet<String> =
        fs::read_dir(folder()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    assert_eq!(held, there, "every file is read, and nothing is read twice");
    let page = fs::read_to_string(folder().join("../../../../docs/MESSAGES.md")).unwrap();
    let missing: Vec<_> = there.iter().filter(|name| !page.contains(&format!("golden/{name}"))).collect();
    assert!(missing.is_empty(), "docs/MESSAGES.md leads to each: {missing:?}");
}

#[test]
fn a_job_is_checked_against_its_own_id() {
    let text = fs::read_to_string(folder().join("job.json")).unwrap();
    JobMessage::parse(text.as_bytes()).unwrap();
    let mut report: Value =
        serde_json::from_str(&fs::read_to_string(folder().join("report.json")).unwrap()).unwrap();
    JobMessage::parse(report["job"].take().to_string().as_bytes()).unwrap();
}
