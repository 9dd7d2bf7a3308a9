//! What shall be done to a film, apart from which film it is.

use serde::{Deserialize, Serialize};

/// How the picture gets into the result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// Decode and encode again: smaller.
    Encode,
    /// Keep every bit of the base layer, change only the metadata: lossless and fast.
    Copy,
}

/// Which encoder makes the new base layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// libx265 through ffmpeg: software, best size.
    X265,
    /// hevc_nvenc through ffmpeg: NVIDIA cards.
    Nvenc,
    /// hevc_qsv through ffmpeg: Intel graphics, Quick Sync Video.
    Qsv,
    /// hevc_vaapi through ffmpeg: Intel and AMD graphics.
    Vaapi,
}

impl Encoder {
    /// Every encoder, the default first.
    pub const ALL: [Self; 4] = [Self::X265, Self::Nvenc, Self::Qsv, Self::Vaapi];

    /// The name in settings.
    pub const fn name(self) -> &'static str {
        match self {
            Self::X265 => "x265",
            Self::Nvenc => "nvenc",
            Self::Qsv => "qsv",
            Self::Vaapi => "vaapi",
        }
    }

    /// Whether it is a chip: then it depends on the machine what it can do.
    pub const fn is_hardware(self) -> bool {
        !matches!(self, Self::X265)
    }
}

/// What to do with a full enhancement layer, whose picture is lost in Profile 8.1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FelPolicy {
    /// Convert the film; the enhancement layer's detail is dropped.
    Allow,
    /// Leave the film alone and say so.
    Refuse,
}

/// Encode settings and policies of one job. Its digest is part of the job id: another recipe is another job.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Re-encode or keep the base layer.
    pub mode: Mode,
    /// The encoder for [`Mode::Encode`].
    pub encoder: Encoder,
    /// Speed by x265's names, `ultrafast` to `placebo`; other encoders take the nearest they have.
    pub preset: String,
    /// The encoder's quality number, 0 to 51; lower is better and larger. The same number is another quality in every
    /// encoder: rate factor in x265, `cq` in nvenc, `global_quality` in qsv, quantiser in vaapi.
    pub crf: f32,
    /// Further `key=value` pairs for x265, after ours.
    pub x265_params: Vec<String>,
    /// Further `key=value` pairs for ffmpeg's hardware encoder, after ours. Left out of the digest where there are none,
    /// so that recipes keep the ids they had before this field.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub encoder_args: Vec<String>,
    /// Films with a full enhancement layer and no sign that it expands brightness.
    pub fel: FelPolicy,
    /// Films whose enhancement layer expands brightness: their trims do not fit the base layer alone.
    pub fel_expanding: FelPolicy,
    /// Share of frames that may lack an RPU, in percent of all frames; the gap is filled from the frame before.
    pub max_missing_rpu_percent: f64,
}

impl Default for Recipe {
    fn default() -> Self {
        Self {
            mode: Mode::Encode,
            encoder: Encoder::X265,
            preset: "slow".into(),
            crf: 18.0,
            x265_params: Vec::new(),
            encoder_args: Vec::new(),
            fel: FelPolicy::Allow,
            fel_expanding: FelPolicy::Refuse,
            max_missing_rpu_percent: 0.0,
        }
    }
}

impl Recipe {
    /// Preset names from fastest to slowest: x265's. The other encoders' presets follow from them.
    pub const PRESETS: [&str; 10] = [
        "ultrafast",
        "superfast",
        "veryfast",
        "faster",
        "fast",
        "medium",
        "slow",
        "slower",
        "veryslow",
        "placebo",
    ];

