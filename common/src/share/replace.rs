//! Putting a finished file in the place of another one, whose new name is in the trash.
//!
//! Two steps, [`Replacement::first`] and [`Replacement::second`], with room between them to ask once more whether the film
//! is still ours. At every moment both files have a name, and in the first two of the three ways the film's own name always
//! leads to a whole film. What a crash leaves between the steps is told apart by [`recover`].

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};
use serde::{Deserialize, Serialize};

use super::atomic::{hidden_beside, move_error, parent, random_hex, remove_quietly, sync_dir, sync_file};
use super::identity::{is_one_content, is_one_file, is_smb_or_fuse};
use super::publish::publish_no_clobber;
use super::{FileError, FileIdentity};

/// How a file is replaced. Each next way is for file systems that lack the one before.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ReplaceMethod {
    /// The result goes to the trash name, and then the two names are exchanged in one step (`renameat2` with
    /// `RENAME_EXCHANGE`). If what was exchanged is not the original, they are exchanged back. ext4, xfs, btrfs, tmpfs.
    #[default]
    Exchange,
    /// The original gets a second name in the trash by a hard link; then the result is renamed over the first one. NFS.
    Link,
    /// The original is renamed into the trash, then the result to its name, which is free for two system calls. exFAT, some
    /// SMB servers.
    Move,
}

/// A file that was not replaced.
#[derive(Debug, thiserror::Error)]
pub enum ReplaceError {
    /// Another file has the original's name by now. Nothing was lost: it has that name still, or again.
    #[error("{} is not the file any more that was read", path.display())]
    Changed {
        /// The original's name.
        path: PathBuf,
    },
    /// A file could not be moved.
    #[error(transparent)]
    File(#[from] FileError),
}

/// One replacement. All three names are in one file system, see [`probe_replace`].
#[derive(Debug, Clone, Copy)]
pub struct Replacement<'a> {
    /// The finished file under its temporary name.
    pub result: &'a Path,
    /// The original's name, which becomes the result's.
    pub name: &'a Path,
    /// The original's name in the trash; free.
    pub trash: &'a Path,
    /// The original as it was when it was read.
    pub original: FileIdentity,
    /// The finished file.
    pub made: FileIdentity,
}

