//! The claim of one worker on one film.
//!
//! A lease is a small file. Its token says who has it; its beat counter says that they live. The holder rewrites it
//! every few seconds; anyone else who sees the counter stand still for the stale time, by their own clock, may take it
//! over (see [`LeaseObserver`](super::LeaseObserver)). A holder that was frozen finds another token when it wakes up,
//! and stops: at the next beat, and again just before it would publish.

use std::fs;
use std::io;
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

use super::atomic::{commit, hidden_beside, remove_quietly, write_temp};
use super::publish::publish_no_clobber;
use super::{FileError, LeaseError, Owner, ShareError, ShareState};
use crate::job::JobId;

/// A takeover that finds a fresher beat than it expected puts the file back within milliseconds. So a holder that finds
/// no lease looks again for this long before it gives up a day's work.
const ABSENT_PATIENCE: Duration = Duration::from_secs(1);

/// A renewal that is through within this time was not held up by the share.
const PROMPT: Duration = Duration::from_secs(1);

/// The content of a lease.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LeaseInfo {
    /// Format version: 1.
    pub v: u32,
    /// The job.
    pub job: JobId,
    /// Random; another token is another claim.
    pub token: String,
    /// The worker's name.
    pub worker: String,
    /// Its machine, for people.
    pub host: String,
    /// Its process, for people.
    pub pid: u32,
    /// Its process for ever, see [`Owner::origin`].
    #[serde(default)]
    pub origin: String,
    /// Grows by one with every renewal.
    pub beat: u64,
    /// When the claim began, by the holder's clock: for people.
    pub started_at: jiff::Timestamp,
    /// When it was renewed last, by the holder's clock: for people, never compared with another clock.
    pub beat_at: jiff::Timestamp,
    /// How far the work is.
    #[serde(flatten)]
    pub progress: Beat,
}

/// How far the work is; travels with the beat.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Beat {
    /// The stage's name.
    #[serde(default)]
    pub stage: String,
    /// Of the whole film, 0 to 100.
    #[serde(default)]
    pub percent: f32,
    /// Frames per second of the encode, if one runs.
    #[serde(default)]
    pub fps: Option<f32>,
    /// Seconds left, if that can be told.
    #[serde(default)]
    pub eta_s: Option<u64>,
}

/// A claim that is ours. Not given back when dropped, since that can fail: see [`Lease::release`].
#[derive(Debug)]
pub struct Lease {
    share: ShareState,
    job: JobId,
    token: String,
    stale: Duration,
    /// What was written last. The lock is held during file work.
    written: Mutex<LeaseInfo>,
    /// Kept apart, so that a file system that hangs does not hide how long it has been hanging.
    renewed: Mutex<Instant>,
    lost: OnceLock<String>,
}

impl Lease {
    /// Writes the first content into a file that was just created exclusively, or makes that file.
    ///
    /// `Ok(None)`: someone else has it.
    pub(super) fn create(
        share: &ShareState,
        job: JobId,
        token: &str,
        owner: &Owner,
        stale: Duration,
    ) -> Result<Option<Self>, ShareError> {
        use io::Write;
        let path = share.lease_file(job);
        let now = jiff::Timestamp::now();
        let info = LeaseInfo {
            v: 1,
            job,
            token: token.to_owned(),
            worker: owner.worker.clone(),
            host: owner.host.clone(),
            pid: owner.pid,
            origin: owner.origin.clone(),
            beat: 0,
            started_at: now,
            beat_at: now,
            progress: Beat::default(),
        };
        let failed = |e| FileError::new("create", &path, e);
        let begun = Instant::now();
        let mut file = match fs::File::options().write(true).create_new(true).open(&path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return share.explained(Err(failed(e))),
        };
        let json = encode(&info, &path)?;
        if let Err(e) = file.write_all(&json).and_then(|()| file.sync_all()) {
            // Half a lease would keep everyone off this film for the stale time. If the write hung for longer than that, the
            // name may be another's lease by now.
            if is_same_file(&file, &path) {
                remove_quietly(&path);
            }
            return share.explained(Err(failed(e)));
        }
        Ok(Some(Self {
            share: share.clone(),
            job,
            token: token.to_owned(),
            stale,
            written: Mutex::new(info),
            renewed: Mutex::new(begun),
            lost: OnceLock::new(),
        }))
    }

    /// The job.
    pub fn job(&self) -> JobId {
        self.job
    }

    /// The fencing token: part of the names of this attempt's temporary files, so that it can be proven whose they are.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// The time after which others may take over.
    pub fn stale(&self) -> Duration {
        self.stale
    }

    /// Time since the last successful renewal.
    pub fn quiet(&self) -> Duration {
        lock(&self.renewed).elapsed()
    }

    /// Why the lease is lost, if it is known to be.
    pub fn lost(&self) -> Option<&str> {
        self.lost.get().map(String::as_str)
    }

    /// Renews the lease and tells how far the work is. Call it every stale/20 or so (see
    /// [`LeaseKeeper`](super::LeaseKeeper)), from nowhere that waits for a tool or the broker.
    ///
    /// # Errors
    /// [`LeaseError::Lost`] for good, if the token is another's, the lease is gone, or it could not be renewed for half
    /// the stale time; [`LeaseError::NotRenewed`] if the share failed this time.
    pub fn beat(&self, progress: &Beat) -> Result<(), LeaseError> {
        self.renew(Some(progress))
    }

