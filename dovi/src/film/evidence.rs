//! What the verdict rests on, folded over every RPU looked at.
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write,
};

use serde::{Deserialize, Serialize};

use super::{Hdr10, Hdr10Source, Verdict};
use crate::{
    matroska::DoviConfig,
    rpu::{CmVersion, ElType, L6, RpuInfo, pq12_to_nits},
};

/// Both rules allow this much for rounding of luminances to PQ codes and to whole nits.
const TOLERANCE: f64 = 0.05;
/// Frames in a row above the base layer's peak before rule R2 fires: half a second, so no single bad shot edge.
const R2_RUN: u64 = 12;
/// Peak assumed for a base layer without MaxCLL.
const DEFAULT_PEAK: f64 = 1000.0;
/// Distinct active areas kept; more only means "variable".
const MAX_AREAS: usize = 64;

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

/// Evidence for a verdict.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Only parts of the film were looked at.
    pub sampled: bool,
    /// Frames looked at.
    pub frames: u64,
    /// RPUs among them.
    pub rpus: u64,
    /// RPUs by profile.
    pub profiles: BTreeMap<u8, u64>,
    /// RPUs with the trivial NLQ.
    pub mel_rpus: u64,
    /// RPUs with a real NLQ.
    pub fel_rpus: u64,
    /// Highest content mapping version.
    pub cm: Option<CmVersion>,
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
    /// Share of RPUs with an own mapping whose luma curve is identity, 0 to 1; 1 without any.
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
    /// Level 6 of the first RPU that has one.
    pub l6: Option<L6>,
    /// Level 9 primaries of the first RPU that has them.
    pub l9_primaries: Option<u8>,
    /// RPUs that open a scene.
    pub scene_cuts: u64,
    /// The container's Dolby Vision record.
    pub claim: Option<DoviConfig>,
    /// Rules that fired.
    pub rules: Vec<Rule>,
    /// Contradictions worth a person's eye.
    pub notes: Vec<String>,
}

/// Accumulates [`Evidence`]; keeps no RPU.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    evidence: Evidence,
    areas: BTreeSet<[u16; 4]>,
    with_mapping: u64,
    identity: u64,
    nlq: Option<[u64; 4]>,
    max_pq: u16,
}

/// What is known beside the RPUs.
pub(crate) struct Context<'a> {
    pub(crate) sampled: bool,
    pub(crate) frames: u64,
    /// Level 1 maximum by display order; `None` also separates places of a sample.
    pub(crate) l1_max: &'a [Option<u16>],
    pub(crate) hdr10: &'a Hdr10,
    pub(crate) el_bytes: u64,
    pub(crate) seconds: f64,
    /// Transfer characteristics of the base layer, from its VUI, else the container.
    pub(crate) transfer: Option<u64>,
    pub(crate) claim: Option<DoviConfig>,
}

impl Fold {
    pub(crate) fn add(&mut self, info: &RpuInfo) {
        let e = &mut self.evidence;
        e.rpus += 1;
        *e.profiles.entry(info.profile).or_default() += 1;
        match info.el {
            Some(ElType::Mel) => e.mel_rpus += 1,
            Some(ElType::Fel) => e.fel_rpus += 1,
            None => {}
        }
        e.cm = e.cm.max(info.cm_version);
        e.scene_cuts += u64::from(info.scene_refresh);
        e.l6 = e.l6.or(info.l6);
        e.l9_primaries = e.l9_primaries.or(info.l9_primaries);
        self.max_pq = self.max_pq.max(info.source_max_pq);
        if let Some(area) = info.l5
            && self.areas.len() < MAX_AREAS
        {
            self.areas.insert(area);
        }
        if let Some(deviation) = info.luma_deviation {
            self.with_mapping += 1;
            self.identity += u64::from(info.identity_mapping());
            e.max_luma_deviation = e.max_luma_deviation.max(deviation);
        }
        if let Some(nlq) = info.nlq_luma {
            let same = *self.nlq.get_or_insert(nlq) == nlq;
            e.nlq_constant = Some(e.nlq_constant.unwrap_or(true) && same);
        }
    }

    /// Level 6 and level 9 primaries, for the HDR10 values.
    pub(crate) fn levels(&self) -> (Option<L6>, Option<u8>) {
        (self.evidence.l6, self.evidence.l9_primaries)
    }

