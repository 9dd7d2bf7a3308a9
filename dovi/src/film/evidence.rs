//! What a verdict rests on, as figures and in words.
use std::{collections::BTreeMap, fmt::Write};

use serde::{Deserialize, Serialize};

use super::Verdict;
use crate::{
    matroska::DoviConfig,
    rpu::{CmVersion, L6},
};

/// A rule that says the enhancement layer expands brightness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Rule {
    /// The base layer was mastered for 1000 nits, the RPU for 4000 or more.
    R1,
    /// Level 1 of at least 12 consecutive frames is above the base layer's peak.
    R2,
}

/// How the active area (level 5) behaves over the film.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum L5Behaviour {
    /// No level 5.
    #[default]
    Absent,
    /// The same left, right, top, bottom offsets wherever it is present.
    Constant([u16; 4]),
    /// So many different areas (counting stops at 64).
    Variable(usize),
}

/// One active area and how often it occurs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Area {
    /// Left, right, top, bottom offsets in luma samples.
    pub offsets: [u16; 4],
    /// RPUs with it.
    pub rpus: u64,
}

/// Evidence for a verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Only parts of the film were looked at.
    pub sampled: bool,
    /// Frames looked at.
    pub frames: u64,
    /// Frames the film has: counted, or for a sample what its declared duration makes likely.
    pub frames_of: Option<u64>,
    /// Places of the film that were looked at; 1 if it was read through.
    pub places: u64,
    /// RPUs among the frames.
    pub rpus: u64,
    /// RPUs by profile.
    pub profiles: BTreeMap<u8, u64>,
    /// RPUs with the trivial NLQ.
    pub mel_rpus: u64,
    /// RPUs with a real NLQ.
    pub fel_rpus: u64,
    /// RPUs that reuse the mapping of an earlier one, and so say nothing about the layer.
    pub reusing_rpus: u64,
    /// Highest content mapping version.
    pub cm: Option<CmVersion>,
    /// RPUs by content mapping version: v2.9, v4.0.
    pub cm_rpus: [u64; 2],
    /// Brightest level 1 maximum, nits.
    pub max_l1_nits: Option<f64>,
    /// Peak of the base layer: MaxCLL, else 1000 nits.
    pub bl_peak_nits: f64,
    /// Mastering display maximum of the base layer, nits; never taken from the RPU.
    pub bl_mdl_nits: Option<f64>,
    /// Mastering display maximum of the RPUs, nits.
    pub rpu_mdl_nits: Option<f64>,
    /// Frames whose level 1 maximum is above the peak and its tolerance.
    pub frames_over: u64,
    /// Longest run of them.
    pub longest_over: u64,
    /// RPUs with a polynomial luma curve of their own.
    pub curves: u64,
    /// Share of them whose curve is identity, 0 to 1; 1 without any.
    pub identity_share: f64,
    /// Greatest distance of a luma curve from identity, in 10-bit codes.
    pub max_luma_deviation: f32,
    /// All NLQ parameters are the same; `None` without NLQ.
    pub nlq_constant: Option<bool>,
    /// Bytes of enhancement layer seen.
    pub el_bytes: u64,
    /// Its bit rate over the frames looked at, kbit/s.
    pub el_kbps: Option<f64>,
    /// Active area.
    pub l5: L5Behaviour,
    /// The most frequent active areas, at most 8.
    pub l5_areas: Vec<Area>,
    /// RPUs without level 5.
    pub l5_absent: u64,
    /// Level 6 of the first RPU that has one.
    pub l6: Option<L6>,
    /// Level 9 primaries of the first RPU that has them.
    pub l9_primaries: Option<u8>,
    /// RPUs that open a scene.
    pub scene_cuts: u64,
    /// Bytes of the largest RPU.
    pub largest_rpu: usize,
    /// The container's Dolby Vision record.
    pub claim: Option<DoviConfig>,
    /// Rules that fired.
    pub rules: Vec<Rule>,
    /// Contradictions worth a person's eye.
    pub notes: Vec<String>,
}

impl Rule {
    /// The rule with its figures.
    #[must_use]
    pub fn words(self, e: &Evidence) -> String {
        let nits = |n: Option<f64>| n.map_or("?".to_owned(), rounded);
        match self {
            Self::R1 => format!(
                "base layer mastered at {} nits, metadata for {}",
                nits(e.bl_mdl_nits),
                nits(e.rpu_mdl_nits)
            ),
            Self::R2 => format!(
                "{} frames in a row up to {} nits over a base layer of {:.0}",
                e.longest_over,
                nits(e.max_l1_nits),
                e.bl_peak_nits
            ),
        }
    }
}

