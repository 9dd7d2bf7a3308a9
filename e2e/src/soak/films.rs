//! Films for the loop: a few masters, copied under many names.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use common::job::{JobMessage, LibraryPath, Mode, Recipe};
use consumer::pipeline::Source;

use super::ground::{Ground, ROOT};
use super::plan::Kind;
use crate::films::{FileDamage, FilmSpec, Gop, Layers, Studio};

/// A film that is copied.
#[derive(Debug, Clone)]
pub struct Master {
    /// What it is.
    pub spec: FilmSpec,
    path: PathBuf,
    truncated: bool,
}

/// A film of the library.
#[derive(Debug, Clone)]
pub struct Film {
    /// Its job.
    pub job: JobMessage,
    /// Where it lies.
    pub path: PathBuf,
    /// Where its result must lie.
    pub result: PathBuf,
    /// Which master it is a copy of.
    pub master: usize,
    /// It must be given up.
    pub truncated: bool,
    /// BLAKE3 of its bytes when it was made.
    pub hash: blake3::Hash,
}

/// Makes films.
#[derive(Debug)]
pub struct Filmmaker {
    /// The masters.
    pub masters: Vec<Master>,
    /// What was made so far.
    pub films: Vec<Film>,
}

impl Filmmaker {
    /// Makes the masters, some seconds of work.
    ///
    /// # Errors
    /// A tool is missing or failed.
    pub fn new(ground: &Ground) -> Result<Self> {
        let small = |name, layers| FilmSpec::new(name, layers).frames(72).size(320, 180);
        let specs = [
            small("mel", Layers::Mel),
            small("fel", Layers::Fel),
            small("open", Layers::Mel).gop(Gop::Open),
            small("truncated", Layers::Mel).file_damage(FileDamage::Truncated(60), "source.truncated"),
        ];
        let mut studio = Studio::open()?;
        let mut masters = Vec::new();
        for spec in specs {
            let path = ground.path("masters").join(&spec.path);
            studio.make(&path, &spec)?;
            let truncated = spec.recipe.file_damage != FileDamage::None;
            masters.push(Master { spec, path, truncated });
        }
        Ok(Self { masters, films: Vec::new() })
    }

    /// Puts one more film into the library.
    ///
    /// # Errors
    /// The library cannot be written.
    pub fn make(&mut self, ground: &Ground, kind: Kind, chance: u64) -> Result<&Film> {
        let number = self.films.len() + 1;
        let name = format!("film-{number:05}.mkv");
        let fitting: Vec<usize> = (0..self.masters.len())
            .filter(|n| self.masters[*n].truncated == (kind == Kind::Truncated))
            .collect();
        let master = fitting[chance as usize % fitting.len()];
        let path = ground.library().join(&name);
        fs::copy(&self.masters[master].path, &path).with_context(|| format!("make {}", path.display()))?;
        // A date of its own, in whole seconds so that no file system rounds it.
        let date = SystemTime::UNIX_EPOCH + Duration::from_secs(1_600_000_000 + number as u64 * 61);
        File::options().write(true).open(&path)?.set_modified(date)?;
        let mode = if kind == Kind::Encode { Mode::Encode } else { Mode::Copy };
        let recipe = Recipe { mode, preset: "ultrafast".into(), ..Recipe::default() };
        let now = Source::of(&path)?;
        let film = LibraryPath::new(ROOT, Path::new(&name)).context("a library path")?;
        let job = JobMessage::new(film, now.size, now.mtime_ns, recipe, "MEL".into());
        let result = ground.mode().result_of(ground, &format!("film-{number:05}"));
        let (hash, truncated) = (hash(&path)?, kind == Kind::Truncated);
        self.films.push(Film { job, path, result, master, truncated, hash });
        Ok(&self.films[number - 1])
    }
}

/// BLAKE3 of a file.
///
/// # Errors
/// It cannot be read.
pub fn hash(path: &Path) -> Result<blake3::Hash> {
    Ok(blake3::hash(&fs::read(path).with_context(|| format!("read {}", path.display()))?))
}
