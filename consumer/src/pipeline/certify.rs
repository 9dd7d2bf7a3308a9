//! The proof: what was read from the source against what was read from the result. Pure, one function per check.

use std::collections::HashMap;

use common::job::{Check, FailureCode, Mode};
use dovi::film::{Expected, FilmIndex, Hdr10, TrackDigest, Verdict};
use dovi::hash::VclHash;
use dovi::matroska::{Header, Track};

/// What the result should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Whether every frame of the source was kept, or those that a decoder shows were encoded again.
    pub mode: Mode,
    /// Hash of the picture data, if it is known.
    pub payload: Option<VclHash>,
}

/// The checks of a pair, and the number of frames with a wrong RPU.
pub fn checks(source: &FilmIndex, result: &FilmIndex, want: Expectation) -> (Vec<Check>, u64) {
    let pair = Pair { source, result, expected: source.expected(), want };
    let (alignment, wrong) = pair.alignment();
    let mut all = vec![pair.frames(), pair.rpus(), alignment, pair.profile()];
    all.extend(pair.payload());
    all.extend([pair.tracks(), pair.hdr10(), pair.timing()]);
    (all, wrong)
}

/// The failure code of a check.
pub fn code_of(check: &Check) -> FailureCode {
    match check.name.as_str() {
        "frames" => FailureCode::ProofFrames,
        "rpus" => FailureCode::ProofRpus,
        "alignment" => FailureCode::ProofAlignment,
        "profile" => FailureCode::ProofProfile,
        "tracks" => FailureCode::ProofTracks,
        "hdr10" => FailureCode::ProofHdr10,
        "timing" => FailureCode::ProofTiming,
        _ => FailureCode::ProofPayload,
    }
}

struct Pair<'a> {
    source: &'a FilmIndex,
    result: &'a FilmIndex,
    expected: Expected<'a>,
    want: Expectation,
}

fn check(name: &str, wrong: &[String], good: String) -> Check {
    let found = if wrong.is_empty() { good } else { wrong.join("; ") };
    Check { name: name.into(), ok: wrong.is_empty(), found }
}

/// Collects what differs.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn equal<T: PartialEq + std::fmt::Debug>(&mut self, what: &str, want: &T, found: &T) {
        if want != found {
            self.0.push(format!("{what} is {found:?} instead of {want:?}"));
        }
    }

    fn zero(&mut self, what: &str, n: u64) {
        if n > 0 {
            self.0.push(format!("{n} {what}"));
        }
    }
}

