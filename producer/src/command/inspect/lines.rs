//! One file for people: a screen of aligned lines, the answer first, the evidence below.

use std::time::Duration;

use common::job::FailureCode;
use dovi::film::{Evidence, Hdr10, Hdr10Source, L5Behaviour, grouped, rounded};

use super::facts::{Facts, Video};
use crate::render::{bytes, duration};

/// Columns before a line goes on below: long sentences stay readable in any terminal.
const WIDTH: usize = 100;
/// Columns of the names on the left, with the space around them.
const MARGIN: usize = 13;

pub(super) fn lines(facts: &Facts) -> Vec<String> {
    let size = facts.size.map(|s| format!("  ({})", bytes(s))).unwrap_or_default();
    let mut page = Page(vec![format!("{}{size}", facts.path)]);
    page.add("verdict", &facts.verdict);
    match facts.code {
        // The advice stands on its own line here.
        Some(code) => page.add("skip", &format!("{code}: {}", without_advice(facts))),
        None => page.add("queue", &facts.reason),
    }
    if let Some(advice) = facts.advice.as_deref().filter(|_| facts.code != Some(FailureCode::NotProfile7)) {
        page.add("hint", advice);
    }
    if let Some(sure) = &facts.sure {
        page.add("sure", sure);
    }
    if let Some(v) = &facts.video {
        page.add("video", &video(v));
    }
    if let Some(e) = &facts.evidence {
        evidence(&mut page, e, facts.video.as_ref().and_then(|v| v.el_track));
    }
    if let Some(h) = &facts.hdr10 {
        page.add("hdr10", &hdr10(h, facts));
    }
    if let Some(e) = &facts.evidence
        && let Some(c) = &e.claim
    {
        let flag = |set: bool, name: &'static str| set.then_some(name);
        let parts: Vec<&str> =
            [flag(c.bl, "BL"), flag(c.el, "EL"), flag(c.rpu, "RPU")].into_iter().flatten().collect();
        let text = format!(
            "says Profile {}, level {}, compatibility {}, {}",
            c.profile,
            c.level,
            c.compat,
            parts.join("+")
        );
        page.add("container", &text);
    }
    for note in &facts.notes {
        page.add("note", note);
    }
    page.0
}

fn without_advice(facts: &Facts) -> &str {
    let advice = facts.advice.as_deref().unwrap_or_default();
    facts.reason.strip_suffix(advice).and_then(|r| r.strip_suffix("; ")).unwrap_or(&facts.reason)
}

fn evidence(page: &mut Page, e: &Evidence, el_track: Option<u64>) {
    if e.rpus == 0 {
        return;
    }
    if e.mel_rpus + e.fel_rpus > 0 {
        let nlq = match e.nlq_constant {
            Some(true) => ", NLQ constant",
            Some(false) => ", NLQ changes",
            None => "",
        };
        page.add("layers", &format!("{}{nlq}", e.layers()));
        let place = el_track.map_or_else(|| "in the film's track".to_owned(), |n| format!("in track {n}"));
        let el = match (e.el_kbps, e.el_bytes) {
            (_, 0) => "none in the file".to_owned(),
            (Some(kbps), n) if kbps >= 100.0 => format!("{:.1} Mbit/s ({}) {place}", kbps / 1000.0, bytes(n)),
            (Some(kbps), n) => format!("{kbps:.0} kbit/s ({}) {place}", bytes(n)),
            (None, n) => format!("{} {place}", bytes(n)),
        };
        page.add("el", &el);
    }
    page.add(
        "metadata",
        &format!("{}, {} scenes, RPUs up to {} bytes", e.versions(), grouped(e.scene_cuts), e.largest_rpu),
    );
    let made_for =
        e.rpu_mdl_nits.map_or(String::new(), |n| format!("; metadata made for {} nits", rounded(n)));
    let light = match (e.max_l1_nits, e.frames_over) {
        (None, _) => "no L1".to_owned(),
        (Some(max), 0) => {
            format!("L1 up to {} nits, never above the base layer's {:.0}", rounded(max), e.bl_peak_nits)
        }
        (Some(max), n) => format!(
            "L1 up to {} nits, above the base layer's {:.0} on {} frames, {} in a row",
            rounded(max),
            e.bl_peak_nits,
            grouped(n),
            grouped(e.longest_over)
        ),
    };
    page.add("light", &format!("{light}{made_for}"));
    if e.curves > 0 {
        let off = format!("up to {:.1} of 1023 codes off", e.max_luma_deviation);
        let share = match e.identity_share {
            s if s >= 1.0 => format!("identity on all {} RPUs", grouped(e.curves)),
            s if s <= 0.0 => format!("identity on none of {} RPUs, {off}", grouped(e.curves)),
            s => format!("identity on {:.1} % of {} RPUs, {off}", s * 100.0, grouped(e.curves)),
        };
        page.add("curve", &share);
    }
    let lacking = match e.l5_absent {
        n if n > 0 && n < e.rpus => format!(", absent on {} RPUs", grouped(n)),
        _ => String::new(),
    };
    let area = match &e.l5 {
        L5Behaviour::Absent => "no L5".to_owned(),
        L5Behaviour::Constant([0, 0, 0, 0]) => "whole picture (L5 0/0/0/0)".to_owned(),
        L5Behaviour::Constant(_) => format!("L5 {} (left/right/top/bottom)", e.areas()),
        L5Behaviour::Variable(_) => format!("L5 {}", e.areas()),
    };
    page.add("area", &format!("{area}{lacking}"));
}

