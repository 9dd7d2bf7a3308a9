//! V12: what the RPUs say is possible, fits the picture, and is what the source said.

use common::job::Check;
use dovi::film::FrameLevels;
use dovi::rpu::{L1, pq12_to_nits};

use super::findings::Findings;
use super::pair::Pair;
use super::words::count;

/// Greatest 12-bit PQ code.
const MAX_PQ: u16 = 4095;

impl Pair<'_> {
    pub(super) fn levels(&self) -> Check {
        let mut f = Findings::new("levels");
        let planned = filled(&self.source.levels);
        let size = (self.result.video.width, self.result.video.height);
        let (mut l1, mut outside, mut pq) = (Odd::default(), Odd::default(), Odd::default());
        let (mut cuts, mut planned_cuts, mut moved, mut first_moved) = (0u64, 0u64, 0u64, None);
        let mut dark_bright: Option<(u16, u16)> = None;
        for (i, found) in (0u64..).zip(&self.result.levels) {
            let plan = self
                .display(i)
                .and_then(|d| usize::try_from(d).ok())
                .and_then(|d| planned.get(d).copied().flatten());
            planned_cuts += u64::from(plan.is_some_and(|p| p.scene_cut));
            let Some(found) = found else { continue };
            cuts += u64::from(found.scene_cut);
            l1.take(i, !in_order(found.l1), plan.is_some_and(|p| p.l1 == found.l1));
            outside.take(i, !fits(found.l5, size), plan.is_some_and(|p| p.l5 == found.l5));
            pq.take(i, !plausible(found), plan.is_some_and(|p| p.source_pq == found.source_pq));
            if plan.is_some_and(|p| p.l5 != found.l5) {
                moved += 1;
                first_moved.get_or_insert(i);
            }
            let (min, max) = found.source_pq;
            dark_bright = Some(dark_bright.map_or((min, max), |(a, b)| (a.min(min), b.max(max))));
        }
        l1.tell(&mut f, "frames whose L1 is not minimum <= average <= maximum <= 4095");
        outside.tell(&mut f, "frames whose active area (L5) leaves nothing of the picture");
        pq.tell(&mut f, "frames with an impossible mastering range (source_min_pq, source_max_pq)");
        if let Some(first) = first_moved {
            f.wrong(format!(
                "{} with another active area (L5), the first is frame {first}",
                count(moved, "frame")
            ));
        }
        // Where frames or RPUs are missing, the cuts that went with them are no finding of their own.
        let complete = self.result.frames == self.count() && self.result.counts.missing == 0;
        if cuts != planned_cuts && complete {
            f.wrong(format!("the number of scene cuts is {cuts} instead of {planned_cuts}"));
        }
        let found = self.result.levels.iter().flatten();
        let l6 = found.clone().find_map(|l| l.l6);
        if let Some(text) = self.level_6(l6) {
            f.remark(text);
        }
        f.figure("l1_out_of_order", l1.all);
        f.figure("l5_outside", outside.all);
        f.figure("l5_changed", moved);
        f.figure("scene_cuts", cuts);
        f.figure("scene_cuts_planned", planned_cuts);
        f.figure("source_min_pq", dark_bright.map(|d| d.0));
        f.figure("source_max_pq", dark_bright.map(|d| d.1));
        f.figure("l6", l6.map(|l| vec![l.max_nits, l.min_0_0001, l.max_cll, l.max_fall]));
        let with_l1 = found.filter(|l| l.l1.is_some()).count() as u64;
        let mastered = dark_bright
            .filter(|d| d.1 > 0)
            .map(|(_, max)| format!(", mastered for {} nits", rounded(pq12_to_nits(max))))
            .unwrap_or_default();
        if self.result.counts.rpus == 0 {
            return f.finish("nothing to look at: there are no rpus");
        }
        f.finish(format!(
            "L1 in order on {}, active area (L5) unchanged, {} as planned{mastered}",
            count(with_l1, "frame"),
            count(cuts, "scene cut")
        ))
    }

    /// Where level 6 says something else than the base layer.
    fn level_6(&self, l6: Option<dovi::rpu::L6>) -> Option<String> {
        let (l6, hdr10) = (l6?, &self.result.hdr10);
        let own = hdr10.mdcv.map(|m| (m.max_luminance / 10_000, m.min_luminance));
        let said = (u32::from(l6.max_nits), u32::from(l6.min_0_0001));
        let light = hdr10.cll.map(|c| (c.max_cll, c.max_fall));
        let said_light = (l6.max_cll, l6.max_fall);
        let mut text = Vec::new();
        if let Some((max, min)) = own.filter(|own| l6.max_nits > 0 && *own != said) {
            let nits = |n: u32| f64::from(n) / 1e4;
            text.push(format!(
                "mastering {}..{} nits, the base layer {}..{max}",
                nits(said.1),
                said.0,
                nits(min)
            ));
        }
        if let Some((cll, fall)) = light.filter(|light| l6.max_cll > 0 && *light != said_light) {
            text.push(format!("light level {},{}, the base layer {cll},{fall}", said_light.0, said_light.1));
        }
        (!text.is_empty()).then(|| format!("level 6 says {}", text.join("; ")))
    }
}

