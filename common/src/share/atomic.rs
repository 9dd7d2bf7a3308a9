//! Whole files or none.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::io::Errno;

use super::FileError;

/// Longest file name on every file system in use (ext4, xfs, btrfs, SMB, NFS), in bytes.
const NAME_MAX: usize = 255;

/// How long a file that was just renamed may be impossible to open on SMB: Linux's client closes its old handle about a second later.
const RENAMED: Duration = Duration::from_secs(3);

/// No space, quota used up, or the file system's largest file reached.
pub fn is_no_space(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

/// Writes a file so that every reader sees the old content or the new one, also after a power cut: a temporary file in
/// the same folder, fsync, rename, fsync of the folder.
///
/// # Errors
/// [`FileError`]; the old file is then untouched and the temporary one removed.
pub fn write_file(path: &Path, bytes: &[u8]) -> Result<(), FileError> {
    let temp = write_temp(path, bytes)?;
    commit(&temp, path)
}

/// The first half of [`write_file`]: the content is safe under a hidden name beside `path`.
pub(super) fn write_temp(path: &Path, bytes: &[u8]) -> Result<PathBuf, FileError> {
    let temp = hidden_beside(path, &format!("{}.tmp", random_hex(8)?));
    let write = || {
        let mut file = File::options().write(true).create_new(true).open(&temp)?;
        file.write_all(bytes)?;
        // A network file system reports a full disk here or at close; the file is closed after.
        file.sync_all()
    };
    write().map(|()| temp.clone()).map_err(|e| {
        remove_quietly(&temp);
        FileError::new("write", path, e)
    })
}

/// The second half of [`write_file`].
pub(super) fn commit(temp: &Path, path: &Path) -> Result<(), FileError> {
    fs::rename(temp, path).map_err(|e| {
        remove_quietly(temp);
        FileError::new("write", path, e)
    })?;
    sync_dir(parent(path))
}

/// Renames over whatever has the name, and makes that last: fsync of the file, rename, fsync of both folders.
///
/// # Errors
/// [`FileError::CrossDevice`] if the names are on different file systems.
pub fn rename_durable(from: &Path, to: &Path) -> Result<(), FileError> {
    sync_file(from)?;
    fs::rename(from, to).map_err(|e| move_error("rename", from, to, e))?;
    sync_dir(parent(to))?;
    if parent(from) != parent(to) {
        sync_dir(parent(from))?;
    }
    Ok(())
}

/// Makes a file's content last.
///
/// # Errors
/// [`FileError::NoSpace`] if a network file system finds out only now that the disk is full.
pub fn sync_file(path: &Path) -> Result<(), FileError> {
    open(path).and_then(|f| f.sync_all()).map_err(|e| FileError::new("sync", path, e))
}

/// Makes the names in a folder last. File systems that cannot do that (some SMB servers) are left alone.
///
/// # Errors
/// A real I/O error.
pub fn sync_dir(dir: &Path) -> Result<(), FileError> {
    match File::open(dir).and_then(|d| d.sync_all()) {
        Err(e)
            if !matches!(Errno::from_io_error(&e), Some(Errno::INVAL | Errno::OPNOTSUPP | Errno::NOSYS)) =>
        {
            Err(FileError::new("sync the folder", dir, e))
        }
        _ => Ok(()),
    }
}

/// Opens a file to read it. Linux's SMB client with the server's inode numbers answers EINVAL for a moment after a rename, while
/// it still holds the server's lease under the old name (EINVAL seen with Linux 6.1 and Samba 4.17; that trying again helps is
/// concluded from three clean runs).
fn open(path: &Path) -> io::Result<File> {
    let until = Instant::now() + RENAMED;
    loop {
        match File::open(path) {
            Err(e) if e.kind() == io::ErrorKind::InvalidInput && Instant::now() < until => {
                std::thread::sleep(Duration::from_millis(20));
            }
            opened => return opened,
        }
    }
}

/// Reads a small file; `Ok(Err(size))` if it is larger than `limit`.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Result<Vec<u8>, u64>, FileError> {
    let read = || {
        let file = open(path)?;
        let mut bytes = Vec::new();
        (&file).take(limit + 1).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > limit {
            return Ok(Err(file.metadata()?.len()));
        }
        Ok(Ok(bytes))
    };
    read().map_err(|e| FileError::new("read", path, e))
}

pub(super) fn move_error(action: &'static str, from: &Path, to: &Path, e: io::Error) -> FileError {
    if e.kind() == io::ErrorKind::CrossesDevices {
        return FileError::CrossDevice { from: from.to_owned(), to: to.to_owned() };
    }
    FileError::new(action, to, e)
}

/// A name in the same folder that every listing here skips. Of a name that leaves no room for it, the end becomes a hash of
/// the whole.
pub(super) fn hidden_beside(path: &Path, suffix: &str) -> PathBuf {
    const HASH: usize = 16;
    let whole = path.file_name().unwrap_or_default();
    let room = NAME_MAX.saturating_sub(2 + suffix.len());
    let mut name = OsString::from(".");
    if whole.len() <= room {
        name.push(whole);
    } else {
        let text = whole.to_string_lossy();
        let most = room.saturating_sub(HASH + 1);
        let cut = (0..=most).rev().find(|n| text.is_char_boundary(*n)).unwrap_or_default();
        name.push(&text[..cut]);
        name.push("~");
        name.push(&blake3::hash(whole.as_encoded_bytes()).to_hex()[..HASH]);
    }
    name.push(".");
    name.push(suffix);
    path.with_file_name(name)
}

/// The folder of a file; a bare name lies in the current one.
pub(super) fn parent(path: &Path) -> &Path {
    path.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Tidying after a failure that is already being reported: a second failure has nobody to tell.
pub(super) fn remove_quietly(path: &Path) {
    if let Err(e) = fs::remove_file(path)
        && e.kind() != io::ErrorKind::NotFound
    {
        tracing::warn!(path = %path.display(), error = %e, "a temporary file stays behind");
    }
}

/// Random lower-case hex digits, two per byte.
pub(super) fn random_hex(bytes: usize) -> Result<String, FileError> {
    let source = Path::new("/dev/urandom");
    let mut raw = vec![0; bytes];
    File::open(source)
        .and_then(|mut f| f.read_exact(&mut raw))
        .map_err(|e| FileError::new("read", source, e))?;
    Ok(raw.iter().map(|b| format!("{b:02x}")).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hidden_name_fits_and_is_the_names_own() {
        let hidden = |name: &str| {
            let path = hidden_beside(&Path::new("/t").join(name), "claim");
            path.file_name().unwrap_or_default().to_string_lossy().into_owned()
        };
        assert_eq!(hidden("film.mkv"), ".film.mkv.claim");
        assert_eq!(hidden(&"x".repeat(248)), format!(".{}.claim", "x".repeat(248)), "255 bytes");
        let long =
            [format!("{}.mkv", "ä".repeat(125)), format!("{}ö.mkv", "ä".repeat(124))].map(|n| hidden(&n));
        assert!(long.iter().all(|n| (253..=255).contains(&n.len())), "{long:?}");
        assert_ne!(long[0], long[1]);
    }
}