impl Pair<'_> {
    fn count(&self) -> u64 {
        if self.want.mode == Mode::Copy { self.source.frames } else { self.expected.frames() }
    }

    /// Display index in the source of frame `i` of the result.
    fn display(&self, i: u64) -> Option<u64> {
        if self.want.mode == Mode::Copy { Some(i) } else { self.expected.display(i) }
    }

    fn frames(&self) -> Check {
        let mut wrong = Differences::default();
        wrong.equal("the number of frames", &self.count(), &self.result.frames);
        let left_out = match self.source.frames - self.count().min(self.source.frames) {
            0 => String::new(),
            n => format!(", {n} of the source are never shown"),
        };
        check("frames", &wrong.0, format!("{} frames{left_out}", self.result.frames))
    }

    fn rpus(&self) -> Check {
        let c = &self.result.counts;
        let mut wrong = Differences::default();
        wrong.equal("the number of rpus", &self.result.frames, &c.rpus);
        wrong.zero("frames without rpu", c.missing);
        wrong.zero("frames with several rpus", c.duplicate);
        wrong.zero("rpus that are not last in their access unit", c.not_last);
        wrong.zero("enhancement layer nal units", c.el_nals);
        check(
            "rpus",
            &wrong.0,
            format!("{} rpus, one per access unit and last, no enhancement layer", c.rpus),
        )
    }

    fn alignment(&self) -> (Check, u64) {
        let frames = self.count().max(self.result.frames);
        let planned = |i| self.display(i).and_then(|d| self.source.rpus.p81_hash(d));
        let is_wrong = |i: &u64| planned(*i).is_none() || planned(*i) != self.result.rpus.raw_hash(*i);
        let wrong: Vec<u64> = (0..frames).filter(is_wrong).collect();
        let text: Vec<String> = wrong
            .first()
            .map(|first| {
                format!("{} of {frames} frames have a wrong rpu, the first is frame {first}", wrong.len())
            })
            .into_iter()
            .collect();
        let good = format!("0 wrong frames: the rpu of each of {frames} frames is the planned one");
        (check("alignment", &text, good), wrong.len() as u64)
    }

    fn profile(&self) -> Check {
        let (v, mut wrong) = (&self.result.video, Differences::default());
        wrong.equal(
            "the rpu profile",
            &Verdict::Profile8 { compat: 1 }.to_string(),
            &self.result.verdict.to_string(),
        );
        match self.result.header.tracks[v.track_id].dovi {
            Some(d) => {
                let found = (d.profile, d.compat, d.rpu, d.bl, d.el);
                wrong.equal(
                    "the record (profile, compatibility, rpu, bl, el)",
                    &(8, 1, true, true, false),
                    &found,
                );
            }
            None => wrong.0.push("there is no Dolby Vision record".into()),
        }
        let vui = v.vui.map(|v| (v.colour_primaries, v.transfer, v.matrix, v.full_range));
        wrong.equal("the colour (primaries, transfer, matrix, full range)", &Some((9, 16, 9, false)), &vui);
        wrong.equal("the bit depth", &10, &v.bit_depth);
        wrong.equal(
            "the picture size",
            &(self.source.video.width, self.source.video.height),
            &(v.width, v.height),
        );
        let good = format!("dvvC 8 compatibility 1, no el, 9/16/9 limited, 10 bit, {}x{}", v.width, v.height);
        check("profile", &wrong.0, good)
    }

    fn payload(&self) -> Option<Check> {
        let want = self.want.payload?;
        let mut wrong = Differences::default();
        wrong.equal("the hash of all slices", &want.to_string(), &self.result.vcl.to_string());
        let what =
            if self.want.mode == Mode::Copy { "the source's base layer" } else { "the encoder's output" };
        Some(check("payload", &wrong.0, format!("all slices are bit-equal to {what} ({want})")))
    }

    fn tracks(&self) -> Check {
        let (source, result) = (&self.source.header, &self.result.header);
        let mut wrong = Differences::default();
        let found: HashMap<u64, &TrackDigest> = self.result.tracks.iter().map(|t| (t.uid, t)).collect();
        for want in &self.source.tracks {
            match found.get(&want.uid) {
                Some(digest) => compare_track(&mut wrong, source, want, result, digest),
                None => wrong.0.push(format!("{} track {} is missing", want.kind, want.number)),
            }
        }
        let uids = |tracks: &[TrackDigest]| tracks.iter().map(|t| t.uid).collect::<Vec<_>>();
        wrong.equal("the order of the tracks", &uids(&self.source.tracks), &uids(&self.result.tracks));
        let film = |i: &FilmIndex| {
            i.video.track_id - usize::from(i.video.el_track.is_some_and(|e| e.track_id < i.video.track_id))
        };
        wrong.equal("the film's place among the tracks", &film(self.source), &film(self.result));
        compare_flags(
            &mut wrong,
            "the film",
            &source.tracks[self.source.video.track_id],
            &result.tracks[self.result.video.track_id],
        );
        wrong.equal("the title", &source.title, &result.title);
        wrong.equal("the number of chapters", &source.chapters, &result.chapters);
        let attached = |h: &Header| {
            let mut all: Vec<_> =
                h.attachments.iter().map(|a| (a.name.clone(), a.mime.clone(), a.size)).collect();
            all.sort();
            all
        };
        wrong.equal("the attachments", &attached(source), &attached(result));
        if source.tags > 0 && result.tags == 0 {
            wrong.0.push("all tags are missing".into());
        }
        let bytes: u64 = self.source.tracks.iter().map(|t| t.bytes).sum();
        let good = format!(
            "{} other tracks bit-equal ({bytes} bytes), {} chapters, {} attachments, title, names, languages and flags",
            self.source.tracks.len(),
            source.chapters,
            source.attachments.len()
        );
        check("tracks", &wrong.0, good)
    }

    fn hdr10(&self) -> Check {
        let (s, r, mut wrong) = (&self.source.hdr10, &self.result.hdr10, Differences::default());
        let mdcv = |h: &Hdr10| h.mdcv.map(|m| m.to_x265());
        let cll = |h: &Hdr10| h.cll.map(|c| (c.max_cll, c.max_fall));
        wrong.equal("the mastering display", &mdcv(s), &mdcv(r));
        wrong.equal("the light level", &cll(s), &cll(r));
        let loc = |i: &FilmIndex| i.video.vui.and_then(|v| v.chroma_loc).unwrap_or(0);
        wrong.equal("the chroma location", &loc(self.source), &loc(self.result));
        let differs =
            |i: &u64| self.display(*i).and_then(|d| self.source.hdr10plus(d)) != self.result.hdr10plus(*i);
        wrong.zero(
            "frames with other HDR10+ metadata",
            (0..self.result.frames).filter(differs).count() as u64,
        );
        let none = || "none".to_owned();
        let good = format!(
            "mastering display {}, light level {}, chroma location {}, HDR10+ on {} frames",
            mdcv(r).unwrap_or_else(none),
            cll(r).map_or_else(none, |(c, f)| format!("{c},{f}")),
            loc(self.result),
            self.result.counts.hdr10plus
        );
        check("hdr10", &wrong.0, good)
    }

    fn timing(&self) -> Check {
        // A result counts in milliseconds. Where the source counts finer, half of one is lost to rounding.
        let finer = self.source.header.timestamp_scale_ns < 1_000_000;
        let most = if finer { 1_500_000 } else { 1_000_000 };
        let want = |i: u64| self.source.pts_ns.get(usize::try_from(self.display(i)?).ok()?).copied();
        let off = |(i, found): (u64, &i64)| want(i).map_or(i64::MAX, |w| (w - found).abs());
        let worst = (0u64..).zip(&self.result.pts_ns).map(off).max().unwrap_or(i64::MAX);
        let wrong: Vec<String> = (worst > most)
            .then(|| match worst {
                i64::MAX => "a frame has no time in the source".into(),
                ns => format!("a frame is {:.3} ms off its time in the source", ns as f64 / 1e6),
            })
            .into_iter()
            .collect();
        let ends = |pts: &[i64]| [pts.first(), pts.last()].map(|t| t.map_or(0.0, |t| *t as f64 / 1e9));
        let [first, last] = ends(&self.result.pts_ns);
        check(
            "timing",
            &wrong,
            format!("{first:.3} s to {last:.3} s, at most {:.3} ms off", worst as f64 / 1e6),
        )
    }
}

