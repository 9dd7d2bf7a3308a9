//! The state folder: what the fleet knows about every film.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::atomic::{read_bounded, write_file};
use super::publish::server_time;
use super::{FileError, FileIdentity, LeaseInfo, ShareError};
use crate::job::JobId;

const SENTINEL: &str = "sentinel";
/// A lease is some 500 bytes.
const LEASE_LIMIT: u64 = 64 << 10;

/// The folders of JSON files, one file per job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Folder {
    /// Films that the broker was given.
    Queued,
    /// Certificates: the film is published and proven.
    Done,
    /// Reports of films given up on.
    Failed,
}

impl Folder {
    const fn name(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }

    /// Bytes of the largest file that is read.
    const fn limit(self) -> u64 {
        match self {
            Self::Queued | Self::Failed => 1 << 20,
            Self::Done => 16 << 20,
        }
    }
}

/// What is known about a job. The first that applies: done wins over everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum JobState {
    /// There is a certificate.
    Done,
    /// It was given up.
    Failed,
    /// A worker has claimed it (and may be dead: only watching the lease tells).
    Leased,
    /// The broker was given it.
    Queued,
    /// Nothing is known.
    Unknown,
}

/// How many jobs there are in each folder. A job that is worked on is usually in `queued` and `leased`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Files in `queued/`.
    pub queued: u64,
    /// Files in `leases/`.
    pub leased: u64,
    /// Files in `done/`.
    pub done: u64,
    /// Files in `failed/`.
    pub failed: u64,
}

/// The jobs of one folder, and what else lay there.
#[derive(Debug, Clone)]
pub struct Listing<T> {
    /// By job, in the order of their ids.
    pub entries: Vec<(JobId, T)>,
    /// One line per file that is not ours, cannot be read, or makes no sense. Temporary files are passed over silently.
    pub warnings: Vec<String>,
}

/// The share's state folder. Cheap to clone; holds nothing but the path.
#[derive(Clone, PartialEq, Eq)]
pub struct ShareState {
    dir: PathBuf,
}

impl fmt::Debug for ShareState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ShareState({})", self.dir.display())
    }
}

impl ShareState {
    /// Names the folder; touches nothing.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Creates the layout, the sentinel last. Only for the explicit set-up or the first scan: a worker that did this in
    /// an empty mount point would take a missing share for an empty one.
    ///
    /// # Errors
    /// The folders cannot be made.
    pub fn init(&self) -> Result<(), ShareError> {
        for name in ["queued", "leases", "done", "failed", "logs"] {
            let dir = self.dir.join(name);
            fs::create_dir_all(&dir).map_err(|e| FileError::new("create", &dir, e))?;
        }
        let sentinel = self.dir.join(SENTINEL);
        if !sentinel.exists() {
            write_file(
                &sentinel,
                b"The state folder of dovi-fleet. While this file cannot be seen, the share is gone.\n",
            )?;
        }
        Ok(())
    }

    /// Sees whether the share is there.
    ///
    /// # Errors
    /// [`ShareError::Gone`] if the sentinel cannot be seen, for whatever reason.
    pub fn check(&self) -> Result<(), ShareError> {
        match fs::metadata(self.dir.join(SENTINEL)) {
            Ok(m) if m.is_file() => Ok(()),
            _ => Err(ShareError::Gone { dir: self.dir.clone() }),
        }
    }

    /// The time by the clock of the share's server, told by the date of a file made just now. Dates of files on the
    /// same server are compared with this, never with the clock of this machine.
    ///
    /// # Errors
    /// The share is gone, or nothing can be written there.
    pub fn now(&self) -> Result<std::time::SystemTime, ShareError> {
        self.check()?;
        self.explained(server_time(&self.dir.join(Folder::Queued.name())))
    }

    /// Reads a job's file; `None` if there is none.
    ///
    /// # Errors
    /// [`ShareError::Gone`] rather than `None` if the share is not there; too large, malformed, or an I/O error.
    pub fn read<T: DeserializeOwned>(&self, folder: Folder, job: JobId) -> Result<Option<T>, ShareError> {
        self.read_json(&self.file(folder, job), folder.limit())
    }