impl Replacement<'_> {
    /// Gives the first of the two files its name in the trash, and makes that last.
    ///
    /// # Errors
    /// [`ReplaceError`]; then nothing has a name in the trash.
    pub fn first(&self, method: ReplaceMethod) -> Result<(), ReplaceError> {
        sync_file(self.result)?;
        self.expect_original(self.name)?;
        match method {
            ReplaceMethod::Exchange => {
                publish_no_clobber(self.result, self.trash)?;
            }
            ReplaceMethod::Link => {
                let linked = fs::hard_link(self.name, self.trash);
                // The answer of a first try may be lost, and the second then fails (open(2), NFS).
                if let Err(e) = linked
                    && !is_one_file(self.name, self.trash).unwrap_or(false)
                {
                    return Err(move_error("link", self.name, self.trash, e).into());
                }
                if let Err(e) = self.expect_original(self.trash) {
                    remove_quietly(self.trash);
                    return Err(e);
                }
                sync_dir(parent(self.trash))?;
            }
            ReplaceMethod::Move => {
                publish_no_clobber(self.name, self.trash)?;
                if let Err(e) = self.expect_original(self.trash) {
                    publish_no_clobber(self.trash, self.name)?;
                    return Err(e);
                }
            }
        }
        Ok(())
    }

    /// Gives the result its name, and makes that last.
    ///
    /// # Errors
    /// [`ReplaceError`]; [`Replacement::undo`] is then still to be called.
    pub fn second(&self, method: ReplaceMethod) -> Result<(), ReplaceError> {
        match method {
            ReplaceMethod::Exchange => {
                exchange(self.trash, self.name)
                    .map_err(|e| move_error("replace", self.trash, self.name, e))?;
                if let Err(e) = self.expect_original(self.trash) {
                    exchange(self.trash, self.name)
                        .map_err(|e| move_error("put back", self.trash, self.name, e))?;
                    return Err(e);
                }
            }
            ReplaceMethod::Link => {
                self.expect_original(self.name)?;
                // Somebody who took this film over may have taken the first step back meanwhile.
                self.expect_original(self.trash)?;
                if let Err(e) = fs::rename(self.result, self.name)
                    // As with a link: done, and only the answer was lost.
                    && !self.made.is_at(self.name).unwrap_or(false)
                {
                    return Err(move_error("replace", self.result, self.name, e).into());
                }
            }
            ReplaceMethod::Move => {
                self.expect_original(self.trash)?;
                publish_no_clobber(self.result, self.name)?;
            }
        }
        sync_dir(parent(self.name))?;
        sync_dir(parent(self.trash))?;
        Ok(())
    }

    /// After [`Replacement::first`] and without [`Replacement::second`]: everything as it was, the result under its temporary
    /// name.
    ///
    /// # Errors
    /// A file could not be moved; [`recover`] does the same later.
    pub fn undo(&self, method: ReplaceMethod) -> Result<(), FileError> {
        let failed = |e| FileError::new("look at", self.trash, e);
        match method {
            // Never a stranger's file, which could not be put back: the temporary name is one that gets removed.
            ReplaceMethod::Exchange if self.made.is_at(self.trash).map_err(failed)? => {
                publish_no_clobber(self.trash, self.result).map(drop)
            }
            ReplaceMethod::Link if is_one_file(self.name, self.trash).map_err(failed)? => {
                fs::remove_file(self.trash).map_err(|e| FileError::new("remove", self.trash, e))
            }
            ReplaceMethod::Move if self.original.is_at(self.trash).map_err(failed)? => {
                publish_no_clobber(self.trash, self.name).map(drop)
            }
            _ => Ok(()),
        }
    }

    fn expect_original(&self, at: &Path) -> Result<(), ReplaceError> {
        match self.original.is_at(at) {
            Ok(true) => Ok(()),
            Ok(false) => Err(ReplaceError::Changed { path: self.name.to_owned() }),
            Err(e) => Err(FileError::new("look at", at, e).into()),
        }
    }
}

/// What is taken back is moved to a hidden name of this kind first.
const ASIDE: &str = "taken-back";
/// How often a state that changes while it is looked at is looked at again.
const TRIES: u32 = 5;

/// What an interrupted replacement came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Recovered {
    /// The original has its name, if need be again, and nothing of the attempt is in the trash.
    NotBegun,
    /// The result has the name and the original lies in the trash.
    Done,
    /// Neither: a person has changed something since. Nothing was touched.
    Foreign,
}

/// Finds out what an interrupted replacement left, on whatever machine, and takes back what was begun and not ended.
///
/// `original` and `result` are told apart by size and date, and where these are equal by inode number.
///
/// The attempt that is thought to be dead may have been frozen only, and go on in the middle of this: nothing is removed
/// under a name that it knows, only after it was moved to another one and looked at there.
///
/// # Errors
/// The file system does not answer or a file cannot be moved; it can be repeated.
pub fn recover(
    name: &Path,
    trash: &Path,
    original: &FileIdentity,
    result: &FileIdentity,
) -> Result<Recovered, FileError> {
    put_asides_back(trash)?;
    for _ in 0..TRIES {
        if let Some(found) = recover_once(name, trash, original, result)? {
            return Ok(found);
        }
    }
    Ok(Recovered::Foreign)
}

/// Whoever took an attempt back may have died over it, with the file moved and not yet looked at: it gets its name in the trash
/// again, and what becomes of it is decided anew.
fn put_asides_back(trash: &Path) -> Result<(), FileError> {
    let folder = parent(trash);
    let failed = |e| FileError::new("list", folder, e);
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(e) => return Err(failed(e)),
    };
    let start = hidden_beside(trash, &format!("{ASIDE}."));
    let start = start.file_name().unwrap_or_default().as_encoded_bytes();
    for entry in entries {
        let name = entry.map_err(failed)?.file_name();
        if !name.as_encoded_bytes().starts_with(start) {
            continue;
        }
        match publish_no_clobber(&folder.join(&name), trash) {
            Ok(_) => {}
            Err(FileError::Exists { .. }) => {
                tracing::warn!(path = %folder.join(&name).display(), "stays in the trash: its name there is taken");
            }
            Err(e) => return Err(e),
        }
    }
    Ok(())
}

