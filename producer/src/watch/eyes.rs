//! Hearing of changes in the library, where the kernel tells of them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use common::config::Config;
use common::share::is_network;
use notify::event::{AccessKind, AccessMode, CreateKind, ModifyKind, RenameMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher};
use tokio::sync::Notify;

use crate::library::{OwnFolders, Place, has_film_name, is_hidden};
use crate::render::safe_path;

/// When something changed last. However many events come, this is all that is kept of them.
#[derive(Debug, Default)]
pub struct Changes {
    last: Mutex<Option<Instant>>,
    news: Notify,
}

impl Changes {
    fn note(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        self.news.notify_one();
    }

    /// The last change since [`Changes::forget`].
    pub fn last(&self) -> Option<Instant> {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A scan begins, and will see all that was noted.
    pub fn forget(&self) {
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Until something changes.
    pub async fn changed(&self) {
        self.news.notified().await;
    }
}

/// Watches the folders of the library by inotify.
#[derive(Debug)]
pub struct Eyes {
    changes: Arc<Changes>,
    config: Config,
    roots: Vec<Watched>,
    /// What was said already: each of it once.
    said: Vec<String>,
}

/// A root that is looked after, and the folder that it was at that time: a mount that came back is another one.
#[derive(Debug)]
struct Watched {
    dir: PathBuf,
    is: Option<(u64, u64)>,
    /// Holds the watches; `None` where there are none to be had.
    _watcher: Option<RecommendedWatcher>,
}

impl Eyes {
    /// Sees nothing yet.
    pub fn new(config: &Config, changes: Arc<Changes>) -> Self {
        Self { changes, config: config.clone(), roots: Vec::new(), said: Vec::new() }
    }

    /// Watches every root that is there and not watched yet, and those that were mounted anew. To be called before each scan: what
    /// happens from now on is noted, what happened before the scan will see. Blocks while it walks the folders.
    pub fn open(&mut self, roots: &[Place]) {
        if !self.config.watch.events {
            return;
        }
        for root in roots {
            let is = identity(&root.path);
            if is.is_some() && self.roots.iter().any(|w| w.dir == root.path && w.is == is) {
                continue;
            }
            self.roots.retain(|w| w.dir != root.path);
            match self.watch(&root.path) {
                Ok(_watcher) => self.roots.push(Watched { dir: root.path.clone(), is, _watcher }),
                // Not remembered: the next scan tries again.
                Err(e) => self.say(&root.path, &e.to_string()),
            }
        }
    }

    /// Whether the kernel tells of changes below at least one root.
    pub fn see(&self) -> bool {
        self.roots.iter().any(|w| w._watcher.is_some())
    }

    fn watch(&mut self, dir: &Path) -> notify::Result<Option<RecommendedWatcher>> {
        if is_network(dir).map_err(notify::Error::io)? {
            self.say(dir, "a network mount tells nothing of other machines' changes");
            return Ok(None);
        }
        let filter = Filter { own: OwnFolders::of(&self.config), config: self.config.clone() };
        let changes = self.changes.clone();
        let root = dir.to_owned();
        let full = self.limit_text();
        let mut said_full = false;
        let heard = move |event: notify::Result<Event>| match event {
            Ok(event) if filter.matters(&event, &root) => changes.note(),
            Ok(_) => {}
            Err(e) if is_limit(&e) && !said_full => {
                said_full = true;
                tracing::warn!("{}: {full}", safe_path(&root));
            }
            // The interval finds what was missed.
            Err(e) => tracing::debug!(error = %e, "an event was lost"),
        };
        // Links are not followed: a link within the library leads to a folder that is watched anyway.
        let options = notify::Config::default().with_follow_symlinks(false);
        let mut watcher = match RecommendedWatcher::new(heard, options) {
            Ok(watcher) => watcher,
            Err(e) if is_limit(&e) => {
                self.say(dir, &limit("max_user_instances"));
                return Ok(None);
            }
            Err(e) => return Err(e),
        };
        match watcher.watch(dir, RecursiveMode::Recursive) {
            Err(e) if is_limit(&e) => self.say(dir, &self.limit_text()),
            other => other?,
        }
        Ok(Some(watcher))
    }

    fn limit_text(&self) -> String {
        limit("max_user_watches")
    }

    fn say(&mut self, dir: &Path, what: &str) {
        let every = crate::render::duration(self.config.watch.interval());
        let text = format!("{}: {what}; scanned every {every}", safe_path(dir));
        if !self.said.contains(&text) {
            tracing::warn!("{text}");
            self.said.push(text);
        }
    }
}

/// What to do about a limit of the kernel, with its present value.
fn limit(name: &str) -> String {
    let value = std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).unwrap_or_default();
    let value = value.trim();
    let more = value.parse::<u64>().map_or(1_048_576, |v| v.saturating_mul(8));
    format!(
        "not every folder can be watched, the kernel's limit fs.inotify.{name} = {value} is reached \
         (raise it: `sysctl fs.inotify.{name}={more}`, and for good in /etc/sysctl.d)"
    )
}

/// No more watches (ENOSPC), or no more instances (EMFILE).
fn is_limit(e: &notify::Error) -> bool {
    match &e.kind {
        notify::ErrorKind::MaxFilesWatch => true,
        notify::ErrorKind::Io(io) => rustix::io::Errno::from_io_error(io) == Some(rustix::io::Errno::MFILE),
        _ => false,
    }
}

fn identity(dir: &Path) -> Option<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    std::fs::metadata(dir).ok().map(|m| (m.dev(), m.ino()))
}

