//! `status`: what is queued, in work, done and failed, and who works.

use std::collections::HashMap;
use std::io::IsTerminal;
use std::time::Duration;

use common::broker::{BrokerError, Depths, depths};
use common::config::Config;
use common::job::{Certificate, JobId, JobMessage};
use common::share::{Folder, JobState, LeaseInfo, ShareError, ShareState};
use serde::Serialize;

use super::Context;
use super::workers::{self, WorkerLine};
use crate::cli::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::ledger::Ledger;
use crate::render::{Align, Output, Table, bytes, duration, safe};
use crate::submit::broker_options;

const REDRAW: Duration = Duration::from_secs(2);
/// The table fits a terminal of this width.
const WIDTH: usize = 80;

/// Films by state; each film is counted once.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
struct Counts {
    queued: u64,
    running: u64,
    done: u64,
    failed: u64,
}

/// A film in work.
#[derive(Debug, Clone, Serialize)]
struct Running {
    film: String,
    /// No beat for longer than the stale time, by this machine's clock: its worker may be dead.
    silent: bool,
    #[serde(flatten)]
    lease: LeaseInfo,
}

/// All of it.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "status")]
struct Status {
    counts: Counts,
    /// Bytes of the originals minus bytes of the results, over all certificates.
    space_saved: i64,
    running: Vec<Running>,
    workers: Vec<WorkerLine>,
    queues: Option<Depths>,
    broker: Option<String>,
}

pub(super) async fn run(args: &StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let options = broker_options(&config)?;
    let mut out = Output::new(args.json);
    let mut saved = HashMap::new();
    loop {
        let broker = depths(&options).await;
        let status = read(&config, &share, broker, &mut saved)?;
        out.object(&status)?;
        let mut text = status.lines().join("\n");
        if args.watch && std::io::stdout().is_terminal() {
            // Home, and clear what is below, so that the screen does not flicker as a whole.
            text.insert_str(0, "\x1b[H\x1b[J");
        }
        out.line(&text)?;
        if !args.watch {
            return Ok(Exit::Ok);
        }
        tokio::select! {
            () = tokio::time::sleep(REDRAW) => {}
            () = context.stop.cancelled() => return Ok(Exit::Ok),
        }
    }
}

fn read(
    config: &Config,
    share: &ShareState,
    broker: Result<Depths, BrokerError>,
    saved: &mut HashMap<JobId, i64>,
) -> Result<Status, ShareError> {
    let ledger = Ledger::open(share)?;
    let count = |state| ledger.jobs(state).len() as u64;
    let counts = Counts {
        queued: count(JobState::Queued),
        running: count(JobState::Leased),
        done: count(JobState::Done),
        failed: count(JobState::Failed),
    };
    let mut space_saved = 0;
    for job in ledger.jobs(JobState::Done) {
        space_saved += match saved.get(&job) {
            Some(bytes) => *bytes,
            // Certificates never change, so that each is read once, also by --watch.
            None => match share.read::<Certificate>(Folder::Done, job) {
                Ok(Some(c)) => *saved.entry(job).or_insert(c.source.size as i64 - c.result.size as i64),
                Err(e @ ShareError::Gone { .. }) => return Err(e),
                Ok(None) | Err(_) => 0,
            },
        };
    }
    let now = jiff::Timestamp::now();
    let mut running = Vec::new();
    for (job, lease) in share.leases()?.entries {
        if ledger.state(job) != JobState::Leased {
            continue;
        }
        let film = share.read::<JobMessage>(Folder::Queued, job).ok().flatten().map(|j| j.film.to_string());
        let silent = now.duration_since(lease.beat_at).unsigned_abs() > config.worker.stale();
        running.push(Running { film: film.unwrap_or_else(|| "(not known)".into()), silent, lease });
    }
    running.sort_by(|a, b| a.film.cmp(&b.film));
    let (seen, warnings) = share.workers()?;
    warnings.iter().for_each(|w| tracing::debug!("{}", safe(w)));
    let workers = seen.into_iter().map(Into::into).collect();
    let (queues, broker) = match broker {
        Ok(depths) => (Some(depths), None),
        Err(e) => (None, Some(e.to_string())),
    };
    Ok(Status { counts, space_saved, running, workers, queues, broker })
}

