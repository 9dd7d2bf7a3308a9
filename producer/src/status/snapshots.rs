//! What a person sees. `INSTA_UPDATE=always cargo test -p producer` writes the pictures anew; look at them before committing.

use common::text::columns;
use jiff::tz::TimeZone;

use super::made_up::{busy, early, empty, failures, ill, no_broker, paused};
use super::{Status, lines};

fn text(status: &Status) -> String {
    let lines: Vec<String> = lines(status, &TimeZone::UTC).iter().map(ToString::to_string).collect();
    for line in &lines {
        assert!(columns(line) <= 80, "{} columns: {line}", columns(line));
        assert!(!line.ends_with(' '), "{line:?}");
    }
    lines.join("\n")
}

macro_rules! pictures {
    ($($name:ident: $status:expr;)*) => {
        $(#[test]
        fn $name() {
            insta::assert_snapshot!(text(&$status));
        })*
    };
}

pictures! {
    an_empty_fleet: empty();
    a_busy_fleet: busy();
    an_ill_worker_and_a_silent_one: ill();
    a_paused_worker: paused();
    without_the_broker: no_broker();
    thirty_failures: failures();
    too_few_films_for_a_forecast: early();
}

#[test]
fn names_from_outside_cannot_write_to_the_terminal_or_fill_it() {
    let hostile = format!("\u{1b}[2J\u{202e}{}", "x".repeat(5000));
    let mut status = ill();
    for worker in &mut status.workers {
        worker.info.name = hostile.clone();
        worker.info.host = hostile.clone();
        worker.info.why = Some(hostile.clone());
        worker.info.code = Some(hostile.clone());
    }
    status.workers = vec![status.workers[1].clone(); 1000];
    for film in &mut status.running {
        film.film = hostile.clone();
        film.lease.worker = hostile.clone();
        film.lease.progress.stage = hostile.clone();
    }
    status.retrying[0].film = hostile.clone();
    status.retrying[0].code = hostile.clone();
    status.reasons[0].code = hostile.clone();
    status.broker = Some(hostile);
    status.queues = None;
    let all = text(&status);
    assert!(!all.contains(['\u{1b}', '\u{202e}']));
    assert!(all.lines().count() < 200 && all.len() < 16_000, "{} {}", all.lines().count(), all.len());
    assert!(all.contains("and 960 more workers"));
}

/// `--json` of the busy fleet, as scripts see it. What was there once stays.
#[test]
fn json_is_stable_and_documented() {
    let golden = include_str!("../../tests/data/status-v1.json");
    let mut status = ill();
    status.eta.recipe = None;
    // Through text: that is what scripts read.
    let printed = serde_json::to_string(&status).unwrap();
    let now: serde_json::Value = serde_json::from_str(&printed).unwrap();
    let then: serde_json::Value = serde_json::from_str(golden).unwrap();
    assert_eq!(now, then, "now it is\n{}", serde_json::to_string_pretty(&now).unwrap());
    let doc = include_str!("../../../docs/MESSAGES.md");
    let mut open = vec![&now];
    while let Some(value) = open.pop() {
        match value {
            serde_json::Value::Object(fields) => {
                for (key, value) in fields {
                    assert!(doc.contains(&format!("`{key}`")), "docs/MESSAGES.md lacks `{key}`");
                    open.push(value);
                }
            }
            serde_json::Value::Array(values) => open.extend(values),
            _ => {}
        }
    }
}
