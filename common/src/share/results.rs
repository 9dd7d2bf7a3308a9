//! The folder that results lie below, told from the empty mount point of a share that is away.

use std::fs;
use std::path::{Path, PathBuf};

use super::folders::{looks_mounted, make_folders_below};
use super::{FileError, ShareError, ShareState, write_file};

/// In the folder of results: while it cannot be seen, the folder is gone.
const MARKER: &str = ".dovi-fleet-results";

/// The folder that results lie below (`output.dir`). It may be a mount of its own, so the sentinel of the state folder says nothing
/// about it: it has a marker file. That the marker was made once is written down in the state folder, and from then on a folder
/// without it is one that is not mounted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ResultsFolder {
    dir: PathBuf,
}

impl ResultsFolder {
    /// Names the folder; touches nothing.
    pub fn new(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// The marker's path.
    pub fn marker(&self) -> PathBuf {
        self.dir.join(MARKER)
    }

    /// Sees whether the folder is there. For the first worker ever it is made, unless it would be made in an empty mount point,
    /// and marked.
    ///
    /// # Errors
    /// [`ShareError::NoResults`], [`ShareError::Gone`], or nothing can be written there.
    pub fn open(&self, share: &ShareState) -> Result<(), ShareError> {
        share.check()?;
        let (record, marked) = (share.dir().join("results"), self.check().is_ok());
        let known =
            fs::exists(&record).map_err(|e| ShareError::File(FileError::new("look for", &record, e)))?;
        match (known, marked) {
            (true, marked) => return if marked { Ok(()) } else { self.check() },
            (false, true) => {}
            (false, false) => {
                let above = self.dir.parent().filter(|p| !p.as_os_str().is_empty());
                if !self.dir.is_dir() && above.is_some_and(|above| !looks_mounted(above)) {
                    return self.check();
                }
                fs::create_dir_all(&self.dir).map_err(|e| FileError::new("create", &self.dir, e))?;
                let text = b"Results of dovi-fleet lie in this folder. While this file cannot be seen, it is not mounted.\n";
                write_file(&self.marker(), text)?;
            }
        }
        let dir = self.dir.display();
        Ok(write_file(
            &record,
            format!("The folder of results is marked by {MARKER}; at first it was {dir}\n").as_bytes(),
        )?)
    }

    /// Sees whether the folder is there.
    ///
    /// # Errors
    /// [`ShareError::NoResults`].
    pub fn check(&self) -> Result<(), ShareError> {
        match fs::metadata(self.marker()) {
            Ok(m) if m.is_file() => Ok(()),
            _ => Err(ShareError::NoResults { dir: self.dir.clone() }),
        }
    }

    /// Sees whether the folder that a worker has marked is there; one that none has marked yet is not missed. Changes nothing.
    ///
    /// # Errors
    /// [`ShareError::NoResults`], [`ShareError::Gone`].
    pub fn look(&self, share: &ShareState) -> Result<(), ShareError> {
        share.check()?;
        let record = share.dir().join("results");
        match fs::exists(&record).map_err(|e| FileError::new("look for", &record, e))? {
            true => self.check(),
            false => Ok(()),
        }
    }

    /// Makes a folder and those above it that are missing, but nothing outside the folder of results.
    ///
    /// # Errors
    /// [`ShareError::NoResults`], or a folder cannot be made.
    pub fn make(&self, dir: &Path) -> Result<(), ShareError> {
        self.check()?;
        Ok(make_folders_below(&self.dir, dir)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share(dir: &Path) -> ShareState {
        let share = ShareState::new(dir.join("state"));
        share.init().unwrap();
        share
    }

    #[test]
    fn the_first_worker_marks_it_and_from_then_on_the_marker_must_be_there() {
        let dir = tempfile::tempdir().unwrap();
        let (share, results) = (share(dir.path()), ResultsFolder::new(dir.path().join("out")));
        assert!(matches!(results.check(), Err(ShareError::NoResults { .. })));
        results.open(&share).unwrap();
        results.open(&share).unwrap();
        results.make(&dir.path().join("out/a/b")).unwrap();
        assert!(dir.path().join("out/a/b").is_dir());

        // Its mount is gone, and the empty mount point is there.
        fs::rename(dir.path().join("out"), dir.path().join("elsewhere")).unwrap();
        fs::create_dir(dir.path().join("out")).unwrap();
        assert!(matches!(results.open(&share), Err(ShareError::NoResults { .. })));
        assert!(matches!(results.make(&dir.path().join("out/a")), Err(ShareError::NoResults { .. })));
        assert_eq!(fs::read_dir(dir.path().join("out")).unwrap().count(), 0);

        // A person says that this is the place from now on.
        fs::write(results.marker(), "").unwrap();
        results.open(&share).unwrap();
    }

    #[test]
    fn it_is_not_made_in_an_empty_mount_point_and_nothing_is_without_the_share() {
        let dir = tempfile::tempdir().unwrap();
        let share = share(dir.path());
        fs::create_dir(dir.path().join("mount")).unwrap();
        let results = ResultsFolder::new(dir.path().join("mount/out"));
        assert!(matches!(results.open(&share), Err(ShareError::NoResults { .. })));
        fs::write(dir.path().join("mount/film.mkv"), "").unwrap();
        fs::rename(share.dir(), dir.path().join("away")).unwrap();
        assert!(matches!(results.open(&share), Err(ShareError::Gone { .. })));
        fs::rename(dir.path().join("away"), share.dir()).unwrap();
        results.open(&share).unwrap();
    }

    #[test]
    fn a_folder_of_results_from_before_there_were_markers_gets_one() {
        let dir = tempfile::tempdir().unwrap();
        let (share, results) = (share(dir.path()), ResultsFolder::new(dir.path().join("out")));
        fs::create_dir_all(dir.path().join("out/films")).unwrap();
        results.open(&share).unwrap();
        assert!(results.marker().is_file());
    }

    #[test]
    fn nothing_is_made_outside() {
        let dir = tempfile::tempdir().unwrap();
        let (share, results) = (share(dir.path()), ResultsFolder::new(dir.path().join("out")));
        results.open(&share).unwrap();
        for outside in ["other/a", "other"] {
            assert!(results.make(&dir.path().join(outside)).is_err());
            assert!(!dir.path().join("other").exists());
        }
    }
}
