//! The configured library roots, and where a path that a person typed lies in them.

use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};

use common::job::LibraryPath;

use crate::exit::Failure;
use crate::render::safe_path;

/// A library root that cannot be used, or a path that is in none.
#[derive(Debug, thiserror::Error)]
pub enum RootError {
    /// The folder of a root is not there (or not a folder, or not readable). Never taken for an empty library.
    #[error("the library root {name} is not there: {} ({source})", safe_path(dir))]
    Absent {
        /// The root's name.
        name: String,
        /// Its folder.
        dir: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The folder of a root has nothing in it: most often a mount point without its mount.
    #[error("the library root {name} is an empty folder: {}", safe_path(dir))]
    Empty {
        /// The root's name.
        name: String,
        /// Its folder.
        dir: PathBuf,
    },
    /// A path that is not below any root.
    #[error("{} is not below any library root", safe_path(path))]
    Outside {
        /// As typed.
        path: PathBuf,
        /// The roots, for the hint.
        roots: String,
    },
    /// A library path of a root that there is not.
    #[error("there is no library root {root}, and no path {}", safe_path(path))]
    NoSuchRoot {
        /// What stands before the colon.
        root: String,
        /// As typed.
        path: PathBuf,
        /// The roots, for the hint.
        roots: String,
    },
    /// A path that does not exist.
    #[error("there is no {}", safe_path(path))]
    NoSuchPath {
        /// As typed.
        path: PathBuf,
    },
}

impl From<RootError> for Failure {
    fn from(e: RootError) -> Self {
        match &e {
            RootError::Absent { source, .. } => Self::environment(e.to_string())
                .hint("mount it, or correct library.roots in the configuration")
                .because(source),
            RootError::Empty { .. } => Self::environment(e.to_string())
                .hint("it looks like a mount point without its mount: mount it, or correct library.roots"),
            RootError::Outside { roots, .. } | RootError::NoSuchRoot { roots, .. } => {
                let hint = format!("the library roots are: {roots}");
                Self::usage(e.to_string()).hint(hint)
            }
            RootError::NoSuchPath { .. } => {
                Self::usage(e.to_string()).hint("check the spelling; quote names with spaces")
            }
        }
    }
}

/// One root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// Its name in library paths.
    pub name: String,
    /// Its folder as configured.
    pub dir: PathBuf,
    /// Its folder with all links followed.
    pub real: PathBuf,
}

/// Where a walk begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The root it belongs to.
    pub root: Root,
    /// A file or folder in it, or the root's folder itself.
    pub path: PathBuf,
}

/// All roots, each seen to be there.
#[derive(Debug, Clone)]
pub struct Roots(Vec<Root>);

impl Roots {
    /// Looks at every configured root.
    ///
    /// # Errors
    /// [`RootError::Absent`] or [`RootError::Empty`] for the first that is not there.
    pub fn open(configured: &BTreeMap<String, PathBuf>) -> Result<Self, RootError> {
        configured.iter().map(|(name, dir)| open_root(name, dir)).collect::<Result<_, _>>().map(Self)
    }

    /// All of them, for a walk of the whole library.
    pub fn places(&self) -> Vec<Place> {
        self.0.iter().map(|r| Place { root: r.clone(), path: r.dir.clone() }).collect()
    }

    /// Maps what a person typed (a path, or `root:relative/path`) to its root.
    ///
    /// # Errors
    /// [`RootError::NoSuchPath`], [`RootError::NoSuchRoot`] or [`RootError::Outside`].
    pub fn locate(&self, typed: &Path) -> Result<Place, RootError> {
        if typed.symlink_metadata().is_err() {
            // Not a path of this machine: perhaps the library path that our own tables print.
            if let Some(place) = self.by_library_path(typed) {
                return Ok(place);
            }
            let film = typed.to_str().and_then(|t| t.parse::<LibraryPath>().ok());
            let strange = film.filter(|f| self.0.iter().all(|r| r.name != f.root()));
            return Err(match strange {
                Some(film) => RootError::NoSuchRoot {
                    root: film.root().to_owned(),
                    path: typed.to_owned(),
                    roots: self.names(),
                },
                None => RootError::NoSuchPath { path: typed.to_owned() },
            });
        }
        let absolute = std::path::absolute(typed).unwrap_or_else(|_| typed.to_owned());
        let plain = !absolute.components().any(|c| c == Component::ParentDir);
        let real = absolute.canonicalize().unwrap_or_else(|_| absolute.clone());
        // A link below a root keeps the name it has there; only then the place it leads to is tried.
        self.owner(plain.then_some(absolute.as_path()), |r| &r.dir)
            .or_else(|| self.owner(Some(&real), |r| &r.real))
            .ok_or_else(|| RootError::Outside { path: typed.to_owned(), roots: self.names() })
    }

