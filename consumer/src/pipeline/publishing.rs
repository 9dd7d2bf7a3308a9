//! How a result gets its name, and what becomes of its original.

use common::config::{Config, FileDate, FileMode, FileOwner, Hardlinks, OutputConfig, OutputMode};
use common::job::LibraryPath;
use common::share::{FileIdentity, ReplaceMethod, Trash};

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
            ..Self::by_hand(&config.output)
        }
    }

    /// For a film that is converted by hand: no original is ever touched.
    pub fn by_hand(output: &OutputConfig) -> Self {
        let dress = Dress { owner: output.owner, mode: output.file_mode, date: output.mtime };
        Self { hardlinks: output.hardlinks, dress, ..Self::default() }
    }
}