    /// A digest over every field: equal recipes have equal digests, whatever order their settings were written in.
    pub fn digest(&self) -> String {
        // Struct fields serialise in declaration order, so this text is canonical.
        let text = serde_json::to_string(self).unwrap_or_else(|e| format!("unserialisable recipe: {e}"));
        blake3::derive_key("dovi-fleet recipe v1", text.as_bytes())[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    /// One line for people: `x265 slow crf 18`, `nvenc slow cq 18`, `vaapi qp 20` or `copy`.
    pub fn summary(&self) -> String {
        let name = self.encoder.name();
        match (self.mode, self.encoder) {
            (Mode::Copy, _) => "copy".into(),
            (Mode::Encode, Encoder::X265) => format!("{name} {} crf {}", self.preset, self.crf),
            (Mode::Encode, Encoder::Nvenc) => format!("{name} {} cq {}", self.preset, self.crf),
            (Mode::Encode, Encoder::Qsv) => format!("{name} {} quality {}", self.preset, self.crf),
            (Mode::Encode, Encoder::Vaapi) => format!("{name} qp {}", self.crf),
        }
    }

    /// Names the first setting that no encoder would take.
    ///
    /// # Errors
    /// A sentence that names the setting, the value and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        if !(0.0..=51.0).contains(&self.crf) {
            return Err(format!("recipe.crf is {}, allowed is 0 to 51", self.crf));
        }
        if !Self::PRESETS.contains(&self.preset.as_str()) {
            return Err(format!(
                "recipe.preset is {:?}, allowed is one of {}",
                self.preset,
                Self::PRESETS.join(", ")
            ));
        }
        if !(0.0..=100.0).contains(&self.max_missing_rpu_percent) {
            return Err(format!(
                "recipe.max_missing_rpu_percent is {}, allowed is 0 to 100",
                self.max_missing_rpu_percent
            ));
        }
        self.validate_quality()?;
        self.validate_further()
    }

    /// Zero means "choose yourself" to NVENC and Quick Sync, and only x265 and NVENC have steps between whole numbers.
    fn validate_quality(&self) -> Result<(), String> {
        let name = self.encoder.name();
        if self.encoder.is_hardware() && self.crf < 1.0 {
            return Err(format!(
                "recipe.crf is {}, for recipe.encoder = {name:?} allowed is 1 to 51",
                self.crf
            ));
        }
        if matches!(self.encoder, Encoder::Qsv | Encoder::Vaapi) && self.crf.fract() != 0.0 {
            return Err(format!(
                "recipe.crf is {}, recipe.encoder = {name:?} takes whole numbers only",
                self.crf
            ));
        }
        Ok(())
    }

    fn validate_further(&self) -> Result<(), String> {
        let (name, hardware) = (self.encoder.name(), self.encoder.is_hardware());
        if hardware && !self.x265_params.is_empty() {
            return Err(format!(
                "recipe.x265_params is set, but recipe.encoder is {name:?}: use recipe.encoder_args"
            ));
        }
        if !hardware && !self.encoder_args.is_empty() {
            return Err(format!(
                "recipe.encoder_args is set, but recipe.encoder is {name:?}: use recipe.x265_params"
            ));
        }
        // A ':' would smuggle further options past the list; whitespace is never part of an x265 option.
        let odd = |c: char| c == ':' || c.is_whitespace() || c.is_control();
        if let Some(bad) = self.x265_params.iter().find(|p| p.contains(odd)) {
            return Err(format!("recipe.x265_params has {bad:?}, each entry must be one key=value"));
        }
        if let Some(bad) = self.x265_params.iter().find(|p| !is_harmless(p)) {
            return Err(format!(
                "recipe.x265_params has {bad:?}: options that make x265 read or write files are not allowed"
            ));
        }
        match self.encoder_args.iter().find(|p| !is_option(p)) {
            Some(bad) => Err(format!("recipe.encoder_args has {bad:?}, each entry must be one key=value")),
            None => Ok(()),
        }
    }
}

/// An x265 option that touches no file. Recipes come in messages, and `csv`, `stats` or `analysis-save` would write any file that
/// the worker may write (measured with x265 3.5 in ffmpeg 5.1). ffmpeg takes quotes and backslashes out of the text before
/// x265 sees it, and x265 takes `_` for `-`.
fn is_harmless(text: &str) -> bool {
    const TOUCHES: [&str; 11] = [
        "file",
        "csv",
        "stats",
        "save",
        "load",
        "scaling-list",
        "dhdr10-info",
        "rpu",
        "recon",
        "grain",
        "ladder",
    ];
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let name = key.to_ascii_lowercase().replace('_', "-");
    // Their values are numbers and words; `scaling-list` also has two words that are no file.
    let built_in = name == "scaling-list" && matches!(value, "default" | "flat" | "off");
    key.chars().all(plain)
        && !key.is_empty()
        && !value.contains(['/', '\\', '\'', '"'])
        && name != "pass"
        && (built_in || !TOUCHES.iter().any(|t| name.contains(t)))
}

