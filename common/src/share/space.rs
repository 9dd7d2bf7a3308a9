//! Free space, and who has counted on it already.

use std::collections::HashMap;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::FileError;

/// A disk that is too small for what is to be done.
#[derive(Debug, thiserror::Error)]
pub enum SpaceError {
    /// Less free than needed.
    #[error("{} has {} free, {} needed", dir.display(), gigabytes(*free), gigabytes(*needed))]
    Short {
        /// The folder.
        dir: PathBuf,
        /// Bytes that are free and that nobody else has counted on.
        free: u64,
        /// Bytes needed.
        needed: u64,
    },
    /// The file system could not be asked.
    #[error(transparent)]
    File(#[from] FileError),
}

fn gigabytes(bytes: u64) -> String {
    format!("{:.1} GB", bytes as f64 / 1e9)
}

/// Bytes that this user may still write in the file system of a folder.
///
/// # Errors
/// The folder is not there, or the file system does not answer.
pub fn free_bytes(dir: &Path) -> Result<u64, FileError> {
    let stat =
        rustix::fs::statvfs(dir).map_err(|e| FileError::new("measure the free space of", dir, e.into()))?;
    Ok(stat.f_bavail.saturating_mul(stat.f_frsize))
}

/// Asks the kernel to forget what it keeps of a file in memory, so that the next reading of it is one of the disk. Only advice:
/// file systems in memory have nowhere else to read from.
pub fn drop_cached(file: &fs::File) {
    // Refused advice changes nothing but a measurement.
    let _ = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
}

/// Checks that so many bytes are free.
///
/// # Errors
/// [`SpaceError::Short`] if not.
pub fn require(dir: &Path, needed: u64) -> Result<(), SpaceError> {
    let free = free_bytes(dir)?;
    if free < needed { Err(SpaceError::Short { dir: dir.to_owned(), free, needed }) } else { Ok(()) }
}

/// What the jobs of one process have been promised, per file system.
///
/// A reservation counts in full until it is dropped, also while its bytes are being written: with several slots this
/// errs on the safe side. Clones share the book.
#[derive(Debug, Clone, Default)]
pub struct Reservations(Arc<Mutex<HashMap<u64, u64>>>);

/// A promise of space; dropping it gives the space back.
#[derive(Debug)]
pub struct Reservation {
    book: Reservations,
    device: u64,
    bytes: u64,
}

impl Reservations {
    /// Promises space in the file system of a folder.
    ///
    /// # Errors
    /// [`SpaceError::Short`] if less is free beside the other promises.
    pub fn reserve(&self, dir: &Path, bytes: u64) -> Result<Reservation, SpaceError> {
        let device =
            fs::metadata(dir).map_err(|e| FileError::new("measure the free space of", dir, e))?.dev();
        let mut book = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let promised = book.entry(device).or_default();
        let free = free_bytes(dir)?.saturating_sub(*promised);
        if free < bytes {
            return Err(SpaceError::Short { dir: dir.to_owned(), free, needed: bytes });
        }
        *promised += bytes;
        Ok(Reservation { book: self.clone(), device, bytes })
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        let mut book = self.book.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(promised) = book.get_mut(&self.device) {
            *promised = promised.saturating_sub(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_can_be_promised_once() {
        let dir = tempfile::tempdir().unwrap();
        let free = free_bytes(dir.path()).unwrap();
        let book = Reservations::default();
        let first = book.reserve(dir.path(), free / 4 * 3).unwrap();
        let second = book.reserve(dir.path(), free / 4 * 3);
        assert!(matches!(second, Err(SpaceError::Short { .. })), "{second:?}");
        drop(first);
        book.reserve(dir.path(), free / 4 * 3).unwrap();
        assert!(require(dir.path(), 1).is_ok());
        assert!(matches!(require(dir.path(), u64::MAX), Err(SpaceError::Short { .. })));
    }
}
