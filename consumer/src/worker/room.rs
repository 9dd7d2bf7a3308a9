//! Disks that are full: which films do not fit here, and whether any film could be begun at all.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::config::{Config, OutputMode};
use common::job::{FailureCode, JobId};
use common::share::{SpaceError, require};

use crate::pipeline::{Stage, StageError};
use crate::workspace::{MARGIN, needs};

/// What lease, journal, report and certificate of a few films need.
const SHARE: u64 = 1 << 20;
/// Films that are remembered.
const MOST: usize = 10_000;

/// What a film was short of.
#[derive(Debug, Clone)]
struct Short {
    code: FailureCode,
    dir: PathBuf,
    bytes: u64,
}

/// Remembers which films do not fit, so that they are not read from end to end each time they come round.
#[derive(Debug, Default)]
pub struct Room {
    short: Mutex<HashMap<JobId, Short>>,
}

impl Room {
    /// Learns from a film's failure. `size`: bytes of the film. True if the film alone is too large: others may fit.
    pub fn learn(&self, job: JobId, size: u64, scratch: &Path, e: &StageError) -> bool {
        let said = e.source.as_deref().and_then(|s| s.downcast_ref::<SpaceError>());
        let (short, alone) = match (said, e.stage) {
            (Some(SpaceError::Short { dir, needed, .. }), _) => {
                (Short { code: e.code, dir: dir.clone(), bytes: *needed }, true)
            }
            // It was begun with room for half its video, as most encodes have. Next time this one gets room for all of it,
            // or it would fill the disk each time after hours of work.
            (None, Stage::Encode | Stage::Copy) if e.code == FailureCode::DiskFull => {
                let bytes = needs(size, size, true).scratch;
                (Short { code: FailureCode::ScratchSmall, dir: scratch.to_owned(), bytes }, false)
            }
            _ => return false,
        };
        let mut known = self.short();
        if known.len() >= MOST {
            known.clear();
        }
        known.insert(job, short);
        alone
    }

    /// Before a film is begun: whether it fits by now.
    ///
    /// # Errors
    /// The code of its last failure.
    pub fn check(&self, job: JobId) -> Result<(), StageError> {
        let Some(short) = self.short().get(&job).cloned() else { return Ok(()) };
        of(short.code, require(nearest(&short.dir), short.bytes))
    }

    /// The film is done.
    pub fn forget(&self, job: JobId) {
        self.short().remove(&job);
    }

    fn short(&self) -> MutexGuard<'_, HashMap<JobId, Short>> {
        self.short.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether there is the room that every film needs, in scratch, in the results' folder and on the share.
///
/// # Errors
/// `disk.full`, naming the first that is full.
pub fn any_room(config: &Config) -> Result<(), StageError> {
    let scratch = config.scratch.path();
    let mut places = vec![(scratch.as_path(), MARGIN), (&config.share.state_dir, SHARE)];
    // Beside the films it may be any of many disks: that is looked at when a film comes.
    if config.output.mode == OutputMode::Separate {
        places.push((&config.output.dir, MARGIN));
    }
    places.into_iter().try_for_each(|(dir, bytes)| of(FailureCode::DiskFull, require(nearest(dir), bytes)))
}

fn of(code: FailureCode, answer: Result<(), SpaceError>) -> Result<(), StageError> {
    answer.map_err(|e| match e {
        SpaceError::Short { .. } => StageError::new(Stage::Preflight, code, e.to_string()).because(e),
        SpaceError::File(e) => StageError::file(Stage::Preflight, e),
    })
}

/// The folder, or the nearest one above it that is there.
fn nearest(dir: &Path) -> &Path {
    dir.ancestors().find(|d| d.is_dir()).unwrap_or(Path::new("/"))
}

#[cfg(test)]
mod tests {
    use common::share::{FileError, free_bytes};

    use super::*;

    fn job(n: u8) -> JobId {
        format!("{n:032x}").parse().unwrap()
    }

    #[test]
    fn a_film_that_did_not_fit_is_not_begun_again_before_there_is_room() {
        let (room, dir) = (Room::default(), tempfile::tempdir().unwrap());
        let error = |needed| {
            let e = SpaceError::Short { dir: dir.path().join("not/made/yet"), free: 1, needed };
            StageError::new(Stage::Preflight, FailureCode::ScratchSmall, e.to_string()).because(e)
        };
        assert!(room.check(job(1)).is_ok());
        assert!(room.learn(job(1), 9, dir.path(), &error(u64::MAX)));
        assert_eq!(room.check(job(1)).unwrap_err().code, FailureCode::ScratchSmall);
        assert!(room.check(job(2)).is_ok());
        assert!(room.learn(job(1), 9, dir.path(), &error(1)));
        assert!(room.check(job(1)).is_ok(), "it would fit now");
    }

    #[test]
    fn an_encode_that_filled_the_disk_needs_room_for_all_its_video_the_next_time() {
        let (room, dir) = (Room::default(), tempfile::tempdir().unwrap());
        let full = |stage| StageError::new(stage, FailureCode::DiskFull, "the scratch disk is full");
        let free = free_bytes(dir.path()).unwrap();
        assert!(!room.learn(job(1), free * 2, dir.path(), &full(Stage::Encode)));
        assert_eq!(room.check(job(1)).unwrap_err().code, FailureCode::ScratchSmall);
        room.forget(job(1));
        assert!(room.check(job(1)).is_ok());
        // A result that did not fit says nothing of scratch.
        assert!(!room.learn(job(2), free * 2, dir.path(), &full(Stage::Mux)));
        let file = StageError::file(Stage::Publish, FileError::NoSpace { path: "x".into() });
        assert!(!room.learn(job(2), free * 2, dir.path(), &file));
        assert!(room.check(job(2)).is_ok());
    }
}