/// `key=value` with a key as ffmpeg names options of encoders.
fn is_option(text: &str) -> bool {
    let name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    text.split_once('=').is_some_and(|(key, value)| {
        key.starts_with(|c: char| c.is_ascii_alphanumeric())
            && key.chars().all(name)
            && !value.is_empty()
            && !value.contains(|c: char| c.is_whitespace() || c.is_control())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_valid_and_nonsense_is_named() {
        Recipe::default().validate().unwrap();
        let bad = |f: fn(&mut Recipe)| {
            let mut r = Recipe::default();
            f(&mut r);
            r.validate().unwrap_err()
        };
        assert!(bad(|r| r.crf = f32::NAN).contains("recipe.crf"));
        assert!(bad(|r| r.preset = "slowest".into()).contains("recipe.preset"));
        assert!(bad(|r| r.x265_params = vec!["aq-mode=3:csv=/etc/x".into()]).contains("x265_params"));
    }

    #[test]
    fn x265_is_kept_from_files() {
        let with = |text: &str| {
            let recipe = Recipe { x265_params: vec![text.into()], ..Recipe::default() };
            recipe.validate().err().unwrap_or_default()
        };
        for bad in [
            "csv=x",
            "CSV=x",
            "c\\sv=x",
            "'csv'=x",
            "stats=x",
            "pass=1",
            "analysis-save=x",
            "analysis_save=x",
            "lambda-file=x",
            "scaling-list=m.txt",
            "dhdr10-info=x",
            "qpfile=x",
            "zonefile=x",
            "film-grain=x",
            "aq-mode=/etc/passwd",
            "=x",
        ] {
            assert!(with(bad).contains("x265_params"), "{bad}");
        }
        for good in [
            "aq-mode=3",
            "no-sao=1",
            "psy-rd=2.0",
            "zones=0,10,q=20",
            "scaling-list=default",
            "hash=1",
            "bframes=4",
        ] {
            assert_eq!(with(good), "", "{good}");
        }
    }

    #[test]
    fn settings_that_belong_to_another_encoder_are_named() {
        let with = |encoder, crf, x265: &[&str], other: &[&str]| {
            let all = |list: &[&str]| list.iter().map(|s| (*s).to_owned()).collect();
            let recipe = Recipe {
                encoder,
                crf,
                x265_params: all(x265),
                encoder_args: all(other),
                ..Recipe::default()
            };
            recipe.validate().err().unwrap_or_default()
        };
        for encoder in Encoder::ALL {
            assert_eq!(with(encoder, 18.0, &[], &[]), "", "{encoder:?}");
        }
        assert!(with(Encoder::Nvenc, 18.0, &["aq-mode=3"], &[]).contains("use recipe.encoder_args"));
        assert!(with(Encoder::X265, 18.0, &[], &["bf=0"]).contains("use recipe.x265_params"));
        assert_eq!(with(Encoder::Nvenc, 18.5, &[], &["rc-lookahead=20", "b_ref_mode=each"]), "");
        assert!(with(Encoder::Nvenc, 0.0, &[], &[]).contains("1 to 51"));
        assert!(with(Encoder::Vaapi, 18.5, &[], &[]).contains("whole numbers"));
        for bad in ["bf", "=1", "-i=/etc/passwd", "bf:v=1", "bf=", "bf=1 -y", "b f=1"] {
            assert!(with(Encoder::Qsv, 18.0, &[], &[bad]).contains("encoder_args"), "{bad}");
        }
    }

    #[test]
    fn encoders_are_written_as_they_are_named() {
        for encoder in Encoder::ALL {
            assert_eq!(serde_json::to_value(encoder).unwrap(), encoder.name());
        }
    }

    #[test]
    fn the_digest_follows_every_change() {
        let base = Recipe::default();
        assert_eq!(base.digest(), Recipe::default().digest());
        assert_ne!(base.digest(), Recipe { mode: Mode::Copy, ..Recipe::default() }.digest());
        assert_ne!(base.digest(), Recipe { fel: FelPolicy::Refuse, ..Recipe::default() }.digest());
        assert_ne!(base.digest(), Recipe { encoder_args: vec!["bf=0".into()], ..Recipe::default() }.digest());
        // Films queued or finished under this recipe keep their ids.
        assert_eq!(base.digest(), "10f7bc32b66171b3");
    }
}
