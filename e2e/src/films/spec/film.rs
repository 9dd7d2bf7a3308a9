//! One film of a library: its recipe, its name, and what the system must make of it.

use std::path::{Path, PathBuf};

use super::GOP;
use super::kinds::{
    Cm, Coding, Container, ExtraVideo, FileDamage, Gop, Grade, Layers, Light, RpuDamage, Sound, Storage,
    Timing,
};
use super::recipe::FilmRecipe;

/// What shall come of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Converted and certified.
    Done,
    /// No candidate: nothing to do.
    Skipped,
    /// Given up with this failure code.
    Fails(&'static str),
}

impl Outcome {
    /// In the words of a table.
    pub fn words(self) -> String {
        match self {
            Self::Done => "converted".to_owned(),
            Self::Skipped => "no candidate".to_owned(),
            Self::Fails(code) => format!("refused: `{code}`"),
        }
    }

    /// The failure code a conversion must end with, none if it must succeed. What a scan passes over, a conversion
    /// refuses as not being profile 7.
    pub fn code(self) -> Option<&'static str> {
        match self {
            Self::Done => None,
            Self::Skipped => Some("dv.not-profile7"),
            Self::Fails(code) => Some(code),
        }
    }
}

/// What the system must make of a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expected {
    /// The verdict's text form; absent where none can be reached.
    pub verdict: Option<&'static str>,
    /// The end of its job in encode mode.
    pub outcome: Outcome,
    /// The end of its job in copy mode.
    pub copy: Outcome,
    /// What one of the certificate's notices must contain.
    pub notice: Option<&'static str>,
}

/// One film of a generated library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilmSpec {
    /// Name of the kind, unique in a set.
    pub name: &'static str,
    /// What is special about it, for people.
    pub shows: &'static str,
    /// Where it lies, relative to the library; may hold any byte a file name can.
    pub path: PathBuf,
    /// What is in it.
    pub recipe: FilmRecipe,
    /// What the system must make of it.
    pub expected: Expected,
}

impl FilmSpec {
    /// A healthy film of 240 frames, 640x360, closed GOP, CM v4.0, at `<name>.mkv`.
    pub fn new(name: &'static str, layers: Layers) -> Self {
        let (verdict, outcome) = match layers {
            Layers::Mel => ("MEL", Outcome::Done),
            Layers::Fel | Layers::FelIdentity | Layers::Mixed => ("FEL", Outcome::Done),
            Layers::FelExpanding => ("FEL-expanding", Outcome::Fails("fel.expanding")),
            Layers::Profile4 => ("P4", Outcome::Skipped),
            Layers::Profile81 => ("P8.1", Outcome::Skipped),
            Layers::Profile82 => ("P8.2", Outcome::Skipped),
            Layers::Profile84 => ("P8.4", Outcome::Skipped),
            Layers::Profile5 => ("P5", Outcome::Skipped),
            Layers::Hdr10 => ("HDR10", Outcome::Skipped),
            Layers::Hlg => ("HLG", Outcome::Skipped),
            Layers::Sdr => ("SDR", Outcome::Skipped),
        };
        let expected = Expected { verdict: Some(verdict), outcome, copy: outcome, notice: None };
        let path = PathBuf::from(format!("{name}.mkv"));
        Self { name, shows: "", path, recipe: FilmRecipe::new(layers), expected }
    }

    /// Says what is special about it.
    #[must_use]
    pub fn shows(mut self, what: &'static str) -> Self {
        self.shows = what;
        self
    }