    /// Fencing just before a step that cannot be taken back: renews the lease, so that nobody's stale time ends
    /// during that step, and fails unless it is certainly ours.
    ///
    /// # Errors
    /// As [`Lease::beat`]; on any error do not take the step.
    pub fn check(&self) -> Result<(), LeaseError> {
        self.renew(None)
    }

    fn renew(&self, progress: Option<&Beat>) -> Result<(), LeaseError> {
        let mut written = lock(&self.written);
        if let Some(why) = self.lost() {
            return Err(LeaseError::Lost(why.to_owned()));
        }
        let mut next = written.clone();
        next.beat += 1;
        next.beat_at = jiff::Timestamp::now();
        if let Some(progress) = progress {
            next.progress = progress.clone();
        }
        loop {
            let begun = Instant::now();
            match self.rewrite(&next) {
                Ok(None) => {
                    written.clone_from(&next);
                    // From the beginning of the write: the others see the new beat from some moment after it.
                    *lock(&self.renewed) = begun;
                }
                Ok(Some(why)) => return Err(self.lose(why)),
                Err(source) if self.quiet() > self.stale / 2 => {
                    let quiet = self.quiet().as_secs();
                    return Err(self.lose(format!("it could not be renewed for {quiet} s: {source}")));
                }
                Err(source) => return Err(LeaseError::NotRenewed { quiet: self.quiet(), source }),
            }
            // The watcher may have given it up while the share hung in one of these calls.
            if let Some(why) = self.lost() {
                return Err(LeaseError::Lost(why.to_owned()));
            }
            // What was looked at before a call that hung is too old to go by: somebody may have taken the lease over
            // between the look and the rename.
            if begun.elapsed() <= (self.stale / 4).max(PROMPT) {
                return Ok(());
            }
            next.beat += 1;
        }
    }

    /// `Some(why)` if the lease is not ours. The slow part (writing) comes before the look, so that only two system
    /// calls lie between the look and the rename.
    fn rewrite(&self, next: &LeaseInfo) -> Result<Option<String>, ShareError> {
        let path = self.share.lease_file(self.job);
        self.share.check()?;
        let temp = self.share.explained(write_temp(&path, &encode(next, &path)?))?;
        match self.look() {
            Ok(None) => {}
            not_ours => {
                remove_quietly(&temp);
                return not_ours;
            }
        }
        self.share.explained(commit(&temp, &path))?;
        Ok(None)
    }

    /// Looks whose the lease is, without renewing it.
    fn look(&self) -> Result<Option<String>, ShareError> {
        let until = Instant::now() + ABSENT_PATIENCE.min(self.stale / 4);
        loop {
            match self.share.read_lease(self.job) {
                Ok(Some(info)) if info.token == self.token => return Ok(None),
                Ok(Some(info)) => return Ok(Some(format!("worker {} on {} has it", info.worker, info.host))),
                // Its new holder is between create and write.
                Err(ShareError::Malformed { .. }) if Instant::now() >= until => {
                    return Ok(Some("its file holds no lease".into()));
                }
                Ok(None) if Instant::now() >= until => return Ok(Some("its file was removed".into())),
                Ok(None) | Err(ShareError::Malformed { .. }) => std::thread::sleep(Duration::from_millis(20)),
                Err(e) => return Err(e),
            }
        }
    }

    /// Declares the lease lost, for instance because the share hangs and no call comes back.
    pub(super) fn lose(&self, why: String) -> LeaseError {
        LeaseError::Lost(self.lost.get_or_init(|| why).clone())
    }

    /// Gives the lease back. A lease that is no longer ours is left alone. After this, no beat succeeds.
    ///
    /// # Errors
    /// The share failed; the lease then goes stale by itself.
    pub fn release(&self) -> Result<(), ShareError> {
        let _no_beat = lock(&self.written);
        if self.lost.set("it was released".into()).is_err() {
            return Ok(());
        }
        let path = self.share.lease_file(self.job);
        let aside = hidden_beside(&path, &format!("released.{}", self.token));
        // Moved first and looked at then: between a look and an unlink the lease could become another's.
        match fs::rename(&path, &aside) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return self.share.check(),
            Err(e) => return self.share.explained(Err(FileError::new("release", &path, e))),
        }
        let content = match self.share.read_bytes(&aside, 1 << 20) {
            Ok(content) => content.unwrap_or_default(),
            // Under its own name it goes stale; under the hidden one it would only be left behind.
            Err(e) => {
                put_back(&aside, &path);
                return Err(e);
            }
        };
        let ours = serde_json::from_slice::<LeaseInfo>(&content).is_ok_and(|info| info.token == self.token);
        if !ours {
            put_back(&aside, &path);
        } else {
            remove_quietly(&aside);
        }
        Ok(())
    }
}

fn is_same_file(file: &fs::File, path: &std::path::Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |m: fs::Metadata| (m.dev(), m.ino());
    file.metadata().map(id).ok().is_some_and(|ours| fs::symlink_metadata(path).map(id).ok() == Some(ours))
}

/// Puts a lease back that was moved by mistake, unless there is a new one already.
pub(super) fn put_back(aside: &std::path::Path, path: &std::path::Path) {
    if publish_no_clobber(aside, path).is_err() {
        remove_quietly(aside);
    }
}

fn encode(info: &LeaseInfo, path: &std::path::Path) -> Result<Vec<u8>, ShareError> {
    serde_json::to_vec(info)
        .map_err(|e| ShareError::Malformed { path: path.to_owned(), reason: e.to_string() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
