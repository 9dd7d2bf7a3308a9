//! What a generated film shall be, and what the system under test is expected to make of it.

use std::path::{Path, PathBuf};

/// Frames from one key frame to the next in every generated stream.
pub(super) const GOP: u64 = 24;
/// Pictures between two reference pictures plus one (`bframes=4:b-adapt=0`).
pub(super) const MINI_GOP: u64 = 5;
/// Leading pictures of a CRA: what is left of a GOP after its last reference picture. They refer to the GOP
/// before, so a decoder that starts at the CRA does not output them (H.265 8.1.3, measured: 96 of 99).
pub(super) const LEADING: u64 = (GOP - 1) % MINI_GOP;
/// Pictures still waiting for output when a CRA follows an end of sequence: its inferred NoOutputOfPriorPicsFlag
/// discards them (H.265 C.5.2.2). Two with this B-pyramid (measured: ffmpeg outputs 235 of 240).
const DISCARDED: u64 = 2;

/// Dolby Vision layers, or their absence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Layers {
    /// Profile 7, minimal enhancement layer: BL, a gray EL and RPUs with the trivial NLQ.
    Mel,
    /// Profile 7, full enhancement layer without signs of brightness expansion.
    Fel,
    /// Profile 7, full enhancement layer graded to 4000 nits over a 1000 nits base layer.
    FelExpanding,
    /// Profile 8.1: BL and RPUs.
    Profile81,
    /// RPUs flagged profile 5 (IPT base layer).
    Profile5,
    /// HDR10 without Dolby Vision.
    Hdr10,
    /// BT.709, 8 bit.
    Sdr,
}

impl Layers {
    /// Whether the film carries an enhancement layer.
    pub fn has_el(self) -> bool {
        matches!(self, Self::Mel | Self::Fel | Self::FelExpanding)
    }

    /// Whether the film carries RPUs.
    pub fn has_rpu(self) -> bool {
        !matches!(self, Self::Hdr10 | Self::Sdr)
    }
}

/// Version of the content mapping metadata in the RPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cm {
    /// v2.9: levels 1 to 7.
    V29,
    /// v4.0: also levels 8 to 11 and 254.
    V40,
}

/// How the groups of pictures hang together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Gop {
    /// IDR at every key frame.
    Closed,
    /// IDR first, then CRA with leading RASL pictures.
    Open,
    /// The stream begins with a CRA, whose leading pictures no decoder can output.
    OpenFromCra,
    /// An end-of-sequence NAL before the middle CRA, as at the joints of seamless branching.
    OpenWithEos,
}

/// Where the enhancement layer lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Storage {
    /// Wrapped in NAL type 63 inside the BL's access units.
    SingleTrack,
    /// A second HEVC track with EL and RPU.
    DualTrack,
}

/// The clock of the video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Timing {
    /// 24000/1001 from zero.
    Constant,
    /// Film and video cadence by turns (24000/1001 and 30000/1001, a second each).
    Variable,
    /// 24000/1001, but the first picture comes this many ms after zero.
    StartsAt(u32),
}

/// What is wrong with the RPUs, by display index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RpuDamage {
    /// Nothing.
    None,
    /// `count` frames from `first` on have none.
    Missing {
        /// First display index without RPU.
        first: u64,
        /// How many in a row.
        count: u64,
    },
    /// This frame's RPU has flipped bits: its CRC is wrong.
    Garbage(u64),
    /// This frame has a second RPU that says something else.
    Duplicate(u64),
}

/// What is wrong with the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FileDamage {
    /// Nothing.
    None,
    /// Only this many per cent of the bytes are there.
    Truncated(u8),
    /// No bytes at all.
    Empty,
    /// A text file with the extension .mkv.
    NotMatroska,
}

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

/// The verdict (absent where no verdict can be reached) and outcome a film must get.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Expected {
    /// The verdict's text form.
    pub verdict: Option<&'static str>,
    /// The end of its job.
    pub outcome: Outcome,
}

/// All that decides the bytes of a film; two films with equal recipes are equal files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilmRecipe {
    /// Pictures stored in the video track.
    pub frames: u64,
    /// Width of the BL in pixels; the EL has half.
    pub width: u32,
    /// Height of the BL in pixels; the EL has half.
    pub height: u32,
    /// Dolby Vision layers.
    pub layers: Layers,
    /// CM version of the RPUs.
    pub cm: Cm,
    /// GOP structure of both layers.
    pub gop: Gop,
    /// Where the EL lies.
    pub storage: Storage,
    /// The clock of the video track.
    pub timing: Timing,
    /// Black rows above and below the picture, also in L5.
    pub letterbox: u32,
    /// Whether every picture has an HDR10+ message, too.
    pub hdr10plus: bool,
    /// What is wrong with the RPUs.
    pub rpu_damage: RpuDamage,
    /// What is wrong with the file.
    pub file_damage: FileDamage,
}