fn video(v: &Video) -> String {
    let mut parts = vec![format!("{}x{}", v.width, v.height)];
    if let Some(bits) = v.bit_depth {
        let chroma =
            v.chroma_format_idc.filter(|c| *c != 1).map_or(String::new(), |c| format!(", chroma format {c}"));
        parts.push(format!("{bits} bit{chroma}"));
    }
    parts.extend(v.vui.map(|vui| match (vui.colour_primaries, vui.transfer, vui.matrix) {
        (9, 16, 9) => "PQ BT.2020".to_owned(),
        (2, 2, 2) => "untagged".to_owned(),
        (p, t, m) => format!("tagged {p}/{t}/{m}"),
    }));
    match (v.frame_rate, v.variable_rate) {
        (Some((num, den)), _) => {
            parts.push(format!("{:.3} fps ({num}/{den})", f64::from(num) / f64::from(den.max(1))));
        }
        (None, Some(true)) => parts.push("variable frame rate".to_owned()),
        _ => {}
    }
    parts.extend(v.duration_ns.map(|ns| duration(Duration::from_nanos(ns))));
    parts.extend(v.start_ns.filter(|ns| *ns != 0).map(|ns| format!("starts at {:.3} s", ns as f64 / 1e9)));
    parts.push(format!("track {}", v.track_number));
    parts.join(", ")
}

fn hdr10(h: &Hdr10, facts: &Facts) -> String {
    let from = |source: Option<Hdr10Source>| match source {
        Some(Hdr10Source::Sei) | None => "",
        Some(Hdr10Source::Container) => " (from the container)",
        Some(Hdr10Source::L6) => " (from level 6 of the RPU)",
    };
    let mut parts = Vec::new();
    parts.extend(h.mdcv.map(|m| {
        let (low, high) = (f64::from(m.min_luminance) / 1e4, f64::from(m.max_luminance) / 1e4);
        format!("mastered {low} to {high} nits{}", from(h.mdcv_source))
    }));
    parts
        .extend(h.cll.map(|c| format!("MaxCLL {}, MaxFALL {}{}", c.max_cll, c.max_fall, from(h.cll_source))));
    if parts.is_empty() {
        parts.push("no static metadata".to_owned());
    }
    match facts.hdr10plus {
        0 => {}
        n if n == facts.frames => parts.push("HDR10+".to_owned()),
        n => parts.push(format!("HDR10+ on {} of {} frames", grouped(n), grouped(facts.frames))),
    }
    parts.join(", ")
}

struct Page(Vec<String>);

impl Page {
    /// A name and its value, which goes on below itself where it is long.
    fn add(&mut self, name: &str, value: &str) {
        let mut line = format!("  {name:<9} ");
        let mut used = MARGIN - 1;
        for word in value.split(' ') {
            let length = word.chars().count();
            if used + 1 + length > WIDTH && used >= MARGIN {
                self.0.push(std::mem::take(&mut line).trim_end().to_owned());
                line = " ".repeat(MARGIN - 1);
                used = MARGIN - 1;
            }
            if used >= MARGIN {
                line.push(' ');
                used += 1;
            }
            line.push_str(word);
            used += length;
        }
        self.0.push(line.trim_end().to_owned());
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_file_that_is_nothing_says_what_to_do() {
        let facts = Facts::new(Path::new("/none/a\x1b.mkv"))
            .unread(FailureCode::SourceMissing, "there is no such file");
        let lines = lines(&facts);
        assert_eq!(lines[0], "/none/a\\u{1b}.mkv");
        assert_eq!(lines[1], "  verdict   missing");
        assert_eq!(lines[2], "  skip      source.missing: there is no such file");
        assert_eq!(lines[3], "  hint      Check the spelling; quote names with spaces.");
        assert_eq!(serde_json::to_value(&facts).unwrap()["code"], "source.missing");
    }

    #[test]
    fn long_values_go_on_below_themselves() {
        let mut page = Page(Vec::new());
        page.add("note", &"word ".repeat(30));
        page.add("sure", "short");
        assert_eq!(page.0.len(), 3);
        assert!(
            page.0[0].chars().count() <= WIDTH && page.0[1].starts_with("            word"),
            "{:?}",
            page.0
        );
        assert_eq!(page.0[2], "  sure      short");
    }
}
