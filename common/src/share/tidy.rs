//! What a tidy-up of the share may go by, and whether the share does what everything here relies on.

use std::collections::{HashMap, HashSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use super::atomic::{hidden_beside, random_hex, remove_quietly};
use super::lease::put_back;
use super::{Event, FileError, Folder, JobState, Journal, LeaseInfo, ShareError, ShareState};
use crate::job::JobId;

/// A lease that is renewed or put back is absent for milliseconds. One that is absent twice with this time between is gone.
const TWICE: Duration = Duration::from_secs(1);

impl ShareState {
    /// Tries what the fleet relies on: a file is made only once under a name, reads back as written, and can be renamed.
    ///
    /// # Errors
    /// The share is gone, full, fails, or does not do one of these.
    pub fn probe(&self) -> Result<(), ShareError> {
        self.check()?;
        let dir = self.dir().join("leases");
        let name = |n: u8| Ok::<_, FileError>(dir.join(format!(".clock.{}{n}.tmp", random_hex(8)?)));
        let (made, renamed) = (name(0)?, name(1)?);
        let tried = try_out(&made, &renamed);
        remove_quietly(&made);
        remove_quietly(&renamed);
        match tried {
            Ok(None) => Ok(()),
            Ok(Some(what)) => Err(ShareError::Malformed { path: dir, reason: what.into() }),
            Err(e) => self.explained(Err(FileError::new("write", &made, e))),
        }
    }

    /// Removes entries of jobs that have ended: queue entries of those that are done or given up, reports of those that are
    /// done. Whoever ended them died before that. An entry that is not older than the end belongs to a film that was queued
    /// anew. Gives their number.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn drop_ended_entries(&self) -> Result<u64, ShareError> {
        let ids = |folder| Ok::<_, ShareError>(self.ids(folder)?.entries.into_iter().map(|(id, ())| id));
        let mut removed = 0;
        for (end, entry) in
            [(Folder::Done, Folder::Queued), (Folder::Done, Folder::Failed), (Folder::Failed, Folder::Queued)]
        {
            let ended: HashSet<JobId> = ids(end)?.collect();
            for job in ids(entry)?.filter(|job| ended.contains(job)) {
                let dates = written(&self.file(entry, job)).zip(written(&self.file(end, job)));
                if dates.is_some_and(|(entry, end)| entry < end) && self.remove(entry, job)? {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }

    /// Removes leases of jobs that have ended and that nobody renewed for `age` by the share's clock: their holder died between
    /// the end and the giving back, and its message may be gone, so that nobody looks at them again. Gives their number.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn drop_ended_leases(&self, age: Duration) -> Result<u64, ShareError> {
        let now = self.now()?;
        let is_old = |path: &Path| {
            written(path).and_then(|then| now.duration_since(then).ok()).is_some_and(|quiet| quiet > age)
        };
        let mut removed = 0;
        for (job, lease) in self.leases()?.entries {
            let path = self.lease_file(job);
            if !matches!(self.state_of(job)?, JobState::Done | JobState::Failed) || !is_old(&path) {
                continue;
            }
            // Moved first and looked at then: between a look and an unlink it could become another's.
            let aside = hidden_beside(&path, &format!("ended.{}", random_hex(8)?));
            match fs::rename(&path, &aside) {
                Ok(()) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                Err(e) => return self.explained(Err(FileError::new("remove", &path, e))),
            }
            let moved = self.read_bytes(&aside, 1 << 20)?.unwrap_or_default();
            let now = serde_json::from_slice::<LeaseInfo>(&moved).ok();
            if now.is_some_and(|now| (now.token, now.beat) == (lease.token, lease.beat)) {
                remove_quietly(&aside);
                removed += 1;
            } else {
                put_back(&aside, &path);
            }
        }
        Ok(removed)
    }

    /// Which jobs these tokens were attempts at, by the journals. Tokens of nobody's attempt are left out: whatever bears
    /// them is not of this fleet. Reads every journal, until `until`.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn jobs_of_tokens(
        &self,
        tokens: &HashSet<String>,
        until: Instant,
    ) -> Result<HashMap<String, JobId>, ShareError> {
        self.check()?;
        let mut found = HashMap::new();
        let logs = self.dir().join("logs");
        let failed = |e| FileError::new("list", &logs, e);
        for entry in self.explained(fs::read_dir(&logs).map_err(failed))? {
            if found.len() == tokens.len() || Instant::now() > until {
                break;
            }
            let name = self.explained(entry.map_err(failed))?.file_name();
            let Some(job) = name.to_str().and_then(|n| n.parse::<JobId>().ok()) else { continue };
            for entry in Journal::of(self, job).entries().unwrap_or_default() {
                if entry.event == Event::Start && tokens.contains(&entry.run) {
                    found.insert(entry.run, job);
                }
            }
        }
        Ok(found)
    }

    /// Whether an attempt at this job has certainly lost its lease. Takes a second if so.
    ///
    /// # Errors
    /// The share is gone or fails: then nothing is certain.
    pub fn has_lost_its_lease(&self, job: JobId, token: &str) -> Result<bool, ShareError> {
        for last in [false, true] {
            match self.read_lease(job) {
                Ok(Some(lease)) if lease.token == token => return Ok(false),
                Ok(_) => {}
                Err(e) => return Err(e),
            }
            if !last {
                thread::sleep(TWICE);
            }
        }
        Ok(true)
    }
}

/// `Some(what)` is wrong with the file system.
fn try_out(made: &Path, renamed: &Path) -> io::Result<Option<&'static str>> {
    const CONTENT: [u8; 4096] = [b'.'; 4096];
    let exclusive = || File::options().write(true).create_new(true).open(made);
    let mut file = exclusive()?;
    file.write_all(&CONTENT)?;
    file.sync_all()?;
    drop(file);
    match exclusive() {
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
        Err(e) => return Err(e),
        Ok(_) => return Ok(Some("a file can be made twice under one name")),
    }
    fs::rename(made, renamed)?;
    if fs::read(renamed)? != CONTENT {
        return Ok(Some("a file does not read back as it was written"));
    }
    Ok(None)
}

