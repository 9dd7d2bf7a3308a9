//! Makes films, and makes each ingredient only once: encodes dominate the cost of a library.

use std::collections::HashMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use tempfile::TempDir;

use super::clip::{Clip, Picture};
use super::container;
use super::extras::Extras;
use super::interleave::interleave;
use super::mux::mux;
use super::packets::Packet;
use super::spec::{Coding, FileDamage, FilmRecipe, FilmSpec, Gop};
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
            _ => {
                let whole = self.film(&spec.recipe).with_context(what)?;
                fs::copy(&whole, path).with_context(what)?;
                damage(path, spec.recipe.file_damage).with_context(what)?;
            }
        }
        Ok(())
    }

    /// The whole film of a recipe, in the studio's own folder.
    fn film(&mut self, recipe: &FilmRecipe) -> Result<PathBuf> {
        let recipe = FilmRecipe { file_damage: FileDamage::None, ..*recipe };
        if let Some(made) = self.films.get(&recipe) {
            return Ok(made.clone());
        }
        let bl = self.base(&recipe)?;
        let el = match recipe.layers {
            layers if layers.is_full() => Some(self.clip(&recipe, Picture::Noise, Coding::Plain)?),
            layers if layers.has_el() => Some(self.clip(&recipe, Picture::Gray, Coding::Plain)?),
            _ => None,
        };
        let rpus = if recipe.layers.has_rpu() { Some(recipe.rpus()?) } else { None };
        let streams = interleave(&recipe, &bl, el.as_deref(), rpus.as_deref())?;
        let extras = self.extras(recipe.frames)?.with(&recipe, self.dir.path())?;
        let path = self.dir.path().join(format!("film{}.mkv", self.films.len()));
        mux(&recipe, &streams, &extras, self.dir.path(), &path)?;
        container::rebuild(&recipe, &path)?;
        self.films.insert(recipe, path.clone());
        Ok(path)
    }

    /// The base layer; where it changes in its middle, the first half of one clip and the second of another.
    fn base(&mut self, recipe: &FilmRecipe) -> Result<Vec<Packet>> {
        let picture = Picture::of_base(recipe);
        let changed = match recipe.coding {
            Coding::NewParameters => *recipe,
            Coding::NewSize => FilmRecipe { width: recipe.width - 64, ..*recipe },
            _ => return self.clip(recipe, picture, recipe.coding),
        };
        let mut packets = self.clip(recipe, picture, Coding::Plain)?;
        let after = self.clip(&changed, picture, recipe.coding)?;
        // The GOPs are closed, so the middle is the same place in decode and in display order.
        let middle = usize::try_from(recipe.middle())?;
        packets.splice(middle.., after.into_iter().skip(middle));
        Ok(packets)
    }

    fn clip(&mut self, recipe: &FilmRecipe, picture: Picture, coding: Coding) -> Result<Vec<Packet>> {
        let is_el = matches!(picture, Picture::Gray | Picture::Noise);
        let clip = Clip {
            picture,
            // The end of sequence is put in later; the encode is the plain open one.
            gop: if recipe.gop == Gop::OpenWithEos { Gop::Open } else { recipe.gop },
            // The layers must have the same temporal layers, and nothing else of this in common.
            coding: match recipe.coding {
                Coding::TemporalLayers => Coding::TemporalLayers,
                _ => coding,
            },
            frames: recipe.frames,
            width: if is_el { recipe.width / 2 } else { recipe.width },
            height: if is_el { recipe.height / 2 } else { recipe.shown_height() },
            letterbox: if is_el { 0 } else { recipe.letterbox },
            imax: !is_el && recipe.imax,
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

/// Spoils a finished file.
fn damage(path: &Path, damage: FileDamage) -> Result<()> {
    let file = File::options().read(true).write(true).open(path)?;
    let bytes = file.metadata()?.len();
    match damage {
        FileDamage::None | FileDamage::Empty | FileDamage::NotMatroska => {}
        FileDamage::Truncated(percent) => file.set_len(bytes * u64::from(percent.min(100)) / 100)?,
        FileDamage::HoleInPicture => hole(path, &file, 1)?,
        FileDamage::HoleInSound => hole(path, &file, 3)?,
        FileDamage::FlippedStructure => {
            let content = fs::read(path)?;
            let middle = content.len() / 2;
            let cluster = content[middle..].windows(4).position(|w| w == [0x1F, 0x43, 0xB6, 0x75]);
            let at = middle + cluster.context("a cluster in the second half")?;
            // Its size, its timestamp, and the head of its first block.
            let flipped: Vec<u8> = content[at + 4..at + 20].iter().map(|b| !b).collect();
            file.write_all_at(&flipped, at as u64 + 4)?;
        }
    }
    Ok(())
}

/// Overwrites 3000 bytes with zeros, in the largest block of a track in the second half of the file.
fn hole(path: &Path, file: &File, track: u8) -> Result<()> {
    let content = fs::read(path)?;
    let blocks = container::blocks(&content, track)?;
    let (at, len) = blocks
        .into_iter()
        .filter(|(at, _)| *at > content.len() / 2)
        .max_by_key(|(_, len)| *len)
        .context("a block in the second half")?;
    anyhow::ensure!(len > 4000, "the largest block has only {len} bytes");
    Ok(file.write_all_at(&[0; 3000], (at + len / 4) as u64)?)
}

/// Makes a single film; for several, a [`Studio`] or [`make_library`](super::make_library) encodes less.
///
/// # Errors
/// As [`Studio::make`].
pub fn make_film(path: &Path, spec: &FilmSpec) -> Result<()> {
    Studio::open()?.make(path, spec)
}
