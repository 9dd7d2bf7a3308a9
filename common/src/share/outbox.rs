//! What is still to be told, as files on the share: it survives restarts and dead workers.
//!
//! ```text
//! outbox/<id>.<owner>.json   waiting; sent by its owner alone. `free`: whoever comes first
//! outbox/sent/<id>           was sent: the same thing is not put there again
//! outbox/given-up/<id>.json  could not be sent, with the reason
//! ```
//!
//! An entry is told at least once. Twice only if its owner dies between the answer and the file in `sent`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::atomic::write_file;
use super::owner::is_certainly_dead;
use super::publish::server_time;
use super::{FileError, Owner, ShareError, ShareState};
use crate::job::Notice;

/// An entry has some two kilobytes.
const LIMIT: u64 = 64 << 10;
/// Entries that are looked at; more wait for their turn.
const MOST: usize = 10_000;
const FREE: &str = "free";

/// One thing to be told to one target.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutboxEntry {
    /// Format version, 1.
    pub v: u32,
    /// Of notice and target, 32 hex digits.
    pub id: String,
    /// Whom: a name below `[notify.targets]`.
    pub target: String,
    /// What.
    pub notice: Notice,
    /// The worker that sends it.
    pub owner: String,
    /// Its process; see [`Owner::origin`]. Empty: nobody's.
    pub origin: String,
    /// How often it was tried.
    #[serde(default)]
    pub tries: u32,
    /// Why the latest try failed.
    #[serde(default)]
    pub problem: Option<String>,
    /// When it was put here, by the writer's clock.
    pub created_at: jiff::Timestamp,
}

/// The outbox of the fleet, as one worker sees it.
#[derive(Debug, Clone)]
pub struct Outbox {
    share: ShareState,
    owner: Owner,
    tag: String,
}

/// The name for one notice to one target.
fn entry_id(notice: &str, target: &str) -> String {
    blake3::hash(format!("{notice}\n{target}").as_bytes()).to_hex()[..32].to_owned()
}

impl Outbox {
    /// Touches nothing.
    pub fn new(share: ShareState, owner: Owner) -> Self {
        let tag = blake3::hash(owner.origin.as_bytes()).to_hex()[..16].to_owned();
        Self { share, owner, tag }
    }

    fn dir(&self) -> PathBuf {
        self.share.dir().join("outbox")
    }

    fn place(&self, id: &str, tag: &str) -> PathBuf {
        self.dir().join(format!("{id}.{tag}.json"))
    }

    fn marker(&self, id: &str) -> PathBuf {
        self.dir().join("sent").join(id)
    }

    fn grave(&self, id: &str) -> PathBuf {
        self.dir().join("given-up").join(format!("{id}.json"))
    }

