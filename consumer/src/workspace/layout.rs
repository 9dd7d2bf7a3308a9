//! The scratch folder of one film, and the hidden name of its result in the making.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::share::{Fate, Owner, fate};

const PREFIX: &str = "dovi-fleet.";
const OWNER: &str = "owner";
/// Longest file name on every file system in use (ext4, xfs, btrfs, SMB, NFS), in bytes.
const NAME_MAX: usize = 255;
/// Scratch of another machine, or of before a reboot, is left alone for this long.
const FOREIGN: Duration = Duration::from_secs(7 * 24 * 3600);

/// A scratch folder that cannot be made.
#[derive(Debug, thiserror::Error)]
#[error("failed to make the scratch folder {}: {source}", dir.display())]
pub struct WorkspaceError {
    /// The folder.
    pub dir: PathBuf,
    /// What the kernel said.
    pub source: io::Error,
}

/// The scratch folder of one film; removed when dropped.
#[derive(Debug)]
pub struct Workspace {
    dir: PathBuf,
}

impl Workspace {
    /// Makes `<scratch>/dovi-fleet.<token>`.
    ///
    /// # Errors
    /// The folder cannot be made or written to.
    pub fn create(scratch: &Path, token: &str) -> Result<Self, WorkspaceError> {
        let failed = |dir: &Path| {
            let dir = dir.to_owned();
            move |source| WorkspaceError { dir, source }
        };
        fs::create_dir_all(scratch).map_err(failed(scratch))?;
        let scratch = scratch.canonicalize().map_err(failed(scratch))?;
        let dir = scratch.join(format!("{PREFIX}{token}"));
        fs::create_dir(&dir).map_err(failed(&dir))?;
        let made = Self { dir };
        fs::write(made.dir.join(OWNER), Owner::here("").origin).map_err(failed(&made.dir))?;
        Ok(made)
    }

    /// The folder, absolute.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The new video track, a raw HEVC stream.
    pub fn video(&self) -> PathBuf {
        self.dir.join("video.hevc")
    }

    /// The same with its times, a Matroska file.
    pub fn video_with_times(&self) -> PathBuf {
        self.dir.join("video.mkv")
    }

    /// When its frames are shown.
    pub fn timestamps(&self) -> PathBuf {
        self.dir.join("timestamps.txt")
    }

    /// What the source says of the track that is replaced.
    pub fn video_tags(&self) -> PathBuf {
        self.dir.join("tags.xml")
    }

    /// mkvmerge's option file.
    pub fn mux_options(&self) -> PathBuf {
        self.dir.join("mux.json")
    }

    /// A link with a plain name to a place whose own name cannot be written into an option file.
    ///
    /// # Errors
    /// The link cannot be made.
    pub fn link(&self, name: &str, to: &Path) -> io::Result<PathBuf> {
        let link = self.dir.join(name);
        std::os::unix::fs::symlink(to, &link)?;
        Ok(link)
    }
}

impl Drop for Workspace {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.dir)
            && e.kind() != io::ErrorKind::NotFound
        {
            tracing::warn!(dir = %self.dir.display(), error = %e, "the scratch folder stays behind");
        }
    }
}

/// The hidden name of a result in the making, in the folder of the result: `.<result>.<token>.partial`.
///
/// A long name is cut; the token alone makes it unique. Bytes outside UTF-8 are replaced, so that every tool can be told it.
pub fn partial_name(target: &Path, token: &str) -> PathBuf {
    let rest = format!(".{token}.partial");
    target.with_file_name(format!(".{}{rest}", cut(target, NAME_MAX - 1 - rest.len())))
}

/// The certificate beside a result: `<result>.certificate.json`, cut so that a temporary name for it fits too.
pub fn certificate_name(target: &Path) -> PathBuf {
    const SUFFIX: &str = ".certificate.json";
    const TEMPORARY: usize = 32;
    target.with_file_name(format!("{}{SUFFIX}", cut(target, NAME_MAX - TEMPORARY - SUFFIX.len())))
}

