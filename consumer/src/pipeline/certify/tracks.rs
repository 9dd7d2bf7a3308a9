//! V9 and V10: every other track is there, in its place, with its name, language, flags and every byte.

use common::job::Check;
use common::text::bytes;
use dovi::film::TrackDigest;
use dovi::matroska::{Header, Track};
use serde_json::{Value, json};

use super::findings::Findings;
use super::pair::Pair;
use super::profile::film;
use super::words::{count, quoted, seconds};

/// Rounding of times to milliseconds.
const NEAR_NS: u64 = 1_000_000;
/// Longest lace of sound whose frames have no times of their own. mkvmerge gives them times when it takes a lace apart.
const LACE_NS: u64 = 1_000_000_000;

impl Pair<'_> {
    pub(super) fn tracks(&self) -> Check {
        let mut f = Findings::new("tracks");
        let (source, result) = (&self.source.header, &self.result.header);
        let mut other_ids = Vec::new();
        for (want, found) in self.source.tracks.iter().zip(&self.tracks.found) {
            let name = label(source, want);
            let Some(found) = found.map(|i| &self.result.tracks[i]) else {
                f.wrong(format!("{name} is missing"));
                continue;
            };
            if want.uid != found.uid {
                other_ids.push(name.clone());
            }
            payload(&mut f, &name, want, found);
            times(&mut f, &name, want, found);
            if let (Some(s), Some(r)) = (source.track(want.number), result.track(found.number)) {
                format_of(&mut f, &name, s, r);
                flags(&mut f, &name, s, r);
            }
        }
        match other_ids.as_slice() {
            [] => {}
            [one] => f.wrong(format!("{one} has another id (UID)")),
            all => f.wrong(format!("{} tracks have other ids (UIDs)", all.len())),
        }
        for added in &self.tracks.added {
            f.wrong(format!("{} was added", label(result, &self.result.tracks[*added])));
        }
        self.order(&mut f);
        let (s, r) = (film(self.source), film(self.result));
        flags(&mut f, "the film", s, r);
        shape(&mut f, s, r);
        let digests: Vec<Value> = self.result.tracks.iter().map(digest).collect();
        let sum: u64 = self.source.tracks.iter().map(|t| t.bytes).sum();
        f.figure("tracks", digests);
        f.figure("bytes", sum);
        f.finish(format!(
            "{} bit-equal ({}), with names, languages and flags",
            count(self.source.tracks.len() as u64, "other track"),
            bytes(sum)
        ))
    }

    /// The order of all tracks that are in both, the film among them.
    fn order(&self, f: &mut Findings) {
        let place = |header: &Header, number| header.tracks.iter().position(|t| t.number == number);
        let film = (self.source.video.track_number, self.result.video.track_number);
        let others = self.source.tracks.iter().zip(&self.tracks.found);
        let pairs = others.filter_map(|(s, r)| Some((s.number, self.result.tracks[(*r)?].number)));
        let mut places: Vec<_> = pairs
            .chain([film])
            .filter_map(|(s, r)| Some((place(&self.source.header, s)?, place(&self.result.header, r)?)))
            .collect();
        places.sort_unstable();
        let found: Vec<usize> = places.iter().map(|p| p.1 + 1).collect();
        if !found.is_sorted() {
            let list: Vec<String> = found.iter().map(usize::to_string).collect();
            f.wrong(format!("the tracks are in another order: now at places {}", list.join(", ")));
        }
    }
}

/// `audio track 3 "Commentary"`
pub(super) fn label(header: &Header, track: &TrackDigest) -> String {
    let name = header.track(track.number).and_then(|t| t.name.as_deref()).filter(|n| !n.is_empty());
    let name = name.map(|n| format!(" \"{n}\"")).unwrap_or_default();
    format!("{} track {}{name}", track.kind, track.number)
}

fn digest(t: &TrackDigest) -> Value {
    json!({
        "number": t.number, "uid": t.uid, "kind": t.kind, "codec": t.codec_id, "frames": t.frames, "bytes": t.bytes,
        "blake3": t.payload, "first_ns": t.first_pts_ns, "last_ns": t.last_pts_ns,
    })
}

fn payload(f: &mut Findings, name: &str, want: &TrackDigest, found: &TrackDigest) {
    if want.bytes != found.bytes {
        f.wrong(format!("{name} has {} bytes instead of {}", found.bytes, want.bytes));
    } else if want.payload != found.payload {
        f.wrong(format!("{name} has other bytes, as many as before ({})", found.bytes));
    }
}