    /// Puts a notice for one target there, durably; false: it is there already, or was told or given up before.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn put(&self, target: &str, notice: &Notice) -> Result<bool, ShareError> {
        let id = entry_id(&notice.id, target);
        self.share.check()?;
        for dir in [self.dir().join("sent"), self.dir().join("given-up")] {
            self.share.explained(fs::create_dir_all(&dir).map_err(|e| FileError::new("create", &dir, e)))?;
        }
        if self.is_known(&id)? {
            return Ok(false);
        }
        let entry = OutboxEntry {
            v: 1,
            id,
            target: target.to_owned(),
            notice: notice.clone(),
            owner: self.owner.worker.clone(),
            origin: self.owner.origin.clone(),
            tries: 0,
            problem: None,
            created_at: jiff::Timestamp::now(),
        };
        self.write(&self.place(&entry.id, &self.tag), &entry)?;
        Ok(true)
    }

    fn is_known(&self, id: &str) -> Result<bool, ShareError> {
        let done = self.marker(id).exists() || self.grave(id).exists();
        Ok(done || self.names()?.iter().any(|(other, _)| other == id))
    }

    /// Id and owner of every entry, sorted.
    fn names(&self) -> Result<Vec<(String, String)>, ShareError> {
        let dir = self.dir();
        let failed = |e| FileError::new("list", &dir, e);
        let listing = match fs::read_dir(&dir) {
            // The folder comes with the first entry.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return self.share.check().map(|()| Vec::new()),
            other => self.share.explained(other.map_err(failed))?,
        };
        let mut names = Vec::new();
        for entry in listing {
            let Ok(name) = self.share.explained(entry.map_err(failed))?.file_name().into_string() else {
                continue;
            };
            let hex = |s: &str, n| s.len() == n && s.bytes().all(|b| b.is_ascii_hexdigit());
            if let Some((id, tag)) = name.strip_suffix(".json").and_then(|n| n.split_once('.'))
                && hex(id, 32)
                && (tag == FREE || hex(tag, 16))
            {
                names.push((id.to_owned(), tag.to_owned()));
            }
        }
        names.sort_unstable();
        names.truncate(MOST);
        Ok(names)
    }

    /// The entries that are ours to send, oldest first. Those of dead workers, and of workers that left theirs alone for
    /// `stale`, become ours, if `known` has their target. Files that make no sense are left alone.
    ///
    /// # Errors
    /// The share is gone, or the folder cannot be listed.
    pub fn ours(
        &self,
        stale: Duration,
        known: impl Fn(&str) -> bool,
    ) -> Result<Vec<OutboxEntry>, ShareError> {
        self.share.check()?;
        let mut all = Vec::new();
        let mut now = None;
        for (id, tag) in self.names()? {
            let path = self.place(&id, &tag);
            let Some(entry) = self.read(&path)?.filter(|e| e.id == id) else { continue };
            if tag == self.tag {
                all.push(entry);
            } else if known(&entry.target) && (tag == FREE || self.is_left(&path, &entry, stale, &mut now)) {
                all.extend(self.adopt(&path, entry)?);
            }
        }
        all.sort_by_key(|e| e.created_at);
        Ok(all)
    }

    fn is_left(
        &self,
        path: &Path,
        entry: &OutboxEntry,
        stale: Duration,
        now: &mut Option<SystemTime>,
    ) -> bool {
        if is_certainly_dead(&entry.origin) {
            return true;
        }
        if now.is_none() {
            *now = server_time(&self.dir()).ok();
        }
        let written = fs::symlink_metadata(path).and_then(|m| m.modified()).ok();
        now.zip(written).is_some_and(|(now, then)| now.duration_since(then).is_ok_and(|past| past > stale))
    }

    /// Of several that try, one gets it.
    fn adopt(&self, path: &Path, mut entry: OutboxEntry) -> Result<Option<OutboxEntry>, ShareError> {
        let mine = self.place(&entry.id, &self.tag);
        match fs::rename(path, &mine) {
            Ok(()) => {}
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return self.share.explained(Err(FileError::new("take", path, e))),
        }
        tracing::debug!(id = entry.id, from = entry.owner, "sending what another worker left");
        entry.owner.clone_from(&self.owner.worker);
        entry.origin.clone_from(&self.owner.origin);
        self.write(&mine, &entry)?;
        Ok(Some(entry))
    }

    /// Asked just before it is sent: false if somebody else told it or is about to, and then ours is gone.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn still_ours(&self, entry: &OutboxEntry) -> Result<bool, ShareError> {
        let mine = self.place(&entry.id, &self.tag);
        let told = self.marker(&entry.id).exists();
        // Two workers may have put the same thing there at the same moment: the first by name sends it.
        let another = || -> Result<bool, ShareError> {
            Ok(self.names()?.iter().any(|(id, tag)| *id == entry.id && tag != FREE && *tag < self.tag))
        };
        if told || another()? {
            self.share.remove_file(&mine)?;
            return Ok(false);
        }
        Ok(mine.exists())
    }

    /// It was told.
    ///
    /// # Errors
    /// The share is gone or fails: it will be told again.
    pub fn sent(&self, entry: &OutboxEntry) -> Result<(), ShareError> {
        let marker = format!("{} {} {}\n", jiff::Timestamp::now(), entry.target, entry.notice.event.name());
        self.share.check()?;
        self.share.explained(write_file(&self.marker(&entry.id), marker.as_bytes()))?;
        self.share.remove_file(&self.place(&entry.id, &self.tag)).map(drop)
    }

    /// Writes down a try that failed. Also tells others that its owner lives.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn update(&self, entry: &OutboxEntry) -> Result<(), ShareError> {
        self.share.check()?;
        self.write(&self.place(&entry.id, &self.tag), entry)
    }

    /// It is not tried any more; the file stays for people.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn give_up(&self, entry: &OutboxEntry) -> Result<(), ShareError> {
        self.share.check()?;
        self.write(&self.grave(&entry.id), entry)?;
        self.share.remove_file(&self.place(&entry.id, &self.tag)).map(drop)
    }

    /// Leaves what is ours to whoever comes first.
    ///
    /// # Errors
    /// The share is gone or fails: others find out after a while.
    pub fn leave(&self) -> Result<(), ShareError> {
        for (id, _) in self.names()?.into_iter().filter(|(_, tag)| *tag == self.tag) {
            let mine = self.place(&id, &self.tag);
            self.share.explained(
                fs::rename(&mine, self.place(&id, FREE)).map_err(|e| FileError::new("leave", &mine, e)),
            )?;
        }
        Ok(())
    }

    fn write(&self, path: &Path, entry: &OutboxEntry) -> Result<(), ShareError> {
        let json = serde_json::to_vec_pretty(entry)
            .map_err(|e| ShareError::Malformed { path: path.to_owned(), reason: e.to_string() })?;
        self.share.explained(write_file(path, &json))
    }

    /// `None`: it is gone, or is nothing of ours.
    fn read(&self, path: &Path) -> Result<Option<OutboxEntry>, ShareError> {
        match self.share.read_bytes(path, LIMIT) {
            Ok(bytes) => Ok(bytes.and_then(|b| serde_json::from_slice(&b).ok())),
            Err(e @ ShareError::Gone { .. }) => Err(e),
            Err(_) => Ok(None),
        }
    }
}

