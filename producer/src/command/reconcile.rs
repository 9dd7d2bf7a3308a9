//! `reconcile`: brings the share's books and the broker's queue together again, after either of them lost something.

use std::collections::HashSet;

use common::broker::depths;
use common::job::JobId;
use common::share::ShareState;
use serde::Serialize;

use super::Context;
use crate::cli::ReconcileArgs;
use crate::exit::{Exit, Failure};
use crate::ledger::Ledger;
use crate::render::{Output, safe};
use crate::submit::Submitter;

mod books;
mod leases;

#[derive(Serialize)]
#[serde(tag = "type")]
enum Line<'a> {
    #[serde(rename = "film")]
    Film { film: String, job: String },
    #[serde(rename = "lease")]
    Lease { job: String, worker: String },
    #[serde(rename = "totals")]
    Totals {
        dry_run: bool,
        waiting_on_share: u64,
        waiting_on_broker: u64,
        published: u64,
        leases_freed: u64,
        entries_removed: u64,
        text: &'a str,
    },
}

pub(super) async fn run(args: &ReconcileArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    share.check()?;
    let submitter = Submitter::connect(&config, &share, false).await?;
    let books = books::read(&share, config.worker.stale())?;
    let depths = depths(submitter.options()).await?;
    let (on_share, on_broker) =
        (books.waiting.len() as u64, u64::from(depths.films.ready) + u64::from(depths.retrying()));

    let mut out = Output::new(args.json);
    let mut published = 0;
    if args.force || on_broker < on_share {
        for job in &books.waiting {
            if context.stop.is_cancelled() {
                return Err(
                    context.interrupted(&format!("{published} films were published, run it again to go on"))
                );
            }
            if !args.dry_run {
                submitter.publish_again(job).await?;
            }
            published += 1;
            let film = job.film.to_string();
            let verb = if args.dry_run { "would publish" } else { "published" };
            out.line(&format!("{verb}  {}  {}", job.id.short(), safe(&film)))?;
            out.object(&Line::Film { film, job: job.id.to_string() })?;
        }
    }
    submitter.close().await;
    let removed = if args.dry_run { books.settled.len() } else { remove(&share, &books.settled)? };
    let freed = leases::free(&share, &books.orphans, config.worker.beat(), args.dry_run, context).await?;
    for (job, worker) in &freed {
        let verb = if args.dry_run { "would free" } else { "freed" };
        let worker = worker.clone();
        out.line(&format!(
            "{verb}  {}  held by {} and queued nowhere; the next scan queues it",
            job.short(),
            safe(&worker)
        ))?;
        out.object(&Line::Lease { job: job.to_string(), worker })?;
    }

    let text = format!("{on_share} films wait on the share, {on_broker} on the broker");
    out.object(&Line::Totals {
        dry_run: args.dry_run,
        waiting_on_share: on_share,
        waiting_on_broker: on_broker,
        published: if args.dry_run { 0 } else { published },
        leases_freed: if args.dry_run { 0 } else { freed.len() as u64 },
        entries_removed: if args.dry_run { 0 } else { removed as u64 },
        text: &text,
    })?;
    let end = match (published, args.dry_run) {
        (0, _) if on_broker > on_share => {
            "nothing to publish; the rest was queued twice, or its entry on the share is lost: `dovi-producer scan` \
             writes it down again"
        }
        (0, _) => "nothing to publish",
        (_, true) => "nothing was changed",
        (_, false) => "published again; films that were there twice are recognised by the workers",
    };
    out.line(&format!("{text}: {end}"))?;
    Ok(Exit::Ok)
}

/// Takes away the entries of films that are done or given up, which a worker died before doing.
fn remove(share: &ShareState, settled: &HashSet<JobId>) -> Result<usize, Failure> {
    let mut removed = 0;
    // Looked at once more: a person may have queued one again meanwhile.
    let now = Ledger::open(share)?;
    for job in settled {
        if books::is_settled(now.state(*job)) && share.remove(common::share::Folder::Queued, *job)? {
            removed += 1;
        }
    }
    Ok(removed)
}