impl Evidence {
    /// The main figures in one line, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = self.versions();
        if let Some(nits) = self.max_l1_nits {
            let _ =
                write!(line, ", L1 max {} nits over a base layer of {:.0}", rounded(nits), self.bl_peak_nits);
        }
        if let Some((bl, rpu)) = self.bl_mdl_nits.zip(self.rpu_mdl_nits) {
            let _ = write!(line, ", mastered {bl:.0}/{} nits (bl/rpu)", rounded(rpu));
        }
        if let Some(kbps) = self.el_kbps {
            let _ = write!(line, ", EL {:.2} Mbit/s", kbps / 1000.0);
        }
        if self.l5 != L5Behaviour::Absent {
            let _ = write!(line, ", L5 {}", self.areas());
        }
        for rule in &self.rules {
            let _ = write!(line, ", {rule:?}: {}", rule.words(self));
        }
        if self.sampled {
            let _ = write!(line, " [{}]", self.certainty());
        }
        line
    }

    /// `CM v4.0`, `CM v2.9 and v4.0 (12 % v2.9)`, `no rpu`.
    #[must_use]
    pub fn versions(&self) -> String {
        match (self.rpus, self.cm_rpus) {
            (0, _) => "no rpu".to_owned(),
            (_, [0, 0]) => "no display management data".to_owned(),
            (_, [0, _]) => "CM v4.0".to_owned(),
            (_, [_, 0]) => "CM v2.9".to_owned(),
            (_, [old, new]) => {
                format!("CM v2.9 and v4.0 ({} v2.9)", percent(old, old + new))
            }
        }
    }

    /// `MEL on all 240 RPUs`, `FEL on 10 of 48 RPUs (21 %), MEL on 38`.
    #[must_use]
    pub fn layers(&self) -> String {
        match (self.fel_rpus, self.mel_rpus) {
            (0, 0) => "no rpu tells".to_owned(),
            (0, n) => format!("MEL on all {} RPUs", grouped(n)),
            (n, 0) => format!("FEL on all {} RPUs", grouped(n)),
            (fel, mel) => format!(
                "FEL on {} of {} RPUs ({}), MEL on {}",
                grouped(fel),
                grouped(fel + mel),
                percent(fel, fel + mel),
                grouped(mel)
            ),
        }
    }

    /// `left/right/top/bottom`, or how many areas and the two most frequent.
    #[must_use]
    pub fn areas(&self) -> String {
        let text = |[l, r, t, b]: [u16; 4]| format!("{l}/{r}/{t}/{b}");
        match &self.l5 {
            L5Behaviour::Absent => "none".to_owned(),
            L5Behaviour::Constant(area) => text(*area),
            L5Behaviour::Variable(n) => {
                let all: u64 = self.rpus.saturating_sub(self.l5_absent);
                let most = self.l5_areas.iter().take(2);
                let most: Vec<String> =
                    most.map(|a| format!("{} on {}", text(a.offsets), percent(a.rpus, all))).collect();
                format!("variable ({n} areas: {}{})", most.join(", "), if *n > 2 { ", …" } else { "" })
            }
        }
    }

    /// How much of the film this is from.
    #[must_use]
    pub fn certainty(&self) -> String {
        let frames = grouped(self.frames);
        if !self.sampled {
            return format!("from all {frames} frames");
        }
        let places = if self.places == 1 { "1 place".to_owned() } else { format!("{} places", self.places) };
        match self.frames_of {
            Some(of) => format!("from {frames} of about {} frames at {places}", grouped(of.max(self.frames))),
            None => format!("from {frames} frames at {places}"),
        }
    }

    /// What reading all frames may still change about a verdict from samples; `None` if all were read, or nothing.
    #[must_use]
    pub fn may_still_find(&self, verdict: Verdict) -> Option<&'static str> {
        if !self.sampled || self.frames_of.is_some_and(|of| self.frames >= of) {
            return None;
        }
        match verdict {
            Verdict::Mel => Some("a full read may still find FEL parts, or frames without their RPU"),
            Verdict::Fel => Some("a full read may still find brighter scenes, or frames without their RPU"),
            Verdict::FelExpanding | Verdict::Profile8 { .. } | Verdict::Profile5 => None,
            Verdict::OtherProfile(_) => None,
            Verdict::Hdr10 | Verdict::Hlg | Verdict::Sdr => {
                self.claim.is_some().then_some("a full read may still find RPUs")
            }
        }
    }
}

/// Luminances from 12-bit PQ codes are known to about half a percent, so 1001 nits are 1000: three digits count.
#[must_use]
pub fn rounded(nits: f64) -> String {
    let unit = 10f64.powi((nits.max(1.0).log10().floor() as i32 - 2).max(0));
    format!("{:.0}", (nits / unit).round() * unit)
}

/// Thousands apart by a space: `172 800`.
#[must_use]
pub fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(' ');
        }
        out.push(digit);
    }
    out
}

/// A share that is never rounded to none or all.
fn percent(part: u64, all: u64) -> String {
    let share = part as f64 / all.max(1) as f64 * 100.0;
    match share {
        s if s > 0.0 && s < 1.0 => "under 1 %".to_owned(),
        s if s > 99.0 && s < 100.0 => "over 99 %".to_owned(),
        s => format!("{s:.0} %"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_sure_it_is_names_both_counts() {
        let mut e = Evidence {
            sampled: true,
            frames: 288,
            places: 11,
            frames_of: Some(172_800),
            ..Evidence::default()
        };
        assert_eq!(e.certainty(), "from 288 of about 172 800 frames at 11 places");
        e.frames_of = None;
        assert_eq!(e.certainty(), "from 288 frames at 11 places");
        assert!(e.may_still_find(Verdict::Mel).is_some());
        e.frames_of = Some(288);
        assert!(e.may_still_find(Verdict::Mel).is_none());
        e.sampled = false;
        assert_eq!(e.certainty(), "from all 288 frames");
        assert!(e.may_still_find(Verdict::Mel).is_none());
    }

    #[test]
    fn shares_are_never_rounded_to_none_or_all() {
        let e = Evidence { fel_rpus: 3, mel_rpus: 172_797, ..Evidence::default() };
        assert_eq!(e.layers(), "FEL on 3 of 172 800 RPUs (under 1 %), MEL on 172 797");
        let e = Evidence { rpus: 4, cm_rpus: [1, 3], ..Evidence::default() };
        assert_eq!(e.versions(), "CM v2.9 and v4.0 (25 % v2.9)");
        assert_eq!([0.4, 99.6, 1000.8, 2053.0, 3999.7].map(rounded), ["0", "100", "1000", "2050", "4000"]);
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1 000", "1 234 567"]);
    }
}