    /// The innermost root that holds `path`.
    fn owner(&self, path: Option<&Path>, dir: impl Fn(&Root) -> &PathBuf) -> Option<Place> {
        let path = path?;
        let inner =
            self.0.iter().filter(|r| path.starts_with(dir(r))).max_by_key(|r| dir(r).components().count())?;
        let below = path.strip_prefix(dir(inner)).ok()?;
        let path = if below.as_os_str().is_empty() { inner.dir.clone() } else { inner.dir.join(below) };
        Some(Place { root: inner.clone(), path })
    }

    fn by_library_path(&self, typed: &Path) -> Option<Place> {
        let text = typed.to_str()?;
        let film: LibraryPath = text.strip_suffix('/').unwrap_or(text).parse().ok()?;
        let root = self.0.iter().find(|r| r.name == film.root())?;
        let path = root.dir.join(film.relative());
        path.symlink_metadata().is_ok().then(|| Place { root: root.clone(), path })
    }

    fn names(&self) -> String {
        let list: Vec<_> = self.0.iter().map(|r| format!("{} = {}", r.name, safe_path(&r.dir))).collect();
        list.join(", ")
    }
}

fn open_root(name: &str, dir: &Path) -> Result<Root, RootError> {
    let absent = |source| RootError::Absent { name: name.to_owned(), dir: dir.to_owned(), source };
    let real = dir.canonicalize().map_err(absent)?;
    let mut entries = std::fs::read_dir(&real).map_err(absent)?;
    match entries.next() {
        Some(Ok(_)) => {}
        Some(Err(e)) => return Err(absent(e)),
        None => return Err(RootError::Empty { name: name.to_owned(), dir: dir.to_owned() }),
    }
    let dir = std::path::absolute(dir).map_err(absent)?;
    Ok(Root { name: name.to_owned(), dir, real })
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn library() -> (tempfile::TempDir, Roots) {
        let dir = tempfile::tempdir().unwrap();
        for d in ["films/a", "films/series/b"] {
            fs::create_dir_all(dir.path().join(d)).unwrap();
        }
        fs::write(dir.path().join("films/a/x.mkv"), "x").unwrap();
        let roots = [("films", "films"), ("series", "films/series")];
        let roots = roots.map(|(n, d)| (n.to_owned(), dir.path().join(d))).into();
        let roots = Roots::open(&roots).unwrap();
        (dir, roots)
    }

    #[test]
    fn a_path_belongs_to_the_innermost_root() {
        let (dir, roots) = library();
        let at = |p: &str| roots.locate(&dir.path().join(p)).map(|p| p.root.name);
        assert_eq!(at("films/a/x.mkv").unwrap(), "films");
        assert_eq!(at("films").unwrap(), "films");
        assert_eq!(at("films/series/b").unwrap(), "series");
        assert_eq!(roots.locate(Path::new("films:a/x.mkv")).unwrap().path, dir.path().join("films/a/x.mkv"));
    }

    #[test]
    fn ways_around_and_ways_out_are_seen() {
        let (dir, roots) = library();
        let at = |p: &str| roots.locate(&dir.path().join(p));
        assert_eq!(at("films/series/../a/x.mkv").unwrap().root.name, "films");
        fs::write(dir.path().join("other.mkv"), "x").unwrap();
        assert!(matches!(at("films/../other.mkv"), Err(RootError::Outside { .. })));
        assert!(matches!(at("films/none.mkv"), Err(RootError::NoSuchPath { .. })));
        assert!(matches!(roots.locate(Path::new("films:none.mkv")), Err(RootError::NoSuchPath { .. })));
        // A second name for the library, outside of it, is fine.
        std::os::unix::fs::symlink("films/a", dir.path().join("shortcut")).unwrap();
        assert_eq!(at("shortcut/x.mkv").unwrap().path, dir.path().join("films/a/x.mkv"));
    }

    #[test]
    fn a_root_that_is_not_there_is_an_error_not_an_empty_library() {
        let dir = tempfile::tempdir().unwrap();
        let one = |d: PathBuf| Roots::open(&[("films".to_owned(), d)].into()).map(|_| ()).unwrap_err();
        let absent = one(dir.path().join("none"));
        assert!(matches!(absent, RootError::Absent { .. }), "{absent}");
        assert!(matches!(one(dir.path().to_owned()), RootError::Empty { .. }));
        fs::write(dir.path().join("file"), "x").unwrap();
        assert!(matches!(one(dir.path().join("file")), RootError::Absent { .. }));
    }
}
