//! Who works here: one small file per worker, for people and for `status`. Nothing is decided by it.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::atomic::write_file;
use super::owner::is_certainly_dead;
use super::publish::server_time;
use super::{FileError, Owner, ShareError, ShareState};

/// A worker's file has some 600 bytes.
const LIMIT: u64 = 16 << 10;
/// No fleet has more; what lies there beyond is not read.
const MOST: usize = 1000;
/// Processes of one name that find a file of their own.
const NAMESAKES: u32 = 64;
/// Longest part of a file name that comes from a worker's name, in bytes.
const STEM: usize = 100;

/// What a worker is at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum WorkerState {
    /// Looking whether everything it needs is there.
    Starting,
    /// Waiting for films.
    Idle,
    /// At work on a film.
    Busy,
    /// Taking no films until what is wrong with it is gone.
    Ill,
    /// Taking no films, or standing still with one in hand, since a person or its settings say so: see [`Pause`].
    Paused,
    /// Told to stop; it ends after the film in hand.
    Draining,
    /// It ended. Workers of this version remove their file instead.
    Stopped,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl WorkerState {
    /// The word in files and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Idle => "idle",
            Self::Busy => "busy",
            Self::Ill => "ill",
            Self::Paused => "paused",
            Self::Draining => "draining",
            Self::Stopped => "stopped",
            Self::Unknown => "unknown",
        }
    }
}

/// Who paused a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PauseCause {
    /// A person: `dovi-producer pause`.
    Order,
    /// It is outside of `worker.hours`.
    Hours,
    /// It is within `worker.quiet`.
    Quiet,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

/// Why a worker takes no further film, and until when. One that was told so with a film in hand may still be busy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pause {
    /// Who paused it.
    pub cause: PauseCause,
    /// The films in hand stand still too; otherwise they are finished first.
    #[serde(default)]
    pub frozen: bool,
    /// When it goes on by itself, if it does.
    #[serde(default)]
    pub until: Option<jiff::Timestamp>,
    /// Who gave the order, as `user@host`.
    #[serde(default)]
    pub by: Option<String>,
}

/// What a worker says of itself. Read from the share it is text from outside: see [`ShareState::workers`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerInfo {
    /// Format version: 1.
    pub v: u32,
    /// The configured name.
    pub name: String,
    /// Its machine.
    pub host: String,
    /// Its process.
    pub pid: u32,
    /// Its process for ever, see [`Owner::origin`].
    #[serde(default)]
    pub origin: String,
    /// Of the program.
    #[serde(default)]
    pub version: String,
    /// Films it works on at the same time.
    #[serde(default)]
    pub slots: u16,
    /// What it is at.
    pub state: WorkerState,
    /// Why it takes no films, or takes them slowly.
    #[serde(default)]
    pub why: Option<String>,
    /// The failure code of that.
    #[serde(default)]
    pub code: Option<String>,
    /// That it is paused, or will be after the film in hand.
    #[serde(default)]
    pub pause: Option<Pause>,
    /// The id of the latest order that it heard of, see [`super::Order`].
    #[serde(default)]
    pub order: Option<String>,
    /// In this state since, by its own clock.
    pub since: jiff::Timestamp,
    /// Films finished since it started.
    #[serde(default)]
    pub done: u64,
    /// Attempts that failed since it started, those that did not count included.
    #[serde(default)]
    pub failed: u64,
    /// When it started, by its own clock.
    pub started_at: jiff::Timestamp,
    /// When this was written, by its own clock.
    pub updated_at: jiff::Timestamp,
    /// Seconds between two of its writes if nothing changes.
    #[serde(default)]
    pub beat_s: f64,
}

/// A worker's file as somebody else sees it.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenWorker {
    /// What the file says. No text in it is longer than 300 characters.
    pub info: WorkerInfo,
    /// Since it was written, by the clock of the server, or by our own where nothing can be written to the share.
    pub quiet: Duration,
}

impl SeenWorker {
    /// Three of its beats were missed.
    pub fn is_silent(&self) -> bool {
        let beat = if self.info.beat_s.is_finite() { self.info.beat_s.clamp(1.0, 3600.0) } else { 20.0 };
        self.quiet > Duration::from_secs_f64(3.0 * beat + 5.0)
    }
}

