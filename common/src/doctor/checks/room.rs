//! Looks at a folder that programs write to.

use std::fs;
use std::path::Path;

use crate::doctor::Finding;
use crate::share::free_bytes;
use crate::text::{bytes, safe_path};

/// No film needs less, in scratch or in the results' folder.
const LEAST: u64 = 64 << 20;
/// Below this most films do not fit: discs of 66 GB hold films of 40 to 60 GB.
const ROOMY: u64 = 60_000_000_000;

/// Whether a file can be made and removed there.
///
/// # Errors
/// A finding that says why not, and what to do.
pub fn writable(dir: &Path, setting: &str) -> Result<(), Finding> {
    let probe = dir.join(format!(".dovi-fleet-doctor.{}", std::process::id()));
    let tried = fs::File::create_new(&probe).and_then(|_| fs::remove_file(&probe));
    tried.map_err(|e| {
        let shown = safe_path(dir);
        let hint = match e.kind() {
            std::io::ErrorKind::NotFound => {
                format!("make it with `mkdir -p {shown}`, mount what should be there, or correct {setting}")
            }
            std::io::ErrorKind::ReadOnlyFilesystem => {
                format!("its file system is mounted read-only: `findmnt -no OPTIONS -T {shown}`")
            }
            std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded => {
                format!("free some space there: `df -h {shown}`")
            }
            _ => format!(
                "let the user of this program write there: `ls -ld {shown}` and `id` say who may and who asks"
            ),
        };
        Finding::failed(format!("{shown} cannot be written to: {e}"), hint)
    })
}

/// Free space of a folder that can be written to.
pub fn room(dir: &Path, setting: &str) -> Finding {
    let shown = safe_path(dir);
    let free = match free_bytes(dir) {
        Ok(free) => free,
        Err(e) => return Finding::failed(e.to_string(), format!("correct {setting}")),
    };
    let text = format!("{shown}: {} free", bytes(free));
    let finding = if free < LEAST {
        let hint = format!(
            "free some space there (`df -h {shown}`), or correct {setting}; a worker takes no films until then"
        );
        Finding::failed(text, hint)
    } else if free < ROOMY {
        let hint = "a film may need 60 GB and more; those that do not fit go to other workers, or wait";
        Finding::warning(text, hint)
    } else {
        Finding::ok(text)
    };
    finding.measured("free_bytes", free)
}
