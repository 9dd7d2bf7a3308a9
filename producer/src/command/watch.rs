//! `watch`: scans whenever something changed, and at an interval, until it is told to stop.

use std::sync::Arc;
use std::time::{Duration, Instant};

use common::broker::Backoff;
use common::config::Config;
use common::share::ShareState;
use jiff::Timestamp;

use super::Context;
use super::seen::Seen;
use super::survey::{Again, Request, Surveyed, survey_fleet};
use crate::cli::WatchArgs;
use crate::exit::{Exit, Failure};
use crate::library::{Place, Roots};
use crate::render::{Output, Pulse, bytes, duration};
use crate::watch::{Changes, Eyes, Health, HealthFile, Schedule, State, check};

/// A call that hangs in a dead mount must not keep the program from ending.
const LAST_WORD: Duration = Duration::from_secs(20);

pub(super) async fn run(args: &WatchArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.daemon()?;
    if args.health {
        return health(&config);
    }
    // A setting that cannot work will not come right by waiting.
    common::broker::BrokerOptions::from_config(&config.broker)?;
    let stop = context.stop.clone();
    tokio::spawn(async move {
        stop.cancelled().await;
        tokio::time::sleep(LAST_WORD).await;
        std::process::exit(Exit::Interrupted as i32);
    });
    let mut watch = Watch::new(config, share);
    watch.run(context).await?;
    tracing::info!("stopped");
    Ok(Exit::Ok)
}

/// For health checks: says how the `watch` of this machine is.
fn health(config: &Config) -> Result<Exit, Failure> {
    let path = &config.watch.health_file;
    if path.as_os_str().is_empty() {
        return Err(Failure::usage("watch.health_file is not set, so `watch` tells nobody how it is")
            .hint("name a file on this machine that both `watch` and its health check can reach"));
    }
    let file = std::fs::read(path).ok().and_then(|json| serde_json::from_slice::<HealthFile>(&json).ok());
    match check(file.as_ref(), Timestamp::now()) {
        Ok(text) => {
            Output::new(false).line(&text)?;
            Ok(Exit::Ok)
        }
        Err(text) => Err(Failure::new(Exit::Some, text)),
    }
}

struct Watch {
    config: Config,
    share: ShareState,
    changes: Arc<Changes>,
    /// Lent to another thread while folders are walked.
    eyes: Option<Eyes>,
    seen: Seen,
    pulse: Pulse,
    health: Health,
    backoff: Backoff,
    /// What was said last, so that it is said once.
    trouble: Option<String>,
    before: Option<News>,
}

/// What makes a scan worth a line: anything of this that is other than at the scan before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct News {
    films: u64,
    wait: u64,
    missed: u64,
}

impl Watch {
    fn new(config: Config, share: ShareState) -> Self {
        let changes = Arc::new(Changes::default());
        let eyes = Some(Eyes::new(&config, changes.clone()));
        let pulse = Pulse::default();
        let health = Health::begin(&config.watch.health_file, &pulse);
        let backoff = Backoff::new(Duration::from_secs(1), config.worker.pause());
        let (seen, trouble, before) = (Seen::new(), None, None);
        Self { config, share, changes, eyes, seen, pulse, health, backoff, trouble, before }
    }

    async fn run(&mut self, context: &Context) -> Result<(), Failure> {
        let every = duration(self.config.watch.interval());
        let roots: Vec<&str> = self.config.library.roots.keys().map(String::as_str).collect();
        tracing::info!("watching {}, with a scan every {every} at the latest", roots.join(", "));
        while !context.stop.is_cancelled() {
            self.health.is(State::Scanning, "");
            let began = Instant::now();
            let plan = match self.scan(context).await {
                Ok(result) => {
                    self.tell(&result);
                    self.health.scanned(result.totals.films);
                    self.health.is(State::Watching, "");
                    self.backoff.reset();
                    let interval = self.config.watch.interval();
                    Schedule::after(Instant::now(), began.elapsed(), interval, result.complete_in)
                }
                Err(e) if e.exit == Exit::Environment => {
                    self.waits(&e);
                    let again = Instant::now() + self.backoff.wait();
                    Schedule { rested: again, complete: None, latest: again }
                }
                Err(e) if e.exit == Exit::Interrupted => return Ok(()),
                Err(e) => return Err(e),
            };
            tokio::select! {
                () = self.rest(plan) => {}
                () = context.stop.cancelled() => return Ok(()),
            }
        }
        Ok(())
    }

    async fn scan(&mut self, context: &Context) -> Result<Surveyed, Failure> {
        self.seen.refresh(Instant::now());
        self.changes.forget();
        let roots = Roots::open(&self.config.library.roots)?;
        self.look(roots.places(), context).await?;
        // A share that was there and is not any more is gone, whatever its folder looks like.
        let first = self.before.is_none();
        let again = Again::No;
        let all = Request { paths: Vec::new(), dry_run: false, limit: None, json: false, again, first };
        let mut out = Output::silent();
        let (config, share, seen) = (&self.config, &self.share, &mut self.seen);
        survey_fleet(&all, config, share, &mut out, seen, &self.pulse, context).await
    }

    /// Sets the watches, which walks every folder the first time.
    async fn look(&mut self, places: Vec<Place>, context: &Context) -> Result<(), Failure> {
        let Some(mut eyes) = self.eyes.take() else { return Ok(()) };
        let looking = tokio::task::spawn_blocking(move || {
            eyes.open(&places);
            eyes
        });
        tokio::select! {
            looked = looking => self.eyes = looked.ok(),
            () = context.stop.cancelled() => return Err(context.interrupted("nothing was queued")),
        }
        Ok(())
    }

    /// Until the next scan is due.
    async fn rest(&self, plan: Schedule) {
        loop {
            let due = plan.due(self.changes.last(), self.config.watch.quiet());
            tokio::select! {
                () = tokio::time::sleep_until(due.into()) => return,
                () = self.changes.changed() => {}
            }
        }
    }

    /// One line for each scan with something new.
    fn tell(&mut self, result: &Surveyed) {
        if self.trouble.take().is_some() {
            tracing::info!("all is there again");
        }
        let totals = &result.totals;
        let news = News { films: totals.films, wait: totals.wait, missed: totals.missed };
        if self.before.replace(news) != Some(news) {
            for w in result.warnings.iter().filter(|w| w.missed).take(Surveyed::NAMES) {
                tracing::warn!("{}: {}", w.path, w.text);
            }
        } else if totals.queue == 0 {
            return;
        }
        let mut text = totals.text();
        if !result.queued.is_empty() {
            let more = totals.queue.saturating_sub(result.queued.len() as u64);
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            text =
                format!("queued {}{more} ({}); {text}", result.queued.join(", "), bytes(totals.queue_bytes));
        }
        tracing::info!("{text}");
    }

    /// Says once what is not there.
    fn waits(&mut self, e: &Failure) {
        self.health.is(State::Waiting, &e.message);
        if self.trouble.as_ref() != Some(&e.message) {
            let hint = e.hint.as_ref().map(|h| format!(" (hint: {h})")).unwrap_or_default();
            tracing::warn!("waiting: {}{hint}", e.message);
            self.trouble = Some(e.message.clone());
        }
    }
}
