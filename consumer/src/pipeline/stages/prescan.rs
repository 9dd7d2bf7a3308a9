//! Reading the whole film once: what it is, every RPU, every time, and a digest of every other track.

use std::fs::File;
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use common::job::{FailureCode, Mode, Recipe};
use common::media::{self, Refusal};
use dovi::film::{FilmIndex, ScanError, ScanOptions, scan};

use super::preflight::source_unchanged;
use crate::pipeline::artifact::Scanned;
use crate::pipeline::blocking::blocking;
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Stage, StageError, Stop, refusal};

/// Filled frames that a notice names.
const LISTED: usize = 16;

/// Reads the source, and refuses what cannot or must not be converted.
pub async fn prescan(context: &Context, task: &FilmTask) -> Result<Scanned, StageError> {
    let (inner, task) = (context.clone(), task.clone());
    blocking(Stage::Prescan, &context.stop, move || {
        let index = read(&inner, Stage::Prescan, task.recipe.mode, &task.source, true)?;
        judge(&inner, &task, index)
    })
    .await
}

/// Refuses what cannot or must not be converted. Blocks.
pub fn judge(context: &Context, task: &FilmTask, mut index: FilmIndex) -> Result<Scanned, StageError> {
    source_unchanged(task, Stage::Prescan)?;
    if let Some(refused) = refusal(&index, &task.recipe) {
        return Err(refused);
    }
    let mut seen = media::notices(&index);
    if index.evidence.fel_rpus > 0 {
        // What is lost is said in the certificate too.
        seen.push(media::decide(index.verdict, &index.evidence, &task.recipe).reason());
    }
    let mut notices = fill(&mut index, &task.recipe)?;
    notices.extend(seen);
    for notice in &notices {
        context.watcher.notice(notice);
    }
    Ok(Scanned { index: Arc::new(index), notices })
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
        if context.stop.holds_or_ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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

/// A scan that failed, under its stable code and with the words of every other place that says so.
pub fn scan_error(stage: Stage, stop: &Stop, e: ScanError) -> StageError {
    if matches!(e, ScanError::Cancelled { .. }) {
        return stop.error(stage);
    }
    StageError::refused(stage, Refusal::from(&e)).because(e)
}

/// Frames without RPU get one; how many may is decided before.
fn fill(index: &mut FilmIndex, recipe: &Recipe) -> Result<Vec<String>, StageError> {
    let filled = index
        .rpus
        .fill_missing(media::missing_policy(recipe))
        .map_err(|e| StageError::refused(Stage::Prescan, Refusal::from(&e)).because(e))?;
    let list = |shown: &[u64]| shown.iter().map(u64::to_string).collect::<Vec<_>>().join(", ");
    Ok(match filled.as_slice() {
        [] => Vec::new(),
        [_] => vec![format!("1 frame had no rpu and got that of the frame before: {}", list(&filled))],
        frames => {
            let more = if frames.len() > LISTED { ", …" } else { "" };
            let shown = list(&frames[..frames.len().min(LISTED)]);
            vec![format!(
                "{} frames had no rpu and got that of the frame before: {shown}{more}",
                frames.len()
            )]
        }
    })
}