/// One film of a generated library.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FilmSpec {
    /// Name of the kind, unique in a set.
    pub name: &'static str,
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
            Layers::Fel => ("FEL", Outcome::Done),
            Layers::FelExpanding => ("FEL-expanding", Outcome::Fails("fel.expanding")),
            Layers::Profile81 => ("P8.1", Outcome::Skipped),
            Layers::Profile5 => ("P5", Outcome::Skipped),
            Layers::Hdr10 => ("HDR10", Outcome::Skipped),
            Layers::Sdr => ("SDR", Outcome::Skipped),
        };
        let recipe = FilmRecipe {
            frames: 240,
            width: 640,
            height: 360,
            layers,
            cm: Cm::V40,
            gop: Gop::Closed,
            storage: Storage::SingleTrack,
            timing: Timing::Constant,
            letterbox: 0,
            hdr10plus: false,
            rpu_damage: RpuDamage::None,
            file_damage: FileDamage::None,
        };
        let expected = Expected { verdict: Some(verdict), outcome };
        Self { name, path: PathBuf::from(format!("{name}.mkv")), recipe, expected }
    }

    /// Lies at `path`, relative to the library.
    #[must_use]
    pub fn at(mut self, path: impl AsRef<Path>) -> Self {
        self.path = path.as_ref().to_owned();
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

    /// Has RPUs of this CM version.
    #[must_use]
    pub fn cm(mut self, cm: Cm) -> Self {
        self.recipe.cm = cm;
        self
    }

    /// Has this GOP structure.
    #[must_use]
    pub fn gop(mut self, gop: Gop) -> Self {
        self.recipe.gop = gop;
        self
    }

    /// Keeps the EL in a second track.
    #[must_use]
    pub fn dual_track(mut self) -> Self {
        self.recipe.storage = Storage::DualTrack;
        self
    }

    /// Has this clock.
    #[must_use]
    pub fn timing(mut self, timing: Timing) -> Self {
        self.recipe.timing = timing;
        self
    }

    /// Has black bars of this many rows (even) above and below.
    #[must_use]
    pub fn letterbox(mut self, rows: u32) -> Self {
        self.recipe.letterbox = rows & !1;
        self
    }

    /// Has an HDR10+ message in every access unit, which carries the frame number as well.
    #[must_use]
    pub fn hdr10plus(mut self) -> Self {
        self.recipe.hdr10plus = true;
        self
    }

    /// Has damaged RPUs and fails with `code`.
    #[must_use]
    pub fn rpu_damage(mut self, damage: RpuDamage, code: &'static str) -> Self {
        self.recipe.rpu_damage = damage;
        self.expected.outcome = Outcome::Fails(code);
        if matches!(damage, RpuDamage::Garbage(_) | RpuDamage::Duplicate(_)) {
            // Depends on whether the one bad frame was among those looked at.
            self.expected.verdict = None;
        }
        self
    }

    /// Is a damaged file: no verdict, fails with `code`.
    #[must_use]
    pub fn file_damage(mut self, damage: FileDamage, code: &'static str) -> Self {
        self.recipe.file_damage = damage;
        self.expected = Expected { verdict: None, outcome: Outcome::Fails(code) };
        self
    }

    /// Pictures stored in the video track.
    pub fn frame_count(&self) -> u64 {
        self.recipe.frames
    }

    /// Display indices of the pictures a decoder outputs, ascending: all, but for the leading pictures of a CRA
    /// that begins a coded video sequence, and the pictures such a CRA discards.
    pub fn decodable(&self) -> Vec<u64> {
        let lost = match self.recipe.gop {
            Gop::Closed | Gop::Open => 0..0,
            Gop::OpenFromCra => 0..LEADING,
            Gop::OpenWithEos => {
                let joint = self.recipe.eos_before();
                joint - LEADING - DISCARDED..joint
            }
        };
        (0..self.recipe.frames).filter(|i| !lost.contains(i)).collect()
    }
}

impl FilmRecipe {
    /// Display index of the CRA that follows the end of sequence in [`Gop::OpenWithEos`].
    pub(super) fn eos_before(&self) -> u64 {
        self.frames / GOP / 2 * GOP
    }
}
