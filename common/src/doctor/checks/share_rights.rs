//! May this user write in every folder of the state?

use super::{blocking, writable};
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::share::{ShareState, free_bytes};
use crate::text::{bytes, safe_path};

/// Less, and a worker takes no films: every film writes a lease, a journal and a certificate.
const LEAST: u64 = 1 << 20;

/// Makes a file in each folder and removes it again.
pub const fn share_rights<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "share-rights",
        part: "share",
        about: "this user may write in every folder of the share's state, and there is room",
        needs: &["share"],
        slow: false,
        worst: Level::Failed,
        look: |w| {
            let share = w.as_ref().share();
            Box::pin(blocking(move || vec![look(&share)]))
        },
    }
}

fn look(share: &ShareState) -> Finding {
    for folder in ["queued", "leases", "done", "failed", "logs"] {
        if let Err(finding) = writable(&share.dir().join(folder), "share.state_dir") {
            return finding;
        }
    }
    // Made by the first worker, and by some other user perhaps.
    let workers = share.dir().join("workers");
    if workers.is_dir()
        && let Err(finding) = writable(&workers, "share.state_dir")
    {
        return finding;
    }
    match free_bytes(share.dir()) {
        Ok(free) if free < LEAST => {
            let text = format!("{} has only {} free", safe_path(share.dir()), bytes(free));
            let hint = format!("free some space there: `df -h {}`", safe_path(share.dir()));
            Finding::failed(text, hint).measured("free_bytes", free)
        }
        Ok(free) => Finding::ok(format!("all its folders can be written to, {} free", bytes(free)))
            .measured("free_bytes", free),
        Err(e) => Finding::failed(e.to_string(), "correct share.state_dir"),
    }
}
