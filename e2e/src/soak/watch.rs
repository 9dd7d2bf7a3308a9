//! The kernel's own record of what got a final name.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::MaybeUninit;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::inotify::{self, CreateFlags, ReadFlags, WatchFlags};

/// How often it is read.
const PAUSE: Duration = Duration::from_millis(20);

/// What happened to the names in a folder, hidden ones left out.
#[derive(Debug, Clone, Default)]
pub struct Names {
    /// How often each name came into being.
    pub given: BTreeMap<String, u32>,
    /// How often each was taken away.
    pub taken: BTreeMap<String, u32>,
    /// Names that led nowhere after they had been given, if only for a moment.
    pub vacant: BTreeSet<String>,
    /// The record has a hole.
    pub lost: bool,
}

impl Names {
    /// Of an exchange the kernel tells first that the name was given, and then that it was taken away. A rename over a name that is
    /// there does not take it away.
    fn note(&mut self, name: String, given: bool) {
        let times = if given { &mut self.given } else { &mut self.taken }.entry(name.clone()).or_default();
        *times += 1;
        if !given && *times >= self.given.get(&name).copied().unwrap_or_default() {
            self.vacant.insert(name);
        }
    }
}

/// Watches one folder.
#[derive(Debug)]
pub struct NameWatch {
    names: Arc<Mutex<Names>>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl NameWatch {
    /// Begins to watch. The folder may be renamed meanwhile.
    ///
    /// # Errors
    /// The kernel has no watch left.
    pub fn start(folder: &Path) -> Result<Self> {
        let queue = inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC).context("inotify")?;
        let flags = WatchFlags::CREATE | WatchFlags::MOVED_TO | WatchFlags::DELETE | WatchFlags::MOVED_FROM;
        inotify::add_watch(&queue, folder, flags).context("watch the results")?;
        let (names, stop) = (Arc::<Mutex<Names>>::default(), Arc::<AtomicBool>::default());
        let (into, until) = (names.clone(), stop.clone());
        let thread = std::thread::spawn(move || {
            let mut buffer = [MaybeUninit::uninit(); 64 << 10];
            let mut reader = inotify::Reader::new(queue, &mut buffer);
            loop {
                let last = until.load(Ordering::SeqCst);
                while let Ok(event) = reader.next() {
                    let mut names = into.lock().unwrap_or_else(PoisonError::into_inner);
                    names.lost |= event.events().contains(ReadFlags::QUEUE_OVERFLOW);
                    let name =
                        event.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                    if name.is_empty() || name.starts_with('.') {
                        continue;
                    }
                    names.note(name, event.events().intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO));
                }
                if last {
                    return;
                }
                std::thread::sleep(PAUSE);
            }
        });
        Ok(Self { names, stop, thread: Some(thread) })
    }

    /// Stops watching and says what happened.
    pub fn stop(mut self) -> Names {
        self.end();
        self.names.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn end(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        if let Some(thread) = self.thread.take() {
            // It has nothing to panic about.
            let _ = thread.join();
        }
    }
}

impl Drop for NameWatch {
    fn drop(&mut self) {
        self.end();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rustix::fs::{CWD, RenameFlags, renameat_with};

    use super::*;

    #[test]
    fn every_name_is_counted_and_hidden_ones_are_not() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        let watch = NameWatch::start(dir.path()).unwrap();
        for _ in 0..2 {
            fs::write(at(".a.partial"), "x").unwrap();
            fs::rename(at(".a.partial"), at("a")).unwrap();
            fs::remove_file(at("a")).unwrap();
        }
        fs::write(at("b"), "x").unwrap();
        let names = watch.stop();
        assert_eq!(names.given, BTreeMap::from([("a".to_owned(), 2), ("b".to_owned(), 1)]));
        assert_eq!((names.taken, names.lost), (BTreeMap::from([("a".to_owned(), 2)]), false));
        assert_eq!(names.vacant, BTreeSet::from(["a".to_owned()]));
    }

    #[test]
    fn a_name_that_changes_hands_by_an_exchange_never_leads_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir(at(".trash")).unwrap();
        let watch = NameWatch::start(dir.path()).unwrap();
        for name in ["exchanged", "moved"] {
            fs::write(at(name), "original").unwrap();
            fs::write(at(".result.partial"), "result").unwrap();
            fs::rename(at(".result.partial"), at(".trash/a")).unwrap();
            if name == "exchanged" {
                let (a, b) = (at(".trash/a"), at(name));
                renameat_with(CWD, &a, CWD, &b, RenameFlags::EXCHANGE).unwrap();
            } else {
                fs::rename(at(name), at(".trash/b")).unwrap();
                fs::rename(at(".trash/a"), at(name)).unwrap();
            }
            assert_eq!(fs::read(at(name)).unwrap(), b"result");
        }
        let names = watch.stop();
        let both = |n| BTreeMap::from([("exchanged".to_owned(), n), ("moved".to_owned(), n)]);
        assert_eq!((names.given, names.taken), (both(2), both(1)));
        assert_eq!(names.vacant, BTreeSet::from(["moved".to_owned()]));
    }
}
