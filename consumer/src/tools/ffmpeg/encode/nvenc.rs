//! hevc_nvenc: NVIDIA's encoder chip.

use super::args::Arguments;
use super::setting::Setting;
use super::{colour, setting};

/// Settings of hevc_nvenc.
#[derive(Debug, Clone, PartialEq)]
pub struct Nvenc {
    /// Speed, from 1 (fastest) to 7.
    pub preset: u8,
    /// Constant quality, above 0 to 51; lower is better.
    pub cq: f32,
    /// Longest distance of two key frames, in frames.
    pub gop: u32,
    /// Everything current cards have. Without: what Pascal cards have too, which know no B-frames in HEVC.
    pub full: bool,
    /// Chroma sample location type, H.265 Annex E.
    pub chroma_loc: Option<u8>,
    /// Further `key=value` pairs of ffmpeg; of two equal keys the later counts.
    pub extra: Vec<String>,
}

impl Nvenc {
    pub(super) const NAME: &str = "hevc_nvenc";

    /// Builds before 4.3 have x264-like names instead of p1 to p7.
    fn old_preset(&self) -> &'static str {
        match self.preset {
            0..=3 => "fast",
            4 => "medium",
            _ => "slow",
        }
    }

    pub(super) fn arguments(&self) -> Arguments {
        use setting::Setting as S;
        let mut all = vec![
            S::own("preset", &format!("p{}", self.preset)).or(self.old_preset()),
            S::own("tune", "hq").optional(),
            S::own("profile", "main10"),
            S::own("tier", "high").optional(),
            S::own("level", "5.1").optional(),
            // The target is the quality alone; level 5.1 High bounds the rate, as it does for x265.
            S::own("rc", "vbr"),
            S::own("cq", &self.cq),
            S::generic("b", &0),
            S::generic("maxrate", "100M"),
            S::generic("bufsize", "100M"),
            S::own("spatial_aq", &1).optional(),
            S::generic("g", &self.gop),
            S::own("strict_gop", &1).optional(),
            S::own("aud", &1).optional(),
        ];
        if self.full {
            all.extend([
                S::own("temporal_aq", &1).optional(),
                S::own("rc-lookahead", &32).optional(),
                S::generic("bf", &3),
                S::own("b_ref_mode", "middle").optional(),
            ]);
        } else {
            all.push(S::generic("bf", &0));
        }
        all.extend(colour::settings(self.chroma_loc));
        all.extend(self.extra.iter().map(|e| Setting::further(e)));
        Arguments {
            filter: Some(colour::MARK.into()),
            format: Some("p010le"),
            settings: all,
            tags: Some(self.chroma_loc),
            ..Arguments::default()
        }
    }
}