impl ShareState {
    fn workers_dir(&self) -> PathBuf {
        self.dir().join("workers")
    }

    /// Every worker that left word, by name, and one line per file that makes no sense.
    ///
    /// # Errors
    /// The share is gone, or the folder cannot be listed.
    pub fn workers(&self) -> Result<(Vec<SeenWorker>, Vec<String>), ShareError> {
        self.check()?;
        let (mut seen, mut warnings) = (Vec::new(), Vec::new());
        let now = self.now().unwrap_or_else(|_| SystemTime::now());
        for name in self.worker_files()? {
            let path = self.workers_dir().join(&name);
            let told = |e: &dyn std::fmt::Display| format!("workers/{name}: {e}");
            match self.read_worker(&path) {
                Ok(Some((info, written))) => {
                    let quiet = now.duration_since(written).unwrap_or_default();
                    seen.push(SeenWorker { info: bounded(info), quiet });
                }
                Ok(None) => {}
                Err(e @ ShareError::Gone { .. }) => return Err(e),
                Err(e) => warnings.push(told(&e)),
            }
        }
        seen.sort_by(|a, b| a.info.name.cmp(&b.info.name).then(a.info.pid.cmp(&b.info.pid)));
        Ok((seen, warnings))
    }

    /// Removes the files of workers that were not heard of for `age`, by the server's clock. Gives their number.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn sweep_workers(&self, age: Duration) -> Result<u64, ShareError> {
        self.check()?;
        let names = self.worker_files()?;
        if names.is_empty() {
            return Ok(0);
        }
        let now = self.explained(server_time(&self.workers_dir()))?;
        let mut removed = 0;
        for name in names {
            let path = self.workers_dir().join(name);
            // What is no file of a worker stays, however old.
            let Ok(Some((_, written))) = self.read_worker(&path) else { continue };
            if now.duration_since(written).is_ok_and(|past| past > age) && self.remove_file(&path)? {
                removed += 1;
            }
        }
        Ok(removed)
    }

    /// Names of regular files that end in `.json`, sorted; hidden ones are somebody's temporary files.
    fn worker_files(&self) -> Result<Vec<String>, ShareError> {
        let dir = self.workers_dir();
        let failed = |e| FileError::new("list", &dir, e);
        let entries = match fs::read_dir(&dir) {
            // The folder comes with the first worker.
            Err(e) if e.kind() == io::ErrorKind::NotFound => return self.check().map(|()| Vec::new()),
            other => self.explained(other.map_err(failed))?,
        };
        let mut names = Vec::new();
        for entry in entries {
            let entry = self.explained(entry.map_err(failed))?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let is_file = entry.file_type().is_ok_and(|t| t.is_file());
            if is_file && name.ends_with(".json") && !name.starts_with('.') {
                names.push(name);
            }
        }
        names.sort_unstable();
        names.truncate(MOST);
        Ok(names)
    }

    fn read_worker(&self, path: &Path) -> Result<Option<(WorkerInfo, SystemTime)>, ShareError> {
        let Some(bytes) = self.read_bytes(path, LIMIT)? else { return Ok(None) };
        let written = match fs::symlink_metadata(path).and_then(|m| m.modified()) {
            Ok(written) => written,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return self.explained(Err(FileError::new("look at", path, e))),
        };
        serde_json::from_slice(&bytes)
            .map(|info| Some((info, written)))
            .map_err(|e| ShareError::Malformed { path: path.to_owned(), reason: e.to_string() })
    }
}

fn bounded(mut info: WorkerInfo) -> WorkerInfo {
    const LONGEST: usize = 300;
    let cut = |text: &mut String| {
        if let Some((at, _)) = text.char_indices().nth(LONGEST) {
            text.truncate(at);
        }
    };
    for text in [&mut info.name, &mut info.host, &mut info.origin, &mut info.version] {
        cut(text);
    }
    let by = info.pause.as_mut().and_then(|p| p.by.as_mut());
    [info.why.as_mut(), info.code.as_mut(), info.order.as_mut(), by].into_iter().flatten().for_each(cut);
    info
}

/// The file of this process in `workers/`.
#[derive(Debug)]
pub struct WorkerFile {
    share: ShareState,
    owner: Owner,
    place: Mutex<Option<PathBuf>>,
}

