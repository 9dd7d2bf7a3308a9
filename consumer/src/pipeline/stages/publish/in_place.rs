//! Replace mode: the result takes the original's place, the original goes to the trash.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use common::config::{Config, Hardlinks, OutputMode};
use common::job::{FailureCode, JobId};
use common::share::{
    FileError, FileIdentity, ReplaceError, ReplaceMethod, Replacement, Trash, TrashPlace, TrashRecord,
    looks_mounted, make_folders, probe_replace,
};
use common::steps::Step;

use super::by_name::{failed, reached};
use crate::pipeline::{FilmTask, Ledger, Replacing, Stage, StageError};

/// Whether the film's place can be taken: it is a plain file without further links, and its original can go to the trash in
/// one step. Makes the trash folder. `None` for a film whose result gets a name of its own.
pub fn replaceable(task: &FilmTask, stage: Stage) -> Result<Option<ReplaceMethod>, StageError> {
    if !task.publishing.replace {
        return Ok(None);
    }
    let error = |e| StageError::file(stage, e);
    let film = &task.source;
    let meta = fs::symlink_metadata(film).map_err(|e| error(FileError::new("look at", film, e)))?;
    if meta.is_symlink() {
        let message = format!("{} is a symbolic link", film.display());
        return Err(StageError::new(stage, FailureCode::SourceSymlink, message));
    }
    if meta.nlink() > 1 && task.publishing.hardlinks == Hardlinks::Refuse {
        let message = format!("{} has {} hard links", film.display(), meta.nlink());
        return Err(StageError::new(stage, FailureCode::SourceHardlinked, message));
    }
    let (trash, _) = of_library(task, stage)?;
    let folder = film.parent().unwrap_or(Path::new("/"));
    let trash = trash.make().map_err(error)?;
    probe(task.publishing.strongest, folder, &trash, stage).map(Some)
}

/// Whether every library root's films can go to its trash; nothing is looked at in the other modes.
///
/// # Errors
/// `output.trash` if a trash folder is on another file system, or what else stands in the way of writing there.
pub fn trash_ready(config: &Config) -> Result<(), StageError> {
    if config.output.mode != OutputMode::Replace {
        return Ok(());
    }
    for folder in config.trash_folders() {
        // Nothing is made in an empty mount point: the folder would make it look like a library.
        if !looks_mounted(&folder.library) {
            continue;
        }
        make_folders(&folder.dir).map_err(|e| StageError::file(Stage::Preflight, e))?;
        probe(ReplaceMethod::default(), &folder.library, &folder.dir, Stage::Preflight)?;
    }
    Ok(())
}

fn probe(
    strongest: ReplaceMethod,
    folder: &Path,
    trash: &Path,
    stage: Stage,
) -> Result<ReplaceMethod, StageError> {
    probe_replace(strongest, folder, trash).map_err(|e| match e {
        FileError::CrossDevice { .. } => {
            let message =
                format!("the trash {} is on another file system than {}", trash.display(), folder.display());
            StageError::new(stage, FailureCode::OutputTrash, message).because(e)
        }
        e => StageError::file(stage, e),
    })
}

/// Only a film of the library, with a job, can be replaced: the trash and its clearing need both.
fn of_library(task: &FilmTask, stage: Stage) -> Result<(&Trash, JobId), StageError> {
    let both = task.publishing.trash.as_ref().zip(task.label.job);
    both.ok_or_else(|| {
        let message = "only films of the library, with a job, can be replaced";
        StageError::new(stage, FailureCode::BugPanic, message)
    })
}

/// A replacement that can be begun.
pub(super) struct InPlace {
    method: ReplaceMethod,
    place: TrashPlace,
    record: TrashRecord,
}

impl InPlace {
    /// Looks at everything once more: hours have passed since preflight.
    pub fn prepare(task: &FilmTask, made: FileIdentity) -> Result<Self, StageError> {
        let method = replaceable(task, Stage::Publish)?.unwrap_or_default();
        let (trash, job) = of_library(task, Stage::Publish)?;
        let original = task.publishing.original.ok_or_else(|| {
            let message = "nobody looked at the original before it was read";
            StageError::new(Stage::Publish, FailureCode::BugPanic, message)
        })?;
        let unchanged =
            original.is_at(&task.source).map_err(|e| failed(FileError::new("look at", &task.source, e)))?;
        if !unchanged {
            return Err(changed(&task.source));
        }
        let place = trash.place(&task.token).ok_or_else(|| {
            let message = format!("no name in the trash can be made for {}", trash.film());
            StageError::new(Stage::Publish, FailureCode::BugPanic, message)
        })?;
        let record = TrashRecord {
            v: 1,
            film: trash.film().clone(),
            job,
            original,
            result: made,
            worker: task.label.worker.clone(),
            at: jiff::Timestamp::now(),
        };
        Ok(Self { method, place, record })
    }

    /// What the certificate says of the original.
    pub fn notice(&self) -> String {
        format!("the original went to the trash: {}", self.place.original.display())
    }

    /// What is written down before.
    pub fn announced(&self) -> Replacing {
        Replacing {
            original: self.record.original,
            result: self.record.result,
            trash: self.place.name.clone(),
        }
    }

    /// Takes the original's place. On any error everything is as it was, and on one that lets nothing be moved any more the next
    /// attempt sees to that.
    pub fn replace(&self, task: &FilmTask, partial: &Path, ledger: &dyn Ledger) -> Result<(), StageError> {
        let files = Replacement {
            result: partial,
            name: &task.target,
            trash: &self.place.original,
            original: self.record.original,
            made: self.record.result,
        };
        let done = self.steps(task, &files, ledger);
        if done.is_err() {
            if let Err(e) = files.undo(self.method) {
                tracing::error!(error = %e, "a replacement that was begun could not be taken back; the next attempt will");
            }
            self.place.forget();
        }
        done
    }

    fn steps(&self, task: &FilmTask, files: &Replacement<'_>, ledger: &dyn Ledger) -> Result<(), StageError> {
        let error = |e| match e {
            ReplaceError::Changed { path } => changed(&path),
            ReplaceError::File(e) => failed(e),
        };
        self.place.write(&self.record).map_err(failed)?;
        reached(task, Step::Recorded)?;

        files.first(self.method).map_err(error)?;
        reached(task, Step::Trashed)?;

        ledger.still_ours()?;
        files.second(self.method).map_err(error)
    }
}

fn changed(path: &Path) -> StageError {
    let message = format!("{} is not the file any more that was read", path.display());
    StageError::new(Stage::Publish, FailureCode::SourceChanged, message)
}
