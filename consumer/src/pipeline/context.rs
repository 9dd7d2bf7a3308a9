//! What a stage is given: the film, and what it may touch.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::config::Decode;
use common::job::{Certificate, FailureCode, JobId, Recipe};
use common::process::{Freeze, Progress as Count, StallWatch, Supervision};
use common::share::Reservations;
use tokio_util::sync::CancellationToken;

use super::{Announcement, Progress, Publishing, Stage, StageError, Toolbox};

/// Links that lead to each other. std has no stable name for it.
const ELOOP: i32 = 40;

/// A file as it was when somebody asked for its conversion.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source {
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
}

impl Source {
    /// Whether a file that was seen as this is the one that is seen as `now`. Mounts of one share round dates differently: SMB
    /// to 100 ns, others not at all.
    pub fn is_still(&self, now: &Self) -> bool {
        const ROUNDING_NS: u64 = 1000;
        self.size == now.size && self.mtime_ns.abs_diff(now.mtime_ns) < ROUNDING_NS
    }

    /// The file as it is now.
    ///
    /// # Errors
    /// It is not there or cannot be asked.
    pub fn of(path: &Path) -> std::io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let never = |e: &std::io::Error| {
            e.kind() == std::io::ErrorKind::InvalidFilename || e.raw_os_error() == Some(ELOOP)
        };
        let meta = std::fs::metadata(path).map_err(|e| match never(&e) {
            // What no file can be called is not there, neither today nor at the next try.
            true => std::io::Error::new(std::io::ErrorKind::NotFound, e),
            false => e,
        })?;
        // The path may come from a stranger, and opening a pipe waits for a writer for ever (measured).
        if !meta.is_file() {
            return Err(std::io::Error::new(std::io::ErrorKind::NotFound, "it is no regular file"));
        }
        Ok(Self {
            size: meta.len(),
            mtime_ns: meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec()),
        })
    }
}

/// Who asks, for the certificate.
#[derive(Debug, Clone, Default)]
pub struct Label {
    /// The job, if there is one.
    pub job: Option<JobId>,
    /// The film's library path, if it has one.
    pub film: Option<String>,
    /// Who does the work.
    pub worker: String,
}

/// One film to convert.
#[derive(Debug, Clone)]
pub struct FilmTask {
    /// The film; never written to.
    pub source: PathBuf,
    /// How it was when it was asked for; a changed film is refused.
    pub expected: Option<Source>,
    /// The result's final name.
    pub target: PathBuf,
    /// How the result gets it.
    pub publishing: Publishing,
    /// Where the scratch folder is made.
    pub scratch: PathBuf,
    /// What to do.
    pub recipe: Recipe,
    /// Unique to this attempt; part of every temporary name.
    pub token: String,
    /// Tokens of earlier attempts that are certainly dead: their partial results are removed.
    pub dead: Vec<String>,
    /// For the certificate.
    pub label: Label,
}

/// Whoever keeps the books of what is done.
pub trait Ledger: Send + Sync {
    /// What an earlier attempt was about to publish when it was cut off.
    ///
    /// # Errors
    /// The books cannot be read.
    fn announced(&self) -> Result<Option<Announcement>, StageError>;

    /// Writes down what is about to be published, so that a crash in the next moment can be repaired.
    ///
    /// # Errors
    /// The books cannot be written: nothing is published.
    fn announce(&self, announcement: &Announcement) -> Result<(), StageError>;

    /// Asked just before the result gets its name.
    ///
    /// # Errors
    /// The film is not ours any more: nothing is published.
    fn still_ours(&self) -> Result<(), StageError>;

    /// Writes the certificate of a film that has its name.
    ///
    /// # Errors
    /// The books cannot be written; the next attempt finds the announcement.
    fn conclude(&self, certificate: &Certificate) -> Result<(), StageError>;
}

/// Who is told how far the work is. Calls must not block.
pub trait Watcher: Send + Sync {
    /// A few times a second at most.
    fn progress(&self, progress: &Progress);

    /// Something a person should know although nothing failed.
    fn notice(&self, text: &str);
}

/// The way to stop the work on a film, with the reason; or to make it stand still for a while.
#[derive(Debug, Clone, Default)]
pub struct Stop {
    freeze: Freeze,
    gently: CancellationToken,
    at_once: CancellationToken,
    reason: Arc<OnceLock<FailureCode>>,
}

impl Stop {
    /// Asks the work to stop; the first reason stays.
    pub fn stop(&self, reason: FailureCode) {
        // A second reason changes nothing.
        let _ = self.reason.set(reason);
        self.gently.cancel();
        // Whoever stands still must see it.
        self.freeze.set(false);
    }

