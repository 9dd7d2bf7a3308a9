//! libx265.

use super::args::Arguments;
use super::setting::Setting;

/// x265 settings that Profile 8.1 needs, in x265's own words and units.
#[derive(Debug, Clone, PartialEq)]
pub struct X265 {
    /// Preset name.
    pub preset: String,
    /// Constant rate factor.
    pub crf: f32,
    /// Chroma sample location type, H.265 Annex E; 2 (top left) on UHD discs.
    pub chroma_loc: Option<u8>,
    /// Mastering display as x265 writes it, `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`.
    pub master_display: Option<String>,
    /// Largest and average light level in cd/m².
    pub max_cll: Option<(u16, u16)>,
    /// Longest distance of two key frames, in frames.
    pub keyint: u32,
    /// Further `key=value` pairs; where x265 sees a key twice, the later one counts.
    pub extra: Vec<String>,
}

impl X265 {
    /// The value of `-x265-params`.
    ///
    /// `repeat-headers`: with 0 a raw stream has no parameter sets at all (measured). Level 5.1 High with a buffer of
    /// 100 Mbit bounds the rate as UHD discs do; it also holds for smaller pictures.
    pub fn params(&self) -> String {
        let mut p: Vec<String> = [
            "repeat-headers=1",
            "aud=1",
            "colorprim=bt2020",
            "transfer=smpte2084",
            "colormatrix=bt2020nc",
            "range=limited",
            "hdr10=1",
            "level-idc=5.1",
            "high-tier=1",
            "vbv-maxrate=100000",
            "vbv-bufsize=100000",
            "open-gop=0",
            "log-level=warning",
        ]
        .map(String::from)
        .into();
        p.push(format!("keyint={}", self.keyint));
        p.extend(self.chroma_loc.map(|c| format!("chromaloc={c}")));
        p.extend(self.master_display.as_ref().map(|m| format!("master-display={m}")));
        p.extend(self.max_cll.map(|(cll, fall)| format!("max-cll={cll},{fall}")));
        p.extend(self.extra.iter().cloned());
        p.join(":")
    }

    pub(super) fn arguments(&self) -> Arguments {
        Arguments {
            format: Some("yuv420p10le"),
            settings: vec![
                Setting::own("profile", "main10"),
                Setting::own("preset", &self.preset),
                Setting::own("crf", &self.crf),
                // Builds that know it (7.1) would otherwise write RPUs of their own making, wherever they can.
                Setting::own("dolbyvision", &0).optional(),
                Setting::own("x265-params", &self.params()),
            ],
            ..Arguments::default()
        }
    }
}
