//! What happened, as a notice: the same film always gives the same one.

use std::path::Path;
use std::time::Duration;

use common::config::Config;
use common::job::{Certificate, FailureReport, JobMessage, LibraryPath, NewFile, Notice, Occasion};
use common::share::Counts;
use common::text;

use crate::worker::Illness;

fn blank(event: Occasion, id: String, worker: &str, at: jiff::Timestamp) -> Notice {
    Notice {
        v: 1,
        id,
        event,
        at,
        worker: worker.to_owned(),
        title: String::new(),
        text: String::new(),
        job: None,
        film: None,
        code: None,
        hint: None,
        result: None,
    }
}

/// The file's name without its extension, safe to print.
fn short(film: &LibraryPath) -> String {
    let name =
        film.relative().file_stem().map_or_else(|| film.to_string(), |n| n.to_string_lossy().into_owned());
    text::safe(&name)
}

/// A film is published and proven.
pub fn film_done(config: &Config, job: &JobMessage, certificate: &Certificate) -> Notice {
    let at = certificate.at.to_string();
    let id = Notice::id_of(&["done", &job.id.to_string(), &at]);
    let (from, to) = (certificate.source.size, certificate.result.size);
    let seconds: f64 = certificate.stages.iter().map(|s| s.seconds).sum();
    let mut said = format!("{}, {}", certificate.verdict, sizes(from, to));
    if seconds >= 1.0 {
        said.push_str(&format!(", {}", text::duration(Duration::from_secs_f64(seconds.min(1e9)))));
    }
    said.push_str(&format!(", by {}", certificate.worker));
    Notice {
        title: format!("Done: {}", short(&job.film)),
        text: said,
        job: Some(job.id),
        film: Some(job.film.to_string()),
        result: new_file(config, &job.film, certificate),
        ..blank(Occasion::Done, id, &certificate.worker, certificate.at)
    }
}

fn sizes(from: u64, to: u64) -> String {
    let percent = |less: u64| (less as f64 * 100.0 / from.max(1) as f64).round();
    let change = match from.checked_sub(to) {
        Some(0) => "same size".to_owned(),
        Some(less) => format!("{} % smaller", percent(less)),
        None => format!("{} % larger", percent(to - from)),
    };
    format!("{} → {} ({change})", text::bytes(from), text::bytes(to))
}

fn new_file(config: &Config, film: &LibraryPath, certificate: &Certificate) -> Option<NewFile> {
    let path = config.result_path(film).ok()?;
    let below = config.results_dir(film.root())?;
    let lossy = |p: &Path| p.to_string_lossy().into_owned();
    Some(NewFile {
        root: film.root().to_owned(),
        relative: lossy(path.strip_prefix(below).ok()?),
        path: lossy(&path),
        source_bytes: certificate.source.size,
        result_bytes: certificate.result.size,
    })
}

/// A film is given up, or a message was no job at all.
pub fn film_failed(report: &FailureReport) -> Notice {
    let (job, at) = (report.job.as_ref(), report.at.to_string());
    let id = match (job, &report.raw) {
        (Some(job), _) => Notice::id_of(&["failed", &job.id.to_string(), &at]),
        // Handed out twice, it is the same nonsense.
        (None, raw) => Notice::id_of(&["failed", raw.as_deref().unwrap_or_default()]),
    };
    let film = job.map_or_else(|| "a message that is no job".into(), |j| short(&j.film));
    Notice {
        title: format!("Failed: {film}"),
        text: format!("{} ({}, in {})", text::safe(&report.summary), report.code, report.stage),
        job: job.map(|j| j.id),
        film: job.map(|j| j.film.to_string()),
        code: Some(report.code.to_string()),
        hint: Some(report.hint.clone()),
        ..blank(Occasion::Failed, id, &report.worker, report.at)
    }
}

/// A worker takes no films. Told once an hour for the same reason, however often it comes and goes.
pub fn worker_ill(worker: &str, illness: &Illness, hint: &str) -> Notice {
    let at = jiff::Timestamp::now();
    let hour = (at.as_second() / 3600).to_string();
    Notice {
        title: format!("{worker} takes no films"),
        text: format!("{} ({})", text::safe(&illness.why), illness.code),
        code: Some(illness.code.to_string()),
        hint: Some(hint.to_owned()),
        ..blank(Occasion::Ill, Notice::id_of(&["ill", worker, illness.code.as_str(), &hour]), worker, at)
    }
}

/// No film waits and none is in work. The counts make it one notice, whichever worker sees it.
pub fn all_done(worker: &str, counts: Counts) -> Notice {
    let (done, failed) = (counts.done.to_string(), counts.failed.to_string());
    let id = Notice::id_of(&["queue-empty", &done, &failed]);
    Notice {
        title: "All films are through".into(),
        text: match counts.failed {
            0 => format!("{done} done, none given up."),
            _ => format!("{done} done, {failed} given up: see `dovi-producer failed list`."),
        },
        ..blank(Occasion::QueueEmpty, id, worker, jiff::Timestamp::now())
    }
}

/// To see whether it arrives.
pub fn test_notice(worker: &str) -> Notice {
    let at = jiff::Timestamp::now();
    Notice {
        title: "Test".into(),
        text: format!("If you can read this, {worker} reaches you."),
        ..blank(Occasion::Test, Notice::id_of(&["test", worker, &at.to_string()]), worker, at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_said_as_people_say_them() {
        assert_eq!(sizes(1000, 1000), "1.0 kB → 1.0 kB (same size)");
        assert!(sizes(2_000_000_000, 1_000_000_000).ends_with("(50 % smaller)"));
        assert!(sizes(0, 7).ends_with("(700 % larger)"));
    }

    #[test]
    fn the_same_thing_is_the_same_notice() {
        let counts = Counts { done: 3, failed: 1, ..Counts::default() };
        assert_eq!(all_done("a", counts).id, all_done("b", counts).id);
        assert_ne!(all_done("a", counts).id, all_done("a", Counts { failed: 2, ..counts }).id);
        let ill = Illness { code: common::job::FailureCode::DiskFull, why: "full\u{1b}[2J".into() };
        let notice = worker_ill("a", &ill, "make room");
        assert!(
            notice.id.len() == 32 && notice.text.contains("disk.full") && !notice.text.contains('\u{1b}')
        );
        assert_ne!(Notice::id_of(&["ab", "c"]), Notice::id_of(&["a", "bc"]));
    }
}
