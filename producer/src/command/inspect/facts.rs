//! What is known about one file, every figure of it; scripts get it as it stands here.

use std::path::Path;

use common::job::{FailureCode, Recipe};
use common::media::{self, Decision};
use dovi::film::{Counts, Evidence, FilmIndex, Hdr10, Rate, Sample, ScanError, Verdict, grouped};
use dovi::params::Vui;
use serde::Serialize;

use crate::render::{safe, safe_path};

/// The answer about one file.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "inspect")]
pub(super) struct Facts {
    pub path: String,
    pub size: Option<u64>,
    /// `MEL`, `FEL`, `P8.1`, `truncated`, …
    pub verdict: String,
    /// What a scan does with it: `queue` or `skip`.
    pub action: &'static str,
    pub code: Option<FailureCode>,
    /// Why, with the evidence; for a film that is left alone, and could be allowed, also by which setting.
    pub reason: String,
    /// What a person may do about a film that is left alone.
    pub advice: Option<String>,
    /// `sample`: some places were read; `full`: every frame counted; `none`: it could not be understood.
    pub read: &'static str,
    /// Frames looked at.
    pub frames: u64,
    /// How sure the verdict is, in words.
    pub sure: Option<String>,
    pub video: Option<Video>,
    pub evidence: Option<Evidence>,
    pub hdr10: Option<Hdr10>,
    /// Frames with HDR10+ metadata among those looked at.
    pub hdr10plus: u64,
    pub counts: Option<Counts>,
    /// Contradictions and oddities; none of them stops a conversion.
    pub notes: Vec<String>,
}

/// The base layer.
#[derive(Debug, Serialize)]
pub(super) struct Video {
    pub track_number: u64,
    /// Position among all tracks, as mkvmerge counts.
    pub track_id: usize,
    pub width: u32,
    pub height: u32,
    pub bit_depth: Option<u8>,
    pub chroma_format_idc: Option<u8>,
    pub vui: Option<Vui>,
    /// Exact; none if it varies, or if only samples were read.
    pub frame_rate: Option<(u32, u32)>,
    pub variable_rate: Option<bool>,
    pub start_ns: Option<i64>,
    /// Declared.
    pub duration_ns: Option<u64>,
    /// Number of the track with the enhancement layer, if that is another one.
    pub el_track: Option<u64>,
}

impl Facts {
    pub fn new(path: &Path) -> Self {
        Self {
            path: safe_path(path),
            size: path.metadata().ok().filter(|m| !m.is_dir()).map(|m| m.len()),
            verdict: String::new(),
            action: "skip",
            code: None,
            reason: String::new(),
            advice: None,
            read: "none",
            frames: 0,
            sure: None,
            video: None,
            evidence: None,
            hdr10: None,
            hdr10plus: 0,
            counts: None,
            notes: Vec::new(),
        }
    }

    /// The file itself could not be read.
    pub fn unread(mut self, code: FailureCode, why: &str) -> Self {
        let missing = code == FailureCode::SourceMissing;
        self.verdict = if missing { "missing" } else { "unreadable" }.to_owned();
        (self.code, self.reason) = (Some(code), safe(why));
        // The code's own hint is for films that were queued.
        let hint = match why {
            _ if missing => "Check the spelling; quote names with spaces.",
            "it is a folder" => {
                "Name its films: FOLDER/*.mkv. `dovi-producer scan --dry-run FOLDER` looks at all of a library's."
            }
            _ => code.hint(),
        };
        self.advice = Some(hint.to_owned());
        self
    }

    /// Its content could not be understood.
    pub fn refused(mut self, error: &ScanError) -> Self {
        let (word, decision) = media::refused(error);
        word.clone_into(&mut self.verdict);
        self.decide(decision);
        self
    }

    /// Some places were read.
    pub fn sampled(mut self, s: &Sample, recipe: &Recipe) -> Self {
        let (verdict, decision) = media::decide_sample(s, recipe);
        (self.verdict, self.read, self.frames) = (verdict, "sample", s.frames);
        self.decide(decision);
        let track = s.header.tracks.get(s.track_id);
        self.video = Some(Video {
            track_number: track.map_or(0, |t| t.number),
            track_id: s.track_id,
            width: s.width,
            height: s.height,
            bit_depth: s.sps.as_ref().map(|s| s.bit_depth_luma),
            chroma_format_idc: s.sps.as_ref().map(|s| s.chroma_format_idc),
            vui: s.sps.as_ref().and_then(|s| s.vui),
            frame_rate: None,
            variable_rate: None,
            start_ns: None,
            duration_ns: s.duration_ns,
            el_track: s.el_track,
        });
        self.found(s.verdict, &s.evidence, &s.hdr10);
        self.hdr10plus = s.hdr10plus;
        let lacking = s.frames.saturating_sub(s.rpus);
        if s.rpus > 0 && lacking > 0 && s.el_track.is_none() {
            self.notes.push(format!("without rpu: {lacking} of the {} frames looked at", grouped(s.frames)));
        }
        self.notes.extend(s.unreadable.iter().map(|u| safe(&format!("could not be read: {}", u.text))));
        self
    }

    /// Everything was read.
    pub fn scanned(mut self, i: &FilmIndex, recipe: &Recipe) -> Self {
        (self.verdict, self.read, self.frames) = (i.verdict.to_string(), "full", i.frames);
        self.decide(media::decide_film(i, recipe));
        let v = &i.video;
        self.video = Some(Video {
            track_number: v.track_number,
            track_id: v.track_id,
            width: v.width,
            height: v.height,
            bit_depth: Some(v.bit_depth),
            chroma_format_idc: Some(v.chroma_format_idc),
            vui: v.vui,
            frame_rate: match v.rate {
                Rate::Cfr { num, den } => Some((num, den)),
                Rate::Vfr => None,
            },
            variable_rate: Some(v.rate == Rate::Vfr),
            start_ns: Some(v.start_ns),
            duration_ns: i.header.duration_ns,
            el_track: v.el_track.map(|el| el.track_number),
        });
        self.found(i.verdict, &i.evidence, &i.hdr10);
        self.hdr10plus = i.counts.hdr10plus;
        self.notes = media::notices(i).iter().map(|n| safe(n)).collect();
        if i.counts.missing > 0 && i.counts.rpus > 0 && self.code != Some(FailureCode::RpuMissing) {
            let first: Vec<String> = i.counts.missing_first.iter().take(4).map(u64::to_string).collect();
            self.notes.push(format!(
                "frames without rpu: {} (at most {} in a row; frame {}{})",
                grouped(i.counts.missing),
                i.counts.missing_longest_run,
                first.join(", "),
                if i.counts.missing > 4 { ", …" } else { "" }
            ));
        }
        self.counts = Some(i.counts.clone());
        self
    }

    fn decide(&mut self, decision: Decision) {
        self.reason = safe(&decision.reason());
        if let Decision::Skip(refusal) = decision {
            (self.action, self.code) = ("skip", Some(refusal.code));
            self.advice = Some(safe(&refusal.advice));
        } else {
            self.action = "queue";
        }
    }

    fn found(&mut self, verdict: Verdict, evidence: &Evidence, hdr10: &Hdr10) {
        let more = evidence.may_still_find(verdict).map_or(String::new(), |more| format!("; {more}"));
        self.sure = Some(format!("{}{more}", evidence.certainty()));
        self.notes.extend(evidence.notes.iter().chain(&hdr10.disagreements).map(|n| safe(n)));
        self.evidence = Some(evidence.clone());
        self.hdr10 = Some(hdr10.clone());
    }
}
