//! Makes films, and makes each ingredient only once: encodes dominate the cost of a library.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::clip::{Clip, Picture};
use super::extras::Extras;
use super::interleave::interleave;
use super::mux::mux;
use super::packets::Packet;
use super::spec::{FileDamage, FilmRecipe, FilmSpec, Gop, Layers};
use crate::tool;

/// A place to make films in. Its temporary folder and all cached clips go when it is dropped.
pub struct Studio {
    dir: TempDir,
    clips: HashMap<Clip, Vec<Packet>>,
    extras: HashMap<u64, Extras>,
    films: HashMap<FilmRecipe, PathBuf>,
}

impl Studio {
    /// Opens a studio in the system's temporary folder.
    ///
    /// # Errors
    /// ffmpeg or mkvmerge is missing, or no temporary folder can be made.
    pub fn open() -> Result<Self> {
        tool::require(&["ffmpeg", "ffprobe", "mkvmerge"])?;
        let dir =
            tempfile::Builder::new().prefix("dovi-films-").tempdir().context("make a temporary folder")?;
        Ok(Self { dir, clips: HashMap::new(), extras: HashMap::new(), films: HashMap::new() })
    }

    /// Writes the film to `path`, whatever bytes that name holds; folders above it are made.
    ///
    /// # Errors
    /// A tool failed, or `path` cannot be written.
    pub fn make(&mut self, path: &Path, spec: &FilmSpec) -> Result<()> {
        let what = || format!("make {} ({})", path.display(), spec.name);
        if let Some(parent) = path.parent() {
            fs::create_dir_all(parent).with_context(what)?;
        }
        match spec.recipe.file_damage {
            FileDamage::Empty => drop(File::create(path).with_context(what)?),
            FileDamage::NotMatroska => {
                fs::write(path, "This is a shopping list, not a film.\n".repeat(2000)).with_context(what)?;
            }
            FileDamage::None | FileDamage::Truncated(_) => {
                let whole = self.film(&spec.recipe).with_context(what)?;
                fs::copy(&whole, path).with_context(what)?;
            }
        }
        if let FileDamage::Truncated(percent) = spec.recipe.file_damage {
            let file = File::options().write(true).open(path).with_context(what)?;
            let bytes = file.metadata().with_context(what)?.len();
            file.set_len(bytes * u64::from(percent.min(100)) / 100).with_context(what)?;
        }
        Ok(())
    }

    /// The whole film of a recipe, in the studio's own folder.
    fn film(&mut self, recipe: &FilmRecipe) -> Result<PathBuf> {
        let recipe = FilmRecipe { file_damage: FileDamage::None, ..*recipe };
        if let Some(made) = self.films.get(&recipe) {
            return Ok(made.clone());
        }
        let picture = if recipe.layers == Layers::Sdr { Picture::Sdr } else { Picture::Hdr10 };
        let bl = self.clip(&recipe, picture)?;
        let el = match recipe.layers {
            Layers::Mel => Some(self.clip(&recipe, Picture::Gray)?),
            Layers::Fel | Layers::FelExpanding => Some(self.clip(&recipe, Picture::Noise)?),
            _ => None,
        };
        let rpus = if recipe.layers.has_rpu() { Some(recipe.rpus()?) } else { None };
        let streams = interleave(&recipe, &bl, el.as_deref(), rpus.as_deref())?;
        let extras = self.extras(recipe.frames)?;
        let path = self.dir.path().join(format!("film{}.mkv", self.films.len()));
        mux(&recipe, &streams, &extras, self.dir.path(), &path)?;
        self.films.insert(recipe, path.clone());
        Ok(path)
    }

    fn clip(&mut self, recipe: &FilmRecipe, picture: Picture) -> Result<Vec<Packet>> {
        let half = if matches!(picture, Picture::Gray | Picture::Noise) { 2 } else { 1 };
        let clip = Clip {
            picture,
            // The end of sequence is put in later; the encode is the plain open one.
            gop: if recipe.gop == Gop::OpenWithEos { Gop::Open } else { recipe.gop },
            frames: recipe.frames,
            width: recipe.width / half,
            height: recipe.height / half,
            letterbox: if half == 2 { 0 } else { recipe.letterbox },
        };
        if let Some(made) = self.clips.get(&clip) {
            return Ok(made.clone());
        }
        let made = clip.encode(self.dir.path())?;
        self.clips.insert(clip, made.clone());
        Ok(made)
    }

    fn extras(&mut self, frames: u64) -> Result<Extras> {
        if let Some(made) = self.extras.get(&frames) {
            return Ok(made.clone());
        }
        let dir = self.dir.path().join(format!("extras{frames}"));
        fs::create_dir_all(&dir)?;
        let made = Extras::make(&dir, frames)?;
        self.extras.insert(frames, made.clone());
        Ok(made)
    }
}

/// Makes a single film; for several, a [`Studio`] or [`make_library`](super::make_library) encodes less.
///
/// # Errors
/// As [`Studio::make`].
pub fn make_film(path: &Path, spec: &FilmSpec) -> Result<()> {
    Studio::open()?.make(path, spec)
}