/// A PQ code stands for a range of luminances: 3079 is 1001 nits by its middle, and 1000 by everybody's word.
fn rounded(nits: f64) -> f64 {
    if nits < 100.0 { nits.round() } else { (nits / 10.0).round() * 10.0 }
}

/// Frames without RPU get what a conversion gives them: the frame before, without its scene cut.
fn filled(levels: &[Option<FrameLevels>]) -> Vec<Option<FrameLevels>> {
    let mut last = levels.iter().flatten().next().copied();
    levels
        .iter()
        .map(|level| {
            let filled = level.or_else(|| last.map(|l| FrameLevels { scene_cut: false, ..l }));
            last = filled;
            filled
        })
        .collect()
}

fn in_order(l1: Option<L1>) -> bool {
    l1.is_none_or(|l| l.min <= l.avg && l.avg <= l.max && l.max <= MAX_PQ)
}

fn fits(l5: Option<[u16; 4]>, (width, height): (u32, u32)) -> bool {
    let sum = |a: u16, b: u16| u32::from(a) + u32::from(b);
    l5.is_none_or(|[left, right, top, bottom]| sum(left, right) < width && sum(top, bottom) < height)
}

/// Both zero is "no display management data".
fn plausible(levels: &FrameLevels) -> bool {
    let (min, max) = levels.source_pq;
    (min, max) == (0, 0) || (min < max && max <= MAX_PQ)
}

/// Frames with an oddity, and whether the source has every one of them.
#[derive(Default)]
struct Odd {
    all: u64,
    own: u64,
    first: Option<u64>,
}

impl Odd {
    fn take(&mut self, i: u64, odd: bool, as_planned: bool) {
        if odd {
            self.all += 1;
            self.own += u64::from(!as_planned);
            self.first.get_or_insert(i);
        }
    }

    fn tell(&self, f: &mut Findings, what: &str) {
        if let Some(first) = self.first {
            f.odd(format!("{} {what}, the first is frame {first}", self.all), self.own == 0);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level(l5: [u16; 4], scene_cut: bool) -> FrameLevels {
        let l1 = Some(L1 { min: 0, avg: 5, max: 9 });
        FrameLevels { profile: 8, nlq: false, l1, l5: Some(l5), l6: None, source_pq: (7, 3079), scene_cut }
    }

    #[test]
    fn what_is_impossible_is_seen() {
        assert!(in_order(None) && in_order(Some(L1 { min: 3, avg: 3, max: 3 })));
        assert!(
            !in_order(Some(L1 { min: 0, avg: 9, max: 8 }))
                && !in_order(Some(L1 { min: 0, avg: 9, max: 4096 }))
        );
        assert!(fits(Some([0, 0, 276, 276]), (3840, 2160)) && !fits(Some([0, 0, 1080, 1080]), (3840, 2160)));
        assert!(plausible(&level([0; 4], false)));
        assert!(!plausible(&FrameLevels { source_pq: (5, 5), ..level([0; 4], false) }));
    }

    #[test]
    fn a_gap_is_expected_to_hold_what_it_is_filled_with() {
        let (a, b) = (level([1; 4], true), level([2; 4], true));
        let quiet = |l: FrameLevels| Some(FrameLevels { scene_cut: false, ..l });
        assert_eq!(filled(&[None, Some(a), None, Some(b)]), [quiet(a), Some(a), quiet(a), Some(b)]);
    }
}