/// The file name in UTF-8, at most so many bytes.
fn cut(path: &Path, most: usize) -> String {
    let mut name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut room = most.min(name.len());
    while !name.is_char_boundary(room) {
        room -= 1;
    }
    name.truncate(room);
    name
}

/// Removes the partial results of dead attempts, known by their tokens, from the result's folder. Gives their number.
pub fn remove_partials_of(target: &Path, tokens: &[String]) -> u64 {
    let mut removed = 0;
    for token in tokens {
        if fs::remove_file(partial_name(target, token)).is_ok() {
            removed += 1;
        }
    }
    removed
}

/// Removes scratch folders whose process certainly does not live any more, or of which nothing can be known and which were
/// not touched for a week. Gives their number.
pub fn sweep(scratch: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(scratch) else { return 0 };
    let mut removed = 0;
    for entry in entries.flatten() {
        let path = entry.path();
        let ours = entry.file_name().as_bytes().starts_with(PREFIX.as_bytes());
        if !ours || !entry.file_type().is_ok_and(|t| t.is_dir()) {
            continue;
        }
        // No owner file yet: it is being made, or its maker died in between; the age decides.
        let origin = fs::read_to_string(path.join(OWNER)).unwrap_or_default();
        let old = || {
            let touched = entry.metadata().and_then(|m| m.modified());
            touched.is_ok_and(|t| t.elapsed().is_ok_and(|age| age > FOREIGN))
        };
        let abandoned = match fate(&origin) {
            // Whatever its date says: an encode may take longer than a week, and clocks jump.
            Fate::Lives => false,
            Fate::Dead => true,
            Fate::Unknown => old(),
        };
        if abandoned && fs::remove_dir_all(&path).is_ok() {
            tracing::info!(dir = %path.display(), "removed the scratch folder of a dead worker");
            removed += 1;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workspace_is_gone_with_its_owner() {
        let scratch = tempfile::tempdir().unwrap();
        let space = Workspace::create(&scratch.path().join("deep"), "abc").unwrap();
        fs::write(space.video(), "x").unwrap();
        assert!(Workspace::create(&scratch.path().join("deep"), "abc").is_err(), "two films in one folder");
        let dir = space.dir().to_owned();
        drop(space);
        assert!(!dir.exists());
    }

    #[test]
    fn a_partial_is_hidden_and_fits_whatever_the_name() {
        let token = "0123456789abcdef0123456789abcdef";
        let plain = partial_name(Path::new("/t/Film [DV8].mkv"), token);
        assert_eq!(plain, Path::new("/t/.Film [DV8].mkv.0123456789abcdef0123456789abcdef.partial"));
        for name in ["ä".repeat(127), "x".repeat(255), "日".repeat(85)] {
            let partial = partial_name(&Path::new("/t").join(name), token);
            let bytes = partial.file_name().unwrap().len();
            assert!((NAME_MAX - 3..=NAME_MAX).contains(&bytes), "{bytes}");
        }
    }

    #[test]
    fn a_certificate_lies_beside_its_result_whatever_the_name() {
        assert_eq!(certificate_name(Path::new("/o/a.mkv")), Path::new("/o/a.mkv.certificate.json"));
        let long = certificate_name(&Path::new("/o").join("x".repeat(255)));
        assert!(long.file_name().unwrap().len() < 230);
    }

    #[test]
    fn only_the_dead_are_swept() {
        let scratch = tempfile::tempdir().unwrap();
        let live = Workspace::create(scratch.path(), "live").unwrap();
        let dead = scratch.path().join("dovi-fleet.dead");
        fs::create_dir(&dead).unwrap();
        let here = Owner::here("").origin;
        let mut parts: Vec<_> = here.split(':').collect();
        // Beyond the kernel's largest process number (4194304).
        parts[2] = "9999999";
        fs::write(dead.join(OWNER), parts.join(":")).unwrap();
        fs::create_dir(scratch.path().join("dovi-fleet.new")).unwrap();
        fs::create_dir(scratch.path().join("holiday photos")).unwrap();
        assert_eq!(sweep(scratch.path()), 1);
        assert!(live.dir().exists() && !dead.exists() && scratch.path().join("holiday photos").exists());
    }
}
