//! Getting a lease: free ones at once, dead ones after watching.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::atomic::{hidden_beside, random_hex, remove_quietly};
use super::lease::put_back;
use super::owner::is_certainly_dead;
use super::{FileError, Folder, Lease, LeaseInfo, Owner, ShareError, ShareState};
use crate::job::JobId;

/// What is remembered per lease is dropped after this time without a look.
const FORGET: Duration = Duration::from_secs(24 * 3600);

/// The answer to a claim.
#[derive(Debug)]
pub enum Acquire {
    /// The film is ours.
    Mine(Lease),
    /// Somebody has it, and has not been seen standing still for the stale time: put the job back, no attempt burned.
    Busy {
        /// Who, and how far. `None` while the file is being written or moved.
        holder: Option<LeaseInfo>,
        /// How long this process has seen the lease unchanged.
        unchanged: Duration,
    },
    /// There is a certificate: nothing to do.
    Done,
}

/// What one look at a lease saw. Two equal sights with the stale time between them are a dead holder.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sight {
    token: String,
    beat: u64,
    /// Takeovers of this very sight that were begun. One that was begun and never finished (its worker died in between)
    /// must itself stand for the stale time before the next.
    takeovers: u32,
}

#[derive(Debug)]
struct Memory {
    sight: Sight,
    since: Instant,
    last_look: Instant,
}

/// Claims films for this process, and remembers how long it has seen each busy lease unchanged, so that a busy film is
/// given back at once and taken over when it comes round again. Clones share the memory.
///
/// Only this process's monotonic clock is used. Two machines never compare times.
#[derive(Debug, Clone)]
pub struct LeaseObserver {
    share: ShareState,
    owner: Arc<Owner>,
    seen: Arc<Mutex<HashMap<JobId, Memory>>>,
}

impl LeaseObserver {
    /// An observer that has seen nothing yet.
    pub fn new(share: ShareState, owner: Owner) -> Self {
        Self { share, owner: Arc::new(owner), seen: Arc::default() }
    }

    /// Who claims.
    pub fn owner(&self) -> &Owner {
        &self.owner
    }

    /// Claims a film. Returns at once.
    ///
    /// A lease is taken over if it did not change for `stale` since this process first saw it so, or if its holder was
    /// a process of this machine and boot that does not exist any more.
    ///
    /// # Errors
    /// The share is gone or fails; nothing is claimed.
    pub fn acquire(&self, job: JobId, stale: Duration) -> Result<Acquire, ShareError> {
        self.share.check()?;
        if self.is_done(job)? {
            self.clear_after(job, stale);
            return Ok(Acquire::Done);
        }
        let token = random_hex(16)?;
        let lease = match Lease::create(&self.share, job, &token, &self.owner, stale)? {
            Some(lease) => lease,
            None => match self.watch(job, &token, stale)? {
                Watched::Taken(lease) => lease,
                Watched::Busy { holder, unchanged } => return Ok(Acquire::Busy { holder, unchanged }),
            },
        };
        self.memory().remove(&job);
        // The holder before us may have finished between the first look and the claim.
        if self.is_done(job)? {
            lease.release()?;
            return Ok(Acquire::Done);
        }
        Ok(Acquire::Mine(lease))
    }

    /// Whoever finished a film may have died before they gave its lease back, and nobody would look at that again: this message
    /// may be the last one. The lease of one who lives is left alone.
    fn clear_after(&self, job: JobId, stale: Duration) {
        let clear = || match self.watch(job, &random_hex(16)?, stale)? {
            Watched::Taken(lease) => lease.release(),
            Watched::Busy { .. } => Ok(()),
        };
        if let Err(e) = clear() {
            tracing::debug!(%job, error = %e, "the lease of a finished film stays behind");
        }
    }

    fn is_done(&self, job: JobId) -> Result<bool, ShareError> {
        let path = self.share.file(Folder::Done, job);
        match fs::symlink_metadata(&path) {
            Ok(_) => Ok(true),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(e) => self.share.explained(Err(FileError::new("look at", &path, e))),
        }
    }

    fn watch(&self, job: JobId, token: &str, stale: Duration) -> Result<Watched, ShareError> {
        let busy = |holder, unchanged| Ok(Watched::Busy { holder, unchanged });
        let Some((mut sight, holder)) = self.look(job)? else { return busy(None, Duration::ZERO) };
        while self.claim_file(job, &sight).exists() {
            sight.takeovers += 1;
        }
        let unchanged = self.remember(job, &sight);
        let dead = sight.takeovers == 0 && holder.as_ref().is_some_and(|h| is_certainly_dead(&h.origin));
        if unchanged < stale && !dead {
            return busy(holder, unchanged);
        }
        match self.take_over(job, &sight, token, stale)? {
            Some(lease) => {
                let before = holder.map_or_else(|| "unknown".into(), |h| h.worker);
                tracing::warn!(%job, before, dead, unchanged_s = unchanged.as_secs(), "lease taken over");
                Ok(Watched::Taken(lease))
            }
            None => busy(holder, Duration::ZERO),
        }
    }

