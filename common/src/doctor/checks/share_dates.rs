//! Does the share keep dates, and how exactly?

use std::fs::File;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::blocking;
use crate::doctor::{Check, Finding, Fleet, Level};

/// SMB servers count in 100 ns, FAT in 2 s; a coarser date is not the one that was set.
const COARSE: Duration = Duration::from_secs(2);

/// Sets a date and reads it back. Results get the date of their original (`output.mtime`).
pub const fn share_dates<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "share-dates",
        part: "share",
        about: "a file's date can be set on the share and stays, and how exactly",
        needs: &["share-rights"],
        slow: false,
        worst: Level::Warning,
        look: |w| {
            let dir = w.as_ref().share().dir().join("leases");
            Box::pin(blocking(move || vec![look(&dir)]))
        },
    }
}

fn look(dir: &Path) -> Finding {
    let probe = dir.join(format!(".dovi-fleet-doctor.{}.date.tmp", std::process::id()));
    // 2020-09-13, with every digit of its fraction in use.
    let wanted = SystemTime::UNIX_EPOCH + Duration::new(1_600_000_001, 987_654_321);
    let tried = File::create_new(&probe).and_then(|f| {
        let set = f.set_modified(wanted);
        set.and_then(|()| std::fs::metadata(&probe)?.modified())
    });
    let _ = std::fs::remove_file(&probe);
    let hint = "results get the date they are made on, and media servers show them as new; `output.mtime = \"now\"` says so \
                openly. On NFS and SMB the owner of a file may set its date: see the mount's uid=";
    match tried {
        Err(e) => Finding::warning(format!("the date of a file cannot be set: {e}"), hint),
        Ok(found) => {
            let off = found.duration_since(wanted).unwrap_or_else(|e| e.duration());
            if off > COARSE {
                return Finding::warning("the date of a file was set, and is another one", hint);
            }
            let step = match off.as_nanos() {
                0 => "nanosecond",
                1..=100 => "100 ns",
                101..=1_000 => "microsecond",
                1_001..=1_000_000 => "millisecond",
                1_000_001..=1_000_000_000 => "second",
                _ => "two seconds",
            };
            Finding::ok(format!("dates stay as they are set, to the {step}"))
                .measured("rounded_ns", off.as_nanos() as u64)
        }
    }
}
