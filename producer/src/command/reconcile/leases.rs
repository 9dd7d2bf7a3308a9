//! Leases of nobody.

use std::time::Duration;

use common::job::JobId;
use common::share::{Acquire, LeaseObserver, Owner, ShareState};

use crate::command::Context;
use crate::exit::{Exit, Failure};

/// A holder that lives beats at least once in this many beats.
const BEATS: u32 = 4;

/// Takes these leases over as a worker would, after watching that they stand still by this machine's own clock, and gives them
/// back. Returns those that were freed, or without watching all of them in a dry run.
pub(super) async fn free(
    share: &ShareState,
    orphans: &[(JobId, String)],
    beat: Duration,
    dry_run: bool,
    context: &Context,
) -> Result<Vec<(JobId, String)>, Failure> {
    if dry_run || orphans.is_empty() {
        return Ok(orphans.to_vec());
    }
    let observer = LeaseObserver::new(share.clone(), Owner::here("dovi-producer"));
    let still = beat * BEATS;
    let mut freed = Vec::new();
    let mut left = orphans.to_vec();
    for look in 0..2 {
        if look > 0 {
            tokio::select! {
                () = tokio::time::sleep(still) => {}
                () = context.stop.cancelled() => return Err(context.interrupted("no lease was freed")),
            }
        }
        let mut busy = Vec::new();
        for (job, worker) in left {
            match take(&observer, job, still).await? {
                true => freed.push((job, worker)),
                false => busy.push((job, worker)),
            }
        }
        left = busy;
        if left.is_empty() {
            break;
        }
    }
    Ok(freed)
}

async fn take(observer: &LeaseObserver, job: JobId, still: Duration) -> Result<bool, Failure> {
    let observer = observer.clone();
    let taken = tokio::task::spawn_blocking(move || match observer.acquire(job, still)? {
        Acquire::Mine(lease) => lease.release().map(|()| true),
        Acquire::Busy { .. } | Acquire::Done => Ok(false),
    });
    let taken = taken.await.map_err(|e| Failure::new(Exit::Bug, "freeing a lease failed").because(&e))?;
    Ok(taken?)
}