impl WorkerFile {
    /// Touches nothing yet.
    pub fn new(share: ShareState, owner: Owner) -> Self {
        Self { share, owner, place: Mutex::default() }
    }

    /// Writes it whole. Of several processes with one name each gets a file of its own; one whose process is certainly dead,
    /// or that was not written for `alive`, is taken over.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn write(&self, info: &WorkerInfo, alive: Duration) -> Result<(), ShareError> {
        self.share.check()?;
        let dir = self.share.workers_dir();
        self.share.explained(fs::create_dir_all(&dir).map_err(|e| FileError::new("create", &dir, e)))?;
        let path = self.place(&dir, alive)?;
        let json = serde_json::to_vec_pretty(info)
            .map_err(|e| ShareError::Malformed { path: path.clone(), reason: e.to_string() })?;
        self.share.explained(write_file(&path, &json))
    }

    /// Removes it, if it is ours.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn remove(&self) -> Result<(), ShareError> {
        let Some(path) = self.place.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Ok(());
        };
        match self.share.read_worker(&path)? {
            Some((info, _)) if info.origin == self.owner.origin => self.share.remove_file(&path).map(drop),
            _ => Ok(()),
        }
    }

    fn place(&self, dir: &Path, alive: Duration) -> Result<PathBuf, ShareError> {
        let mut place = self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let stem = stem(&self.owner.worker);
        let first = place.take();
        let others = (1..=NAMESAKES).map(|n| match n {
            1 => dir.join(format!("{stem}.json")),
            n => dir.join(format!("{stem}~{n}.json")),
        });
        for path in first.into_iter().chain(others) {
            if self.is_free(&path, alive)? {
                return Ok(place.insert(path).clone());
            }
        }
        Err(ShareError::Malformed { path: dir.to_owned(), reason: "too many workers of one name".into() })
    }

    fn is_free(&self, path: &Path, alive: Duration) -> Result<bool, ShareError> {
        match self.share.read_worker(path) {
            Ok(None) => Ok(true),
            Ok(Some((info, _))) if info.origin == self.owner.origin => Ok(true),
            Ok(Some((info, _))) if is_certainly_dead(&info.origin) => Ok(true),
            Ok(Some((_, written))) => {
                Ok(self.share.now()?.duration_since(written).is_ok_and(|past| past > alive))
            }
            Err(e @ ShareError::Gone { .. }) => Err(e),
            // Somebody put something else there.
            Err(_) => Ok(false),
        }
    }
}