    /// Of all who saw the same sight one creates its claim file, and only they touch the lease. `None`: not us, or the
    /// holder lives after all.
    fn take_over(
        &self,
        job: JobId,
        sight: &Sight,
        token: &str,
        stale: Duration,
    ) -> Result<Option<Lease>, ShareError> {
        let share = &self.share;
        let claim = self.claim_file(job, sight);
        match fs::File::options().write(true).create_new(true).open(&claim) {
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            Err(e) => return share.explained(Err(FileError::new("create", &claim, e))),
        }
        // A winner before us took the lease and removed its claim file: then the lease is another by now.
        if !self.is_still(job, sight)? {
            remove_quietly(&claim);
            return Ok(None);
        }
        let lease = self.replace(job, sight, token, stale);
        if !matches!(lease, Ok(Some(_))) {
            remove_quietly(&claim);
        } else {
            for takeovers in 0..=sight.takeovers {
                remove_quietly(&self.claim_file(job, &Sight { takeovers, ..sight.clone() }));
            }
        }
        lease
    }

    /// Moves the lease out of the way and makes a new one. `None`, with the lease back in its place, if what was moved is
    /// not what was seen: the holder may have beaten in this very instant.
    fn replace(
        &self,
        job: JobId,
        sight: &Sight,
        token: &str,
        stale: Duration,
    ) -> Result<Option<Lease>, ShareError> {
        let share = &self.share;
        let path = share.lease_file(job);
        let aside = hidden_beside(&path, &format!("stale.{token}"));
        match fs::rename(&path, &aside) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return share.check().map(|()| None),
            Err(e) => return share.explained(Err(FileError::new("take over", &path, e))),
        }
        let moved = match share.read_bytes(&aside, 1 << 20) {
            Ok(moved) => moved.unwrap_or_default(),
            // Nobody can say whose it is: back with it, or it would lie under the hidden name, and its holder lose it.
            Err(e) => {
                put_back(&aside, &path);
                return Err(e);
            }
        };
        if !Sight::of(&moved).0.is_same_holder(sight) {
            put_back(&aside, &path);
            return Ok(None);
        }
        match Lease::create(share, job, token, &self.owner, stale) {
            Ok(lease) => {
                remove_quietly(&aside);
                Ok(lease)
            }
            // A full share, for instance: everything is as it was, and the next one begins anew.
            Err(e) => {
                put_back(&aside, &path);
                Err(e)
            }
        }
    }

    fn is_still(&self, job: JobId, sight: &Sight) -> Result<bool, ShareError> {
        Ok(self.look(job)?.is_some_and(|(now, _)| now.is_same_holder(sight)))
    }

    fn look(&self, job: JobId) -> Result<Option<(Sight, Option<LeaseInfo>)>, ShareError> {
        Ok(self.share.read_bytes(&self.share.lease_file(job), 1 << 20)?.map(|bytes| Sight::of(&bytes)))
    }

    fn claim_file(&self, job: JobId, sight: &Sight) -> std::path::PathBuf {
        let suffix = format!("taken.{}.{}.{}", sight.token, sight.beat, sight.takeovers);
        hidden_beside(&self.share.lease_file(job), &suffix)
    }

    /// How long this sight has been the same.
    fn remember(&self, job: JobId, sight: &Sight) -> Duration {
        let now = Instant::now();
        let mut seen = self.memory();
        seen.retain(|_, m| now - m.last_look < FORGET);
        let memory =
            seen.entry(job).or_insert_with(|| Memory { sight: sight.clone(), since: now, last_look: now });
        if memory.sight != *sight {
            *memory = Memory { sight: sight.clone(), since: now, last_look: now };
        }
        memory.last_look = now;
        now - memory.since
    }

    fn memory(&self) -> std::sync::MutexGuard<'_, HashMap<JobId, Memory>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Watched {
    Taken(Lease),
    Busy { holder: Option<LeaseInfo>, unchanged: Duration },
}

