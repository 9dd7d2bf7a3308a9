//! Keeping every bit of the base layer: only the metadata is rewritten.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write};
use std::ops::ControlFlow;
use std::sync::Arc;

use common::job::{FailureCode, Mode};
use dovi::copy::{CopyError, copy_p81};
use dovi::film::{FilmIndex, ScanError};

use crate::pipeline::artifact::VideoStream;
use crate::pipeline::blocking::blocking;
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Stage, StageError};
use crate::workspace::Workspace;

/// Writes the base layer with Profile 8.1 RPUs.
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
        let open = |e: std::io::Error| {
            let message = format!("failed to open {}: {e}", source.display());
            StageError::new(Stage::Copy, FailureCode::SourceUnreadable, message).because(e)
        };
        let reader = BufReader::with_capacity(1 << 20, File::open(&source).map_err(open)?);
        let write = |source| copy_error(CopyError::Write { bytes: 0, source });
        let file = File::options().write(true).create_new(true).open(&path).map_err(write)?;
        let mut out = BufWriter::with_capacity(1 << 20, file);
        let mut meter = Meter::begin(&inner.watcher, Mode::Copy, Stage::Copy, Unit::Frames, index.frames);
        let mut watch = |p: dovi::film::Progress| {
            meter.set(p.frames);
            if stop.is_stopped() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
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