/// `None`: it changed while it was looked at.
fn recover_once(
    name: &Path,
    trash: &Path,
    original: &FileIdentity,
    result: &FileIdentity,
) -> Result<Option<Recovered>, FileError> {
    let look = |path: &Path| FileIdentity::find(path).map_err(|e| FileError::new("look at", path, e));
    let alike = original.looks_like(result);
    let is = |which: &FileIdentity, found: &Option<FileIdentity>| {
        found.is_some_and(|f| which.looks_like(&f) && (!alike || which.ino == f.ino))
    };
    let (at_name, at_trash) = (look(name)?, look(trash)?);
    match (&at_name, &at_trash) {
        (n, t) if is(original, n) && is(original, t) => {
            // A second name of the one file: not yet renamed over. Two files that look alike are nothing of ours.
            let second_name = |aside: &Path| {
                Ok(is_one_file(name, aside)? || is_smb_or_fuse(aside) && is_one_content(name, aside)?)
            };
            if second_name(trash).map_err(|e| FileError::new("look at", trash, e))? {
                let removed = remove_if(trash, second_name)?;
                return Ok(removed.then_some(Recovered::NotBegun));
            }
            Ok(Some(Recovered::NotBegun))
        }
        (n, t) if is(original, n) => {
            if is(result, t) {
                let is_result = |aside: &Path| Ok(is(result, &FileIdentity::find(aside)?));
                let removed = remove_if(trash, is_result)?;
                return Ok(removed.then_some(Recovered::NotBegun));
            }
            Ok(Some(Recovered::NotBegun))
        }
        (None, t) if is(original, t) => {
            publish_no_clobber(trash, name)?;
            Ok(Some(Recovered::NotBegun))
        }
        (n, t) if is(result, n) && is(original, t) => Ok(Some(Recovered::Done)),
        _ => Ok(Some(Recovered::Foreign)),
    }
}

/// Removes a file if it is the one that is meant, which is looked at after it was moved where nobody else touches it. False: it
/// was another, which has its name again.
fn remove_if(path: &Path, is_meant: impl Fn(&Path) -> io::Result<bool>) -> Result<bool, FileError> {
    let aside = hidden_beside(path, &format!("{ASIDE}.{}", random_hex(8)?));
    match fs::rename(path, &aside) {
        Ok(()) => {}
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(e) => return Err(move_error("take back", path, &aside, e)),
    }
    match is_meant(&aside) {
        Ok(true) => {
            fs::remove_file(&aside).map_err(|e| FileError::new("remove", &aside, e))?;
            sync_dir(parent(path))?;
            Ok(true)
        }
        Ok(false) => publish_no_clobber(&aside, path).map(|_| false),
        Err(e) => {
            publish_no_clobber(&aside, path)?;
            Err(FileError::new("look at", path, e))
        }
    }
}

/// Tries out, with small files of its own, how files of `folder` can be replaced with their originals going to `trash`;
/// `strongest` is the first way that is tried.
///
/// What a file system does is seen, not asked for: some FUSE file systems ignore the flags of a rename and overwrite.
///
/// # Errors
/// [`FileError::CrossDevice`] if no file can be renamed from one folder to the other, or another error of writing there.
pub fn probe_replace(
    strongest: ReplaceMethod,
    folder: &Path,
    trash: &Path,
) -> Result<ReplaceMethod, FileError> {
    let probe = format!(".dovi-fleet-probe.{}", random_hex(8)?);
    let (here, there) = (folder.join(format!("{probe}.a.tmp")), trash.join(format!("{probe}.b.tmp")));
    let found = try_out(strongest, &here, &there);
    remove_quietly(&here);
    remove_quietly(&there);
    found
}

