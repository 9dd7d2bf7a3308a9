//! What is known about one file, for people and for scripts.

use std::path::Path;

use common::job::FailureCode;
use common::media::{self, Decision};
use dovi::film::{Counts, Evidence, FilmIndex, Hdr10, Rate, Rule, Sample, ScanError};
use serde::Serialize;

use crate::render::{bytes, nits, safe, safe_path};

/// The answer about one file.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "inspect")]
pub(super) struct Facts {
    path: String,
    size: Option<u64>,
    /// `MEL`, `FEL`, `P8.1`, `truncated`, …
    verdict: String,
    /// What a scan with the default recipe does: `queue` or `skip`.
    action: &'static str,
    pub code: Option<FailureCode>,
    reason: String,
    /// `sample`: some places were read; `full`: every frame counted; `none`: it could not be understood.
    read: &'static str,
    frames: u64,
    video: Option<String>,
    evidence: Option<Evidence>,
    hdr10: Option<Hdr10>,
    counts: Option<Counts>,
    notes: Vec<String>,
}

impl Facts {
    pub fn new(path: &Path) -> Self {
        Self {
            path: safe_path(path),
            size: path.metadata().ok().map(|m| m.len()),
            verdict: String::new(),
            action: "skip",
            code: None,
            reason: String::new(),
            read: "none",
            frames: 0,
            video: None,
            evidence: None,
            hdr10: None,
            counts: None,
            notes: Vec::new(),
        }
    }

    /// The file itself could not be read.
    pub fn unread(mut self, code: FailureCode, why: &str) -> Self {
        self.verdict =
            if code == FailureCode::SourceMissing { "missing".into() } else { "unreadable".into() };
        (self.code, self.reason) = (Some(code), safe(why));
        self
    }

    /// Its content could not be understood.
    pub fn refused(mut self, error: &ScanError) -> Self {
        let (word, decision) = media::refused(error);
        word.clone_into(&mut self.verdict);
        self.decide(&decision);
        self
    }

    /// Some places were read.
    pub fn sampled(mut self, s: &Sample, (verdict, decision): (String, Decision)) -> Self {
        (self.verdict, self.read, self.frames) = (verdict, "sample", s.frames);
        self.decide(&decision);
        self.video = Some(format!("{}x{}, track {}", s.width, s.height, s.track_id));
        self.notes(&s.evidence, &s.hdr10);
        self.notes.extend(s.unreadable.iter().map(|u| format!("could not be read: {u}")));
        self
    }

    /// Everything was read.
    pub fn scanned(mut self, i: &FilmIndex, decision: &Decision) -> Self {
        (self.verdict, self.read, self.frames) = (i.verdict.to_string(), "full", i.frames);
        self.decide(decision);
        let v = &i.video;
        let rate = match v.rate {
            Rate::Cfr { num, den } => format!("{:.3} fps", f64::from(num) / f64::from(den)),
            Rate::Vfr => "variable frame rate".to_owned(),
        };
        self.video =
            Some(format!("{}x{}, {} bit, {rate}, track {}", v.width, v.height, v.bit_depth, v.track_id));
        self.notes(&i.evidence, &i.hdr10);
        let c = &i.counts;
        for (n, what) in [
            (c.missing, "frames without RPU"),
            (c.duplicate, "frames with the same RPU twice"),
            (c.not_last, "frames whose RPU is not last"),
            (c.not_output, "frames that a decoder does not show"),
            (c.hdr10plus, "frames with HDR10+"),
        ] {
            if n > 0 {
                self.notes.push(format!("{n} {what}"));
            }
        }
        self.counts = Some(c.clone());
        self
    }

    fn decide(&mut self, decision: &Decision) {
        self.reason = safe(decision.reason());
        match decision {
            Decision::Queue { .. } => self.action = "queue",
            Decision::Skip { code, .. } => (self.action, self.code) = ("skip", Some(*code)),
        }
    }

