//! Keeping every bit of the base layer: only the metadata is rewritten.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;

use common::job::{FailureCode, Mode};
use common::media::decide_sample;
use dovi::copy::{CopyError, copy_p81};
use dovi::film::{FilmIndex, ScanError, sample};

use super::prescan::{judge, scan_error};
use crate::pipeline::artifact::{Scanned, VideoStream};
use crate::pipeline::blocking::blocking;
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Stage, StageError};
use crate::workspace::Workspace;

/// Whether the film may be copied while it is read for the first time: it looks like one that will be converted, and it
/// is us who convert. A film that looks otherwise is read without writing anything.
pub async fn fits_one_pass(context: &Context, task: &FilmTask) -> Result<bool, StageError> {
    if task.recipe.mode != Mode::Copy || context.tools.external().await?.is_some() {
        return Ok(false);
    }
    let task = task.clone();
    blocking(Stage::Preflight, &context.stop, move || {
        let looked = File::open(&task.source).ok().and_then(|file| sample(file).ok());
        Ok(looked.is_some_and(|sample| decide_sample(&sample, &task.recipe).1.wanted()))
    })
    .await
}

/// Reads the film once, and writes its base layer with Profile 8.1 RPUs on the way. No stream if that needs to know more
/// than can be known on the way; see [`dovi::copy::scan_and_copy`].
pub async fn scan_and_copy(
    context: &Context,
    task: &FilmTask,
    workspace: &Workspace,
) -> Result<(Scanned, Option<VideoStream>), StageError> {
    let (inner, task, path) = (context.clone(), task.clone(), workspace.video_with_times());
    blocking(Stage::Copy, &context.stop, move || {
        let stop = &inner.stop;
        let file = open(&task.source)?;
        let total = file.metadata().map_or(0, |m| m.len());
        let out = create(&path)?;
        let mut meter = Meter::begin(&inner.watcher, Mode::Copy, Stage::Copy, Unit::Other, total);
        let mut watch = |p: dovi::film::Progress| {
            meter.set(p.bytes);
            if stop.holds_or_ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        // Both sides read and write whole clusters or megabytes by themselves.
        let (index, report) = dovi::copy::scan_and_copy(file, out, &mut watch).map_err(|e| match e {
            CopyError::Source(e) => scan_error(Stage::Copy, stop, e),
            e => copy_error(e),
        })?;
        let scanned = judge(&inner, &task, index)?;
        let video = report.map(|report| VideoStream { path: path.clone(), vcl: report.vcl });
        if video.is_none() {
            // The copy that follows has another name and needs the room.
            std::fs::remove_file(&path)
                .map_err(|source| copy_error(CopyError::Write { bytes: 0, source }))?;
        }
        Ok((scanned, video))
    })
    .await
}

fn open(source: &Path) -> Result<File, StageError> {
    File::open(source).map_err(|e| {
        let message = format!("failed to open {}: {e}", source.display());
        StageError::new(Stage::Copy, FailureCode::SourceUnreadable, message).because(e)
    })
}

fn create(path: &Path) -> Result<File, StageError> {
    let made = File::options().write(true).create_new(true).open(path);
    made.map_err(|source| copy_error(CopyError::Write { bytes: 0, source }))
}

/// Writes the base layer with Profile 8.1 RPUs, as a film's index has them.
pub async fn copy(
    context: &Context,
    task: &FilmTask,
    index: &Arc<FilmIndex>,
    workspace: &Workspace,
) -> Result<VideoStream, StageError> {
    let (inner, source, index, path) =
        (context.clone(), task.source.clone(), index.clone(), workspace.video());
    blocking(Stage::Copy, &context.stop, move || {
        let stop = &inner.stop;
        let reader = BufReader::with_capacity(1 << 20, open(&source)?);
        let write = |source| copy_error(CopyError::Write { bytes: 0, source });
        let mut out = BufWriter::with_capacity(1 << 20, create(&path)?);
        let mut meter = Meter::begin(&inner.watcher, Mode::Copy, Stage::Copy, Unit::Frames, index.frames);
        let mut watch = |p: dovi::film::Progress| {
            meter.set(p.frames);
            if stop.holds_or_ends() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        };
        let report = copy_p81(reader, &mut out, &index, &mut watch).map_err(|e| match e {
            CopyError::Source(ScanError::Cancelled { .. }) => stop.error(Stage::Copy),
            e => copy_error(e),
        })?;
        out.flush().map_err(write)?;
        Ok(VideoStream { path, vcl: report.vcl })
    })
    .await
}

fn copy_error(e: CopyError) -> StageError {
    let code = match &e {
        // Scratch is a local disk: not the share's fault.
        CopyError::Write { .. } if e.code() != FailureCode::DiskFull.as_str() => FailureCode::ToolFailed,
        e => e.code().parse().unwrap_or(FailureCode::SourceDamaged),
    };
    let error = StageError::new(Stage::Copy, code, e.to_string());
    let scratch = matches!(e, CopyError::Write { .. });
    let error =
        if scratch { error.hint("Check the disk of scratch.dir, and free space there.") } else { error };
    error.because(e)
}
