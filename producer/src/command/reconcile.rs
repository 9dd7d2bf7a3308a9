//! `reconcile`: films that are queued on the share, but that the broker has lost.

use common::broker::depths;
use common::job::JobMessage;
use common::share::{Folder, JobState, ShareState};
use serde::Serialize;

use super::Context;
use crate::cli::ReconcileArgs;
use crate::exit::{Exit, Failure};
use crate::ledger::Ledger;
use crate::render::{Output, safe};
use crate::submit::Submitter;

#[derive(Serialize)]
#[serde(tag = "type")]
enum Line<'a> {
    #[serde(rename = "film")]
    Film { film: String, job: String },
    #[serde(rename = "totals")]
    Totals { dry_run: bool, waiting_on_share: u64, waiting_on_broker: u64, published: u64, text: &'a str },
}

pub(super) async fn run(args: &ReconcileArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    share.check()?;
    let submitter = Submitter::connect(&config, &share, false).await?;
    let waiting = waiting(&share, config.worker.stale())?;
    let depths = depths(submitter.options()).await?;
    let (on_share, on_broker) =
        (waiting.len() as u64, u64::from(depths.films.ready) + u64::from(depths.retrying()));

    let mut out = Output::new(args.json);
    let mut published = 0;
    if args.force || on_broker < on_share {
        for job in &waiting {
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
    let text = format!("{on_share} films wait on the share, {on_broker} on the broker");
    let end = match (published, args.dry_run) {
        (0, _) => "nothing to publish",
        (_, true) => "nothing was changed",
        (_, false) => "published again; films that were there twice are recognised by the workers",
    };
    out.object(&Line::Totals {
        dry_run: args.dry_run,
        waiting_on_share: on_share,
        waiting_on_broker: on_broker,
        published: if args.dry_run { 0 } else { published },
        text: &text,
    })?;
    out.line(&format!("{text}: {end}"))?;
    submitter.close().await;
    Ok(Exit::Ok)
}

/// Films that nobody works on: queued without a lease, or with one that has been silent for the stale time. Clocks of
/// other machines are compared here, but the worst that follows is a film published twice.
fn waiting(share: &ShareState, stale: std::time::Duration) -> Result<Vec<JobMessage>, Failure> {
    let ledger = Ledger::open(share)?;
    let now = jiff::Timestamp::now();
    let silent = |at: jiff::Timestamp| now.duration_since(at).unsigned_abs() > stale;
    let leases = share.leases()?.entries;
    let is_silent = |id| leases.iter().any(|(job, lease)| *job == id && silent(lease.beat_at));
    let queued = share.list::<JobMessage>(Folder::Queued)?;
    for warning in &queued.warnings {
        eprintln!("warning: {}", safe(warning));
    }
    let waits = |id| match ledger.state(id) {
        JobState::Queued => true,
        JobState::Leased => is_silent(id),
        JobState::Done | JobState::Failed | JobState::Unknown => false,
    };
    Ok(queued.entries.into_iter().filter(|(id, _)| waits(*id)).map(|(_, job)| job).collect())
}