fn try_out(strongest: ReplaceMethod, here: &Path, there: &Path) -> Result<ReplaceMethod, FileError> {
    let write = |path: &Path, text: &str| fs::write(path, text).map_err(|e| FileError::new("write", path, e));
    write(here, "first")?;
    fs::rename(here, there).map_err(|e| move_error("move", here, there, e))?;
    write(here, "second")?;
    let holds = |path: &Path, text: &str| fs::read(path).is_ok_and(|found| found == text.as_bytes());
    if strongest <= ReplaceMethod::Exchange {
        if exchange(here, there).is_ok() && holds(here, "first") && holds(there, "second") {
            return Ok(ReplaceMethod::Exchange);
        }
        write(here, "second")?;
    }
    if strongest <= ReplaceMethod::Link {
        remove_quietly(there);
        if fs::hard_link(here, there).is_ok()
            && is_one_file(here, there).unwrap_or(false)
            && holds(there, "second")
        {
            return Ok(ReplaceMethod::Link);
        }
    }
    Ok(ReplaceMethod::Move)
}

fn exchange(a: &Path, b: &Path) -> io::Result<()> {
    Ok(renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A film, its result and the trash, with the way stopped at the first step.
    struct Case {
        dir: tempfile::TempDir,
        original: FileIdentity,
        made: FileIdentity,
    }

    impl Case {
        fn begun(method: ReplaceMethod) -> Self {
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("trash")).unwrap();
            fs::write(dir.path().join("film"), "the original").unwrap();
            fs::write(dir.path().join(".partial"), "the result").unwrap();
            let of = |name: &str| FileIdentity::of(&dir.path().join(name)).unwrap();
            let (original, made) = (of("film"), of(".partial"));
            let case = Self { dir, original, made };
            case.files(|files| files.first(method)).unwrap();
            case
        }

        fn files<T>(&self, work: impl FnOnce(&Replacement<'_>) -> T) -> T {
            let at = |name: &str| self.dir.path().join(name);
            let (result, name, trash) = (at(".partial"), at("film"), at("trash/film.original"));
            let (original, made) = (self.original, self.made);
            work(&Replacement { result: &result, name: &name, trash: &trash, original, made })
        }

        fn recover(&self) -> Recovered {
            self.files(|f| recover(f.name, f.trash, &f.original, &f.made)).unwrap()
        }

        fn in_trash(&self) -> usize {
            fs::read_dir(self.dir.path().join("trash")).unwrap().count()
        }

        fn film(&self) -> String {
            fs::read_to_string(self.dir.path().join("film")).unwrap()
        }
    }

    fn move_aside(trash: &Path) {
        fs::rename(trash, hidden_beside(trash, "taken-back.0123456789abcdef")).unwrap();
    }

    #[test]
    fn whoever_dies_while_taking_back_leaves_nothing_in_the_trash() {
        for method in [ReplaceMethod::Exchange, ReplaceMethod::Link] {
            let case = Case::begun(method);
            case.files(|f| move_aside(f.trash));
            assert_eq!(case.recover(), Recovered::NotBegun, "{method:?}");
            assert_eq!((case.in_trash(), case.film().as_str()), (0, "the original"), "{method:?}");
        }
    }

    #[test]
    fn an_original_that_was_moved_aside_by_mistake_is_an_original_again() {
        // It was exchanged just before, by an attempt that was thought to be dead.
        let case = Case::begun(ReplaceMethod::Exchange);
        case.files(|f| {
            f.second(ReplaceMethod::Exchange).unwrap();
            move_aside(f.trash);
        });
        assert_eq!(case.recover(), Recovered::Done);
        assert_eq!((case.in_trash(), case.film().as_str()), (1, "the result"));
        let kept = case.files(|f| fs::read_to_string(f.trash)).unwrap();
        assert_eq!(kept, "the original");
    }

    #[test]
    fn what_another_attempt_moved_aside_is_not_touched() {
        let case = Case::begun(ReplaceMethod::Exchange);
        let other = case.dir.path().join("trash/.film.another.original.taken-back.0123456789abcdef");
        fs::write(&other, "of another film").unwrap();
        assert_eq!(case.recover(), Recovered::NotBegun);
        assert!(other.exists() && case.in_trash() == 1);
    }
}
