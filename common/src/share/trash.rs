//! The trash: originals whose place a result has taken, each with a record of where it came from.
//!
//! ```text
//! <trash>/Film (1999)/Film (1999).mkv.0123456789ab.original    the original, byte for byte
//! <trash>/Film (1999)/Film (1999).mkv.0123456789ab.json        where it came from, when, for which job
//! ```
//!
//! The record is there before the original. `mv` puts an original back.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use super::atomic::{parent, read_bounded, write_file};
use super::folders::make_folders;
use super::identity::is_one_file;
use super::publish::server_time;
use super::{FileError, FileIdentity, Folder, ShareError, ShareState};
use crate::job::{Certificate, JobId, LibraryPath};

/// Longest file name on every file system in use (ext4, xfs, btrfs, SMB, NFS), in bytes.
const NAME_MAX: usize = 255;
/// Room for the longest of what follows the film's name: `.` + 12 digits + `.original`, and for a temporary name of the
/// record: `.` in front, `.` + 16 digits + `.tmp` behind.
const ROOM: usize = 22 + 22;
/// So many digits of the attempt's token are in the name.
const DIGITS: usize = 12;
/// A record has some 600 bytes.
const RECORD_LIMIT: u64 = 64 << 10;

/// What lies beside an original in the trash.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TrashRecord {
    /// Format version: 1.
    pub v: u32,
    /// Where the original lay, and where its result lies.
    pub film: LibraryPath,
    /// The job; its certificate is `done/<job>.json` in the share's state folder.
    pub job: JobId,
    /// The original.
    pub original: FileIdentity,
    /// The result.
    pub result: FileIdentity,
    /// Who moved it.
    pub worker: String,
    /// When, by the worker's clock: for people.
    pub at: jiff::Timestamp,
}

/// Where the original of one film goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trash {
    dir: PathBuf,
    film: LibraryPath,
}

/// The two names that one attempt uses in the trash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TrashPlace {
    /// Of the original.
    pub original: PathBuf,
    /// Of its record.
    pub record: PathBuf,
    /// Of the original below the trash folder, as it is written down: other machines mount it elsewhere.
    pub name: LibraryPath,
}

impl Trash {
    /// The trash folder of the film's library root, and the film.
    pub fn new(dir: PathBuf, film: LibraryPath) -> Self {
        Self { dir, film }
    }

    /// The film.
    pub fn film(&self) -> &LibraryPath {
        &self.film
    }

    /// The trash folder of the film's root.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The names for one attempt, known by its token; the way below the root is kept. `None` for a name that no path can be
    /// made of.
    pub fn place(&self, token: &str) -> Option<TrashPlace> {
        let token = token.get(..DIGITS).unwrap_or(token);
        let mut name = self.film.relative().file_name()?.to_owned();
        if name.len() > NAME_MAX - ROOM {
            let text = name.to_string_lossy().into_owned();
            let cut = (0..=NAME_MAX - ROOM).rev().find(|n| text.is_char_boundary(*n))?;
            name = text[..cut].into();
        }
        name.push(format!(".{token}.original"));
        let name = LibraryPath::new(self.film.root(), &self.film.relative().with_file_name(name)).ok()?;
        Some(self.at(&name))
    }

    /// The names of an earlier attempt, from what it wrote down.
    pub fn at(&self, name: &LibraryPath) -> TrashPlace {
        let original = self.dir.join(name.relative());
        TrashPlace { record: original.with_extension("json"), original, name: name.clone() }
    }

    /// Makes the folder that the film's original goes to.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn make(&self) -> Result<PathBuf, FileError> {
        let folder = parent(&self.dir.join(self.film.relative())).to_owned();
        make_folders(&folder)?;
        Ok(folder)
    }
}

impl TrashPlace {
    /// Writes the record.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&self, record: &TrashRecord) -> Result<(), FileError> {
        let failed = |e: serde_json::Error| FileError::new("write", &self.record, e.into());
        let mut json = serde_json::to_vec_pretty(record).map_err(failed)?;
        json.push(b'\n');
        write_file(&self.record, &json)
    }

    /// Removes the record of an original that is not there (any more).
    pub fn forget(&self) {
        if !self.original.symlink_metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
            return;
        }
        if let Err(e) = fs::remove_file(&self.record)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.record.display(), error = %e, "a record stays in the trash");
        }
    }
}

/// What [`prune_trash`] did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pruned {
    /// Originals removed.
    pub removed: u64,
    /// Bytes they had.
    pub bytes: u64,
    /// Originals that are too young.
    pub young: u64,
    /// Old enough, but not everything that must be sure is: `path: why`.
    pub kept: Vec<String>,
}

/// One trash folder to clear.
#[derive(Debug, Clone)]
pub struct TrashFolder {
    /// The trash folder of the root.
    pub dir: PathBuf,
    /// The root's name.
    pub root: String,
    /// The root's folder.
    pub library: PathBuf,
}

/// Removes the originals that have been in the trash for longer than `age`, by the clock of the trash's server: the date of
/// the record, which was written there when the original came.
///
/// An original goes only if its record is ours, the job's certificate is on the share and is about this film and this
/// original, and the result lies at the film's name with the size the certificate says. Whatever lies in the trash without a
/// record is not touched. Folders that become empty go too.
///
/// # Errors
/// The share is gone, or the trash cannot be listed. A trash folder that does not exist is an empty one.
pub fn prune_trash(share: &ShareState, folder: &TrashFolder, age: Duration) -> Result<Pruned, ShareError> {
    share.check()?;
    let mut pruned = Pruned::default();
    if !folder.dir.is_dir() {
        return Ok(pruned);
    }
    let now = server_time(&folder.dir)?;
    prune_below(share, folder, &folder.dir, (now, age), &mut pruned)?;
    Ok(pruned)
}

