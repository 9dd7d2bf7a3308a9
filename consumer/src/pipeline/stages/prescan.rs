//! Reading the whole film once: what it is, every RPU, every time, and a digest of every other track.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use common::job::{FailureCode, Mode, Recipe};
use dovi::film::{FilmIndex, MissingPolicy, ScanError, ScanOptions, scan};

use super::preflight::source_unchanged;
use crate::pipeline::artifact::Scanned;
use crate::pipeline::blocking::blocking;
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Stage, StageError, Stop, refusal};

/// Half a second: a longer gap is no slip of a muxer, and the frame before says nothing about its end.
const LONGEST_GAP: u64 = 12;

/// Reads the source, and refuses what cannot or must not be converted.
pub async fn prescan(context: &Context, task: &FilmTask) -> Result<Scanned, StageError> {
    let (inner, task) = (context.clone(), task.clone());
    blocking(Stage::Prescan, &context.stop, move || {
        let mut index = read(&inner, Stage::Prescan, task.recipe.mode, &task.source, true)?;
        source_unchanged(&task, Stage::Prescan)?;
        if let Some(refused) = refusal(&index, &task.recipe) {
            return Err(refused);
        }
        let mut notices = fill(&mut index, &task.recipe)?;
        notices.extend(observations(&index));
        for notice in &notices {
            inner.watcher.notice(notice);
        }
        Ok(Scanned { index: Arc::new(index), notices })
    })
    .await
}

/// Reads a file whole, with progress. Blocks.
pub fn read(
    context: &Context,
    stage: Stage,
    mode: Mode,
    path: &Path,
    convert: bool,
) -> Result<FilmIndex, StageError> {
    let file = File::open(path).map_err(|e| unreadable(stage, path, e))?;
    let total = file.metadata().map_err(|e| unreadable(stage, path, e))?.len();
    let mut meter = Meter::begin(&context.watcher, mode, stage, Unit::Other, total);
    let mut watch = |p: dovi::film::Progress| {
        meter.set(p.bytes);
        if context.stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    // Few large reads: on a network share each one is a round trip.
    let reader = std::io::BufReader::with_capacity(1 << 20, file);
    scan(reader, &ScanOptions { hash_tracks: true, convert }, &mut watch)
        .map_err(|e| scan_error(stage, &context.stop, e))
}

fn unreadable(stage: Stage, path: &Path, e: std::io::Error) -> StageError {
    let code = match e.kind() {
        std::io::ErrorKind::NotFound => FailureCode::SourceMissing,
        _ => FailureCode::SourceUnreadable,
    };
    StageError::new(stage, code, format!("failed to open {}: {e}", path.display())).because(e)
}

/// A scan that failed, under its stable code.
pub fn scan_error(stage: Stage, stop: &Stop, e: ScanError) -> StageError {
    if matches!(e, ScanError::Cancelled { .. }) {
        return stop.error(stage);
    }
    let code = e.code().parse().unwrap_or(FailureCode::SourceDamaged);
    StageError::new(stage, code, e.to_string()).because(e)
}

/// Frames without RPU get one, as far as the recipe allows.
fn fill(index: &mut FilmIndex, recipe: &Recipe) -> Result<Vec<String>, StageError> {
    let policy = MissingPolicy { max_share: recipe.max_missing_rpu_percent / 100.0, max_run: LONGEST_GAP };
    let filled = index.rpus.fill_missing(policy).map_err(|e| {
        let error = StageError::new(Stage::Prescan, FailureCode::RpuMissing, e.to_string());
        let long = index.counts.missing_longest_run > LONGEST_GAP;
        if long {
            error
                .hint(format!("Make the rip again; a gap of more than {LONGEST_GAP} frames is never filled."))
        } else {
            error
        }
        .because(e)
    })?;
    Ok(match filled.as_slice() {
        [] => Vec::new(),
        [first, ..] => vec![format!(
            "{} frames had no rpu and got that of the frame before, the first is frame {first}",
            filled.len()
        )],
    })
}

/// What a person should know about a film that is converted.
fn observations(index: &FilmIndex) -> Vec<String> {
    let mut all = index.hdr10.disagreements.clone();
    all.extend(index.evidence.notes.iter().cloned());
    if index.evidence.fel_rpus > 0 {
        all.push(format!("{}: the enhancement layer's picture detail is not in the result", index.verdict));
    }
    let c = &index.counts;
    if c.duplicate > 0 {
        all.push(format!("{} frames had their rpu more than once", c.duplicate));
    }
    if c.not_output > 0 {
        all.push(format!("{} frames are never shown by a decoder (cut at their start)", c.not_output));
    }
    all
}
