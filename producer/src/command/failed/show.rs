//! `failed show`: one report, whole.

use common::job::FailureReport;
use common::share::ShareState;

use super::item::Item;
use crate::exit::{Exit, Failure};
use crate::ledger::ago;
use crate::render::{Output, bytes, safe, safe_path};

/// Of a message that is no job this many characters are shown.
const RAW: usize = 2000;

pub(super) fn print(
    item: &Item,
    trouble: Option<String>,
    share: &ShareState,
    out: &mut Output,
) -> Result<Exit, Failure> {
    if let Some(trouble) = trouble {
        eprintln!("warning: {trouble}");
    }
    match &item.report {
        Some(report) => out.object(report)?,
        None => {
            out.object(&serde_json::json!({ "id": item.id, "raw": String::from_utf8_lossy(&item.raw) }))?;
        }
    }
    for line in lines(item, share) {
        out.line(&line)?;
    }
    Ok(Exit::Ok)
}

fn lines(item: &Item, share: &ShareState) -> Vec<String> {
    let mut lines = Vec::new();
    let mut add = |name: &str, value: &str| lines.push(format!("{name:<8}  {value}"));
    add("film", &safe(&item.film()));
    add("job", &safe(&item.id));
    if let Some(job) = &item.job {
        add(
            "was",
            &format!("{}, {}, for {}", safe(&job.verdict), bytes(job.size), safe(&job.recipe.summary())),
        );
    }
    match &item.report {
        Some(report) => report_lines(report, &mut add),
        None => {
            add(
                "report",
                "none: the broker gave it up by itself (delivered too often), or nobody of the fleet wrote it",
            );
            if item.job.is_none() {
                let text = String::from_utf8_lossy(&item.raw);
                add("message", &safe(&text.chars().take(RAW).collect::<String>()));
            }
        }
    }
    match (item.report.as_ref().and_then(|r| r.log.as_ref()), item.job_id()) {
        (Some(log), _) => add("log", &safe_path(share.dir().join(log))),
        (None, Some(job)) if share.log_path(job).is_dir() => add("logs", &safe_path(share.log_path(job))),
        _ => {}
    }
    let yes = |b| if b { "yes" } else { "no" };
    let state =
        format!("dead letter: {}, report on the share: {}", yes(item.letter.is_some()), yes(item.on_share));
    add("where", &if item.discarded { format!("{state}, discarded") } else { state });
    lines
}

fn report_lines(r: &FailureReport, add: &mut impl FnMut(&str, &str)) {
    add("code", &format!("{} ({})", r.code, r.class));
    add("what", &safe(&r.summary));
    for cause in &r.causes {
        add("", &format!("because {}", safe(cause)));
    }
    add("hint", &safe(&r.hint));
    add("stage", &format!("{}, attempt {}, worker {}", safe(&r.stage), r.attempt, safe(&r.worker)));
    add("when", &format!("{} ({})", r.at.strftime("%Y-%m-%d %H:%M:%S UTC"), ago(r.at)));
    if let Some(tool) = &r.tool {
        add("tool", &format!("{}: {}", safe(&tool.outcome), safe(&tool.command)));
        for line in &tool.tail {
            add("", &format!("| {}", safe(line)));
        }
    }
    if let Some(raw) = &r.raw {
        add("message", &safe(&raw.chars().take(RAW).collect::<String>()));
    }
}

#[cfg(test)]
mod tests {
    use common::job::{FailureCode, JobMessage, Recipe, ToolReport};

    use super::*;

    #[test]
    fn the_whole_report_is_there() {
        let job = JobMessage::new("films:a.mkv".parse().unwrap(), 5_000, 9, Recipe::default(), "MEL".into());
        let report = FailureReport {
            v: 1,
            job: Some(job.clone()),
            code: FailureCode::EncodeFailed,
            class: FailureCode::EncodeFailed.class(),
            stage: "encode".into(),
            summary: "ffmpeg stopped".into(),
            hint: "look here".into(),
            causes: vec!["exit status 1".into()],
            tool: Some(ToolReport {
                command: "ffmpeg -i x".into(),
                outcome: "exit status 1".into(),
                tail: vec!["last\x07 word".into()],
            }),
            attempt: 3,
            worker: "vm1".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
            log: Some("logs/x/3.log".into()),
            raw: None,
            discarded_at: None,
        };
        let item = Item {
            id: job.id.to_string(),
            job: Some(job),
            report: Some(report),
            letter: Some(0),
            raw: vec![],
            on_share: false,
            discarded: false,
        };
        let text = lines(&item, &ShareState::new("/share/state")).join("\n");
        for part in [
            "film      films:a.mkv",
            "was       MEL, 5.0 kB, for x265 slow crf 18",
            "code      encode.failed (transient)",
            "because exit status 1",
            "hint      look here",
            "stage     encode, attempt 3, worker vm1",
            "tool      exit status 1: ffmpeg -i x",
            "| last\\u{7} word",
            "log       /share/state/logs/x/3.log",
            "dead letter: yes, report on the share: no",
        ] {
            assert!(text.contains(part), "{part:?} is missing in\n{text}");
        }
    }
}