fn prune_below(
    share: &ShareState,
    folder: &TrashFolder,
    dir: &Path,
    time: (SystemTime, Duration),
    pruned: &mut Pruned,
) -> Result<(), ShareError> {
    let failed = |e| FileError::new("list", dir, e);
    for entry in fs::read_dir(dir).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        // What goes away while we look needs no clearing. Links are not followed.
        let Ok(kind) = entry.file_type() else { continue };
        let path = entry.path();
        if kind.is_dir() {
            prune_below(share, folder, &path, time, pruned)?;
            // Only an empty one can be removed.
            let _ = fs::remove_dir(&path);
        } else if kind.is_file() && path.extension().is_some_and(|e| e == "json") {
            prune_one(share, folder, &path, time, pruned)?;
        }
    }
    Ok(())
}

fn prune_one(
    share: &ShareState,
    folder: &TrashFolder,
    record: &Path,
    (now, age): (SystemTime, Duration),
    pruned: &mut Pruned,
) -> Result<(), ShareError> {
    let moved = fs::metadata(record).and_then(|m| m.modified());
    if !moved.is_ok_and(|then| now.duration_since(then).is_ok_and(|past| past > age)) {
        pruned.young += 1;
        return Ok(());
    }
    let original = record.with_extension("original");
    let kept = |why: &str| format!("{}: {why}", original.display());
    let found = match FileIdentity::find(&original) {
        Ok(found) => found,
        Err(e) => {
            pruned.kept.push(kept(&format!("it cannot be looked at: {e}")));
            return Ok(());
        }
    };
    let read = read_bounded(record, RECORD_LIMIT)?.ok();
    let Some(said) = read.and_then(|bytes| serde_json::from_slice::<TrashRecord>(&bytes).ok()) else {
        pruned.kept.push(kept("its record is not one of ours"));
        return Ok(());
    };
    let Some(found) = found else {
        // A person has put the original back or removed it.
        fs::remove_file(record).map_err(|e| FileError::new("remove", record, e))?;
        return Ok(());
    };
    match doubt(share, folder, &said, &original, &found)? {
        Some(why) => pruned.kept.push(kept(why)),
        None => {
            fs::remove_file(&original).map_err(|e| FileError::new("remove", &original, e))?;
            fs::remove_file(record).map_err(|e| FileError::new("remove", record, e))?;
            pruned.removed += 1;
            pruned.bytes += found.size;
        }
    }
    Ok(())
}

/// Why this original must stay.
fn doubt(
    share: &ShareState,
    folder: &TrashFolder,
    said: &TrashRecord,
    original: &Path,
    found: &FileIdentity,
) -> Result<Option<&'static str>, ShareError> {
    if said.v != 1 || said.film.root() != folder.root {
        return Ok(Some("its record is of another library root or a newer version"));
    }
    if !said.original.looks_like(found) || !fs::symlink_metadata(original).is_ok_and(|m| m.is_file()) {
        return Ok(Some("it is not the file that its record describes"));
    }
    let certificate = match share.read::<Certificate>(Folder::Done, said.job) {
        Ok(Some(certificate)) => certificate,
        Ok(None) => return Ok(Some("its job has no certificate")),
        Err(e @ ShareError::Gone { .. }) => return Err(e),
        Err(_) => return Ok(Some("the certificate of its job cannot be read")),
    };
    let film = certificate.film.as_deref() == Some(said.film.to_string().as_str());
    if !film || certificate.source.size != found.size || !certificate.holds() {
        return Ok(Some("the certificate of its job is about something else"));
    }
    let result = folder.library.join(said.film.relative());
    let whole =
        fs::symlink_metadata(&result).is_ok_and(|m| m.is_file() && m.len() == certificate.result.size);
    if !whole || is_one_file(original, &result).unwrap_or(true) {
        return Ok(Some("its result is not there, or not as long as the certificate says"));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOKEN: &str = "0123456789abcdef0123456789abcdef";

    #[test]
    fn names_keep_the_way_below_the_root_and_fit_whatever_the_film_is_called() {
        let trash = Trash::new("/lib/.t".into(), "films:a/B (1999).mkv".parse().unwrap());
        let place = trash.place(TOKEN).unwrap();
        assert_eq!(place.original, Path::new("/lib/.t/a/B (1999).mkv.0123456789ab.original"));
        assert_eq!(place.record, Path::new("/lib/.t/a/B (1999).mkv.0123456789ab.json"));
        assert_eq!(trash.at(&place.name), place);
        for name in ["ä".repeat(127), "x".repeat(255), "日".repeat(85), format!("{}.mkv", "y".repeat(251))]
        {
            let film = LibraryPath::new("films", Path::new(&name)).unwrap();
            let place = Trash::new("/t".into(), film).place(TOKEN).unwrap();
            let bytes = place.original.file_name().unwrap().len();
            assert!(bytes <= NAME_MAX - 22, "{bytes}");
        }
    }
}
