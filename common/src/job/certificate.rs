//! The proof beside a published film.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{JobId, Recipe};

/// One thing that was checked, with its figures.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Check {
    /// Stable name: `frames`, `rpus`, `alignment`, `levels`, `profile`, `payload`, `tracks`, `chapters`, `attachments`,
    /// `tags`, `hdr10`, `timing`, ….
    pub name: String,
    /// Whether it holds.
    pub ok: bool,
    /// What was found, with figures; for a failed check, what differs.
    pub found: String,
    /// What differs, one sentence for each difference; empty for a check that holds.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub differences: Vec<String>,
    /// What a person may want to know although it is no difference, such as an oddity of the source itself.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// The figures of `found` and more, for programs. Names are stable; times are nanoseconds, sizes bytes, hashes
    /// BLAKE3 as 64 hex digits. Older certificates have none.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub figures: BTreeMap<String, Value>,
}

impl Check {
    /// A check without figures.
    pub fn new(name: impl Into<String>, ok: bool, found: impl Into<String>) -> Self {
        Self { name: name.into(), ok, found: found.into(), ..Self::default() }
    }
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
    /// ffmpeg; empty where it had no part, as in copy mode.
    pub ffmpeg: String,
    /// mkvmerge; empty where a foreign result was verified.
    pub mkvmerge: String,
    /// dovi_tool; empty where it had no part.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dovi_tool: String,
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

#[cfg(test)]
mod tests {
    use super::*;

    /// As it was written before checks had figures.
    const OLD: &str = r#"{"v":1,"job":null,"film":null,"source":{"path":"/a.mkv","size":2,"mtime_ns":3},
        "result":{"path":"/b.mkv","size":1,"mtime_ns":3},"verdict":"MEL","evidence":"CM v4.0","recipe":null,
        "frames":72,"wrong_frames":0,"checks":[{"name":"frames","ok":true,"found":"72 frames"}],
        "tools":{"dovi_fleet":"0.1.0","ffmpeg":"","mkvmerge":"74.0.0"},"worker":"w","at":"2026-01-01T00:00:00Z"}"#;

    #[test]
    fn an_old_certificate_is_read_and_a_new_one_survives_the_journey() {
        let mut certificate: Certificate = serde_json::from_str(OLD).unwrap();
        assert!(certificate.holds() && certificate.checks[0].figures.is_empty());
        certificate.checks[0].figures.insert("packets".into(), 72.into());
        certificate.checks[0].differences.push("one".into());
        let text = serde_json::to_string(&certificate).unwrap();
        assert_eq!(serde_json::from_str::<Certificate>(&text).unwrap(), certificate);
        assert_eq!(
            serde_json::to_value(Check::new("tags", true, "x")).unwrap().as_object().unwrap().len(),
            3
        );
    }

    #[test]
    fn a_certificate_without_checks_proves_nothing() {
        let certificate: Certificate = serde_json::from_str(OLD).unwrap();
        assert!(!Certificate { checks: Vec::new(), ..certificate.clone() }.holds());
        let failed = vec![Check::new("frames", true, ""), Check::new("tags", false, "lost")];
        let certificate = Certificate { checks: failed, ..certificate };
        assert_eq!(certificate.first_failure().map(|c| c.name.as_str()), Some("tags"));
    }
}
