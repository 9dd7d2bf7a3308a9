//! Folders that are made for results and originals.

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;

use super::FileError;

/// Whether a folder holds anything, but for what this program makes there itself: an empty one is taken for a mount point whose
/// share is not mounted.
pub fn looks_mounted(dir: &Path) -> bool {
    let foreign = |name: &OsStr| !name.as_encoded_bytes().starts_with(b".dovi-fleet");
    fs::read_dir(dir).is_ok_and(|entries| entries.flatten().any(|e| foreign(&e.file_name())))
}

/// Makes a folder and those above it that are missing, each with the mode and, where we may, the owner of the folder it is
/// made in: whoever may use that one may use the new one.
///
/// # Errors
/// A folder cannot be made. One whose mode or owner cannot be set is left as it is, and said in the log.
pub fn make_folders(dir: &Path) -> Result<(), FileError> {
    make(dir, None)
}

/// As [`make_folders`], but nothing outside `root`, which must be there itself.
pub(super) fn make_folders_below(root: &Path, dir: &Path) -> Result<(), FileError> {
    make(dir, Some(root))
}

fn make(dir: &Path, root: Option<&Path>) -> Result<(), FileError> {
    if dir.is_dir() {
        return Ok(());
    }
    let failed = |e| FileError::new("create", dir, e);
    if root.is_some_and(|root| dir == root || !dir.starts_with(root)) {
        return Err(failed(io::ErrorKind::NotFound.into()));
    }
    let Some(above) = dir.parent().filter(|p| !p.as_os_str().is_empty()) else {
        return fs::create_dir(dir).map_err(failed);
    };
    make(above, root)?;
    match fs::create_dir(dir) {
        Ok(()) => {}
        // Another worker makes the same folder.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists && dir.is_dir() => return Ok(()),
        Err(e) => return Err(failed(e)),
    }
    let like = fs::metadata(above).map_err(failed)?;
    if let Err(e) = chown(dir, Some(like.uid()), Some(like.gid())) {
        // Only root may give folders away; and shares map owners as they like.
        tracing::debug!(dir = %dir.display(), error = %e, "the new folder keeps the worker as its owner");
    }
    if let Err(e) = fs::set_permissions(dir, fs::Permissions::from_mode(like.mode() & 0o7777)) {
        tracing::debug!(dir = %dir.display(), error = %e, "the new folder keeps its own mode");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_folder_is_a_mount_point_also_with_a_trash_of_ours_in_it() {
        let dir = tempfile::tempdir().unwrap();
        assert!(!looks_mounted(dir.path()) && !looks_mounted(&dir.path().join("absent")));
        fs::create_dir(dir.path().join(".dovi-fleet-trash")).unwrap();
        assert!(!looks_mounted(dir.path()));
        fs::write(dir.path().join(".hidden"), "").unwrap();
        assert!(looks_mounted(dir.path()));
    }
}