fn written(path: &Path) -> Option<SystemTime> {
    let meta = fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file)?;
    meta.modified().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::{Acquire, Entry, LeaseObserver, Owner};
    use super::*;

    fn share() -> (tempfile::TempDir, ShareState) {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        (dir, share)
    }

    fn job(n: u8) -> JobId {
        format!("{n:032x}").parse().unwrap()
    }

    #[test]
    fn a_good_share_passes_and_nothing_stays() {
        let (_dir, share) = share();
        share.probe().unwrap();
        assert_eq!(fs::read_dir(share.dir().join("leases")).unwrap().count(), 0);
        fs::remove_file(share.dir().join("sentinel")).unwrap();
        assert!(matches!(share.probe(), Err(ShareError::Gone { .. })));
    }

    #[test]
    fn only_older_entries_of_films_that_ended_go() {
        let (_dir, share) = share();
        for n in 1..=3 {
            share.write(Folder::Queued, job(n), &json!({})).unwrap();
        }
        let date = |folder: Folder, n, seconds| {
            let then = SystemTime::now() - Duration::from_secs(seconds);
            File::options().write(true).open(share.file(folder, job(n))).unwrap().set_modified(then).unwrap();
        };
        for n in 1..=2 {
            share.write(Folder::Done, job(n), &json!({})).unwrap();
        }
        date(Folder::Queued, 1, 100);
        date(Folder::Done, 2, 100); // queued anew after it was done
        assert_eq!(share.drop_ended_entries().unwrap(), 1);
        let left: Vec<_> =
            share.ids(Folder::Queued).unwrap().entries.into_iter().map(|(id, ())| id).collect();
        assert_eq!(left, [job(2), job(3)]);

        share.write(Folder::Failed, job(3), &json!({})).unwrap();
        share.write(Folder::Failed, job(1), &json!({})).unwrap();
        date(Folder::Queued, 3, 100);
        date(Folder::Failed, 1, 100);
        assert_eq!(share.drop_ended_entries().unwrap(), 2);
        let left = |folder| -> Vec<JobId> {
            share.ids(folder).unwrap().entries.into_iter().map(|(id, ())| id).collect()
        };
        assert_eq!((left(Folder::Queued), left(Folder::Failed)), (vec![job(2)], vec![job(3)]));
    }

    #[test]
    fn only_quiet_leases_of_films_that_ended_go() {
        let (_dir, share) = share();
        let hour = Duration::from_secs(3600);
        let observer = LeaseObserver::new(share.clone(), Owner::here("w"));
        for n in 1..=3 {
            let claimed = observer.acquire(job(n), hour).unwrap();
            assert!(matches!(claimed, Acquire::Mine(_)));
        }
        share.write(Folder::Done, job(1), &json!({})).unwrap();
        share.write(Folder::Failed, job(2), &json!({})).unwrap();
        assert_eq!(share.drop_ended_leases(hour).unwrap(), 0, "their holders may be tidying up");
        for n in 2..=3 {
            let then = SystemTime::now() - 2 * hour;
            File::options().write(true).open(share.lease_file(job(n))).unwrap().set_modified(then).unwrap();
        }
        assert_eq!(share.drop_ended_leases(hour).unwrap(), 1);
        let left: Vec<_> = share.leases().unwrap().entries.into_iter().map(|(id, _)| id).collect();
        assert_eq!(left, [job(1), job(3)], "the third may be an encode whose share was away");
        assert_eq!(fs::read_dir(share.dir().join("leases")).unwrap().count(), 2);
    }

    #[test]
    fn a_token_is_dead_when_its_job_has_another_lease_or_none() {
        let (_dir, share) = share();
        let observer = LeaseObserver::new(share.clone(), Owner::here("w"));
        let Acquire::Mine(lease) = observer.acquire(job(1), Duration::from_secs(60)).unwrap() else {
            panic!()
        };
        let at = jiff::Timestamp::now();
        let start = |run: &str| Entry {
            run: run.into(),
            attempt: 1,
            worker: "w".into(),
            host: "h".into(),
            event: Event::Start,
            at,
        };
        let journal = Journal::open(&share, job(1)).unwrap();
        for run in ["00", lease.token()] {
            journal.append(&start(run)).unwrap();
        }
        fs::create_dir(share.dir().join("logs/holiday")).unwrap();
        let tokens = ["00".to_owned(), lease.token().to_owned(), "ff".to_owned()].into();
        let jobs = share.jobs_of_tokens(&tokens, Instant::now() + Duration::from_secs(60)).unwrap();
        assert_eq!(jobs.len(), 2, "ff is nobody's: {jobs:?}");
        assert!(share.has_lost_its_lease(job(1), "00").unwrap());
        assert!(!share.has_lost_its_lease(job(1), lease.token()).unwrap());
        lease.release().unwrap();
        assert!(share.has_lost_its_lease(job(1), "00").unwrap());
    }
}
