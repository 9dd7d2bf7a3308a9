//! `failed list`: one line per film.

use common::job::{FailureClass, FailureCode};
use serde::Serialize;

use super::item::Item;
use crate::exit::{Exit, Failure};
use crate::ledger::ago;
use crate::render::{Align, Output, Table, safe};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "failed")]
pub(super) struct Line {
    id: String,
    film: String,
    code: Option<FailureCode>,
    class: Option<FailureClass>,
    summary: Option<String>,
    attempt: Option<u32>,
    worker: Option<String>,
    at: Option<jiff::Timestamp>,
    /// Whether the broker has its dead letter.
    letter: bool,
    /// Whether its report is on the share.
    report: bool,
    discarded: bool,
}

impl From<&Item> for Line {
    fn from(i: &Item) -> Self {
        let r = i.report.as_ref();
        Self {
            id: i.id.clone(),
            film: i.film(),
            code: r.map(|r| r.code),
            class: r.map(|r| r.class),
            summary: r.map(|r| r.summary.clone()),
            attempt: r.map(|r| r.attempt),
            worker: r.map(|r| r.worker.clone()),
            at: r.map(|r| r.at),
            letter: i.letter.is_some(),
            report: i.on_share,
            discarded: i.discarded,
        }
    }
}

pub(super) fn print(items: &[Item], trouble: Option<String>, out: &mut Output) -> Result<Exit, Failure> {
    if let Some(trouble) = trouble {
        eprintln!("warning: {trouble}");
    }
    for item in items {
        out.object(&Line::from(item))?;
    }
    for line in lines(items) {
        out.line(&line)?;
    }
    Ok(Exit::Ok)
}

fn lines(items: &[Item]) -> Vec<String> {
    use Align::{Left, Right};
    let mut table =
        Table::new(&[("job", Left), ("code", Left), ("tries", Right), ("when", Right), ("film", Left)]);
    for i in items.iter().filter(|i| !i.discarded) {
        let r = i.report.as_ref();
        table.row(vec![
            safe(&i.id).chars().take(8).collect(),
            r.map_or("(no report)", |r| r.code.as_str()).to_owned(),
            r.map(|r| r.attempt.to_string()).unwrap_or_default(),
            r.map(|r| ago(r.at)).unwrap_or_default(),
            safe(&i.film()),
        ]);
    }
    let mut lines = if table.is_empty() { vec!["No film has failed.".to_owned()] } else { table.lines(None) };
    let discarded = items.iter().filter(|i| i.discarded).count();
    if discarded > 0 {
        lines.push(format!(
            "{discarded} were discarded: scan leaves them alone, `dovi-producer rescan PATH` queues one again"
        ));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_that_is_no_job_is_listed_too() {
        let item = |id: &str, discarded| Item {
            id: id.into(),
            job: None,
            report: None,
            letter: Some(0),
            raw: b"hello".to_vec(),
            on_share: false,
            discarded,
        };
        let shown = lines(&[item("m-1\x1b[2J", false), item("m-2", true)]);
        assert!(shown[1].starts_with("m-1\\u{1b  (no report)"), "{shown:?}");
        assert!(shown[2].starts_with("1 were discarded"), "{shown:?}");
        assert_eq!(lines(&[]), ["No film has failed."]);
    }
}
