//! Where a film lies, in words that mean the same on every machine.

use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Component, Path, PathBuf};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A film as `root:relative/path`: machines mount the library at different places, so messages name the
/// configured root and the way below it.
///
/// The text form keeps every byte of a Unix file name: `%`, control characters and bytes that are not
/// UTF-8 are written as `%XX`. The relative part has only plain components, so it cannot leave its root by `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct LibraryPath {
    root: String,
    relative: PathBuf,
}

/// Why a text or a path is no [`LibraryPath`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// The text has no `root:` in front.
    #[error("{0:?} has no library root in front (root:relative/path)")]
    NoRoot(String),
    /// The root name has characters other than letters, digits, `-` and `_`.
    #[error("{0:?} is not a library root name (letters, digits, - and _)")]
    BadRoot(String),
    /// The relative part is empty, absolute, or has `.`/`..` components.
    #[error("{0:?} is not a plain path below its root")]
    NotPlain(String),
    /// A `%` that two hex digits do not follow.
    #[error("{0:?} has a broken %XX escape")]
    BadEscape(String),
    /// This machine has no library root of that name.
    #[error("no library root {0:?} is configured here")]
    UnknownRoot(String),
    /// The path leads out of its root through a symbolic link.
    #[error("{0} leaves its library root through a symbolic link")]
    Escapes(String),
}

impl LibraryPath {
    /// Builds a path from a root name and a path below it.
    ///
    /// # Errors
    /// [`PathError::BadRoot`] or [`PathError::NotPlain`].
    pub fn new(root: &str, relative: &Path) -> Result<Self, PathError> {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        if root.is_empty() || root.len() > 64 || !root.chars().all(plain) {
            return Err(PathError::BadRoot(root.to_owned()));
        }
        let bytes = relative.as_os_str().as_bytes();
        let normal = relative.components().all(|c| matches!(c, Component::Normal(_)));
        // `components` folds `a//b`, `a/./b` and a trailing slash away, which would give one film two names.
        let rebuilt: PathBuf = relative.components().collect();
        if bytes.is_empty() || bytes.contains(&0) || !normal || rebuilt.as_os_str() != relative.as_os_str() {
            return Err(PathError::NotPlain(relative.display().to_string()));
        }
        Ok(Self { root: root.to_owned(), relative: relative.to_owned() })
    }

    /// The name of the library root.
    pub fn root(&self) -> &str {
        &self.root
    }

    /// The way below the root.
    pub fn relative(&self) -> &Path {
        &self.relative
    }

    /// The file name, for people.
    pub fn file_name(&self) -> String {
        self.relative.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default()
    }

    /// Where the film lies below `root_dir`, after following links: a link that leads out of the root is refused,
    /// because the text may come from a message that anybody with broker access can write.
    ///
    /// # Errors
    /// [`PathError::Escapes`]; a path that does not exist (yet) is returned as it is.
    pub fn below(&self, root_dir: &Path) -> Result<PathBuf, PathError> {
        let full = root_dir.join(&self.relative);
        match (full.canonicalize(), root_dir.canonicalize()) {
            (Ok(real), Ok(root)) if !real.starts_with(&root) => Err(PathError::Escapes(self.to_string())),
            _ => Ok(full),
        }
    }
}

impl fmt::Display for LibraryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.root)?;
        for chunk in self.relative.as_os_str().as_bytes().utf8_chunks() {
            for c in chunk.valid().chars() {
                if c == '%' || c.is_control() {
                    let mut utf8 = [0; 4];
                    c.encode_utf8(&mut utf8).bytes().try_for_each(|b| write!(f, "%{b:02X}"))?;
                } else {
                    write!(f, "{c}")?;
                }
            }
            chunk.invalid().iter().try_for_each(|b| write!(f, "%{b:02X}"))?;
        }
        Ok(())
    }
}

impl fmt::Debug for LibraryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LibraryPath({self})")
    }
}

impl FromStr for LibraryPath {
    type Err = PathError;

    fn from_str(s: &str) -> Result<Self, PathError> {
        let (root, text) = s.split_once(':').ok_or_else(|| PathError::NoRoot(s.to_owned()))?;
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((&b, tail)) = rest.split_first() {
            rest = tail;
            if b == b'%' {
                let hex = tail.get(..2).and_then(|h| std::str::from_utf8(h).ok());
                let byte = hex.and_then(|h| u8::from_str_radix(h, 16).ok());
                bytes.push(byte.ok_or_else(|| PathError::BadEscape(s.to_owned()))?);
                rest = &tail[2..];
            } else {
                bytes.push(b);
            }
        }
        Self::new(root, Path::new(&OsString::from_vec(bytes)))
    }
}

impl TryFrom<String> for LibraryPath {
    type Error = PathError;

    fn try_from(s: String) -> Result<Self, PathError> {
        s.parse()
    }
}

impl From<LibraryPath> for String {
    fn from(p: LibraryPath) -> Self {
        p.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_ways_out_of_the_root() {
        for bad in [
            "films:../x",
            "films:/etc/passwd",
            "films:a/../../x",
            "films:",
            "films:.",
            "a.mkv",
            "fi/lms:x",
            ":x",
            "films:%2e%2e/x",
            "films:%2",
            "films:a//b",
            "films:a/",
        ] {
            assert!(bad.parse::<LibraryPath>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_link_out_of_the_root_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let root = dir.path().join("root");
        std::fs::create_dir(&root).unwrap();
        std::fs::write(dir.path().join("secret.mkv"), "x").unwrap();
        std::os::unix::fs::symlink("../secret.mkv", root.join("film.mkv")).unwrap();
        let film: LibraryPath = "films:film.mkv".parse().unwrap();
        assert!(matches!(film.below(&root), Err(PathError::Escapes(_))));
    }

    proptest! {
        #[test]
        fn every_unix_name_round_trips(name in prop::collection::vec(1u8..=255, 1..80)) {
            prop_assume!(!name.contains(&b'/') && name != b"." && name != b"..");
            let path = LibraryPath::new("films", Path::new(&OsString::from_vec(name))).unwrap();
            prop_assert_eq!(path.to_string().parse::<LibraryPath>().unwrap(), path);
        }
    }
}