impl Sight {
    /// A file that is no lease (its writer died between create and write) is recognised by its bytes, and goes stale like
    /// any other. The token is hashed: it becomes part of a file name, and the file may hold anything.
    fn of(bytes: &[u8]) -> (Self, Option<LeaseInfo>) {
        let info: Option<LeaseInfo> = serde_json::from_slice(bytes).ok();
        let (identity, beat) = info.as_ref().map_or((bytes, 0), |i| (i.token.as_bytes(), i.beat));
        let token = blake3::hash(identity).to_hex()[..16].to_owned();
        (Self { token, beat, takeovers: 0 }, info)
    }

    fn is_same_holder(&self, other: &Self) -> bool {
        (&self.token, self.beat) == (&other.token, other.beat)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;

    use super::*;

    const BLINK: Duration = Duration::from_millis(1);

    fn wait_out(time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() <= time {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_takeover_whose_worker_died_in_the_middle_must_itself_go_stale_and_is_then_repeated() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let job: JobId = format!("{:032x}", 1).parse().unwrap();
        let me = LeaseObserver::new(share, Owner::here("me"));
        assert!(matches!(me.acquire(job, BLINK).unwrap(), Acquire::Mine(_)));
        assert!(matches!(me.acquire(job, BLINK).unwrap(), Acquire::Busy { .. }));
        wait_out(BLINK);

        // Another one was faster, and died after its first step.
        let (sight, _) = me.look(job).unwrap().unwrap();
        fs::write(me.claim_file(job, &sight), "").unwrap();
        assert!(
            matches!(me.acquire(job, BLINK).unwrap(), Acquire::Busy { .. }),
            "a new sight, seen for no time yet"
        );
        wait_out(BLINK);
        let Acquire::Mine(lease) = me.acquire(job, BLINK).unwrap() else { panic!("nobody can inherit") };
        lease.release().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("leases")).unwrap().count(), 0, "no claim file is left");
    }

    #[test]
    fn the_lease_of_a_finished_film_goes_with_its_dead_holder_and_stays_with_a_living_one() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let job: JobId = format!("{:032x}", 1).parse().unwrap();
        let left = || fs::read_dir(dir.path().join("leases")).unwrap().count();
        let hour = Duration::from_secs(3600);

        let living = LeaseObserver::new(share.clone(), Owner::here("finisher"));
        let Acquire::Mine(lease) = living.acquire(job, hour).unwrap() else { panic!("free") };
        share.write(Folder::Done, job, &"certificate").unwrap();
        let me = LeaseObserver::new(share.clone(), Owner::here("me"));
        assert!(matches!(me.acquire(job, hour).unwrap(), Acquire::Done));
        lease.check().unwrap();
        lease.release().unwrap();

        let mut gone = Owner::here("finisher");
        // Beyond the kernel's largest process number (4194304).
        gone.origin = gone.origin.replacen(&format!(":{}:", gone.pid), ":9999999:", 1);
        assert!(Lease::create(&share, job, "00", &gone, hour).unwrap().is_some());
        assert!(matches!(me.acquire(job, hour).unwrap(), Acquire::Done));
        assert_eq!(left(), 0);
    }

    #[test]
    fn a_lease_that_cannot_be_read_once_it_was_moved_is_put_back() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let job: JobId = format!("{:032x}", 1).parse().unwrap();
        let me = LeaseObserver::new(share.clone(), Owner::here("me"));
        let sight = Sight::of(b"").0;
        let path = share.lease_file(job);
        // Larger than is read: a failure that every file system has.
        fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
        assert!(matches!(me.replace(job, &sight, "00", BLINK), Err(ShareError::TooLarge { .. })));
        let left: Vec<_> =
            fs::read_dir(dir.path().join("leases")).unwrap().map(|e| e.unwrap().path()).collect();
        assert_eq!(left, [path]);
    }

    #[test]
    fn a_holder_that_beats_during_the_takeover_keeps_its_lease() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let job: JobId = format!("{:032x}", 1).parse().unwrap();
        let me = LeaseObserver::new(share.clone(), Owner::here("me"));
        let Acquire::Mine(holder) = me.acquire(job, BLINK).unwrap() else { panic!("free") };
        let (old, _) = me.look(job).unwrap().unwrap();
        holder.check().unwrap();

        // It beat before the claim: the lease is not touched at all (a rename changes the ctime).
        let touched = || {
            let meta = fs::metadata(share.lease_file(job)).unwrap();
            (meta.ctime(), meta.ctime_nsec())
        };
        let before = touched();
        assert!(me.take_over(job, &old, "00", BLINK).unwrap().is_none());
        assert_eq!(touched(), before);
        // It beat after the last look: the lease is put back.
        assert!(me.replace(job, &old, "00", BLINK).unwrap().is_none());
        holder.check().unwrap();
        assert_eq!(fs::read_dir(dir.path().join("leases")).unwrap().count(), 1);
    }
}
