//! How a result gets its name, and what becomes of its original.

use std::path::Path;

use common::config::{Config, FileDate, FileMode, FileOwner, Hardlinks, OutputConfig, OutputMode};
use common::job::{FailureCode, LibraryPath};
use common::share::{FileIdentity, ReplaceMethod, ResultsFolder, ShareError, Trash, make_folders};

use super::{Stage, StageError};

/// How a result gets its name, what it looks like from outside, and what becomes of its original.
#[derive(Debug, Clone, Default)]
pub struct Publishing {
    /// The result takes the original's place: [`FilmTask::target`](super::FilmTask::target) is its source.
    pub replace: bool,
    /// Where the original goes then. Also asked if `replace` is off: an earlier attempt may have been cut off while it
    /// replaced, under other settings.
    pub trash: Option<Trash>,
    /// What is done with an original that has further hard links; matters only to `replace`.
    pub hardlinks: Hardlinks,
    /// Owner, mode and date of the result.
    pub dress: Dress,
    /// The first way of replacing that is tried; later ones are for file systems that lack it.
    pub strongest: ReplaceMethod,
    /// The original as it was before it was read. The pipeline sees to it.
    pub original: Option<FileIdentity>,
    /// What is done if the result's folder is missing.
    pub folders: Folders,
}

/// What is done if the result's folder is missing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Folders {
    /// It is made, as deep as need be: for a person who named it.
    #[default]
    Made,
    /// Nothing: it is the film's own, so that its share is away.
    There,
    /// It is made, but only in the folder of results, and only if that is there.
    Below(ResultsFolder),
}

impl Folders {
    /// Whether what has to be there is there.
    ///
    /// # Errors
    /// `share.gone`.
    pub fn check(&self, stage: Stage) -> Result<(), StageError> {
        match self {
            Self::Made | Self::There => Ok(()),
            Self::Below(results) => results.check().map_err(|e| no_results(stage, results, e)),
        }
    }

    /// Sees to it that a result's folder is there.
    ///
    /// # Errors
    /// `share.gone`, or it cannot be made.
    pub fn make(&self, stage: Stage, dir: &Path) -> Result<(), StageError> {
        match self {
            Self::Made => make_folders(dir).map_err(|e| StageError::file(stage, e)),
            Self::There if dir.is_dir() => Ok(()),
            Self::There => {
                let message = format!("the film's folder {} is not there: not mounted?", dir.display());
                Err(StageError::new(stage, FailureCode::ShareGone, message))
            }
            Self::Below(results) => results.make(dir).map_err(|e| no_results(stage, results, e)),
        }
    }
}

/// A folder of results that is not there, or cannot be used.
pub fn no_results(stage: Stage, results: &ResultsFolder, error: ShareError) -> StageError {
    let marker = results.marker();
    let failure = StageError::new(stage, error.code(), error.to_string());
    let failure = match &error {
        ShareError::NoResults { .. } => failure.hint(format!(
            "Mount it; the worker goes on by itself. If output.dir names another folder on purpose: touch '{}'",
            marker.display()
        )),
        _ => failure,
    };
    failure.because(error)
}

/// What a result looks like from outside.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Dress {
    /// Whose it is.
    pub owner: FileOwner,
    /// Who may do what with it.
    pub mode: FileMode,
    /// Its date.
    pub date: FileDate,
}

impl Publishing {
    /// For a film of the library.
    pub fn of_library(config: &Config, film: &LibraryPath) -> Self {
        Self {
            replace: config.output.mode == OutputMode::Replace,
            trash: config.trash(film),
            folders: match config.output.mode {
                OutputMode::Separate => Folders::Below(ResultsFolder::new(&config.output.dir)),
                _ => Folders::There,
            },
            ..Self::by_hand(&config.output)
        }
    }

    /// For a film that is converted by hand: no original is ever touched.
    pub fn by_hand(output: &OutputConfig) -> Self {
        let dress = Dress { owner: output.owner, mode: output.file_mode, date: output.mtime };
        Self { hardlinks: output.hardlinks, dress, ..Self::default() }
    }
}
