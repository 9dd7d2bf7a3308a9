//! The figures. docs/MESSAGES.md describes them for scripts; fields are only ever added.

use std::time::Duration;

use common::broker::Depths;
use common::job::{FailureClass, FailureCode, JobId};
use common::share::LeaseInfo;
use serde::Serialize;

use super::crew::Worker;
use super::eta::Eta;

/// All of it.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "type", rename = "status")]
pub struct Status {
    /// When it was read, by this machine's clock.
    pub at: jiff::Timestamp,
    /// Films by state.
    pub counts: Counts,
    /// Films finished in the last 24 hours.
    pub done_24h: u64,
    /// Bytes of the originals minus bytes of the results, over all certificates.
    pub space_saved: i64,
    /// The same sums themselves.
    pub space: Space,
    /// When the queue will be empty.
    pub eta: Eta,
    /// Films in work, by name.
    pub running: Vec<Running>,
    /// Films that wait for another try, the next one first.
    pub retrying: Vec<Retrying>,
    /// Why films were given up, the most frequent reason first.
    pub reasons: Vec<Reason>,
    /// Who works, by name.
    pub workers: Vec<Worker>,
    /// None if the broker is not there.
    pub queues: Option<Depths>,
    /// Why the broker is not there.
    pub broker: Option<String>,
    /// Films that wait for a worker, the longest waiting first; for the view that stays.
    #[serde(skip)]
    pub waiting: Vec<Waiting>,
    /// Films that were given up, the latest first; for the view that stays. `failed list --json` has them for scripts.
    #[serde(skip)]
    pub failed: Vec<Failed>,
}

impl Running {
    /// Frames per second, while there are any.
    pub fn fps(&self) -> Option<f32> {
        self.lease.progress.fps.filter(|_| !self.frozen)
    }

    /// Until the end of the stage, while it goes on.
    pub fn left(&self) -> Option<Duration> {
        self.lease.progress.eta_s.filter(|_| !self.frozen).map(Duration::from_secs)
    }
}

impl Status {
    /// The same with what the broker says, or why it says nothing.
    #[must_use]
    pub fn with_broker(mut self, broker: Result<Depths, String>) -> Self {
        (self.queues, self.broker) = match broker {
            Ok(depths) => (Some(depths), None),
            Err(why) => (None, Some(why)),
        };
        self
    }
}

/// Films by state; each film is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Waiting for a worker, or for another try.
    pub queued: u64,
    /// Of those, waiting for another try.
    pub retrying: u64,
    /// In work.
    pub running: u64,
    /// Published and proven.
    pub done: u64,
    /// Given up.
    pub failed: u64,
}

/// Bytes over all certificates that can be read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Of the originals.
    pub before: u64,
    /// Of the results.
    pub after: u64,
}

/// A film in work.
#[derive(Debug, Clone, Serialize)]
pub struct Running {
    /// `root:relative/path`
    pub film: String,
    /// See [`recipe_name`](crate::forecast::recipe_name); none if the film's entry cannot be read.
    pub recipe: Option<String>,
    /// No beat for longer than the stale time, by this machine's clock: its worker may be dead.
    pub silent: bool,
    /// Its worker stands still with it: the speed and the time left are those of before.
    pub frozen: bool,
    /// Who has it, and how far.
    #[serde(flatten)]
    pub lease: LeaseInfo,
}

/// A film that waits for another try.
#[derive(Debug, Clone, Serialize)]
pub struct Retrying {
    /// The job.
    pub job: JobId,
    /// `root:relative/path`
    pub film: String,
    /// Tries so far, those that did not count included in none of them.
    pub attempt: u32,
    /// What the last try ended with.
    pub code: String,
    /// Who tried.
    pub worker: String,
    /// When it comes back to the queue, by that worker's clock.
    pub at: jiff::Timestamp,
    /// Seconds until then, by this machine's clock.
    pub in_s: u64,
}

/// Films given up for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Reason {
    /// One of docs/FAILURES.md, or that of a newer version.
    pub code: String,
    /// None for a code that this version does not know.
    pub class: Option<FailureClass>,
    /// Films.
    pub count: u64,
    /// What it means, in one sentence.
    pub meaning: String,
    /// What a person does about it.
    pub hint: String,
}

impl Reason {
    /// For so many films.
    pub fn new(code: &str, count: u64) -> Self {
        let known: Option<FailureCode> = code.parse().ok();
        Self {
            code: code.to_owned(),
            class: known.map(FailureCode::class),
            count,
            meaning: known.map_or("Written by a newer version.", FailureCode::meaning).into(),
            hint: known.map_or("`dovi-producer failed list`", FailureCode::hint).into(),
        }
    }
}

/// A film that waits for a worker.
#[derive(Debug, Clone)]
pub struct Waiting {
    /// `root:relative/path`
    pub film: String,
    /// Bytes.
    pub size: u64,
    /// Since when.
    pub queued_at: jiff::Timestamp,
}

/// A film that was given up.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The job.
    pub job: JobId,
    /// `root:relative/path`
    pub film: String,
    /// Why.
    pub code: String,
    /// Why, in one sentence.
    pub summary: String,
    /// When.
    pub at: jiff::Timestamp,
}
