//! `status` of many films.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use common::job::{Extent, FailureCode, FailureReport, JobMessage, LibraryPath, Recipe};
use common::share::ShareState;
use serde_json::Value;

/// Of ten films, so many are queued and so many done; the rest failed.
const QUEUED: u64 = 4;
const DONE: u64 = 5;

/// Writes the books of so many films into a state folder, with a real certificate of which only the names are changed.
///
/// # Errors
/// A file cannot be read or written.
pub(super) fn books(dir: &Path, films: u64, certificate: &Path) -> Result<()> {
    let share = ShareState::new(dir);
    share.init().context("make a state folder")?;
    let mut certificate: Value = serde_json::from_slice(&fs::read(certificate)?)?;
    for n in 0..films {
        let film = LibraryPath::new("films", Path::new(&format!("Film {n} (2001)/Film {n} (2001).mkv")))?;
        let recipe = Recipe { mode: common::job::Mode::Copy, ..Recipe::default() };
        let job = JobMessage {
            extent: Some(Extent { width: 3840, height: 2160, frames: 170_000 + n }),
            ..JobMessage::new(film.clone(), 60_000_000_000 + n, 1, recipe, "MEL".into())
        };
        let (folder, book) = match n % 10 {
            0..QUEUED => ("queued", serde_json::to_vec_pretty(&job)?),
            n if n < QUEUED + DONE => {
                certificate["job"] = serde_json::to_value(job.id)?;
                certificate["film"] = Value::from(film.to_string());
                certificate["recipe"] = serde_json::to_value(&job.recipe)?;
                ("done", serde_json::to_vec_pretty(&certificate)?)
            }
            _ => ("failed", serde_json::to_vec_pretty(&report(&job)?)?),
        };
        fs::write(dir.join(folder).join(format!("{}.json", job.id)), book)?;
    }
    Ok(())
}

fn report(job: &JobMessage) -> Result<FailureReport> {
    let code = FailureCode::SourceTruncated;
    let report = serde_json::json!({
        "v": 1, "job": job, "code": code, "class": code.class(), "stage": "prescan", "hint": code.hint(), "attempt": 1,
        "summary": "the file ends in the middle of a cluster", "worker": "bench", "at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(report).context("a report")
}
