//! Finding what somebody left behind among results: unfinished ones, and files of an instant.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use common::share::looks_left_over;

/// Hexadecimal digits of an attempt's token.
const TOKEN: usize = 32;
/// Folders within folders. A library has five levels or so.
const DEEPEST: usize = 64;

/// A file that bears the name of an unfinished result. Whose it is, the name alone does not tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FoundPartial {
    /// Where it lies.
    pub path: PathBuf,
    /// The token in its name.
    pub token: String,
}

/// The token in the name of an unfinished result, `.<name>.<32 hex digits>.partial`.
pub fn token_of_partial(name: &OsStr) -> Option<&str> {
    let rest = name.as_bytes().strip_suffix(b".partial")?;
    let (head, token) = rest.split_at_checked(rest.len().checked_sub(TOKEN)?)?;
    let named = head.len() > 2 && head[0] == b'.' && head.ends_with(b".");
    let hex = token.iter().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(b));
    if named && hex { str::from_utf8(token).ok() } else { None }
}

/// What lies below a folder and may be ours.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Found {
    /// Unfinished results.
    pub partials: Vec<FoundPartial>,
    /// Files of an instant, by name: see [`common::share::remove_leftover`].
    pub leftovers: Vec<PathBuf>,
}

/// Looks for both below a folder. Follows no links, passes over folders that it cannot read, and ends when `go_on` says no.
pub fn find_ours(below: &Path, go_on: &mut dyn FnMut() -> bool) -> Found {
    let mut found = Found::default();
    let mut folders = vec![(below.to_owned(), 0)];
    while let Some((folder, depth)) = folders.pop() {
        if !go_on() {
            break;
        }
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten() {
            // Of the entry itself, never of what a link points to.
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEEPEST {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() {
                let name = entry.file_name();
                if let Some(token) = token_of_partial(&name) {
                    found.partials.push(FoundPartial { path: entry.path(), token: token.to_owned() });
                } else if looks_left_over(&name) {
                    found.leftovers.push(entry.path());
                }
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::workspace::partial_name;

    const HEX: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn only_the_whole_name_counts() {
        let of = |name: &str| token_of_partial(OsStr::new(name)).map(str::to_owned);
        let long = partial_name(&Path::new("/t").join("ä".repeat(127)), HEX);
        assert_eq!(token_of_partial(long.file_name().unwrap()), Some(HEX));
        assert_eq!(of(&format!(".Film [DV8].mkv.{HEX}.partial")).as_deref(), Some(HEX));
        for other in [
            format!("Film.mkv.{HEX}.partial"),
            format!(".{HEX}.partial"),
            format!("..{HEX}.partial"),
            format!(".Film.mkv{HEX}.partial"),
            format!(".Film.mkv.{}.partial", &HEX[1..]),
            format!(".Film.mkv.{}.partial", HEX.to_uppercase()),
            format!(".Film.mkv.{HEX}.partial.mkv"),
            format!(".Film.mkv.{HEX}.part"),
            ".partial".into(),
        ] {
            assert_eq!(of(&other), None, "{other}");
        }
        let odd = [b".\xff.".as_slice(), HEX.as_bytes(), b".partial"].concat();
        assert_eq!(token_of_partial(OsStr::from_bytes(&odd)), Some(HEX));
    }

    #[test]
    fn links_are_not_followed_and_folders_are_no_files() {
        let dir = tempfile::tempdir().unwrap();
        let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
        fs::create_dir_all(tree.join("a/b")).unwrap();
        fs::create_dir_all(&other).unwrap();
        let name = format!(".x.mkv.{HEX}.partial");
        let wanted = tree.join("a/b").join(&name);
        let claim = tree.join("a/.x.mkv.claim");
        for path in [&wanted, &other.join(&name), &claim] {
            fs::write(path, "x").unwrap();
        }
        symlink(&claim, tree.join(".y.mkv.claim")).unwrap();
        symlink(&other, tree.join("elsewhere")).unwrap();
        symlink("..", tree.join("a/loop")).unwrap();
        symlink(&wanted, tree.join(format!(".y.mkv.{HEX}.partial"))).unwrap();
        fs::create_dir(tree.join(format!(".z.mkv.{HEX}.partial"))).unwrap();
        let found = find_ours(&tree, &mut || true);
        let partials = vec![FoundPartial { path: wanted, token: HEX.into() }];
        assert_eq!(found, Found { partials, leftovers: vec![claim] });
        assert_eq!(find_ours(&tree, &mut || false), Found::default());
    }
}
