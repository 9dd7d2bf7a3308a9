//! Where results go in a run: `output.mode`.

use std::fmt;
use std::path::PathBuf;

use clap::ValueEnum;
use common::steps::Step;

use super::ground::{Ground, ROOT};
use super::plan::World;

/// The fleet's `output.mode` during a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A tree of their own beside the library.
    #[default]
    Separate,
    /// In the library, next to the originals.
    Beside,
    /// In the original's place; the original goes to the trash.
    Replace,
}

impl Output {
    /// As the setting has it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Separate => "separate",
            Self::Beside => "beside",
            Self::Replace => "replace",
        }
    }

    /// The steps that a film of this mode passes.
    pub fn steps(self) -> Vec<Step> {
        let of_replace = |s: &Step| matches!(s, Step::Recorded | Step::Trashed);
        Step::ALL.iter().copied().filter(|s| self == Self::Replace || !of_replace(s)).collect()
    }

    /// Whether the fault makes sense: only in `separate` mode results have a folder of their own, whose absence is not the library's.
    pub fn knows(self, world: World) -> bool {
        self == Self::Separate || world != World::ResultsAway
    }

    /// What the mode leaves out of the loop, for people.
    pub const fn left_out(self) -> &'static str {
        match self {
            Self::Separate => "",
            Self::Beside | Self::Replace => {
                "; no fault \"results away\": they lie in the library, which goes away itself"
            }
        }
    }

    /// Where the result of a film must lie.
    pub(super) fn result_of(self, ground: &Ground, stem: &str) -> PathBuf {
        match self {
            Self::Separate => ground.output().join(ROOT).join(format!("{stem} [DV8].mkv")),
            Self::Beside => ground.library().join(format!("{stem} [DV8].mkv")),
            Self::Replace => ground.library().join(format!("{stem}.mkv")),
        }
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}
