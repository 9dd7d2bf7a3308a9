//! hevc_vaapi: Intel and AMD graphics through VA-API.

use std::path::PathBuf;

use super::args::Arguments;
use super::colour;
use super::setting::Setting;

/// Settings of hevc_vaapi.
#[derive(Debug, Clone, PartialEq)]
pub struct Vaapi {
    /// The device, `/dev/dri/renderD128` as a rule.
    pub device: PathBuf,
    /// Quantiser of P pictures, 1 to 51; lower is better.
    pub qp: u8,
    /// Longest distance of two key frames, in frames.
    pub gop: u32,
    /// The full encoder with B-frames, where the driver has them. Without: the low-power encoder, all that newer Intel
    /// chips have.
    pub full: bool,
    /// Chroma sample location type, H.265 Annex E.
    pub chroma_loc: Option<u8>,
    /// Further `key=value` pairs of ffmpeg; of two equal keys the later counts.
    pub extra: Vec<String>,
}

impl Vaapi {
    pub(super) const NAME: &str = "hevc_vaapi";

    pub(super) fn arguments(&self) -> Arguments {
        let mut all = vec![
            Setting::own("profile", "main10"),
            Setting::own("tier", "high").optional(),
            Setting::own("level", "5.1").optional(),
            // The one mode that every driver has.
            Setting::own("rc_mode", "CQP"),
            Setting::own("qp", &self.qp),
            Setting::generic("g", &self.gop),
            Setting::own("idr_interval", &0).optional(),
            Setting::own("aud", &1).optional(),
            Setting::own("sei", "hdr").optional(),
        ];
        if self.full {
            all.push(Setting::generic("bf", &2));
        } else {
            all.extend([Setting::own("low_power", &1), Setting::generic("bf", &0)]);
        }
        all.extend(colour::settings(self.chroma_loc));
        all.extend(self.extra.iter().map(|e| Setting::further(e)));
        Arguments {
            device: Some(self.device.clone()),
            // The encoder takes pictures from the card's own memory only.
            filter: Some(format!("{},format=p010le,hwupload", colour::MARK)),
            format: None,
            settings: all,
            tags: Some(self.chroma_loc),
        }
    }
}
