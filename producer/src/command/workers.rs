//! The workers in `status`. What their files say is text from outside.

use std::time::Duration;

use common::share::{SeenWorker, WorkerInfo, WorkerState};
use serde::Serialize;

use crate::render::{Align, Table, cut, duration, safe};

/// Workers in the table; the JSON has all of them.
const MOST: usize = 40;
/// Longest reason in the table, in characters; the JSON has all of it.
const WHY: usize = 70;

/// A worker that left word on the share.
#[derive(Debug, Clone, Serialize)]
pub(super) struct WorkerLine {
    /// Nothing was heard of it for more than three of its beats: it may be dead, frozen or cut off.
    silent: bool,
    /// Seconds since it was heard of, by the clock of the share's server.
    heard_s: u64,
    #[serde(flatten)]
    info: WorkerInfo,
}

impl From<SeenWorker> for WorkerLine {
    fn from(seen: SeenWorker) -> Self {
        Self { silent: seen.is_silent(), heard_s: seen.quiet.as_secs(), info: seen.info }
    }
}

impl WorkerLine {
    fn why(&self) -> String {
        let info = &self.info;
        if self.silent {
            let heard = duration(Duration::from_secs(self.heard_s));
            return format!("not heard of for {heard} (was {})", info.state.name());
        }
        let why = info.why.as_deref().map(safe).unwrap_or_default();
        match info.code.as_deref().map(safe) {
            Some(code) if !why.is_empty() => format!("{code}: {why}"),
            Some(code) => code,
            None => why,
        }
    }
}

/// Lines for people: a table, and below it in full why workers are not at work.
pub(super) fn lines(workers: &[WorkerLine], width: usize) -> Vec<String> {
    use Align::{Left, Right};
    let mut table = Table::new(&[
        ("worker", Left),
        ("host", Left),
        ("state", Left),
        ("done", Right),
        ("failed", Right),
        ("since", Left),
    ]);
    let mut reasons = Vec::new();
    for w in workers.iter().take(MOST) {
        let (info, why) = (&w.info, w.why());
        let name = cut(&safe(&info.name), 20);
        if !why.is_empty() {
            reasons.push(format!("{name}: {}", cut(&why, WHY)));
        }
        let state = if w.silent { "silent" } else { info.state.name() };
        // Its own clock tells when, ours only how long that is: for people.
        let since = jiff::Timestamp::now().duration_since(info.since).unsigned_abs();
        table.row(vec![
            name,
            cut(&safe(&info.host), 16),
            state.into(),
            info.done.to_string(),
            info.failed.to_string(),
            if w.silent || info.state == WorkerState::Unknown { String::new() } else { duration(since) },
        ]);
    }
    let mut lines = table.lines(Some(width));
    lines.extend(reasons);
    if workers.len() > MOST {
        lines.push(format!("and {} more workers; --json has them all", workers.len() - MOST));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn worker(name: &str, state: WorkerState, why: Option<&str>, quiet: u64) -> WorkerLine {
        let at = jiff::Timestamp::now();
        let info = WorkerInfo {
            v: 1,
            name: name.into(),
            host: "vm-3".into(),
            pid: 7,
            origin: String::new(),
            version: "0.1.0".into(),
            slots: 1,
            state,
            why: why.map(Into::into),
            code: why.map(|_| "encode.unsupported".into()),
            pause: None,
            order: None,
            since: at,
            done: 4,
            failed: 1,
            started_at: at,
            updated_at: at,
            beat_s: 20.0,
        };
        SeenWorker { info, quiet: Duration::from_secs(quiet) }.into()
    }

    #[test]
    fn a_sick_worker_says_why_and_a_silent_one_for_how_long() {
        let workers = [
            worker("vm3-a", WorkerState::Ill, Some("the encoder x265 does not work here"), 3),
            worker("vm3-b", WorkerState::Busy, None, 720),
        ];
        let lines = lines(&workers, 80);
        assert_eq!(lines[0], "WORKER  HOST  STATE   DONE  FAILED  SINCE");
        assert_eq!(lines[1], "vm3-a   vm-3  ill        4       1  0 s");
        assert_eq!(lines[2], "vm3-b   vm-3  silent     4       1");
        assert_eq!(lines[3], "vm3-a: encode.unsupported: the encoder x265 does not work here");
        assert_eq!(lines[4], "vm3-b: not heard of for 12 min (was busy)");
        let json = serde_json::to_value(&workers[1]).unwrap();
        assert_eq!(
            (&json["silent"], &json["heard_s"], &json["state"]),
            (&true.into(), &720.into(), &"busy".into())
        );
    }

    #[test]
    fn names_and_reasons_from_outside_cannot_write_to_the_terminal_or_fill_it() {
        let hostile = format!("\u{1b}[2J{}", "x".repeat(5000));
        let workers = vec![worker(&hostile, WorkerState::Ill, Some(&hostile), 0); 1000];
        let lines = lines(&workers, 80);
        assert!(lines.len() <= 2 * MOST + 2, "{}", lines.len());
        assert!(lines.iter().all(|l| l.chars().count() <= 100 && !l.contains('\u{1b}')), "{lines:?}");
        assert!(lines.last().unwrap().starts_with("and 960 more"));
    }
}
