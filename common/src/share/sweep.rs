//! Removing what crashed processes left in the state folder.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use super::{FileError, ShareError, ShareState, looks_left_over};
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
        for folder in ["queued", "leases", "done", "failed"] {
            let ours = |name: &str| is_ours(name) || is_of_doctor(name);
            self.sweep_folder(&self.dir().join(folder), now, age, &ours, &mut swept)?;
        }
        // These come with their first file.
        for folder in ["workers", "control", "outbox", "outbox/sent", "outbox/given-up"] {
            let dir = self.dir().join(folder);
            if dir.exists() {
                let ours = |name: &str| is_half_written(name) || is_ours(name);
                self.sweep_folder(&dir, now, age, &ours, &mut swept)?;
            }
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

/// `.dovi-fleet-doctor.…`: what `doctor` tried, and was killed.
fn is_of_doctor(name: &str) -> bool {
    name.starts_with(".dovi-fleet-doctor.") && looks_left_over(OsStr::new(name))
}

/// `.<id>.json.<random>.tmp`, `.<id>.<random>.tmp`, `.<job>.stale|released|taken|ended.…`, `.clock.<random>.tmp`; ids of jobs and
/// notices look alike.
fn is_ours(name: &str) -> bool {
    let Some((head, rest)) = name.strip_prefix('.').and_then(|n| n.split_once('.')) else { return false };
    let marked = || {
        rest.ends_with(".tmp")
            || ["stale.", "released.", "taken.", "ended."].iter().any(|m| rest.starts_with(m))
    };
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
    fn what_workers_leave_when_they_die_goes_from_every_folder() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let at = |path: &str| {
            let path = share.dir().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let (id, hex) = (format!("{:032x}", 7), "0123456789abcdef");
        let dead = [
            at(&format!("leases/.clock.{hex}0.tmp")),
            at(&format!("leases/.{id}.ended.{hex}")),
            at("leases/.dovi-fleet-doctor.1.date.tmp"),
            at(&format!("workers/.clock.{hex}.tmp")),
            at(&format!("outbox/.clock.{hex}.tmp")),
            at(&format!("outbox/.{id}.{hex}.json.{hex}.tmp")),
            at(&format!("outbox/sent/.clock.{hex}.tmp")),
            at(&format!("outbox/sent/.{id}.{hex}.tmp")),
            at(&format!("outbox/given-up/.{id}.json.{hex}.tmp")),
            at(&format!("control/.all.json.{hex}.tmp")),
            at(&format!("control/.worker.vm-3.json.{hex}.tmp")),
        ];
        let kept = [
            at(&format!("outbox/{id}.{hex}.json")),
            at(&format!("outbox/sent/{id}")),
            at("control/all.json"),
            at("control/.notes.tmp"),
            at(&format!(".clock.{hex}.tmp")),
        ];
        let put = |path: &PathBuf, age| {
            File::create(path).unwrap().set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
        };
        dead.iter().for_each(|p| put(p, 80_000));
        kept.iter().for_each(|p| put(p, 90_000));
        let day = Duration::from_secs(86_400);
        let swept = share.sweep(day).unwrap();
        assert_eq!((swept.removed, swept.young), (0, dead.len() as u64), "not before a day is over");
        dead.iter().for_each(|p| put(p, 90_000));
        assert_eq!(share.sweep(day).unwrap().removed, dead.len() as u64);
        assert!(dead.iter().all(|p| !p.exists()) && kept.iter().all(|p| p.exists()));
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
