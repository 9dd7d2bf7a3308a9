//! What the fleet tells people and media servers: pure data.

use serde::{Deserialize, Serialize};

use super::JobId;

/// Why somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occasion {
    /// A film is published and proven.
    Done,
    /// A film is given up.
    Failed,
    /// A worker takes no films.
    Ill,
    /// No film waits and none is in work.
    QueueEmpty,
    /// A person wants to see whether it arrives.
    Test,
}

impl Occasion {
    /// Its text form.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed => "failed",
            Self::Ill => "ill",
            Self::QueueEmpty => "queue-empty",
            Self::Test => "test",
        }
    }
}

/// One thing that happened: the body of a generic webhook, and what lies in the outbox until it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Notice {
    /// Format version, 1.
    pub v: u32,
    /// The same for every copy of this notice, 32 hex digits.
    pub id: String,
    /// Why.
    pub event: Occasion,
    /// When it happened.
    pub at: jiff::Timestamp,
    /// The worker that says so.
    pub worker: String,
    /// In a few words.
    pub title: String,
    /// In a sentence or two.
    pub text: String,
    /// The job, if it is about one.
    #[serde(default)]
    pub job: Option<JobId>,
    /// The film's library path.
    #[serde(default)]
    pub film: Option<String>,
    /// The failure code of a film or of an ill worker.
    #[serde(default)]
    pub code: Option<String>,
    /// What a person does about it.
    #[serde(default)]
    pub hint: Option<String>,
    /// The result, of a film that is done.
    #[serde(default)]
    pub result: Option<NewFile>,
}

impl Notice {
    /// The id for these parts, on every worker the same.
    pub fn id_of(parts: &[&str]) -> String {
        let mut hash = blake3::Hasher::new();
        for part in parts {
            hash.update(&(part.len() as u64).to_le_bytes());
            hash.update(part.as_bytes());
        }
        hash.finalize().to_hex()[..32].to_owned()
    }
}

/// A new file in the library.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NewFile {
    /// The library root of its film.
    pub root: String,
    /// The way below the folder that holds that root's results; bytes outside UTF-8 replaced.
    pub relative: String,
    /// The file as the worker sees it.
    pub path: String,
    /// Bytes of the original.
    pub source_bytes: u64,
    /// Bytes of the result.
    pub result_bytes: u64,
}