/// Tells what a scan could make use of from everything else that happens in a library: reading, our own scans among it; covers
/// and subtitles; and what workers write into folders of ours that lie in the library.
struct Filter {
    own: OwnFolders,
    config: Config,
}

impl Filter {
    fn matters(&self, event: &Event, root: &Path) -> bool {
        // The kernel's queue overflowed: anything may have happened.
        if event.need_rescan() {
            return true;
        }
        let kind = match event.kind {
            // A folder, or a name that may be one: what came with it is told of by no event of its own.
            EventKind::Create(CreateKind::Folder) | EventKind::Modify(ModifyKind::Name(RenameMode::To)) => {
                Kind::Arrival
            }
            EventKind::Create(_)
            | EventKind::Modify(_)
            | EventKind::Access(AccessKind::Close(AccessMode::Write)) => Kind::Film,
            _ => return false,
        };
        event.paths.iter().any(|path| self.concerns(path, root, kind))
    }

    fn concerns(&self, path: &Path, root: &Path, kind: Kind) -> bool {
        let Ok(inside) = path.strip_prefix(root) else { return false };
        if inside.iter().any(is_hidden) || self.own.is_below(path) {
            return false;
        }
        let Some(name) = inside.file_name() else { return false };
        has_film_name(name, &self.config) || (kind == Kind::Arrival && path.is_dir())
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Only of interest if the file has a film's name.
    Film,
    /// Also of interest if it is a folder.
    Arrival,
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(dir: &Path) -> Config {
        let mut config = common::config::load(None, &Vec::new()).unwrap().config;
        config.library.roots = [("films".to_owned(), dir.to_owned())].into();
        config.share.state_dir = dir.join("state");
        config.output.dir = dir.join("converted");
        config
    }

    #[test]
    fn only_what_a_scan_could_use_counts() {
        let dir = tempfile::tempdir().unwrap();
        for d in ["state/leases", "converted", "A Film", ".hidden"] {
            fs::create_dir_all(dir.path().join(d)).unwrap();
        }
        let config = config(dir.path());
        let filter = Filter { own: OwnFolders::of(&config), config };
        let event =
            |kind, path: &str| filter.matters(&Event::new(kind).add_path(dir.path().join(path)), dir.path());
        let written = EventKind::Modify(ModifyKind::Data(notify::event::DataChange::Any));
        let named = EventKind::Modify(ModifyKind::Name(RenameMode::To));
        let closed = |mode| EventKind::Access(AccessKind::Close(mode));
        assert!(event(written, "A Film/a.MKV"));
        assert!(event(closed(AccessMode::Write), "A Film/a.mkv"));
        assert!(event(named, "A Film/a.mkv"), "rsync gives a film its name at the end");
        assert!(event(EventKind::Create(CreateKind::Folder), "A Film"));
        assert!(event(named, "A Film"), "a folder moved in");
        assert!(!event(closed(AccessMode::Read), "A Film/a.mkv"), "our own scan reads");
        assert!(!event(written, "A Film/cover.jpg"));
        assert!(!event(written, "A Film/a.mkv.part"));
        assert!(!event(written, "A Film/.a.mkv.x7f"));
        assert!(!event(EventKind::Create(CreateKind::Folder), ".hidden"));
        assert!(!event(EventKind::Create(CreateKind::Folder), "state/leases"));
        assert!(!event(written, "converted/a.mkv"));
        assert!(!event(EventKind::Remove(notify::event::RemoveKind::File), "A Film/a.mkv"));
        assert!(
            filter.matters(&Event::new(EventKind::Other).set_flag(notify::event::Flag::Rescan), dir.path())
        );
    }

    #[test]
    fn a_root_that_was_mounted_anew_is_watched_anew() {
        let dir = tempfile::tempdir().unwrap();
        let lib = dir.path().join("lib");
        let place = |dir: &Path| {
            let root =
                crate::library::Root { name: "films".into(), dir: dir.to_owned(), real: dir.to_owned() };
            Place { root, path: dir.to_owned() }
        };
        let noted = |changes: &Changes| {
            let deadline = Instant::now() + std::time::Duration::from_secs(10);
            while changes.last().is_none() && Instant::now() < deadline {
                std::thread::yield_now();
            }
            changes.last().is_some()
        };
        let changes = Arc::new(Changes::default());
        let mut eyes = Eyes::new(&config(&lib), changes.clone());
        eyes.open(&[place(&lib)]);
        assert!(!eyes.see(), "it is not there");
        fs::create_dir_all(lib.join("A")).unwrap();
        eyes.open(&[place(&lib)]);
        assert!(eyes.see());
        fs::write(lib.join("A/a.mkv"), "x").unwrap();
        assert!(noted(&changes));
        fs::rename(&lib, dir.path().join("unmounted")).unwrap();
        fs::create_dir_all(lib.join("B")).unwrap();
        eyes.open(&[place(&lib)]);
        changes.forget();
        fs::write(lib.join("B/b.mkv"), "x").unwrap();
        assert!(noted(&changes));
    }

    #[test]
    fn a_limit_is_named_with_what_to_do() {
        let text = limit("max_user_watches");
        assert!(text.contains("sysctl fs.inotify.max_user_watches="), "{text}");
        assert!(is_limit(&notify::Error::new(notify::ErrorKind::MaxFilesWatch)));
        assert!(!is_limit(&notify::Error::io(std::io::Error::other("x"))));
    }
}