impl ShareState {
    /// What waits in the outbox and what was given up there, for people.
    ///
    /// # Errors
    /// The share is gone, or the folder cannot be listed.
    pub fn outbox(&self) -> Result<(Vec<OutboxEntry>, Vec<OutboxEntry>), ShareError> {
        let outbox = Outbox::new(self.clone(), Owner::here(""));
        let mut waiting = Vec::new();
        for (id, tag) in outbox.names()? {
            waiting.extend(outbox.read(&outbox.place(&id, &tag))?);
        }
        let mut given_up = Vec::new();
        for entry in fs::read_dir(outbox.dir().join("given-up")).into_iter().flatten().flatten().take(MOST) {
            given_up.extend(outbox.read(&entry.path())?);
        }
        waiting.sort_by_key(|e| e.created_at);
        given_up.sort_by_key(|e| e.created_at);
        Ok((waiting, given_up))
    }

    /// Removes what was told or given up longer than `age` ago, by the server's clock. Gives their number.
    ///
    /// # Errors
    /// The share is gone.
    pub fn sweep_outbox(&self, age: Duration) -> Result<u64, ShareError> {
        self.check()?;
        let mut removed = 0;
        for dir in ["sent", "given-up"].map(|d| self.dir().join("outbox").join(d)) {
            let Ok(entries) = fs::read_dir(&dir) else { continue };
            let Ok(now) = server_time(&dir) else { continue };
            for entry in entries.flatten() {
                let written =
                    entry.metadata().ok().filter(fs::Metadata::is_file).and_then(|m| m.modified().ok());
                let old = written.is_some_and(|w| now.duration_since(w).is_ok_and(|past| past > age));
                if old && self.remove_file(&entry.path())? {
                    removed += 1;
                }
            }
        }
        Ok(removed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::job::Occasion;

    const STALE: Duration = Duration::from_secs(600);

    fn notice(id: &str) -> Notice {
        Notice {
            v: 1,
            id: id.into(),
            event: Occasion::Done,
            at: jiff::Timestamp::now(),
            worker: "w".into(),
            title: "t".into(),
            text: "x".into(),
            job: None,
            film: None,
            code: None,
            hint: None,
            result: None,
        }
    }

    fn worker(share: &ShareState, name: &str, origin: Option<&str>) -> Outbox {
        let mut owner = Owner::here(name);
        if let Some(origin) = origin {
            owner.origin = origin.into();
        }
        Outbox::new(share.clone(), owner)
    }

    fn ids(outbox: &Outbox) -> Vec<String> {
        outbox.ours(STALE, |_| true).unwrap().into_iter().map(|e| e.notice.id).collect()
    }

    #[test]
    fn a_thing_is_told_once_whoever_puts_it_there() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let (a, b) = (worker(&share, "a", None), worker(&share, "b", Some("elsewhere:1:2:3")));
        assert!(a.put("phone", &notice("1")).unwrap());
        assert!(!a.put("phone", &notice("1")).unwrap() && !b.put("phone", &notice("1")).unwrap());
        assert!(a.put("tv", &notice("1")).unwrap(), "another target is another thing");
        assert!(ids(&b).is_empty(), "its owner lives");
        let all = a.ours(STALE, |_| true).unwrap();
        assert_eq!(all.len(), 2);
        let phone = all.iter().find(|e| e.target == "phone").unwrap();
        assert!(a.still_ours(phone).unwrap());
        a.sent(phone).unwrap();
        assert!(!b.put("phone", &notice("1")).unwrap(), "it was told");
        a.give_up(all.iter().find(|e| e.target == "tv").unwrap()).unwrap();
        assert!(!a.put("tv", &notice("1")).unwrap(), "it was given up");
        assert!(ids(&a).is_empty());
        assert_eq!(share.outbox().unwrap().1[0].target, "tv");
        assert_eq!(share.sweep_outbox(STALE).unwrap(), 0);
        let old = SystemTime::now() - STALE * 2;
        for sub in ["sent", "given-up"] {
            for e in fs::read_dir(dir.path().join("outbox").join(sub)).unwrap() {
                fs::File::options().write(true).open(e.unwrap().path()).unwrap().set_modified(old).unwrap();
            }
        }
        assert_eq!(share.sweep_outbox(STALE).unwrap(), 2);
    }

    #[test]
    fn what_the_dead_and_the_silent_left_is_sent_by_another() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let me = worker(&share, "me", None);
        // An earlier process of this very boot, and one of another machine.
        let dead = worker(&share, "dead", Some(&format!("{}9", Owner::here("").origin)));
        let far = worker(&share, "far", Some("elsewhere:1:2:3"));
        dead.put("tv", &notice("1")).unwrap();
        far.put("tv", &notice("2")).unwrap();
        dead.put("unknown here", &notice("3")).unwrap();
        let mine = me.ours(STALE, |t| t == "tv").unwrap();
        assert_eq!(
            mine.iter().map(|e| (e.notice.id.as_str(), e.owner.as_str())).collect::<Vec<_>>(),
            [("1", "me")]
        );
        let path = far.place(&entry_id("2", "tv"), &far.tag);
        let then = SystemTime::now() - STALE * 2;
        fs::File::options().write(true).open(&path).unwrap().set_modified(then).unwrap();
        assert_eq!(me.ours(STALE, |t| t == "tv").unwrap().len(), 2);
        far.put("tv", &notice("4")).unwrap();
        far.leave().unwrap();
        assert_eq!(me.ours(STALE, |t| t == "tv").unwrap().len(), 3);
    }

