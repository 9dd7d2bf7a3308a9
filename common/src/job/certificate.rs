//! The proof beside a published film.

use serde::{Deserialize, Serialize};

use super::{JobId, Recipe};

/// One thing that was checked, with its figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable name: `frames`, `rpus`, `alignment`, `profile`, `payload`, `tracks`, `hdr10`, `timing`, ….
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found, with figures; for a failed check, what differs.
    pub found: String,
}

/// A file as it was when it was checked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileFacts {
    /// The path as the worker saw it, bytes outside UTF-8 replaced.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// Versions of the programs that made the film, as they report themselves.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToolVersions {
    /// This program.
    pub dovi_fleet: String,
    /// ffmpeg; empty in copy mode.
    pub ffmpeg: String,
    /// mkvmerge; empty where a foreign result was verified.
    pub mkvmerge: String,
}

/// How long one stage took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StageTime {
    /// The stage's name.
    pub stage: String,
    /// Seconds of wall clock.
    pub seconds: f64,
}

/// The proof that a result is its source in Profile 8.1: every check and its figures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Certificate {
    /// Format version, 1.
    pub v: u32,
    /// The job, or none where a pair of files was verified by hand.
    pub job: Option<JobId>,
    /// The film's library path, or none where a pair of files was verified by hand.
    pub film: Option<String>,
    /// The original.
    pub source: FileFacts,
    /// The result.
    pub result: FileFacts,
    /// What the source was, with its evidence in words.
    pub verdict: String,
    /// The evidence behind the verdict.
    pub evidence: String,
    /// What was asked for, or none where a pair of files was verified by hand.
    pub recipe: Option<Recipe>,
    /// Frames of the result.
    pub frames: u64,
    /// Frames whose RPU is not the planned one: 0 in every certificate that was published.
    pub wrong_frames: u64,
    /// All checks.
    pub checks: Vec<Check>,
    /// What a person should know although nothing failed.
    #[serde(default)]
    pub notices: Vec<String>,
    /// The programs.
    pub tools: ToolVersions,
    /// Time by stage.
    #[serde(default)]
    pub stages: Vec<StageTime>,
    /// Who did it.
    pub worker: String,
    /// When it was proven.
    pub at: jiff::Timestamp,
}

impl Certificate {
    /// Whether every check holds, and there was at least one.
    pub fn holds(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|c| c.ok)
    }

    /// The first check that does not hold.
    pub fn first_failure(&self) -> Option<&Check> {
        self.checks.iter().find(|c| !c.ok)
    }
}