    /// Lies at `path`, relative to the library.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = path.as_ref().to_owned();
        self
    }

    /// Must be refused with this code in both modes; the verdict stays.
    #[must_use]
    pub fn fails(mut self, code: &'static str) -> Self {
        (self.expected.outcome, self.expected.copy) = (Outcome::Fails(code), Outcome::Fails(code));
        self
    }

    /// Must be refused with this code in copy mode.
    #[must_use]
    pub fn copy_fails(mut self, code: &'static str) -> Self {
        self.expected.copy = Outcome::Fails(code);
        self
    }

    /// Must be refused with this code in encode mode.
    #[must_use]
    pub fn encode_fails(mut self, code: &'static str) -> Self {
        self.expected.outcome = Outcome::Fails(code);
        self
    }

    /// Must get this verdict, with nothing to do unless it is of profile 7.
    #[must_use]
    pub fn verdict(mut self, verdict: &'static str) -> Self {
        self.expected.verdict = Some(verdict);
        if !["MEL", "FEL"].contains(&verdict) {
            (self.expected.outcome, self.expected.copy) = (Outcome::Skipped, Outcome::Skipped);
        }
        self
    }

    /// Gets this verdict all the same.
    #[must_use]
    pub fn verdict_stays(mut self, verdict: &'static str) -> Self {
        self.expected.verdict = Some(verdict);
        self
    }

    /// Whether a verdict is reached depends on how far one reads, or none can be.
    #[must_use]
    pub fn no_verdict(mut self) -> Self {
        self.expected.verdict = None;
        self
    }

    /// One of the certificate's notices must contain this.
    #[must_use]
    pub fn notice(mut self, words: &'static str) -> Self {
        self.expected.notice = Some(words);
        self
    }

    /// Has this many frames, at least three GOPs (72) so that every structure is there.
    #[must_use]
    pub fn frames(mut self, frames: u64) -> Self {
        self.recipe.frames = frames.max(3 * GOP);
        self
    }

    /// Has this size in pixels, rounded down to multiples of 16 x 4 so that the EL is even too.
    #[must_use]
    pub fn size(mut self, width: u32, height: u32) -> Self {
        (self.recipe.width, self.recipe.height) = ((width & !15).max(256), (height & !3).max(144));
        self
    }

    /// Has two rows less than its size says.
    #[must_use]
    pub fn cropped(mut self) -> Self {
        self.recipe.cropped = true;
        self
    }

    /// Has a BL tagged like this.
    #[must_use]
    pub fn grade(mut self, grade: Grade) -> Self {
        self.recipe.grade = grade;
        self
    }

    /// Has its HDR10 values there.
    #[must_use]
    pub fn light(mut self, light: Light) -> Self {
        self.recipe.light = light;
        self
    }

    /// Has RPUs of this CM version.
    #[must_use]
    pub fn cm(mut self, cm: Cm) -> Self {
        self.recipe.cm = cm;
        self
    }

    /// Has RPUs of more than 1023 bytes.
    #[must_use]
    pub fn large_rpus(mut self) -> Self {
        self.recipe.large_rpus = true;
        self
    }

    /// Has this GOP structure.
    #[must_use]
    pub fn gop(mut self, gop: Gop) -> Self {
        self.recipe.gop = gop;
        self
    }

    /// Has a BL coded like this.
    #[must_use]
    pub fn coding(mut self, coding: Coding) -> Self {
        self.recipe.coding = coding;
        self
    }

    /// Keeps the EL there.
    #[must_use]
    pub fn storage(mut self, storage: Storage) -> Self {
        self.recipe.storage = storage;
        self
    }

    /// Keeps the EL in a second track.
    #[must_use]
    pub fn dual_track(self) -> Self {
        self.storage(Storage::DualTrack)
    }

    /// Is a file built like this.
    #[must_use]
    pub fn container(mut self, container: Container) -> Self {
        self.recipe.container = container;
        self
    }

    /// Has this clock.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.recipe.timing = timing;
        self
    }

    /// Has a further video track.
    #[must_use]
    pub fn extra(mut self, extra: ExtraVideo) -> Self {
        self.recipe.extra = extra;
        self
    }

    /// Has such sound.
    #[must_use]
    pub fn sound(mut self, sound: Sound) -> Self {
        self.recipe.sound = sound;
        self
    }

    /// Has black bars of this many rows (even) above and below.
    #[must_use]
    pub fn letterbox(mut self, rows: u32) -> Self {
        self.recipe.letterbox = rows & !1;
        self
    }

    /// Has black bars of this many rows (even) in every other GOP.
    #[must_use]
    pub fn imax(self, rows: u32) -> Self {
        let mut film = self.letterbox(rows);
        film.recipe.imax = true;
        film
    }

    /// Has an HDR10+ message in every access unit, which carries the frame number as well.
    #[must_use]
    pub fn hdr10plus(mut self) -> Self {
        self.recipe.hdr10plus = true;
        self
    }

    /// Has such RPUs.
    #[must_use]
    pub fn rpus(mut self, damage: RpuDamage) -> Self {
        self.recipe.rpu_damage = damage;
        self
    }

    /// Has damaged RPUs and fails with `code`.
    #[must_use]
    pub fn rpu_damage(self, damage: RpuDamage, code: &'static str) -> Self {
        let film = self.rpus(damage).fails(code);
        // Depends on whether the one bad frame was among those looked at.
        if matches!(damage, RpuDamage::Garbage(_) | RpuDamage::Duplicate(_)) {
            film.no_verdict()
        } else {
            film
        }
    }

    /// Is a damaged file: no verdict, fails with `code`.
    #[must_use]
    pub fn file_damage(mut self, damage: FileDamage, code: &'static str) -> Self {
        self.recipe.file_damage = damage;
        self.fails(code).no_verdict()
    }

    /// Pictures stored in the video track.
    pub fn frame_count(&self) -> u64 {
        self.recipe.frames
    }

    /// Display indices of the pictures a decoder outputs, ascending: all, but for the leading pictures of a CRA
    /// that begins a coded video sequence, and the pictures such a CRA discards.
    pub fn decodable(&self) -> Vec<u64> {
        self.recipe.decodable()
    }

    /// Left, right, top and bottom offsets of the active area in the RPU of the frame shown as number `display`.
    pub fn expected_l5(&self, display: u64) -> [u16; 4] {
        let bars = u16::try_from(self.recipe.bars(display)).unwrap_or_default();
        [0, 0, bars, bars]
    }
}
