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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Encoder {
    /// libx265 through ffmpeg: software, best size.
    X265,
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
    /// The encoder's preset name, for x265 `ultrafast` to `placebo`.
    pub preset: String,
    /// Constant rate factor, 0 to 51; lower is better and larger.
    pub crf: f32,
    /// Further `key=value` pairs for x265, after ours.
    pub x265_params: Vec<String>,
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
            fel: FelPolicy::Allow,
            fel_expanding: FelPolicy::Refuse,
            max_missing_rpu_percent: 0.0,
        }
    }
}

impl Recipe {
    /// A digest over every field: equal recipes have equal digests, whatever order their settings were written in.
    pub fn digest(&self) -> String {
        // Struct fields serialise in declaration order, so this text is canonical.
        let text = serde_json::to_string(self).unwrap_or_else(|e| format!("unserialisable recipe: {e}"));
        blake3::derive_key("dovi-fleet recipe v1", text.as_bytes())[..8]
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect()
    }

    /// One line for people: `x265 slow crf 18` or `copy`.
    pub fn summary(&self) -> String {
        match (self.mode, self.encoder) {
            (Mode::Copy, _) => "copy".into(),
            (Mode::Encode, Encoder::X265) => format!("x265 {} crf {}", self.preset, self.crf),
        }
    }

    /// Names the first setting that no encoder would take.
    ///
    /// # Errors
    /// A sentence that names the setting, the value and what is allowed.
    pub fn validate(&self) -> Result<(), String> {
        const PRESETS: [&str; 10] = [
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
        if !(0.0..=51.0).contains(&self.crf) {
            return Err(format!("recipe.crf is {}, allowed is 0 to 51", self.crf));
        }
        if !PRESETS.contains(&self.preset.as_str()) {
            return Err(format!(
                "recipe.preset is {:?}, allowed is one of {}",
                self.preset,
                PRESETS.join(", ")
            ));
        }
        if !(0.0..=100.0).contains(&self.max_missing_rpu_percent) {
            return Err(format!(
                "recipe.max_missing_rpu_percent is {}, allowed is 0 to 100",
                self.max_missing_rpu_percent
            ));
        }
        // A ':' would smuggle further options past the list; whitespace is never part of an x265 option.
        match self
            .x265_params
            .iter()
            .find(|p| p.contains(|c: char| c == ':' || c.is_whitespace() || c.is_control()))
        {
            Some(bad) => Err(format!("recipe.x265_params has {bad:?}, each entry must be one key=value")),
            None => Ok(()),
        }
    }
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
    fn the_digest_follows_every_change() {
        let base = Recipe::default();
        assert_eq!(base.digest(), Recipe::default().digest());
        assert_ne!(base.digest(), Recipe { mode: Mode::Copy, ..Recipe::default() }.digest());
        assert_ne!(base.digest(), Recipe { fel: FelPolicy::Refuse, ..Recipe::default() }.digest());
    }
}