    #[test]
    fn of_two_at_the_same_moment_one_sends() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let both = [worker(&share, "a", None), worker(&share, "b", Some("elsewhere:1:2:3"))];
        both[0].put("tv", &notice("1")).unwrap();
        let mut entry = both[0].ours(STALE, |_| true).unwrap().remove(0);
        entry.origin = "elsewhere:1:2:3".into();
        both[1].update(&entry).unwrap();
        let sends = both.iter().filter(|o| o.still_ours(&entry).unwrap()).count();
        assert_eq!((sends, share.outbox().unwrap().0.len()), (1, 1));
    }

    #[test]
    fn what_others_put_there_is_left_alone_and_a_missing_share_stays_empty() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        let me = worker(&share, "me", None);
        assert!(me.put("tv", &notice("1")).is_err());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "an empty mount point stays empty");
        share.init().unwrap();
        me.put("tv", &notice("1")).unwrap();
        let id = "0".repeat(32);
        for (name, content) in [
            ("notes.txt", "x".to_owned()),
            (&format!("{id}.free.json"), "{\"v\":1}".to_owned()),
            (&format!("{id}.{}.json", "a".repeat(16)), " ".repeat(LIMIT as usize + 1)),
        ] {
            fs::write(dir.path().join("outbox").join(name), content).unwrap();
        }
        assert_eq!(ids(&me), ["1"]);
        assert_eq!(fs::read_dir(dir.path().join("outbox")).unwrap().count(), 6);
    }
}
