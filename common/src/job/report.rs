//! What is written about a film that could not be converted.

use serde::{Deserialize, Serialize};

use super::{FailureClass, FailureCode, JobMessage};

/// The last words of the program that failed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ToolReport {
    /// The command line, quoted so that it can be pasted into a shell.
    pub command: String,
    /// How it ended, in words: `exit status 1`, `killed by signal 9`, `no progress for 600 s`.
    pub outcome: String,
    /// The last lines of its standard error, at most a few kilobytes.
    pub tail: Vec<String>,
}

/// The report of a failed attempt: the body of a dead letter and of `failed/<job>.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FailureReport {
    /// Format version, 1.
    pub v: u32,
    /// The job, or none if the message was no job at all.
    pub job: Option<JobMessage>,
    /// The stable code.
    pub code: FailureCode,
    /// The code's class.
    pub class: FailureClass,
    /// Where it happened: `prescan`, `encode`, `mux`, `verify`, `publish`, ….
    pub stage: String,
    /// What happened, in one sentence.
    pub summary: String,
    /// What a person does about it.
    pub hint: String,
    /// The chain of causes below the summary, nearest first.
    #[serde(default)]
    pub causes: Vec<String>,
    /// The failing program's own words, if one failed.
    #[serde(default)]
    pub tool: Option<ToolReport>,
    /// Which attempt this was, from 1.
    pub attempt: u32,
    /// The worker that gave up.
    pub worker: String,
    /// When.
    pub at: jiff::Timestamp,
    /// Where the attempt's log lies, relative to the share's state folder.
    #[serde(default)]
    pub log: Option<String>,
    /// The first kilobytes of a message that was no job.
    #[serde(default)]
    pub raw: Option<String>,
    /// When a person dropped its dead letter. The report stays, so that scan leaves the film alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub discarded_at: Option<jiff::Timestamp>,
}

impl FailureReport {
    /// The film for people: its path, or `(no job)`.
    pub fn film(&self) -> String {
        self.job.as_ref().map_or_else(|| "(no job)".into(), |j| j.film.to_string())
    }
}
