//! All that decides the bytes of a film.

use super::kinds::{
    Cm, Coding, Container, ExtraVideo, FileDamage, Gop, Grade, Layers, Light, RpuDamage, Sound, Storage,
    Timing,
};
use super::{DISCARDED, GOP, LEADING};

/// All that decides the bytes of a film; two films with equal recipes are equal files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FilmRecipe {
    /// Pictures stored in the video track.
    pub frames: u64,
    /// Width of the BL in pixels; the EL has half.
    pub width: u32,
    /// Height of the BL in pixels, before [`Self::cropped`]; the EL has half.
    pub height: u32,
    /// The BL is two rows lower, which is no multiple of anything the codec works in.
    pub cropped: bool,
    /// Dolby Vision layers.
    pub layers: Layers,
    /// Colour tags of the BL.
    pub grade: Grade,
    /// Where the HDR10 values stand.
    pub light: Light,
    /// CM version of the RPUs.
    pub cm: Cm,
    /// RPUs above 1023 bytes (their chroma curves have eight pieces).
    pub large_rpus: bool,
    /// GOP structure of both layers.
    pub gop: Gop,
    /// How the BL is coded.
    pub coding: Coding,
    /// Where the EL lies.
    pub storage: Storage,
    /// How the file is built.
    pub container: Container,
    /// The clock of the video track.
    pub timing: Timing,
    /// A further video track.
    pub extra: ExtraVideo,
    /// Peculiar sound.
    pub sound: Sound,
    /// Black rows above and below the picture, also in L5.
    pub letterbox: u32,
    /// The bars are there in every other GOP only, as in films with IMAX scenes.
    pub imax: bool,
    /// Whether every picture has an HDR10+ message, too.
    pub hdr10plus: bool,
    /// What is wrong with the RPUs.
    pub rpu_damage: RpuDamage,
    /// What is wrong with the file.
    pub file_damage: FileDamage,
}

impl FilmRecipe {
    /// 240 frames, 640x360, closed GOP, CM v4.0, nothing unusual.
    pub(super) fn new(layers: Layers) -> Self {
        Self {
            frames: 240,
            width: 640,
            height: 360,
            cropped: false,
            layers,
            grade: match layers {
                Layers::Profile84 | Layers::Hlg => Grade::Hlg,
                Layers::Profile82 | Layers::Sdr => Grade::Bt709,
                _ => Grade::Pq,
            },
            light: Light::Sei,
            cm: Cm::V40,
            large_rpus: false,
            gop: Gop::Closed,
            coding: Coding::Plain,
            storage: Storage::SingleTrack,
            container: Container::Plain,
            timing: Timing::Constant,
            extra: ExtraVideo::None,
            sound: Sound::Plain,
            letterbox: 0,
            imax: false,
            hdr10plus: false,
            rpu_damage: RpuDamage::None,
            file_damage: FileDamage::None,
        }
    }

    /// Height of the BL as shown.
    pub fn shown_height(&self) -> u32 {
        self.height - if self.cropped { 2 } else { 0 }
    }

    /// Rows of black above and below the frame shown as number `display`.
    pub fn bars(&self, display: u64) -> u32 {
        if self.imax && display / GOP % 2 == 1 { 0 } else { self.letterbox }
    }

    /// The film has RPUs somewhere in its file.
    pub fn keeps_rpus(&self) -> bool {
        self.layers.has_rpu()
            && self.storage != Storage::DualWithoutRpus
            && self.container != Container::RecordOnly
    }

    /// Whether an RPU of this frame is missing.
    pub fn lacks_rpu(&self, display: u64) -> bool {
        match self.rpu_damage {
            RpuDamage::Missing { first, count } => (first..first + count).contains(&display),
            RpuDamage::MissingLast => display + 1 == self.frames,
            RpuDamage::Sparse => display % 13 >= 3,
            _ => false,
        }
    }

    /// Display index of the key frame in the middle: where joints and changes are.
    pub(in crate::films) fn middle(&self) -> u64 {
        self.frames / GOP / 2 * GOP
    }

    /// The clock steps back in the middle.
    pub(in crate::films) fn steps_back(&self) -> bool {
        matches!(self.timing, Timing::StepsBack(_))
    }

    /// An end of sequence stands before the middle.
    pub(in crate::films) fn has_joint(&self) -> bool {
        self.gop == Gop::OpenWithEos || self.steps_back()
    }

    /// Display indices of the pictures a decoder outputs, ascending.
    pub(super) fn decodable(&self) -> Vec<u64> {
        let lost = match self.gop {
            Gop::OpenFromCra => 0..LEADING,
            Gop::OpenWithEos => self.middle() - LEADING - DISCARDED..self.middle(),
            Gop::Closed | Gop::Open | Gop::Radl => 0..0,
        };
        (0..self.frames).filter(|i| !lost.contains(i)).collect()
    }
}
