//! What can be known before any work: is the result's name free, can it be written there, is there room.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use common::config::{Decode, DoviBackend};
use common::job::{FailureCode, Mode};
use common::share::{FileError, FileIdentity, Reservation, SpaceError};
use dovi::film::FilmIndex;

use super::publish::replaceable;
use super::trial;
use crate::pipeline::blocking::uninterrupted;
use crate::pipeline::{Context, FilmTask, Source, Stage, StageError};
use crate::workspace::{Needs, needs, needs_of_dovi_tool, partial_name, sweep};

/// Checks programs and names, and clears away what dead attempts left.
pub async fn check(context: &Context, task: &FilmTask) -> Result<(), StageError> {
    context.tools.mkvmerge().await?;
    if task.recipe.mode == Mode::Encode || context.decode == Decode::Full {
        context.tools.ffmpeg().await?;
    }
    if context.tools.external().await?.is_some() {
        // It takes raw streams only, also for a copy.
        context.tools.ffmpeg().await?;
    }
    let looked = task.clone();
    uninterrupted(Stage::Preflight, move || {
        let task = looked;
        source_unchanged(&task, Stage::Preflight)?;
        sweep(&task.scratch);
        replaceable(&task, Stage::Preflight)?;
        writable(&task.target, &task.token)
    })
    .await?;
    if task.recipe.mode == Mode::Encode {
        trial::before_film(context, task).await?;
    }
    Ok(())
}

/// The source is there and is the one that was asked for.
pub fn source_unchanged(task: &FilmTask, stage: Stage) -> Result<Source, StageError> {
    let now = Source::of(&task.source).map_err(|e| {
        let code = match e.kind() {
            std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory => FailureCode::SourceMissing,
            _ => FailureCode::SourceUnreadable,
        };
        StageError::new(stage, code, format!("{}: {e}", task.source.display())).because(e)
    })?;
    match task.expected {
        Some(then) if !then.is_still(&now) => {
            let message = format!(
                "{} has {} bytes, dated {} ns; it was asked for with {} bytes, dated {} ns",
                task.source.display(),
                now.size,
                now.mtime_ns,
                then.size,
                then.mtime_ns
            );
            Err(StageError::new(stage, FailureCode::SourceChanged, message))
        }
        _ => Ok(now),
    }
}

/// The task with the film as it is now: `source`, and for a film whose place is taken which file it is.
pub fn fixed(task: FilmTask, source: Source) -> Result<FilmTask, StageError> {
    let mut publishing = task.publishing.clone();
    if publishing.replace {
        let original = FileIdentity::of(&task.source)
            .map_err(|e| StageError::file(Stage::Preflight, FileError::new("look at", &task.source, e)))?;
        if (original.size, original.mtime_ns) != (source.size, source.mtime_ns) {
            let message = format!("{} changes at this moment", task.source.display());
            return Err(StageError::new(Stage::Preflight, FailureCode::SourceChanged, message));
        }
        publishing.original = Some(original);
    }
    Ok(FilmTask { expected: Some(source), publishing, ..task })
}

/// Nobody has the result's name.
pub fn name_is_free(target: &Path) -> Result<(), StageError> {
    match fs::symlink_metadata(target) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(e) => Err(StageError::file(Stage::Preflight, FileError::new("look at", target, e))),
        Ok(_) => Err(taken(target)),
    }
}

pub fn taken(target: &Path) -> StageError {
    let message = format!("{} exists already", target.display());
    StageError::new(Stage::Preflight, FailureCode::OutputExists, message)
}

/// The nearest folder that exists: the result's own is made only when there is something to put in.
fn existing(target: &Path) -> PathBuf {
    let above = target.ancestors().skip(1).find(|d| d.is_dir());
    above.unwrap_or(Path::new("/")).to_owned()
}

/// A folder that takes no file, or none of this name, is found now and not after a day of encoding.
fn writable(target: &Path, token: &str) -> Result<(), StageError> {
    let probe = partial_name(&existing(target).join(target.file_name().unwrap_or_default()), token);
    let failed = |e| StageError::file(Stage::Preflight, FileError::new("write to the folder of", target, e));
    File::options().write(true).create_new(true).open(&probe).map_err(failed)?;
    fs::remove_file(&probe).map_err(failed)
}

/// Counts on the space that the film needs, until the answer is dropped.
pub fn reserve(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
) -> Result<[Reservation; 2], StageError> {
    let other: u64 = index.tracks.iter().map(|t| t.bytes).sum();
    let whole = index.integrity.file_end;
    let (video, copy) = (whole.saturating_sub(other), task.recipe.mode == Mode::Copy);
    let Needs { mut scratch, target } = needs(whole, video, copy);
    if context.tools.backend() == DoviBackend::DoviTool {
        scratch += needs_of_dovi_tool(video, index.frames, copy);
    }
    hold(context, task, Needs { scratch, target })
}

/// As [`reserve`] for a copy that is made while the film is read for the first time: all of it may be video.
pub fn reserve_for_copy(
    context: &Context,
    task: &FilmTask,
    source: Source,
) -> Result<[Reservation; 2], StageError> {
    hold(context, task, needs(source.size, source.size, true))
}

fn hold(context: &Context, task: &FilmTask, needs: Needs) -> Result<[Reservation; 2], StageError> {
    let Needs { scratch, target } = needs;
    let ask = |dir: &Path, bytes: u64, code: FailureCode| {
        context.space.reserve(dir, bytes).map_err(|e| match e {
            SpaceError::Short { .. } => StageError::new(Stage::Preflight, code, e.to_string()).because(e),
            SpaceError::File(e) => StageError::file(Stage::Preflight, e),
        })
    };
    fs::create_dir_all(&task.scratch)
        .map_err(|e| StageError::file(Stage::Preflight, FileError::new("create", &task.scratch, e)))?;
    Ok([
        ask(&task.scratch, scratch, FailureCode::ScratchSmall)?,
        ask(&existing(&task.target), target, FailureCode::DiskFull)?,
    ])
}