    /// Writes a job's file whole.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn write<T: Serialize>(&self, folder: Folder, job: JobId, value: &T) -> Result<(), ShareError> {
        let path = self.file(folder, job);
        let malformed = |reason: String| ShareError::Malformed { path: path.clone(), reason };
        let mut json = serde_json::to_vec_pretty(value).map_err(|e| malformed(e.to_string()))?;
        json.push(b'\n');
        if json.len() as u64 > folder.limit() {
            return Err(ShareError::TooLarge { path, size: json.len() as u64, limit: folder.limit() });
        }
        // An empty mount point must not be filled with files that the share, mounted again, would hide.
        self.check()?;
        self.explained(write_file(&path, &json))
    }

    /// Removes a job's file; false if there was none.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn remove(&self, folder: Folder, job: JobId) -> Result<bool, ShareError> {
        self.remove_file(&self.file(folder, job))
    }

    /// Ends a job: its certificate or report is written, then it is taken from the folders that no longer apply. What cannot
    /// be taken away is no failure, for the job has ended: the strongest folder counts, and the rest is tidied up later.
    ///
    /// # Errors
    /// As [`ShareState::write`].
    pub fn settle<T: Serialize>(&self, folder: Folder, job: JobId, value: &T) -> Result<(), ShareError> {
        self.write(folder, job, value)?;
        for other in [Folder::Queued, Folder::Failed] {
            let applies = other != folder && (other == Folder::Queued || folder == Folder::Done);
            if applies && let Err(e) = self.remove(other, job) {
                tracing::warn!(%job, error = %e, "an entry of a film that has ended stays behind");
            }
        }
        Ok(())
    }

    /// What is known about a job.
    ///
    /// # Errors
    /// The share is gone or fails: then nothing is known, which is not [`JobState::Unknown`].
    pub fn state_of(&self, job: JobId) -> Result<JobState, ShareError> {
        let there = |path: PathBuf| match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => self.explained(Err(FileError::new("look at", &path, e))),
        };
        for (path, state) in [
            (self.file(Folder::Done, job), JobState::Done),
            (self.file(Folder::Failed, job), JobState::Failed),
            (self.lease_file(job), JobState::Leased),
            (self.file(Folder::Queued, job), JobState::Queued),
        ] {
            if there(path)? {
                return Ok(state);
            }
        }
        self.check()?;
        Ok(JobState::Unknown)
    }

    /// Counts the jobs by four directory listings, reading no file.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn counts(&self) -> Result<Counts, ShareError> {
        let count = |folder| Ok::<_, ShareError>(self.ids(folder)?.entries.len() as u64);
        Ok(Counts {
            queued: count(Folder::Queued)?,
            leased: self.scan("leases", "")?.entries.len() as u64,
            done: count(Folder::Done)?,
            failed: count(Folder::Failed)?,
        })
    }

    /// The jobs of a folder by their file names alone.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn ids(&self, folder: Folder) -> Result<Listing<()>, ShareError> {
        self.scan(folder.name(), ".json")
    }

    /// The jobs of a folder with their content. Files that cannot be read become warnings.
    ///
    /// # Errors
    /// The share is gone or the folder cannot be listed.
    pub fn list<T: DeserializeOwned>(&self, folder: Folder) -> Result<Listing<T>, ShareError> {
        let names = self.ids(folder)?;
        self.fill(names, |job| self.read(folder, job))
    }

    /// Every lease, living or not.
    ///
    /// # Errors
    /// The share is gone or the folder cannot be listed.
    pub fn leases(&self) -> Result<Listing<LeaseInfo>, ShareError> {
        let names = self.scan("leases", "")?;
        self.fill(names, |job| self.read_lease(job))
    }

    /// The jobs that were ever begun: each has a folder for its logs.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn begun(&self) -> Result<Listing<()>, ShareError> {
        self.scan("logs", "")
    }

    /// Which file a job has in a folder now; `None` if there is none. Two equal answers mean that nobody wrote it anew.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn identity(&self, folder: Folder, job: JobId) -> Result<Option<FileIdentity>, ShareError> {
        let path = self.file(folder, job);
        match self.explained(FileIdentity::find(&path).map_err(|e| FileError::new("look at", &path, e)))? {
            None => self.check().map(|()| None),
            found => Ok(found),
        }
    }

    /// One job's lease; `None` if nobody claims it.
    ///
    /// # Errors
    /// The share is gone, or the file cannot be read or is half written.
    pub fn read_lease(&self, job: JobId) -> Result<Option<LeaseInfo>, ShareError> {
        self.read_json(&self.lease_file(job), LEASE_LIMIT)
    }

    /// The folder for a job's logs, made if missing.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn log_dir(&self, job: JobId) -> Result<PathBuf, ShareError> {
        self.check()?;
        let dir = self.log_path(job);
        self.explained(fs::create_dir_all(&dir).map_err(|e| FileError::new("create", &dir, e)))?;
        Ok(dir)
    }

    /// Where a job's logs are, whether there are any or not.
    pub fn log_path(&self, job: JobId) -> PathBuf {
        self.dir.join("logs").join(job.to_string())
    }

    pub(super) fn lease_file(&self, job: JobId) -> PathBuf {
        self.dir.join("leases").join(job.to_string())
    }

    pub(super) fn file(&self, folder: Folder, job: JobId) -> PathBuf {
        self.dir.join(folder.name()).join(format!("{job}.json"))
    }

    /// Whatever went wrong: if the share is gone, that is the reason.
    pub(super) fn explained<T>(&self, result: Result<T, FileError>) -> Result<T, ShareError> {
        result.map_err(|e| self.check().err().unwrap_or(ShareError::File(e)))
    }

    pub(super) fn remove_file(&self, path: &Path) -> Result<bool, ShareError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => self.check().map(|()| false),
            Err(e) => self.explained(Err(FileError::new("remove", path, e))),
        }
    }

    /// Raw bytes of a file; `None` only if the share is there and the file is not.
    pub(super) fn read_bytes(&self, path: &Path, limit: u64) -> Result<Option<Vec<u8>>, ShareError> {
        match read_bounded(path, limit) {
            Ok(Ok(bytes)) => Ok(Some(bytes)),
            Ok(Err(size)) => Err(ShareError::TooLarge { path: path.to_owned(), size, limit }),
            Err(e) if e.is_not_found() => self.check().map(|()| None),
            Err(e) => self.explained(Err(e)),
        }
    }

    fn read_json<T: DeserializeOwned>(&self, path: &Path, limit: u64) -> Result<Option<T>, ShareError> {
        let Some(bytes) = self.read_bytes(path, limit)? else { return Ok(None) };
        serde_json::from_slice(&bytes)
            .map(Some)
            .map_err(|e| ShareError::Malformed { path: path.to_owned(), reason: e.to_string() })
    }

    fn scan(&self, folder: &str, extension: &str) -> Result<Listing<()>, ShareError> {
        let dir = self.dir.join(folder);
        let failed = |e| FileError::new("list", &dir, e);
        let mut listing = Listing { entries: Vec::new(), warnings: Vec::new() };
        for entry in self.explained(fs::read_dir(&dir).map_err(failed))? {
            let name = self.explained(entry.map_err(failed))?.file_name();
            let name = name.to_string_lossy();
            match name.strip_suffix(extension).and_then(|stem| stem.parse().ok()) {
                Some(job) => listing.entries.push((job, ())),
                None if name.starts_with('.') => {}
                None => listing.warnings.push(format!("{folder}/{name} is no file of ours")),
            }
        }
        listing.entries.sort_unstable();
        Ok(listing)
    }

    fn fill<T>(
        &self,
        names: Listing<()>,
        read: impl Fn(JobId) -> Result<Option<T>, ShareError>,
    ) -> Result<Listing<T>, ShareError> {
        let mut listing =
            Listing { entries: Vec::with_capacity(names.entries.len()), warnings: names.warnings };
        for (job, ()) in names.entries {
            match read(job) {
                Ok(Some(value)) => listing.entries.push((job, value)),
                Ok(None) => {} // it went away between the listing and the reading
                Err(e @ ShareError::Gone { .. }) => return Err(e),
                Err(e) => listing.warnings.push(e.to_string()),
            }
        }
        Ok(listing)
    }
}