    fn notes(&mut self, evidence: &Evidence, hdr10: &Hdr10) {
        self.notes.extend(evidence.notes.iter().chain(&hdr10.disagreements).map(|n| safe(n)));
        self.evidence = Some(evidence.clone());
        self.hdr10 = Some(hdr10.clone());
    }

    /// For people.
    pub fn lines(&self) -> Vec<String> {
        let size = self.size.map(|s| format!("  ({})", bytes(s))).unwrap_or_default();
        let mut lines = vec![format!("{}{size}", self.path)];
        let mut add = |name: &str, value: String| lines.push(format!("  {name:<9} {value}"));
        add("verdict", self.verdict.clone());
        match self.code {
            Some(code) => add("skip", format!("{} ({code})", self.reason)),
            None => add("queue", self.reason.clone()),
        }
        if let Some(code) = self.code.filter(|_| self.read == "none") {
            // The code's own hint is for films that were queued.
            let missing = code == FailureCode::SourceMissing;
            add(
                "hint",
                if missing { "Check the spelling; quote names with spaces." } else { code.hint() }.to_owned(),
            );
        }
        match self.read {
            "sample" => {
                add("sure", format!("{} frames were looked at; --full looks at all of them", self.frames));
            }
            "full" => add("sure", format!("all {} frames were looked at", self.frames)),
            _ => {}
        }
        if let Some(video) = &self.video {
            add("video", video.clone());
        }
        if let Some(e) = &self.evidence {
            add("evidence", safe(&e.summary()));
            for rule in &e.rules {
                add("", rule_in_words(*rule, e));
            }
            if let Some(claim) = &e.claim {
                add("container", format!("says Profile {}, compatibility {}", claim.profile, claim.compat));
            }
        }
        if let Some(h) = &self.hdr10 {
            let mastering = h
                .mdcv
                .as_ref()
                .map(|m| format!("mastered at {}", nits(f64::from(m.max_luminance) / 10_000.0)));
            let light = h.cll.as_ref().map(|c| format!("MaxCLL {}, MaxFALL {}", c.max_cll, c.max_fall));
            let all: Vec<String> = mastering.into_iter().chain(light).collect();
            add("hdr10", if all.is_empty() { "no static metadata".into() } else { all.join(", ") });
        }
        for note in &self.notes {
            add("note", note.clone());
        }
        lines
    }
}

fn rule_in_words(rule: Rule, e: &Evidence) -> String {
    let n = |v: Option<f64>| v.map(nits).unwrap_or_default();
    match rule {
        Rule::R1 => format!(
            "R1: the base layer was mastered at {}, the metadata is for {}",
            n(e.bl_mdl_nits),
            n(e.rpu_mdl_nits)
        ),
        Rule::R2 => format!(
            "R2: {} frames in a row go up to {}, the base layer to {}",
            e.longest_over,
            n(e.max_l1_nits),
            nits(e.bl_peak_nits)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_nothing_says_what_to_do() {
        let facts = Facts::new(Path::new("/none/a\x1b.mkv"))
            .unread(FailureCode::SourceMissing, "there is no such file");
        let lines = facts.lines();
        assert_eq!(lines[0], "/none/a\\u{1b}.mkv");
        assert_eq!(lines[1], "  verdict   missing");
        assert_eq!(lines[2], "  skip      there is no such file (source.missing)");
        assert!(lines[3].starts_with("  hint      "), "{lines:?}");
        assert_eq!(serde_json::to_value(&facts).unwrap()["code"], "source.missing");
    }

    #[test]
    fn the_rules_are_explained_with_their_figures() {
        let e = Evidence { bl_mdl_nits: Some(1000.0), rpu_mdl_nits: Some(3999.7), ..Evidence::default() };
        let text = rule_in_words(Rule::R1, &e);
        assert_eq!(text, "R1: the base layer was mastered at 1000 nits, the metadata is for 4000 nits");
    }
}
