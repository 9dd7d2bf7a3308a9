//! What the recipe's words mean to each encoder. Pure.

use std::path::Path;

use common::job::{Encoder, Recipe};
use dovi::expect::StreamExpectation;
use dovi::sei::{Cll, Mdcv};

use crate::tools::ffmpeg::{Nvenc, Qsv, Vaapi, VideoEncoder, X265};

/// BT.2020 primaries, PQ, BT.2020 non-constant luminance (H.273): what makes the compatibility id 1.
pub(super) const COLOUR: (u8, u8, u8) = (9, 16, 9);

/// What an encoder has to know of the film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// Width in luma samples.
    pub width: u32,
    /// Height in luma samples.
    pub height: u32,
    /// Chroma sample location type, H.265 figure E.1; `None` where the film does not say.
    pub chroma_loc: Option<u8>,
    /// Mastering display.
    pub mdcv: Option<Mdcv>,
    /// Light levels.
    pub cll: Option<Cll>,
    /// Longest distance of two key frames, in frames.
    pub keyint: u32,
}

impl Picture {
    /// What the encoder's stream must be, every encoder's.
    pub fn expectation(&self) -> StreamExpectation {
        StreamExpectation {
            width: self.width,
            height: self.height,
            bit_depth: 10,
            primaries: COLOUR.0,
            transfer: COLOUR.1,
            matrix: COLOUR.2,
            full_range: false,
            chroma_loc: self.chroma_loc,
        }
    }
}

/// How much of a chip is used. Lists of options do not tell what the chip behind them can do; a test encode does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Features {
    /// Everything that is good for the picture.
    All,
    /// What every chip of its kind has: no B-frames.
    Plain,
}

impl Features {
    /// Those worth trying, the best first.
    pub const fn of(encoder: Encoder) -> &'static [Self] {
        if encoder.is_hardware() { &[Self::All, Self::Plain] } else { &[Self::All] }
    }
}

/// The encoder with its settings for a film. `vaapi_device` is `tools.vaapi_device`.
pub fn settings(recipe: &Recipe, picture: &Picture, features: Features, vaapi_device: &Path) -> VideoEncoder {
    let (chroma_loc, gop, full) = (picture.chroma_loc, picture.keyint, features == Features::All);
    let extra = recipe.encoder_args.clone();
    // Whole by `Recipe::validate`.
    let whole = recipe.crf.round().clamp(1.0, 51.0) as u8;
    match recipe.encoder {
        Encoder::X265 => VideoEncoder::X265(X265 {
            preset: recipe.preset.clone(),
            crf: recipe.crf,
            chroma_loc,
            master_display: picture.mdcv.map(|m| m.to_x265()),
            max_cll: picture.cll.map(|c| (c.max_cll, c.max_fall)),
            keyint: picture.keyint,
            extra: recipe.x265_params.clone(),
        }),
        Encoder::Nvenc => {
            let preset = nvenc_preset(&recipe.preset);
            VideoEncoder::Nvenc(Nvenc { preset, cq: recipe.crf, gop, full, chroma_loc, extra })
        }
        Encoder::Qsv => {
            let preset = qsv_preset(&recipe.preset);
            VideoEncoder::Qsv(Qsv { preset, quality: whole, gop, full, chroma_loc, extra })
        }
        Encoder::Vaapi => {
            let device = vaapi_device.to_owned();
            VideoEncoder::Vaapi(Vaapi { device, qp: whole, gop, full, chroma_loc, extra })
        }
    }
}

/// Ten names for seven steps, `p1` to `p7`; the table is in docs/OPERATIONS.md.
fn nvenc_preset(name: &str) -> u8 {
    match name {
        "ultrafast" | "superfast" => 1,
        "veryfast" | "faster" => 2,
        "fast" => 3,
        "medium" => 4,
        "slower" => 6,
        "veryslow" | "placebo" => 7,
        _ => 5,
    }
}

/// Quick Sync has seven of the same names.
fn qsv_preset(name: &str) -> &'static str {
    match name {
        "ultrafast" | "superfast" | "veryfast" => "veryfast",
        "faster" => "faster",
        "fast" => "fast",
        "medium" => "medium",
        "slower" => "slower",
        "veryslow" | "placebo" => "veryslow",
        _ => "slow",
    }
}

/// What a person needs to know where an encoder does not work.
pub(super) fn hint(encoder: Encoder, vaapi_device: &Path) -> String {
    let needs = match encoder {
        Encoder::X265 => "It needs an ffmpeg with libx265 for 10 bit; Debian's and Ubuntu's have it.".into(),
        Encoder::Nvenc => "It needs an NVIDIA card with 10 bit HEVC (GeForce 10 or later), its driver with \
            libnvidia-encode, and in a container the driver's \"video\" capability."
            .into(),
        Encoder::Qsv => "It needs Intel graphics with 10 bit HEVC (7th generation or later), the packages \
            intel-media-va-driver-non-free and libmfx-gen1.2 or libmfx1, and access to /dev/dri."
            .into(),
        Encoder::Vaapi => format!(
            "It needs Intel or AMD graphics with 10 bit HEVC, a VA-API driver (`vainfo` shows HEVCMain10 with an \
             EncSlice entry), and {} (tools.vaapi_device) with the worker's user in the group render.",
            vaapi_device.display()
        ),
    };
    match encoder {
        Encoder::X265 => needs,
        _ => format!("{needs} recipe.encoder = \"x265\" works without."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn presets_keep_their_order_in_every_encoder() {
        assert_eq!(Recipe::PRESETS.map(nvenc_preset), [1, 1, 2, 2, 3, 4, 5, 6, 7, 7]);
        let names = ["veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"];
        let steps = Recipe::PRESETS.map(|p| names.iter().position(|n| *n == qsv_preset(p)).unwrap());
        assert!(steps.is_sorted() && steps[0] == 0 && steps[9] == 6, "{steps:?}");
    }

    #[test]
    fn the_quality_number_goes_to_the_encoder_as_it_is() {
        let picture = Picture { width: 2, height: 2, chroma_loc: None, mdcv: None, cll: None, keyint: 120 };
        let of = |encoder, crf| {
            let recipe = Recipe { encoder, crf, ..Recipe::default() };
            settings(&recipe, &picture, Features::All, Path::new("/dev/dri/renderD129"))
        };
        assert!(matches!(of(Encoder::X265, 17.5), VideoEncoder::X265(e) if e.crf == 17.5));
        assert!(matches!(of(Encoder::Nvenc, 21.5), VideoEncoder::Nvenc(e) if e.cq == 21.5 && e.full));
        assert!(matches!(of(Encoder::Qsv, 22.0), VideoEncoder::Qsv(e) if e.quality == 22));
        let vaapi = of(Encoder::Vaapi, 23.0);
        assert!(matches!(vaapi, VideoEncoder::Vaapi(e) if e.qp == 23 && e.device.ends_with("renderD129")));
    }
}
