//! Removing what crashed processes left in the state folder.

use std::fs;
use std::time::Duration;

use super::publish::server_time;
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
        self.check()?;
        let mut swept = Swept::default();
        for folder in ["queued", "leases", "done", "failed"] {
            let dir = self.dir().join(folder);
            let now = self.explained(server_time(&dir))?;
            let failed = |e| FileError::new("list", &dir, e);
            for entry in self.explained(fs::read_dir(&dir).map_err(failed))? {
                let entry = self.explained(entry.map_err(failed))?;
                // What goes away while we look needs no sweeping.
                let Ok(meta) = entry.metadata() else { continue };
                if !meta.is_file() || !is_ours(&entry.file_name().to_string_lossy()) {
                    continue;
                }
                let old =
                    meta.modified().is_ok_and(|then| now.duration_since(then).is_ok_and(|past| past > age));
                if !old {
                    swept.young += 1;
                } else if fs::remove_file(entry.path()).is_ok() {
                    swept.removed += 1;
                    swept.bytes += meta.len();
                }
            }
        }
        Ok(swept)
    }
}

/// `.<job>.json.<random>.tmp`, `.<job>.<random>.tmp`, `.<job>.stale|released|taken.…`, `.clock.<random>.tmp`
fn is_ours(name: &str) -> bool {
    let Some((head, rest)) = name.strip_prefix('.').and_then(|n| n.split_once('.')) else { return false };
    let marked =
        || rest.ends_with(".tmp") || ["stale.", "released.", "taken."].iter().any(|m| rest.starts_with(m));
    (head == "clock" || head.parse::<JobId>().is_ok()) && marked()
}
