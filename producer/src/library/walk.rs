//! Walking the library: every file that could be a film, in a fixed order.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use common::config::{Config, OutputMode};
use common::job::LibraryPath;
use walkdir::{DirEntry, WalkDir};

use super::Place;

/// Folders that network storage keeps beside people's own; nothing in them is a film of the library.
const SYSTEM_FOLDERS: [&str; 5] =
    ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "lost+found"];

/// A file that could be a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name in the library.
    pub film: LibraryPath,
    /// Where it lies on this machine.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
    /// Nanoseconds since 1970.
    pub mtime_ns: i64,
}

/// Something that could not be looked at, or was left alone for a reason that a person should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Warning {
    /// Where.
    pub path: PathBuf,
    /// What is wrong with it.
    pub text: String,
    /// Whether films may have been missed: a folder that could not be read, a broken link.
    pub missed: bool,
}

/// What a walk found.
#[derive(Debug, Default)]
pub struct Walk {
    /// Possible films, sorted by library path, each once.
    pub found: Vec<Found>,
    /// Sorted by path.
    pub warnings: Vec<Warning>,
    /// Results of ours, and folders of ours, that were passed over.
    pub ours: u64,
}

/// Walks the given places. `tick` is called with the number of possible films so far, and ends the walk by `false`.
pub fn walk(places: &[Place], config: &Config, tick: &mut dyn FnMut(usize) -> bool) -> Walk {
    let own = OwnFolders::of(config);
    let mut result = Walk::default();
    // Real path → index in `found`: a film that links give several names is one film.
    let mut seen: HashMap<PathBuf, usize> = HashMap::new();
    for place in places {
        if !walk_place(place, config, &own, &mut result, &mut seen, tick) {
            break;
        }
    }
    result.found.sort_by(|a, b| a.film.cmp(&b.film));
    result.found.dedup_by(|a, b| a.film == b.film);
    result.warnings.sort_by(|a, b| a.path.cmp(&b.path));
    result.warnings.dedup();
    result
}

fn walk_place(
    place: &Place,
    config: &Config,
    own: &OwnFolders,
    result: &mut Walk,
    seen: &mut HashMap<PathBuf, usize>,
    tick: &mut dyn FnMut(usize) -> bool,
) -> bool {
    // A hidden folder stays hidden if somebody names a path inside it.
    let inside = place.path.strip_prefix(&place.root.dir).unwrap_or(Path::new(""));
    if inside.iter().any(is_hidden) {
        result.warn(&place.path, "it is hidden", false);
        return true;
    }
    let mut walker = WalkDir::new(&place.path).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = walker.next() {
        if !tick(result.found.len()) {
            return false;
        }
        let entry = match entry {
            Ok(entry) => entry,
            Err(e) => {
                result.warn_walk(&e, &place.path);
                continue;
            }
        };
        let is_dir = entry.file_type().is_dir();
        if entry.depth() > 0 && is_hidden(entry.file_name()) {
            if is_dir {
                walker.skip_current_dir();
            }
            continue;
        }
        if is_dir {
            if own.holds(entry.path()) {
                result.ours += 1;
                walker.skip_current_dir();
            } else if entry.path_is_symlink() && leads_out(&entry, place) {
                result.warn(entry.path(), "the link leads out of the library root", false);
                walker.skip_current_dir();
            }
        } else if entry.file_type().is_file() && has_film_name(entry.file_name(), config) {
            if is_result_name(entry.file_name(), config) {
                result.ours += 1;
            } else {
                take(&entry, place, result, seen);
            }
        }
    }
    true
}

fn take(entry: &DirEntry, place: &Place, result: &mut Walk, seen: &mut HashMap<PathBuf, usize>) {
    let path = entry.path();
    let (real, meta) = match path.canonicalize().and_then(|real| Ok((real, std::fs::metadata(path)?))) {
        Ok(both) => both,
        Err(e) => return result.warn(path, &format!("it cannot be looked at: {e}"), true),
    };
    if !real.starts_with(&place.root.real) {
        return result.warn(path, "the link leads out of the library root", false);
    }
    let film = path.strip_prefix(&place.root.dir).ok().map(|rel| LibraryPath::new(&place.root.name, rel));
    let Some(Ok(film)) = film else {
        return result.warn(path, "its path cannot be written as a library path", true);
    };
    let found = Found { film, path: path.to_owned(), size: meta.len(), mtime_ns: mtime_ns(&meta) };
    let direct = real.strip_prefix(&place.root.real).ok() == Some(found.film.relative());
    match seen.get(&real) {
        None => {
            seen.insert(real, result.found.len());
            result.found.push(found);
        }
        Some(&first) if result.found[first].film == found.film => {}
        // The name without links wins, whichever was met first.
        Some(&first) if direct => {
            let other = std::mem::replace(&mut result.found[first], found);
            let text = format!("another name of {}", result.found[first].film);
            result.warn(&other.path, &text, false);
        }
        Some(&first) => {
            let text = format!("another name of {}", result.found[first].film);
            result.warn(path, &text, false);
        }
    }
}