fn compare_track(
    wrong: &mut Differences,
    source: &Header,
    want: &TrackDigest,
    result: &Header,
    found: &TrackDigest,
) {
    let name = format!("{} track {}", want.kind, want.number);
    let name = name.as_str();
    wrong.equal(&format!("the codec of {name}"), &want.codec_id, &found.codec_id);
    wrong.equal(&format!("the size of {name}"), &want.bytes, &found.bytes);
    wrong.equal(&format!("the payload of {name}"), &want.payload, &found.payload);
    let near = |a: Option<i64>, b: Option<i64>| match (a, b) {
        (Some(a), Some(b)) => (a - b).abs() <= 1_000_000,
        (a, b) => a == b,
    };
    if !near(want.first_pts_ns, found.first_pts_ns) || !near(want.last_pts_ns, found.last_pts_ns) {
        wrong.0.push(format!("the times of {name} are others"));
    }
    if let (Some(s), Some(r)) = (source.track(want.number), result.track(found.number)) {
        compare_flags(wrong, name, s, r);
    }
}

/// Name, language and flags. mkvmerge adds the BCP 47 form to a language that has only the old one, and writes a flag that
/// was absent as its default.
fn compare_flags(wrong: &mut Differences, name: &str, s: &Track, r: &Track) {
    let text = |t: &Option<String>| t.clone().unwrap_or_default();
    wrong.equal(&format!("the name of {name}"), &text(&s.name), &text(&r.name));
    match &s.language_ietf {
        Some(ietf) => wrong.equal(&format!("the language of {name}"), &Some(ietf), &r.language_ietf.as_ref()),
        None => wrong.equal(&format!("the language of {name}"), &s.language, &r.language),
    }
    let flags = |t: &Track| {
        let on = |f: Option<bool>| f.unwrap_or(false);
        let fixed = [t.flag_enabled, t.flag_default, t.flag_forced];
        (
            fixed,
            [
                t.flag_hearing_impaired,
                t.flag_visual_impaired,
                t.flag_text_descriptions,
                t.flag_original,
                t.flag_commentary,
            ]
            .map(on),
        )
    };
    wrong.equal(&format!("the flags of {name}"), &flags(s), &flags(r));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_code_of_its_name() {
        for name in ["frames", "rpus", "alignment", "profile", "payload", "tracks", "hdr10", "timing"] {
            let check = Check { name: name.into(), ok: false, found: String::new() };
            assert_eq!(code_of(&check).as_str(), format!("proof.{name}"));
        }
    }

    #[test]
    fn what_differs_is_told_with_both_values() {
        let mut wrong = Differences::default();
        wrong.equal("the number of frames", &120, &119);
        wrong.zero("frames without rpu", 0);
        let check = check("frames", &wrong.0, "fine".into());
        assert_eq!((check.ok, check.found.as_str()), (false, "the number of frames is 119 instead of 120"));
    }
}
