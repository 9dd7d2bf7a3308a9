//! The starts and ends of every attempt at a job, to count crashes.
//!
//! A worker that dies leaves a start without an end. The broker's own delivery counts cannot tell that from a restart of
//! the broker, so they are not used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::PathBuf;

use rustix::fs::{FallocateFlags, fallocate};
use rustix::io::Errno;
use serde::{Deserialize, Serialize};

use super::atomic::{parent, sync_dir};
use super::{FileError, ShareError, ShareState};
use crate::job::JobId;

/// The journal of a job that is tried once a minute for a year has 40 MB; what is older than this much of it does not matter.
const READ_LIMIT: u64 = 4 << 20;
/// Bytes in which the latest line is looked for.
const TAIL: u64 = 16 << 10;
/// A start sets this aside for its end: on a share that ran full meanwhile, an end that could not be written would look
/// like a crash.
const ROOM_FOR_END: u64 = 1024;

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "lowercase")]
pub enum Event {
    /// A worker began.
    Start,
    /// It ended, in whatever way: it lived to tell.
    End {
        /// `done`, or the failure's code.
        outcome: String,
        /// Seconds until the film comes back to the queue, if it was sent to wait; for people.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_s: Option<u64>,
    },
}

/// One line of a journal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The lease's token: ties an end to its start.
    pub run: String,
    /// Attempt as counted in the job's header.
    pub attempt: u32,
    /// The worker's name.
    pub worker: String,
    /// The machine's name.
    pub host: String,
    /// What happened.
    #[serde(flatten)]
    pub event: Event,
    /// When, by that machine's clock.
    pub at: jiff::Timestamp,
}

/// How often a job took its worker down.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Crashes {
    /// Starts without an end.
    pub count: u32,
    /// The workers they happened on. One worker is a sick worker, several are a poisonous film.
    pub workers: BTreeSet<String>,
}

/// The journal of one job.
#[derive(Debug, Clone)]
pub struct Journal {
    share: ShareState,
    path: PathBuf,
}

impl Journal {
    /// `logs/<job>/journal.jsonl`, made if missing.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn open(share: &ShareState, job: JobId) -> Result<Self, ShareError> {
        Ok(Self { share: share.clone(), path: share.log_dir(job)?.join("journal.jsonl") })
    }

    /// The same without making anything, for those who only read.
    pub fn of(share: &ShareState, job: JobId) -> Self {
        Self { share: share.clone(), path: share.log_path(job).join("journal.jsonl") }
    }

    /// Appends one line and makes it last; a start that fails leaves no line behind. Only the holder of the job's lease does this.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn append(&self, entry: &Entry) -> Result<(), ShareError> {
        let malformed =
            |e: serde_json::Error| ShareError::Malformed { path: self.path.clone(), reason: e.to_string() };
        let mut line = serde_json::to_vec(entry).map_err(malformed)?;
        line.push(b'\n');
        let mut write = || {
            let mut file = File::options().read(true).append(true).create(true).open(&self.path)?;
            // The writer before us may have died in the middle of a line.
            let end = file.seek(SeekFrom::End(0))?;
            if end > 0 {
                file.seek(SeekFrom::End(-1))?;
                let mut last = [0];
                file.read_exact(&mut last)?;
                if last != *b"\n" {
                    line.insert(0, b'\n');
                }
            }
            let is_start = entry.event == Event::Start;
            let appended = file
                .write_all(&line)
                .and_then(|()| if is_start { reserve(&file, end + line.len() as u64) } else { Ok(()) })
                .and_then(|()| file.sync_all());
            if appended.is_err() && is_start {
                // It would count as a crash. If this fails too, one crash is counted too many.
                let _ = file.set_len(end);
            }
            appended
        };
        let written = write().map_err(|e| FileError::new("write", &self.path, e));
        self.share.explained(written.and_then(|()| sync_dir(parent(&self.path))))
    }

    /// Every readable line, oldest first; half-written lines are passed over.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn entries(&self) -> Result<Vec<Entry>, ShareError> {
        self.read(READ_LIMIT)
    }

    /// The latest readable line.
    ///
    /// # Errors
    /// As [`Journal::entries`].
    pub fn latest(&self) -> Result<Option<Entry>, ShareError> {
        Ok(self.read(TAIL)?.pop())
    }

    fn read(&self, limit: u64) -> Result<Vec<Entry>, ShareError> {
        let read = || {
            let mut file = File::open(&self.path)?;
            let length = file.metadata()?.len();
            file.seek(SeekFrom::Start(length.saturating_sub(limit)))?;
            let mut text = Vec::new();
            file.take(limit).read_to_end(&mut text)?;
            Ok(text)
        };
        match read().map_err(|e| FileError::new("read", &self.path, e)) {
            Ok(text) => {
                Ok(text.split(|&b| b == b'\n').filter_map(|l| serde_json::from_slice(l).ok()).collect())
            }
            Err(e) if e.is_not_found() => self.share.check().map(|()| Vec::new()),
            Err(e) => self.share.explained(Err(e)),
        }
    }

    /// Counts the starts without an end. Ask with the lease in hand and before the own start is written: then whoever
    /// started and did not end is dead.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn crashes(&self) -> Result<Crashes, ShareError> {
        let mut open = BTreeMap::new();
        for entry in self.entries()? {
            match entry.event {
                Event::Start => open.insert(entry.run, entry.worker),
                Event::End { .. } => open.remove(&entry.run),
            };
        }
        let count = u32::try_from(open.len()).unwrap_or(u32::MAX);
        Ok(Crashes { count, workers: open.into_values().collect() })
    }
}

/// Sets room aside behind the file's end, where the file system can do that.
fn reserve(file: &File, end: u64) -> std::io::Result<()> {
    match fallocate(file, FallocateFlags::KEEP_SIZE, end, ROOM_FOR_END) {
        Err(e @ (Errno::NOSPC | Errno::DQUOT)) => Err(e.into()),
        _ => Ok(()),
    }
}