    /// Makes tools and threads stand still, or lets them go on. Work that was asked to stop is not held.
    pub fn freeze(&self, on: bool) {
        self.freeze.set(on && !self.is_stopped());
        if self.is_stopped() {
            self.freeze.set(false);
        }
    }

    /// For threads that do the work themselves, now and then: holds them while the work stands still; true if it was asked to
    /// stop.
    pub fn holds_or_ends(&self) -> bool {
        self.freeze.hold();
        self.is_stopped()
    }

    /// As [`Stop::holds_or_ends`], between two steps.
    ///
    /// # Errors
    /// The work was asked to stop.
    pub async fn pass(&self, stage: Stage) -> Result<(), StageError> {
        self.freeze.until(false).await;
        self.check(stage)
    }

    /// How long the work has stood still in all.
    pub fn frozen_for(&self) -> Duration {
        self.freeze.total()
    }

    /// Has tools killed without grace.
    pub fn kill(&self) {
        self.stop(FailureCode::Shutdown);
        self.at_once.cancel();
    }

    /// Whether the work was asked to stop.
    pub fn is_stopped(&self) -> bool {
        self.gently.is_cancelled()
    }

    /// Waits until the work is asked to stop.
    pub async fn stopped(&self) {
        self.gently.cancelled().await;
    }

    /// The answer of a stage that was asked to stop.
    pub fn error(&self, stage: Stage) -> StageError {
        let code = self.reason.get().copied().unwrap_or(FailureCode::Shutdown);
        StageError::new(stage, code, format!("stopped in {stage}: {}", code.meaning()))
    }

    /// # Errors
    /// The work was asked to stop.
    pub fn check(&self, stage: Stage) -> Result<(), StageError> {
        if self.is_stopped() { Err(self.error(stage)) } else { Ok(()) }
    }
}

/// How tools are watched.
#[derive(Debug, Clone)]
pub struct Watch {
    /// A tool without progress for so long is stopped.
    pub stall: Duration,
    /// From asking a tool to end to killing it.
    pub grace: Duration,
    /// A file that every tool's command line and words are appended to.
    pub log: Option<PathBuf>,
}

/// What stages share: tools, limits, and ways to report and to stop.
#[derive(Clone)]
pub struct Context {
    /// The programs.
    pub tools: Arc<Toolbox>,
    /// How they are watched.
    pub watch: Watch,
    /// Whether the result is decoded for the proof.
    pub decode: Decode,
    /// Space that other films of this process count on.
    pub space: Reservations,
    /// Who is told.
    pub watcher: Arc<dyn Watcher>,
    /// Who stops us.
    pub stop: Stop,
}

impl Context {
    /// How to watch a tool whose progress raises `count`. `own` stops this one tool alone.
    pub fn supervision(&self, count: &Count, own: &CancellationToken) -> Supervision {
        Supervision {
            cancel: self.stop.gently.clone(),
            kill: either(&self.stop.at_once, own),
            freeze: self.stop.freeze.clone(),
            grace: self.watch.grace,
            stall: Some(StallWatch { progress: count.clone(), after: self.watch.stall }),
            log: self.watch.log.clone(),
            ..Supervision::default()
        }
    }
}

/// Cancelled when one of the two is.
fn either(a: &CancellationToken, b: &CancellationToken) -> CancellationToken {
    let both = a.child_token();
    let (forward, b) = (both.clone(), b.clone());
    tokio::spawn(async move {
        tokio::select! {
            () = b.cancelled() => forward.cancel(),
            () = forward.cancelled() => {}
        }
    });
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_film_seen_through_another_mount_is_the_same_film() {
        let seen = Source { size: 7, mtime_ns: 1_700_000_000_123_456_789 };
        assert!(
            seen.is_still(&seen) && seen.is_still(&Source { mtime_ns: 1_700_000_000_123_456_700, ..seen })
        );
        assert!(!seen.is_still(&Source { size: 8, ..seen }));
        assert!(!seen.is_still(&Source { mtime_ns: seen.mtime_ns + 1_000_000, ..seen }));
    }

    #[test]
    fn what_was_asked_to_stop_stands_still_no_longer() {
        let stop = Stop::default();
        stop.freeze(true);
        let held = std::thread::spawn({
            let stop = stop.clone();
            move || stop.holds_or_ends()
        });
        stop.stop(FailureCode::Cancelled);
        assert!(held.join().unwrap());
        stop.freeze(true);
        assert!(stop.holds_or_ends(), "it does not hold");
    }

    #[test]
    fn the_first_reason_to_stop_stays() {
        let stop = Stop::default();
        assert!(stop.check(Stage::Mux).is_ok());
        stop.stop(FailureCode::LeaseLost);
        stop.kill();
        assert_eq!(stop.check(Stage::Mux).unwrap_err().code, FailureCode::LeaseLost);
    }
}