fn times(f: &mut Findings, name: &str, want: &TrackDigest, found: &TrackDigest) {
    let within = |a: Option<i64>, b: Option<i64>, most| match (a, b) {
        (Some(a), Some(b)) => a.abs_diff(b) <= most,
        (a, b) => a == b,
    };
    let near = |a, b| within(a, b, NEAR_NS);
    let laced = want.kind == "audio" && want.untimed > 0;
    let later = |a, b| within(a, b, if laced { LACE_NS } else { NEAR_NS });
    let at = |t: Option<i64>| t.map_or_else(|| "never".into(), seconds);
    if !near(want.first_pts_ns, found.first_pts_ns) {
        f.wrong(format!("{name} begins at {} instead of {}", at(found.first_pts_ns), at(want.first_pts_ns)));
    } else if !later(want.last_pts_ns, found.last_pts_ns) {
        f.wrong(format!("{name} ends at {} instead of {}", at(found.last_pts_ns), at(want.last_pts_ns)));
    } else if want.frames == found.frames && !later(want.mean_pts_ns, found.mean_pts_ns) {
        f.wrong(format!("parts of {name} are at other times"));
    }
    if laced && found.stacked > want.stacked {
        // A player computes the times inside a lace; once each frame is a block of its own, it takes what is written.
        f.wrong(format!(
            "{} frames of {name} lost their times: each has that of the frame before",
            found.stacked
        ));
    }
    let rounding = want.frames.saturating_mul(NEAR_NS);
    if want.kind == "subtitle" && want.shown_ns.abs_diff(found.shown_ns) > rounding {
        let s = |ns: u64| ns as f64 / 1e9;
        f.wrong(format!(
            "{name} is shown for {:.1} s instead of {:.1} s",
            s(found.shown_ns),
            s(want.shown_ns)
        ));
    }
}

fn format_of(f: &mut Findings, name: &str, s: &Track, r: &Track) {
    f.equal(format!("the codec of {name}"), &s.codec_id, &r.codec_id);
    if s.codec_private != r.codec_private {
        f.wrong(format!("{name} has other codec data (CodecPrivate)"));
    }
    let sound = |t: &Track| {
        t.audio
            .as_ref()
            .map_or_else(String::new, |a| format!("{} channels at {} Hz", a.channels, a.sampling_hz))
    };
    f.equal(format!("the sound of {name}"), &sound(s), &sound(r));
    let delay = |t: &Track| format!("{} ns delay, {} ns pre-roll", t.codec_delay_ns, t.seek_pre_roll_ns);
    f.equal(format!("the decoder's delay of {name}"), &delay(s), &delay(r));
}

/// Name, language and flags. mkvmerge adds the BCP 47 form to a language that has only the old one, and writes a flag that
/// was absent as its default; an older one writes only the old form, which is no loss where that says as much.
fn flags(f: &mut Findings, name: &str, s: &Track, r: &Track) {
    let text = |t: &Track| quoted(t.name.as_deref().filter(|n| !n.is_empty()));
    f.equal(format!("the name of {name}"), &text(s), &text(r));
    let (old, new) = (s.language_ietf.as_deref(), r.language_ietf.as_deref());
    let same = match (old, new) {
        (Some(old), Some(new)) => old == new,
        (Some(old), None) => !old.contains('-') && s.language == r.language,
        (None, _) => s.language == r.language,
    };
    if !same {
        let (want, found) = (old.unwrap_or(&s.language), new.unwrap_or(&r.language));
        f.wrong(format!("the language of {name} is {found} instead of {want}"));
    }
    let on = |flag: Option<bool>| flag.unwrap_or(false);
    for (what, s, r) in [
        ("enabled", s.flag_enabled, r.flag_enabled),
        ("default", s.flag_default, r.flag_default),
        ("forced", s.flag_forced, r.flag_forced),
        ("hearing impaired", on(s.flag_hearing_impaired), on(r.flag_hearing_impaired)),
        ("visual impaired", on(s.flag_visual_impaired), on(r.flag_visual_impaired)),
        ("text descriptions", on(s.flag_text_descriptions), on(r.flag_text_descriptions)),
        ("original language", on(s.flag_original), on(r.flag_original)),
        ("commentary", on(s.flag_commentary), on(r.flag_commentary)),
    ] {
        if s != r {
            f.wrong(format!("{name} {} \"{what}\"", if r { "is now" } else { "is no longer" }));
        }
    }
}

/// How the film's picture is shown: cut and stretched as before.
fn shape(f: &mut Findings, s: &Track, r: &Track) {
    let (Some(s), Some(r)) = (&s.video, &r.video) else { return };
    let crop = |v: &dovi::matroska::Video| {
        let [left, top, right, bottom] = v.crop;
        format!("{left}, {top}, {right}, {bottom}")
    };
    f.equal("the film's crop (left, top, right, bottom)", &crop(s), &crop(r));
    let aspect = |v: &dovi::matroska::Video| {
        let [left, top, right, bottom] = v.crop;
        let coded = (v.width.saturating_sub(left + right), v.height.saturating_sub(top + bottom));
        let (w, h) = v.display_width.zip(v.display_height).unwrap_or(coded);
        if h == 0 { 0.0 } else { w as f64 / h as f64 }
    };
    let (want, found) = (aspect(s), aspect(r));
    // Display sizes are whole pixels.
    if (want - found).abs() > 0.01 {
        f.wrong(format!("the film is shown {found:.3} times as wide as high instead of {want:.3}"));
    }
}
