//! From single RPUs to a verdict: [`Evidence`] folded over every RPU looked at.
use std::collections::BTreeMap;

use super::{Area, Evidence, Hdr10, Hdr10Source, L5Behaviour, Rule, Verdict};
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
/// Active areas listed in the evidence.
const LISTED_AREAS: usize = 8;
/// The widest films (Ultra Panavision) have 2.76:1, portrait video 9:16: an active area beyond is of another picture.
const ASPECTS: std::ops::RangeInclusive<f64> = 0.5..=2.85;

/// Accumulates [`Evidence`]; keeps no RPU.
#[derive(Debug, Default)]
pub(crate) struct Fold {
    evidence: Evidence,
    areas: BTreeMap<[u16; 4], u64>,
    identity: u64,
    nlq: Option<[u64; 4]>,
    max_pq: u16,
}

/// What is known beside the RPUs.
pub(crate) struct Context<'a> {
    pub(crate) sampled: bool,
    pub(crate) frames: u64,
    /// Frames the film has, or is likely to have.
    pub(crate) frames_of: Option<u64>,
    pub(crate) places: u64,
    /// Level 1 maximum by display order; `None` also separates places of a sample.
    pub(crate) l1_max: &'a [Option<u16>],
    pub(crate) hdr10: &'a Hdr10,
    pub(crate) el_bytes: u64,
    pub(crate) seconds: f64,
    /// Transfer characteristics of the base layer, from its VUI, else the container.
    pub(crate) transfer: Option<u64>,
    pub(crate) claim: Option<DoviConfig>,
    /// Width and height of the picture.
    pub(crate) size: (u32, u32),
}

impl Fold {
    pub(crate) fn add(&mut self, info: &RpuInfo, bytes: usize) {
        let e = &mut self.evidence;
        e.rpus += 1;
        e.largest_rpu = e.largest_rpu.max(bytes);
        *e.profiles.entry(info.profile).or_default() += 1;
        match info.el {
            Some(ElType::Mel) => e.mel_rpus += 1,
            Some(ElType::Fel) => e.fel_rpus += 1,
            None => {}
        }
        e.reusing_rpus += u64::from(info.uses_previous);
        e.cm = e.cm.max(info.cm_version);
        match info.cm_version {
            Some(CmVersion::V29) => e.cm_rpus[0] += 1,
            Some(CmVersion::V40) => e.cm_rpus[1] += 1,
            None => {}
        }
        e.scene_cuts += u64::from(info.scene_refresh);
        e.l6 = e.l6.or(info.l6);
        e.l9_primaries = e.l9_primaries.or(info.l9_primaries);
        self.max_pq = self.max_pq.max(info.source_max_pq);
        match info.l5 {
            Some(area) if self.areas.len() < MAX_AREAS || self.areas.contains_key(&area) => {
                *self.areas.entry(area).or_default() += 1;
            }
            Some(_) => {}
            None => e.l5_absent += 1,
        }
        if let Some(deviation) = info.luma_deviation {
            e.curves += 1;
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
        e.frames_of = context.frames_of;
        e.places = context.places;
        e.claim = context.claim;
        e.el_bytes = context.el_bytes;
        e.el_kbps = (context.el_bytes > 0 && context.seconds > 0.0)
            .then(|| e.el_bytes as f64 * 8.0 / 1000.0 / context.seconds);
        e.identity_share = if e.curves == 0 { 1.0 } else { self.identity as f64 / e.curves as f64 };
        e.l5 = match (self.areas.len(), self.areas.first_key_value()) {
            (1, Some((area, _))) => L5Behaviour::Constant(*area),
            (0, _) | (_, None) => L5Behaviour::Absent,
            (n, _) => L5Behaviour::Variable(n),
        };
        e.l5_areas = self.areas.into_iter().map(|(offsets, rpus)| Area { offsets, rpus }).collect();
        e.l5_areas.sort_by_key(|a| std::cmp::Reverse(a.rpus));
        e.l5_areas.truncate(LISTED_AREAS);
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
        contradictions(&mut e, context);
        (verdict, e)
    }
}

fn judge(e: &mut Evidence, context: &Context<'_>) -> Verdict {
    // One profile 7 RPU makes a profile 7 film; what stands beside it is named below.
    let found = if e.profiles.contains_key(&7) { Some(7) } else { e.profiles.keys().next_back().copied() };
    let compat = match context.transfer {
        Some(16) => 1,
        Some(18) => 4,
        _ => 2,
    };
    match found {
        Some(7) => {
            if e.fel_rpus == 0 && e.mel_rpus > 0 {
                return Verdict::Mel;
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

/// Where the film's parts disagree. None of it stops a conversion by itself.
fn contradictions(e: &mut Evidence, context: &Context<'_>) {
    let mut notes = Vec::new();
    if e.profiles.len() > 1 {
        let list: Vec<String> = e.profiles.iter().map(|(p, n)| format!("{n} of profile {p}")).collect();
        notes.push(format!("rpus of several profiles: {}", list.join(", ")));
    }
    if e.fel_rpus > 0 && e.mel_rpus > 0 {
        notes.push(format!("mixed layers: {}; the film counts as FEL", e.layers()));
    }
    if let Some(claim) = context.claim {
        match e.profiles.keys().next_back() {
            None => {
                notes.push(format!("container claims profile {}, but there is no rpu", claim.profile));
            }
            Some(_) if !e.profiles.contains_key(&claim.profile) => {
                let found: Vec<String> = e.profiles.keys().map(u8::to_string).collect();
                notes.push(format!(
                    "container claims profile {}, rpus are profile {}: the rpus count",
                    claim.profile,
                    found.join(" and ")
                ));
            }
            Some(_) => {}
        }
    }
    if e.profiles.contains_key(&7) && e.el_bytes == 0 {
        let claims = if e.claim.is_some_and(|c| c.el) { ", though the container claims one" } else { "" };
        notes
            .push(format!("profile 7 rpus without an enhancement layer{claims}: only metadata is converted"));
    }
    if e.profiles.contains_key(&8) && !e.profiles.contains_key(&7) && e.el_bytes > 0 {
        notes.push("an enhancement layer beside profile 8 rpus, which have no use for it".to_owned());
    }
    notes.extend(misfit(e, context.size));
    e.notes.extend(notes);
}

/// Active areas that cannot belong to this picture: metadata of another release or of an uncropped master.
fn misfit(e: &Evidence, (width, height): (u32, u32)) -> Option<String> {
    let (w, h) = (i64::from(width), i64::from(height));
    if w == 0 || h == 0 {
        return None;
    }
    let off = |a: &&Area| {
        let [l, r, t, b] = a.offsets.map(i64::from);
        let (inner_w, inner_h) = (w - l - r, h - t - b);
        let bars = a.offsets != [0; 4];
        bars && (inner_w <= 0 || inner_h <= 0 || !ASPECTS.contains(&(inner_w as f64 / inner_h as f64)))
    };
    let area = e.l5_areas.iter().find(off)?;
    let [l, r, t, b] = area.offsets;
    Some(format!(
        "active area {l}/{r}/{t}/{b} (level 5) leaves {}x{} of a {w}x{h} picture: the metadata may be from another release",
        (w - i64::from(l) - i64::from(r)).max(0),
        (h - i64::from(t) - i64::from(b)).max(0),
    ))
}
