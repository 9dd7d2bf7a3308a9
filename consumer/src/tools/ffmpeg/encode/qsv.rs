//! hevc_qsv: Intel Quick Sync Video.

use super::args::Arguments;
use super::colour;
use super::setting::Setting;

/// Settings of hevc_qsv.
#[derive(Debug, Clone, PartialEq)]
pub struct Qsv {
    /// Preset name, `veryfast` to `veryslow`.
    pub preset: &'static str,
    /// Quality, 1 to 51; lower is better. With it and no rate the encoder works in its constant quality mode (ICQ).
    pub quality: u8,
    /// Longest distance of two key frames, in frames.
    pub gop: u32,
    /// The full encoder with B-frames. Without: whatever the chip has; newer ones have the low-power encoder only.
    pub full: bool,
    /// Chroma sample location type, H.265 Annex E.
    pub chroma_loc: Option<u8>,
    /// Further `key=value` pairs of ffmpeg; of two equal keys the later counts.
    pub extra: Vec<String>,
}

impl Qsv {
    pub(super) const NAME: &str = "hevc_qsv";

    pub(super) fn arguments(&self) -> Arguments {
        let mut all = vec![
            Setting::own("preset", &self.preset),
            Setting::own("profile", "main10"),
            Setting::own("tier", "high").optional(),
            Setting::generic("global_quality", &self.quality),
            Setting::generic("g", &self.gop),
            // Every key frame an IDR picture: the default of all builds seen, said all the same.
            Setting::own("idr_interval", &0).optional(),
            Setting::own("aud", &1).optional(),
        ];
        if self.full {
            all.extend([Setting::own("low_power", &0).optional(), Setting::generic("bf", &3)]);
        } else {
            all.push(Setting::generic("bf", &0));
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
