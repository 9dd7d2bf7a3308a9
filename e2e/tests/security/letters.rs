//! Dead letters that no worker of ours wrote: they are listed, shown and dropped, and do nothing else.

use e2e::broker::PrivateBroker;
use serde_json::{Value, json};

use crate::fleet::Fleet;

/// What a terminal would obey: clear the screen, set the title, colours, turn the reading direction.
const ESCAPES: &str = "\u{1b}[2J\u{1b}]0;owned\u{7}\u{9b}31m\u{202e}gnp.\r\n\u{0}";

fn tame(text: &str) {
    let bad = |c: char| {
        (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    assert!(!text.contains(bad), "{:?}", text.chars().find(|c| bad(*c)));
}

fn report(code: &str) -> Value {
    json!({
        "v": 1, "job": null, "code": code, "class": "permanent", "stage": ESCAPES, "summary": ESCAPES, "hint": ESCAPES,
        "causes": [ESCAPES], "tool": {"command": ESCAPES, "outcome": ESCAPES, "tail": [ESCAPES]}, "attempt": 4294967295u32,
        "worker": ESCAPES, "at": "9999-12-30T22:00:00Z", "log": format!("../../../etc/{ESCAPES}"), "raw": ESCAPES,
    })
}

pub fn are_shown_tamely_and_dropped(broker: &PrivateBroker) {
    let fleet = Fleet::new(broker, "letters");
    let film = fleet.film("one");
    let mut wrong_job = serde_json::to_value(&film).unwrap();
    wrong_job["size"] = 5.into();
    let mut with_wrong_job = report("source.truncated");
    with_wrong_job["job"] = wrong_job;
    let mut with_job = report("source.truncated");
    with_job["job"] = serde_json::to_value(&film).unwrap();
    with_job["job"]["verdict"] = ESCAPES.into();
    let mut nested = report("source.truncated");
    nested["raw"] = String::from_utf8(film.to_body().unwrap()).unwrap().into();
    let letters: Vec<(Option<&str>, Vec<u8>)> = vec![
        (Some("words"), b"hello".to_vec()),
        (Some("none"), Vec::new()),
        (None, b"without a name".to_vec()),
        (Some(ESCAPES.trim_end_matches('\0')), b"with an ugly name".to_vec()),
        (Some("../../../../etc/passwd"), b"a path for a name".to_vec()),
        (Some("binary"), (0..=255).collect()),
        (Some("deep"), vec![b'['; 90_000]),
        (Some("large"), vec![b'x'; 1_000_000]),
        (Some("ugly"), report("source.truncated").to_string().into_bytes()),
        (Some("no-such-code"), report("no.such.code").to_string().into_bytes()),
        (Some("wrong-job"), with_wrong_job.to_string().into_bytes()),
        (Some("with-job"), with_job.to_string().into_bytes()),
        (Some("job-as-text"), nested.to_string().into_bytes()),
        (Some("bare-job"), film.to_body().unwrap()),
    ];
    for (id, body) in &letters {
        let mut properties = json!({"delivery_mode": 2, "headers": {"x-attempt": "x", "x-code": ESCAPES.trim_end_matches('\0')}});
        if let Some(id) = id {
            properties["message_id"] = (*id).into();
        }
        fleet.publish("failed", &properties, body);
    }
    fleet.wait_for("all letters", |d| d.failed.ready as usize == letters.len());

    tame(&fleet.produced(&["failed", "list"]));
    let list = fleet.produced(&["failed", "list", "--json"]);
    tame(&list);
    let ids: Vec<String> = list
        .lines()
        .map(|l| serde_json::from_str::<Value>(l).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), letters.len());
    for id in &ids {
        assert!(!id.is_empty() && id.chars().all(|c| c.is_ascii_graphic()), "a person can type {id:?}");
        tame(&fleet.produced(&["failed", "show", id]));
    }
    let (_, text) = fleet.producer(&["failed", "show", "no-such-id\u{1b}[2J"]);
    tame(
        &text.lines().filter(|l| !l.contains("TRACE") && !l.contains("DEBUG")).collect::<Vec<_>>().join("\n"),
    );

    // What holds no job stays and says so; one is dropped by its name alone.
    let (output, text) = fleet.producer(&["failed", "retry", "words"]);
    assert!(output.status.code() == Some(1) && text.contains("can only be discarded"), "{text}");
    let nameless = ids.iter().find(|id| id.starts_with("raw-")).expect("a letter without a name");
    fleet.produced(&["failed", "discard", nameless]);
    fleet.wait_for("one less", |d| d.failed.ready as usize == letters.len() - 1 && d.films.ready == 0);

    // The jobs among them are all the same film: a worker does it once, and the rest of the letters is dropped.
    let (_, text) = fleet.producer(&["failed", "retry", "--all"]);
    tame(
        &text.lines().filter(|l| !l.contains("TRACE") && !l.contains("DEBUG")).collect::<Vec<_>>().join("\n"),
    );
    fleet.wait_for("the film", |d| d.films.ready >= 1);
    fleet.work();
    assert!(fleet.has_certificate(&film));
    fleet.produced(&["failed", "discard", "--all"]);
    fleet.wait_for("nothing left", |d| d.failed.ready == 0 && d.films.ready == 0);
    assert!(
        !fleet.path("etc").exists() && fleet.produced(&["failed", "list"]).contains("No film has failed")
    );
}
