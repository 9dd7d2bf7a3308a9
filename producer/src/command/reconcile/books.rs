//! What the share knows, sorted by what `reconcile` does about it.

use std::collections::HashSet;
use std::time::Duration;

use common::job::{JobId, JobMessage};
use common::share::{Folder, JobState, ShareState};

use crate::exit::Failure;
use crate::ledger::Ledger;
use crate::render::safe;

/// The share's side.
#[derive(Debug, Default)]
pub(super) struct Books {
    /// Films that nobody works on: queued without a lease, or with one that has been silent for the stale time.
    pub waiting: Vec<JobMessage>,
    /// Queue entries of films that are done or given up.
    pub settled: HashSet<JobId>,
    /// Silent leases of films that are queued nowhere, with the name of who had them. Such a film counts as running, so no scan
    /// would ever queue it again.
    pub orphans: Vec<(JobId, String)>,
}

/// Reads the books. Clocks of other machines are compared here; the worst that follows is a film published twice, and a lease
/// that is watched without being freed.
pub(super) fn read(share: &ShareState, stale: Duration) -> Result<Books, Failure> {
    let ledger = Ledger::open(share)?;
    let now = jiff::Timestamp::now();
    let leases = share.leases()?.entries;
    let silent: Vec<_> =
        leases.into_iter().filter(|(_, l)| now.duration_since(l.beat_at).unsigned_abs() > stale).collect();
    let queued = share.list::<JobMessage>(Folder::Queued)?;
    for warning in &queued.warnings {
        eprintln!("warning: {}", safe(warning));
    }
    let known: HashSet<JobId> = queued.entries.iter().map(|(id, _)| *id).collect();
    let mut books = Books::default();
    for (id, job) in queued.entries {
        match ledger.state(id) {
            state if is_settled(state) => {
                books.settled.insert(id);
            }
            JobState::Leased if !silent.iter().any(|(job, _)| *job == id) => {}
            _ => books.waiting.push(job),
        }
    }
    let orphan = |id: &JobId| !known.contains(id) && ledger.state(*id) == JobState::Leased;
    books.orphans = silent.into_iter().filter(|(id, _)| orphan(id)).map(|(id, l)| (id, l.worker)).collect();
    Ok(books)
}

pub(super) fn is_settled(state: JobState) -> bool {
    matches!(state, JobState::Done | JobState::Failed)
}