impl Status {
    fn lines(&self) -> Vec<String> {
        let c = &self.counts;
        let saved = match self.space_saved {
            n @ 0.. => format!("{} saved", bytes(n.unsigned_abs())),
            n => format!("{} more than before", bytes(n.unsigned_abs())),
        };
        let mut lines = vec![format!(
            "films   {} queued, {} running, {} done ({saved}), {} failed",
            c.queued, c.running, c.done, c.failed
        )];
        lines.push(match (&self.queues, &self.broker) {
            (Some(q), _) => format!(
                "broker  {} waiting{}, {} waiting for a retry, {} dead letters, {} workers connected",
                q.films.ready,
                match q.first.as_ref().map_or(0, |first| first.ready) {
                    0 => String::new(),
                    first => format!(" ({first} of them first)"),
                },
                q.retrying(),
                q.failed.ready,
                q.films.consumers
            ),
            (None, why) => format!("broker  not there: {}", safe(why.as_deref().unwrap_or_default())),
        });
        if !self.workers.is_empty() {
            lines.push(String::new());
            lines.extend(workers::lines(&self.workers, WIDTH));
        }
        if !self.running.is_empty() {
            lines.push(String::new());
            lines.extend(self.table().lines(Some(WIDTH)));
        }
        if self.running.iter().any(|r| r.silent) {
            lines.push(
                "! = no sign of life for longer than worker.stale_s; another worker takes the film over"
                    .into(),
            );
        }
        lines
    }

    fn table(&self) -> Table {
        use Align::{Left, Right};
        let mut table = Table::new(&[
            ("job", Left),
            ("worker", Left),
            ("stage", Left),
            ("%", Right),
            ("fps", Right),
            ("left", Right),
            ("film", Left),
        ]);
        for r in &self.running {
            let p = &r.lease.progress;
            let mark = if r.silent { "!" } else { "" };
            table.row(vec![
                format!("{}{mark}", r.lease.job.short()),
                crate::render::cut(&safe(&r.lease.worker), 12),
                crate::render::cut(&safe(&p.stage), 9),
                format!("{:.0}", p.percent),
                p.fps.map(|f| format!("{f:.1}")).unwrap_or_default(),
                p.eta_s.map(|s| duration(Duration::from_secs(s))).unwrap_or_default(),
                safe(&r.film),
            ]);
        }
        table
    }
}

#[cfg(test)]
mod tests {
    use common::share::Beat;

    use super::*;

    fn status(broker: Option<&str>) -> Status {
        let lease = LeaseInfo {
            v: 1,
            job: "0123456789abcdef0123456789abcdef".parse().unwrap(),
            token: "t".into(),
            worker: "a-very-long-worker-name".into(),
            host: "h".into(),
            pid: 1,
            origin: String::new(),
            beat: 3,
            started_at: jiff::Timestamp::UNIX_EPOCH,
            beat_at: jiff::Timestamp::UNIX_EPOCH,
            progress: Beat { stage: "encode".into(), percent: 45.4, fps: Some(12.34), eta_s: Some(11_100) },
        };
        let film = "films:A film with quite a long name (2019)/A film with quite a long name.mkv".into();
        Status {
            counts: Counts { queued: 3, running: 1, done: 2, failed: 0 },
            space_saved: 81_000_000_000,
            running: vec![Running { film, silent: true, lease }],
            workers: Vec::new(),
            queues: None,
            broker: broker.map(Into::into),
        }
    }

    #[test]
    fn it_fits_a_terminal_and_says_that_the_broker_is_down() {
        let lines = status(Some("failed to reach the broker at h:1")).lines();
        assert_eq!(lines[0], "films   3 queued, 1 running, 2 done (81.0 GB saved), 0 failed");
        assert_eq!(lines[1], "broker  not there: failed to reach the broker at h:1");
        assert!(lines[3].starts_with("JOB"), "{lines:?}");
        assert!(
            lines[4].starts_with("01234567!  a-ver…r-name  encode  45  12.3  3 h 05 min  films:"),
            "{lines:?}"
        );
        assert!(lines[3..5].iter().all(|l| l.chars().count() <= WIDTH), "{lines:?}");
        assert!(lines.last().unwrap().starts_with("! = no sign of life"));
    }

    #[test]
    fn json_is_flat_about_a_lease() {
        let json = serde_json::to_value(status(None)).unwrap();
        assert_eq!(json["counts"]["queued"], 3);
        assert_eq!(json["running"][0]["stage"], "encode");
        assert_eq!(json["running"][0]["worker"], "a-very-long-worker-name");
    }
}