/// Nanoseconds since 1970; the far ends of what a file system can say are cut to what a message can hold.
pub(super) fn mtime_ns(meta: &Metadata) -> i64 {
    meta.mtime().saturating_mul(1_000_000_000).saturating_add(meta.mtime_nsec())
}

pub(crate) fn is_hidden(name: &OsStr) -> bool {
    name.as_bytes().starts_with(b".") || SYSTEM_FOLDERS.iter().any(|s| name == *s)
}

/// `.mkv` in any case, but not `film.partial.mkv`, which some programs write while they copy.
pub(crate) fn has_film_name(name: &OsStr, config: &Config) -> bool {
    let path = Path::new(name);
    let extension = path.extension().unwrap_or_default();
    let film =
        config.library.extensions.iter().any(|e| extension.eq_ignore_ascii_case(e.trim_start_matches('.')));
    let stem = Path::new(path.file_stem().unwrap_or_default());
    film && !stem.extension().is_some_and(|e| e.eq_ignore_ascii_case("partial"))
}

fn is_result_name(name: &OsStr, config: &Config) -> bool {
    let stem = Path::new(name).file_stem().unwrap_or_default().as_bytes();
    let suffix = config.output.suffix.as_bytes();
    config.output.mode == OutputMode::Beside && !suffix.is_empty() && stem.ends_with(suffix)
}

fn leads_out(entry: &DirEntry, place: &Place) -> bool {
    !entry.path().canonicalize().is_ok_and(|real| real.starts_with(&place.root.real))
}

/// Folders of ours that may lie inside a library root.
pub(crate) struct OwnFolders(Vec<PathBuf>);

impl OwnFolders {
    pub(crate) fn of(config: &Config) -> Self {
        let mut dirs = vec![&config.share.state_dir];
        if config.output.mode == OutputMode::Separate {
            dirs.push(&config.output.dir);
        }
        if !config.output.trash_dir.as_os_str().is_empty() {
            dirs.push(&config.output.trash_dir);
        }
        let there = dirs.into_iter().filter(|d| !d.as_os_str().is_empty());
        Self(there.filter_map(|d| d.canonicalize().ok()).collect())
    }

    fn holds(&self, path: &Path) -> bool {
        !self.0.is_empty() && path.canonicalize().is_ok_and(|real| self.0.contains(&real))
    }

    /// Whether a path lies in one of them, also if it is gone meanwhile.
    pub(crate) fn is_below(&self, path: &Path) -> bool {
        if self.0.is_empty() {
            return false;
        }
        let real = path.parent().and_then(|p| p.canonicalize().ok()).unwrap_or_else(|| path.to_owned());
        self.0.iter().any(|own| real.starts_with(own) || path.starts_with(own))
    }
}

impl Walk {
    fn warn(&mut self, path: &Path, text: &str, missed: bool) {
        self.warnings.push(Warning { path: path.to_owned(), text: text.to_owned(), missed });
    }

    fn warn_walk(&mut self, e: &walkdir::Error, place: &Path) {
        let path = e.path().unwrap_or(place);
        if let Some(ancestor) = e.loop_ancestor() {
            let text = format!("the link leads back to {}", crate::render::safe_path(ancestor));
            return self.warn(path, &text, false);
        }
        let broken_link = path.symlink_metadata().is_ok_and(|m| m.is_symlink());
        let text = match e.io_error() {
            Some(io) if broken_link && io.kind() == std::io::ErrorKind::NotFound => {
                "the link leads nowhere".to_owned()
            }
            Some(io) => format!("it cannot be read: {io}"),
            None => e.to_string(),
        };
        self.warn(path, &text, true);
    }
}

#[cfg(test)]
#[path = "walk_tests.rs"]
mod tests;
