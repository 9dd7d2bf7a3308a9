//! The light half of V5: mastering display and light level as exact integers, in the stream as in the container.

use common::job::Check;
use dovi::film::{FilmIndex, Hdr10, Hdr10Source};
use serde_json::Value;

use super::findings::Findings;
use super::pair::Pair;
use super::profile::film;
use super::words::{count, or_none};

/// How a person calls the place a value was found.
fn place(source: Option<Hdr10Source>) -> &'static str {
    match source {
        Some(Hdr10Source::Sei) => "the stream (SEI)",
        Some(Hdr10Source::Container) => "the container",
        Some(Hdr10Source::L6) => "the rpus (level 6)",
        None => "nowhere",
    }
}

/// Players ask the stream first; the rest is second best.
fn rank(source: Option<Hdr10Source>) -> u8 {
    match source {
        Some(Hdr10Source::Sei) => 0,
        Some(Hdr10Source::Container) => 1,
        Some(Hdr10Source::L6) => 2,
        None => 3,
    }
}

impl Pair<'_> {
    pub(super) fn hdr10(&self) -> Check {
        let (s, r) = (&self.source.hdr10, &self.result.hdr10);
        let mut f = Findings::new("hdr10");
        let mdcv = |h: &Hdr10| h.mdcv.map(|m| m.to_x265());
        let cll = |h: &Hdr10| h.cll.map(|c| format!("{},{}", c.max_cll, c.max_fall));
        value(&mut f, "mastering display", (mdcv(s), s.mdcv_source), (mdcv(r), r.mdcv_source));
        value(&mut f, "light level (MaxCLL, MaxFALL)", (cll(s), s.cll_source), (cll(r), r.cll_source));
        self.container(&mut f);
        let loc = |i: &FilmIndex| i.video.vui.and_then(|v| v.chroma_loc).unwrap_or(0);
        f.equal("the chroma location", &loc(self.source), &loc(self.result));
        let differs =
            |i: &u64| self.display(*i).and_then(|d| self.source.hdr10plus(d)) != self.result.hdr10plus(*i);
        let wrong: Vec<u64> = (0..self.result.frames).filter(differs).collect();
        if let Some(first) = wrong.first() {
            let lost = wrong.iter().filter(|i| self.result.hdr10plus(**i).is_none()).count();
            let how = if lost == wrong.len() { "lost their" } else { "have other" };
            let n = count(wrong.len() as u64, "frame");
            f.wrong(format!("{n} {how} HDR10+ metadata, the first is frame {first}"));
        }
        f.figure("master_display", mdcv(r));
        f.figure("max_cll", r.cll.map(|c| c.max_cll));
        f.figure("max_fall", r.cll.map(|c| c.max_fall));
        f.figure("mastering_from", word(r.mdcv_source));
        f.figure("light_level_from", word(r.cll_source));
        f.figure("chroma_location", loc(self.result));
        f.figure("hdr10plus_frames", self.result.counts.hdr10plus);
        f.finish(format!(
            "mastering display {}, light level {}, chroma location {}, HDR10+ on {}",
            or_none(mdcv(r)),
            or_none(cll(r)),
            loc(self.result),
            count(self.result.counts.hdr10plus, "frame")
        ))
    }

    /// What the container repeats must be there if it was, and must not contradict the stream.
    fn container(&self, f: &mut Findings) {
        let colour = |i| film(i).video.as_ref().and_then(|v| v.colour.as_ref());
        let (s, r) = (colour(self.source), colour(self.result));
        let has = |c: Option<&dovi::matroska::Colour>| {
            c.map_or((false, false), |c| (c.mastering.is_some(), c.max_cll.is_some()))
        };
        let (had, has) = (has(s), has(r));
        // Where the stream has lost it as well, that was said already.
        if had.0 && !has.0 && self.result.hdr10.mdcv.is_some() {
            f.wrong("the container has lost the mastering display");
        }
        if had.1 && !has.1 && self.result.hdr10.cll.is_some() {
            f.wrong("the container has lost the light level");
        }
        for text in self.result.hdr10.disagreements.iter().filter(|d| d.contains("container")) {
            f.odd(
                format!("stream and container disagree on the {text}"),
                self.source.hdr10.disagreements.contains(text),
            );
        }
    }
}

fn value(
    f: &mut Findings,
    what: &str,
    (want, from): (Option<String>, Option<Hdr10Source>),
    (found, at): (Option<String>, Option<Hdr10Source>),
) {
    match (&want, &found) {
        (Some(want), Some(found)) if want == found && rank(at) > rank(from) => {
            f.wrong(format!("the {what} is no longer in {}, only in {}", place(from), place(at)));
        }
        (want, found) if want == found => {}
        (Some(want), None) => f.wrong(format!("the {what} is lost; it was {want}")),
        (None, Some(found)) => f.wrong(format!("there is a {what} of {found}, the source has none")),
        _ => f.equal(format!("the {what}"), &or_none(want), &or_none(found)),
    }
}

fn word(source: Option<Hdr10Source>) -> Value {
    source.map(|s| serde_json::to_value(s).unwrap_or_default()).unwrap_or_default()
}