    pub(crate) fn finish(self, context: &Context<'_>) -> (Verdict, Evidence) {
        let mut e = self.evidence;
        e.sampled = context.sampled;
        e.frames = context.frames;
        e.claim = context.claim;
        e.el_bytes = context.el_bytes;
        e.el_kbps = (context.el_bytes > 0 && context.seconds > 0.0)
            .then(|| e.el_bytes as f64 * 8.0 / 1000.0 / context.seconds);
        e.identity_share =
            if self.with_mapping == 0 { 1.0 } else { self.identity as f64 / self.with_mapping as f64 };
        e.l5 = match (self.areas.len(), self.areas.first()) {
            (1, Some(area)) => L5Behaviour::Constant(*area),
            (0, _) | (_, None) => L5Behaviour::Absent,
            (n, _) => L5Behaviour::Variable(n),
        };
        e.rpu_mdl_nits = (self.max_pq > 0).then(|| pq12_to_nits(self.max_pq));
        let own = |source: Option<Hdr10Source>| source.is_some_and(|s| s != Hdr10Source::L6);
        let hdr10 = context.hdr10;
        e.bl_mdl_nits =
            hdr10.mdcv.filter(|_| own(hdr10.mdcv_source)).map(|m| f64::from(m.max_luminance) / 10_000.0);
        let max_cll = hdr10.cll.filter(|c| own(hdr10.cll_source) && c.max_cll > 0);
        e.bl_peak_nits = max_cll.map_or(DEFAULT_PEAK, |c| f64::from(c.max_cll));
        e.max_l1_nits = context.l1_max.iter().flatten().max().map(|pq| pq12_to_nits(*pq));
        let limit = e.bl_peak_nits * (1.0 + TOLERANCE);
        let mut run = 0;
        for max in context.l1_max {
            let over = max.is_some_and(|pq| pq12_to_nits(pq) > limit);
            run = if over { run + 1 } else { 0 };
            e.frames_over += u64::from(over);
            e.longest_over = e.longest_over.max(run);
        }
        let verdict = judge(&mut e, context);
        (verdict, e)
    }
}

fn judge(e: &mut Evidence, context: &Context<'_>) -> Verdict {
    if e.profiles.len() > 1 {
        let list: Vec<String> = e.profiles.iter().map(|(p, n)| format!("{n} of profile {p}")).collect();
        e.notes.push(format!("rpus of several profiles: {}", list.join(", ")));
    }
    let found = if e.profiles.contains_key(&7) { Some(7) } else { e.profiles.keys().next_back().copied() };
    match (found, context.claim) {
        (None, Some(claim)) => {
            e.notes.push(format!("container claims profile {}, but there is no rpu", claim.profile));
        }
        (Some(profile), Some(claim)) if profile != claim.profile => {
            e.notes.push(format!("container claims profile {}, rpus are profile {profile}", claim.profile));
        }
        _ => {}
    }
    let compat = match context.transfer {
        Some(16) => 1,
        Some(18) => 4,
        _ => 2,
    };
    match found {
        Some(7) => {
            if e.el_bytes == 0 {
                e.notes.push("profile 7 rpus without an enhancement layer".to_owned());
            }
            if e.fel_rpus == 0 && e.mel_rpus > 0 {
                return Verdict::Mel;
            }
            if e.fel_rpus > 0 && e.mel_rpus > 0 {
                e.notes.push(format!("{} mel rpus among {} fel rpus", e.mel_rpus, e.fel_rpus));
            }
            let made_for = e.bl_mdl_nits.zip(e.rpu_mdl_nits);
            if made_for.is_some_and(|(bl, rpu)| {
                bl <= 1000.0 * (1.0 + TOLERANCE) && rpu >= 4000.0 * (1.0 - TOLERANCE)
            }) {
                e.rules.push(Rule::R1);
            }
            if e.longest_over >= R2_RUN {
                e.rules.push(Rule::R2);
            }
            if e.rules.is_empty() { Verdict::Fel } else { Verdict::FelExpanding }
        }
        Some(8) => {
            let claimed = context.claim.filter(|c| c.profile == 8).map(|c| c.compat);
            Verdict::Profile8 { compat: claimed.unwrap_or(compat) }
        }
        Some(5) => Verdict::Profile5,
        Some(other) => Verdict::OtherProfile(other),
        None => match context.transfer {
            Some(16) => Verdict::Hdr10,
            Some(18) => Verdict::Hlg,
            None | Some(2) if context.hdr10.mdcv.is_some() => Verdict::Hdr10,
            _ => Verdict::Sdr,
        },
    }
}

impl Evidence {
    /// The main figures in one line, for people.
    #[must_use]
    pub fn summary(&self) -> String {
        let mut line = String::new();
        if self.rpus == 0 {
            line.push_str("no rpu");
        } else {
            let cm = match self.cm {
                Some(CmVersion::V40) => "CM v4.0",
                Some(CmVersion::V29) => "CM v2.9",
                None => "no display management data",
            };
            line.push_str(cm);
        }
        if let Some(nits) = self.max_l1_nits {
            let _ = write!(line, ", L1 max {nits:.0} nits over a base layer of {:.0}", self.bl_peak_nits);
        }
        if let Some((bl, rpu)) = self.bl_mdl_nits.zip(self.rpu_mdl_nits) {
            let _ = write!(line, ", mastered {bl:.0}/{rpu:.0} nits (bl/rpu)");
        }
        if let Some(kbps) = self.el_kbps {
            let _ = write!(line, ", EL {:.2} Mbit/s", kbps / 1000.0);
        }
        match &self.l5 {
            L5Behaviour::Absent => {}
            L5Behaviour::Constant([l, r, t, b]) => {
                let _ = write!(line, ", L5 {l}/{r}/{t}/{b}");
            }
            L5Behaviour::Variable(n) => {
                let _ = write!(line, ", L5 variable ({n} areas)");
            }
        }
        if !self.rules.is_empty() {
            let rules: Vec<String> = self.rules.iter().map(|r| format!("{r:?}")).collect();
            let _ = write!(line, ", {} over for up to {} frames", rules.join("+"), self.longest_over);
        }
        if self.sampled {
            let _ = write!(line, " [{} frames sampled]", self.frames);
        }
        line
    }
}