/// A worker's name as a part of file names that every file system takes; a long name keeps its beginning and gets a hash.
pub fn stem(name: &str) -> String {
    let mut stem = String::new();
    for byte in name.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && !stem.is_empty()) {
            stem.push(byte.into());
        } else {
            // Writing to a String cannot fail.
            let _ = write!(stem, "%{byte:02X}");
        }
    }
    if stem.len() > STEM {
        stem.truncate(STEM - 17);
        let _ = write!(stem, "-{}", &blake3::hash(name.as_bytes()).to_hex()[..16]);
    }
    if stem.is_empty() { "worker".into() } else { stem }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;

    use super::*;

    const ALIVE: Duration = Duration::from_secs(60);

    fn share() -> (tempfile::TempDir, ShareState) {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        (dir, share)
    }

    fn info(owner: &Owner) -> WorkerInfo {
        let at = jiff::Timestamp::now();
        WorkerInfo {
            v: 1,
            name: owner.worker.clone(),
            host: owner.host.clone(),
            pid: owner.pid,
            origin: owner.origin.clone(),
            version: "0".into(),
            slots: 1,
            state: WorkerState::Idle,
            why: None,
            code: None,
            pause: None,
            order: None,
            since: at,
            done: 0,
            failed: 0,
            started_at: at,
            updated_at: at,
            beat_s: 20.0,
        }
    }

    fn age(path: &Path, seconds: u64) {
        let then = SystemTime::now() - Duration::from_secs(seconds);
        File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
    }

    #[test]
    fn any_name_is_a_file_name() {
        assert_eq!(stem("vm-3.lan"), "vm-3.lan");
        assert_eq!(stem("../etc/x y"), "%2E.%2Fetc%2Fx%20y");
        assert_eq!(stem(""), "worker");
        let long = [stem(&"ä".repeat(200)), stem(&format!("{}x", "ä".repeat(199)))];
        assert!(long.iter().all(|s| s.len() == STEM) && long[0] != long[1], "{long:?}");
    }

    #[test]
    fn namesakes_do_not_overwrite_each_other_and_inherit_from_the_dead() {
        let (_dir, share) = share();
        let me = Owner::here("w");
        let mut other = me.clone();
        other.origin = "another:machine:1:1".into();
        let mine = WorkerFile::new(share.clone(), me.clone());
        mine.write(&info(&me), ALIVE).unwrap();
        let theirs = WorkerFile::new(share.clone(), other.clone());
        theirs.write(&info(&other), ALIVE).unwrap();
        mine.write(&info(&me), ALIVE).unwrap();
        assert_eq!(share.worker_files().unwrap(), ["w.json", "w~2.json"]);
        assert_eq!(share.workers().unwrap().0.len(), 2);

        // Of a machine of which nothing can be proven, but it has been silent for long.
        age(&share.workers_dir().join("w~2.json"), 600);
        let mut third = me;
        third.origin = "a:third:1:1".into();
        WorkerFile::new(share.clone(), third.clone()).write(&info(&third), ALIVE).unwrap();
        assert_eq!(share.worker_files().unwrap(), ["w.json", "w~2.json"]);
        // It wakes up, and does not take the file back.
        theirs.write(&info(&other), ALIVE).unwrap();
        assert_eq!(share.worker_files().unwrap(), ["w.json", "w~2.json", "w~3.json"]);
        mine.remove().unwrap();
        assert_eq!(share.worker_files().unwrap(), ["w~2.json", "w~3.json"]);
    }

    #[test]
    fn a_worker_is_silent_after_three_beats() {
        let seen = |beat_s, quiet| SeenWorker {
            info: WorkerInfo { beat_s, ..info(&Owner::here("w")) },
            quiet: Duration::from_secs(quiet),
        };
        assert!(!seen(20.0, 60).is_silent() && seen(20.0, 70).is_silent());
        assert!(seen(0.1, 9).is_silent() && !seen(0.1, 7).is_silent());
        assert!(seen(f64::NAN, 70).is_silent() && seen(1e300, 20_000).is_silent());
    }

    #[test]
    fn what_others_put_there_is_neither_believed_nor_removed() {
        let (_dir, share) = share();
        assert!(share.workers().unwrap().0.is_empty(), "no folder yet");
        let me = Owner::here("w");
        WorkerFile::new(share.clone(), me.clone()).write(&info(&me), ALIVE).unwrap();
        let dir = share.workers_dir();
        let old = 40 * 24 * 3600;
        let put = |name: &str, content: &str| {
            fs::write(dir.join(name), content).unwrap();
            age(&dir.join(name), old);
        };
        let mut hostile = serde_json::to_value(info(&me)).unwrap();
        hostile["name"] = "\u{1b}[31m".repeat(300).into();
        hostile["state"] = "dancing".into();
        put("hostile.json", &hostile.to_string());
        put("notes.json", "{\"todo\": 1}");
        put("huge.json", &" ".repeat(LIMIT as usize + 1));
        put("readme.txt", "x");
        put(".x.json.0011.tmp", "x");
        fs::create_dir(dir.join("folder.json")).unwrap();
        symlink(dir.join("hostile.json"), dir.join("link.json")).unwrap();

        let (seen, warnings) = share.workers().unwrap();
        assert_eq!(seen.len(), 2, "{seen:?}");
        assert!(
            seen.iter().any(|s| s.info.state == WorkerState::Unknown && s.info.name.chars().count() == 300)
        );
        assert_eq!(warnings.len(), 2, "{warnings:?}");
        assert_eq!(share.sweep_workers(Duration::from_secs(30 * 24 * 3600)).unwrap(), 1);
        let mut left: Vec<_> =
            fs::read_dir(&dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
        left.sort_unstable();
        let kept = [
            ".x.json.0011.tmp",
            "folder.json",
            "huge.json",
            "link.json",
            "notes.json",
            "readme.txt",
            "w.json",
        ];
        assert_eq!(left, kept);
    }
}
