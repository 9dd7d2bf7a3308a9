//! Whole libraries of generated films.

use std::path::Path;

use anyhow::{Result, ensure};

use super::catalogue;
use super::spec::FilmSpec;
use super::studio::Studio;

/// Which films a library holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum FilmSet {
    /// A handful with plausible names, one per thing worth showing.
    Demo,
    /// Every kind the film maker knows, also the hostile and the broken.
    Full,
}

/// What library to make.
#[derive(Debug, Clone)]
pub struct LibraryOptions {
    /// Which films.
    pub set: FilmSet,
    /// Frames of each film; at least 72.
    pub frames: u64,
    /// Width of the base layers in pixels.
    pub width: u32,
    /// Height of the base layers in pixels.
    pub height: u32,
    /// Only the films with these names; all when empty.
    pub only: Vec<String>,
}

impl Default for LibraryOptions {
    fn default() -> Self {
        Self { set: FilmSet::Demo, frames: 240, width: 640, height: 360, only: Vec::new() }
    }
}

impl LibraryOptions {
    /// The films such a library holds, without making them.
    ///
    /// # Errors
    /// A name in `only` is unknown.
    pub fn specs(&self) -> Result<Vec<FilmSpec>> {
        let all: Vec<FilmSpec> = match self.set {
            FilmSet::Demo => catalogue::demo(),
            FilmSet::Full => catalogue::full(),
        };
        for name in &self.only {
            let names: Vec<&str> = all.iter().map(|s| s.name).collect();
            ensure!(
                names.contains(&name.as_str()),
                "no film {name:?} in this set; there are: {}",
                names.join(", ")
            );
        }
        let wanted = |spec: &FilmSpec| self.only.is_empty() || self.only.iter().any(|n| n == spec.name);
        Ok(all
            .into_iter()
            .filter(wanted)
            .map(|s| s.frames(self.frames).size(self.width, self.height))
            .collect())
    }
}

/// Makes the films below `dir` (made when absent; files of the same names are overwritten).
///
/// # Errors
/// A tool is missing or failed, or `dir` cannot be written.
pub fn make_library(dir: &Path, options: &LibraryOptions) -> Result<Vec<FilmSpec>> {
    let specs = options.specs()?;
    let mut studio = Studio::open()?;
    for spec in &specs {
        studio.make(&dir.join(&spec.path), spec)?;
    }
    Ok(specs)
}
