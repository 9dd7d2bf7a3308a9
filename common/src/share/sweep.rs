//! Removing what crashed processes left in the state folder.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{FileError, ShareError, ShareState};
use crate::job::JobId;

/// What a sweep did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files removed.
    pub removed: u64,
    /// Bytes they had.
    pub bytes: u64,
    /// Temporary files that are still too young.
    pub young: u64,
}

impl ShareState {
    /// Removes our temporary files that are older than `age`, by the clock of the server. Pass many times the stale
    /// time: no writer keeps one for longer than a single write. Files whose names are not of our making are not touched.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn sweep(&self, age: Duration) -> Result<Swept, ShareError> {
        let now = self.now()?;
        let mut swept = Swept::default();
        for folder in ["queued", "leases", "done", "failed", "workers"] {
            let dir = self.dir().join(folder);
            let of_workers = folder == "workers";
            if of_workers && !dir.exists() {
                continue;
            }
            let ours = |name: &str| if of_workers { is_half_written(name) } else { is_ours(name) };
            self.sweep_folder(&dir, now, age, &ours, &mut swept)?;
        }
        for dir in self.log_folders()? {
            let ours = |name: &str| name.starts_with(".announced.json.") && is_half_written(name);
            self.sweep_folder(&dir, now, age, &ours, &mut swept)?;
        }
        Ok(swept)
    }

    fn sweep_folder(
        &self,
        dir: &Path,
        now: SystemTime,
        age: Duration,
        ours: &dyn Fn(&str) -> bool,
        swept: &mut Swept,
    ) -> Result<(), ShareError> {
        let failed = |e| FileError::new("list", dir, e);
        for entry in self.explained(fs::read_dir(dir).map_err(failed))? {
            let entry = self.explained(entry.map_err(failed))?;
            if !ours(&entry.file_name().to_string_lossy()) {
                continue;
            }
            // What goes away while we look needs no sweeping. Links are not followed.
            let Ok(meta) = entry.metadata() else { continue };
            if !meta.is_file() {
                continue;
            }
            let old = meta.modified().is_ok_and(|then| now.duration_since(then).is_ok_and(|past| past > age));
            if !old {
                swept.young += 1;
            } else if fs::remove_file(entry.path()).is_ok() {
                swept.removed += 1;
                swept.bytes += meta.len();
            }
        }
        Ok(())
    }

    /// Folders in `logs/` that have the name of a job.
    fn log_folders(&self) -> Result<Vec<PathBuf>, ShareError> {
        let dir = self.dir().join("logs");
        let failed = |e| FileError::new("list", &dir, e);
        let mut folders = Vec::new();
        for entry in self.explained(fs::read_dir(&dir).map_err(failed))? {
            let entry = self.explained(entry.map_err(failed))?;
            let is_job = entry.file_name().to_str().is_some_and(|n| n.parse::<JobId>().is_ok());
            if is_job && entry.file_type().is_ok_and(|t| t.is_dir()) {
                folders.push(entry.path());
            }
        }
        Ok(folders)
    }
}

/// `.<job>.json.<random>.tmp`, `.<job>.<random>.tmp`, `.<job>.stale|released|taken.…`, `.clock.<random>.tmp`
fn is_ours(name: &str) -> bool {
    let Some((head, rest)) = name.strip_prefix('.').and_then(|n| n.split_once('.')) else { return false };
    let marked =
        || rest.ends_with(".tmp") || ["stale.", "released.", "taken."].iter().any(|m| rest.starts_with(m));
    (head == "clock" || head.parse::<JobId>().is_ok()) && marked()
}

/// `.<name>.json.<16 hex digits>.tmp`: a file that was being written whole.
fn is_half_written(name: &str) -> bool {
    let random =
        name.strip_prefix('.').and_then(|n| n.strip_suffix(".tmp")).and_then(|n| n.rsplit_once(".json."));
    let hex = |digits: &str| {
        digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
    };
    random.is_some_and(|(head, digits)| !head.is_empty() && hex(digits))
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn half_written_files_are_known_by_their_whole_name() {
        assert!(is_half_written(".vm-3.lan.json.0123456789abcdef.tmp"));
        for other in [
            "vm.json.0123456789abcdef.tmp",
            ".vm.json.0123456789ABCDEF.tmp",
            ".vm.json.0123456789abcde.tmp",
            ".vm.txt.0123456789abcdef.tmp",
            ".json.0123456789abcdef.tmp",
            ".vm.json.0123456789abcdef.tmp2",
        ] {
            assert!(!is_half_written(other), "{other}");
        }
    }

    #[test]
    fn old_leftovers_of_workers_and_attempts_go_and_their_neighbours_stay() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let job = format!("{:032x}", 7);
        let folders = [share.dir().join("workers"), share.dir().join("logs").join(&job)];
        let strange = share.dir().join("logs/holiday");
        folders.iter().chain([&strange]).for_each(|d| fs::create_dir_all(d).unwrap());
        let old = SystemTime::now() - Duration::from_secs(90_000);
        let put = |path: PathBuf| {
            File::create(&path).unwrap().set_modified(old).unwrap();
            path
        };
        let dead = [
            put(folders[0].join(".w.json.0123456789abcdef.tmp")),
            put(folders[1].join(".announced.json.0123456789abcdef.tmp")),
        ];
        let kept = [
            put(folders[0].join("w.json")),
            put(folders[1].join("announced.json")),
            put(folders[1].join("attempt-1-00ff.log")),
            put(folders[1].join(".notes.json.0123456789abcdef.tmp")),
            put(strange.join(".announced.json.0123456789abcdef.tmp")),
        ];
        let target = put(share.dir().join("precious"));
        let link = folders[0].join(".l.json.0123456789abcdef.tmp");
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let swept = share.sweep(Duration::from_secs(86_400)).unwrap();
        assert_eq!(swept.removed, 2);
        assert!(dead.iter().all(|p| !p.exists()) && kept.iter().all(|p| p.exists()));
        assert!(target.exists() && link.is_symlink());
    }
}
