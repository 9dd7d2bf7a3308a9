//! One delivery: read it, claim the film, work on it, and write down what came of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::broker::Delivery;
use common::config::{Config, OutputMode};
use common::job::{FailureCode, FailureReport, JobId, JobMessage};
use common::share::{
    Acquire, Entry, Event, Folder, JobState, Journal, Lease, LeaseKeeper, LeaseObserver, Owner, Reservations,
    ShareState, looks_mounted,
};
use common::steps::{self, Step};

use super::fitness::Tested;
use super::health::{Health, Rest};
use super::ledger::{ShareLedger, share_error};
use super::presence::Presence;
use super::report::Reporter;
use super::room::Room;
use super::settle::{Action, Outcome, decide};
use super::steering::Steering;
use super::telling::Outlets;
use crate::metrics::Came;
use crate::pipeline::{
    Context, Convert, FilmTask, Label, Publishing, Source, Stage, StageError, Stop, Toolbox, Watch,
};

/// Of a message that is no job, so much is kept for the report.
const RAW: usize = 4096;

/// Everything a worker needs for any film.
pub struct Worker {
    pub(super) config: Arc<Config>,
    pub(super) name: String,
    pub(super) share: ShareState,
    observer: LeaseObserver,
    /// Those of the last test of itself, if there was one.
    pub(super) tools: Mutex<Arc<Toolbox>>,
    films: Arc<dyn Convert>,
    space: Reservations,
    pub(super) outlets: Outlets,
    pub(super) health: Health,
    pub(super) tested: tokio::sync::Mutex<Option<Tested>>,
    pub(super) room: Room,
    pub(super) presence: Presence,
    pub(super) steering: Steering,
}

/// What came of a delivery and what is to be done with its message.
#[derive(Debug)]
pub struct Handled {
    /// What came of it.
    pub outcome: Outcome,
    /// What is to be done.
    pub action: Action,
    /// The job, if the message was one.
    pub job: Option<JobId>,
    /// What this worker does before its next film.
    pub rest: Rest,
}

impl Worker {
    /// A worker under the configured name, which leaves the films themselves to `films`.
    pub fn new(
        config: Arc<Config>,
        tools: Arc<Toolbox>,
        films: Arc<dyn Convert>,
        outlets: Outlets,
        slots: u16,
    ) -> Self {
        let name = config.worker.display_name();
        let share = ShareState::new(&config.share.state_dir);
        let observer = LeaseObserver::new(share.clone(), Owner::here(&name));
        let presence = Presence::new(share.clone(), observer.owner(), slots, config.worker.beat());
        Self {
            name,
            share,
            observer,
            tools: Mutex::new(tools),
            films,
            space: Reservations::default(),
            outlets,
            health: Health::new(&config.worker),
            steering: Steering::new(&config.worker),
            tested: tokio::sync::Mutex::default(),
            room: Room::default(),
            presence,
            config,
        }
    }

    /// The worker's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// This process for ever, as its leases name it.
    pub(super) fn origin(&self) -> &str {
        &self.observer.owner().origin
    }

    /// This worker as others see it.
    pub fn presence(&self) -> &Presence {
        &self.presence
    }

    /// Works on a delivery. When this returns the share knows what came of it and the lease is given back; what is left
    /// is to tell the queue.
    pub async fn handle(&self, delivery: &Delivery, stop: &Stop) -> Handled {
        let attempt = delivery.attempt().saturating_add(1);
        let job = match delivery.body() {
            Ok(job) => job,
            Err(e) => {
                let error = StageError::new(Stage::Preflight, e.code(), e.to_string());
                let raw =
                    String::from_utf8_lossy(&delivery.raw()[..delivery.raw().len().min(RAW)]).into_owned();
                let report = FailureReport { raw: Some(raw), ..self.report(None, &error, attempt, None) };
                let handled = self.handled(Outcome::Failed(Box::new(report)), None, Rest::None);
                self.tell_of_no_job(&handled).await;
                return handled;
            }
        };
        let id = job.id;
        tracing::info!(film = %job.film, job = %id, attempt, recipe = job.recipe.summary(), "film received");
        let (outcome, rest) = self.claim_and_work(&job, attempt, delivery.redelivered(), stop).await;
        let handled = self.handled(outcome, Some(id), rest);
        self.tell(&job, attempt, &handled).await;
        handled
    }

    fn handled(&self, outcome: Outcome, job: Option<JobId>, rest: Rest) -> Handled {
        let action = decide(&outcome, self.config.retry.max_attempts);
        Handled { outcome, action, job, rest }
    }

    /// A failure before the film itself was begun.
    async fn not_begun(&self, job: &JobMessage, attempt: u32, e: StageError, stop: &Stop) -> (Outcome, Rest) {
        let e = self.examine(job, e, stop).await;
        let rest = self.rest_after(job, &e, std::time::Duration::ZERO);
        (Outcome::Failed(Box::new(self.report(Some(job), &e, attempt, None))), rest)
    }

    async fn claim_and_work(
        &self,
        job: &JobMessage,
        attempt: u32,
        again: bool,
        stop: &Stop,
    ) -> (Outcome, Rest) {
        let _in_hand = self.steering.takes(job.id, stop);
        let (observer, id, stale) = (self.observer.clone(), job.id, self.config.worker.stale());
        let claimed = blocking(move || observer.acquire(id, stale)).await;
        let lease = match claimed {
            Ok(Ok(Acquire::Mine(lease))) => lease,
            Ok(Ok(Acquire::Done)) => {
                self.outlets.metrics.came(Came::Known, None, attempt);
                let share = self.share.clone();
                // The worker that finished it may have died before it tidied up.
                if let Ok(Err(e)) = blocking(move || ShareLedger::clear_after(&share, id)).await {
                    tracing::debug!(error = %e, "the books of a finished film are not tidy");
                }
                return (Outcome::Done, Rest::None);
            }
            Ok(Ok(Acquire::Busy { holder, .. })) => {
                let holder = holder.map_or_else(|| "somebody".into(), |h| h.worker);
                tracing::info!(film = %job.film, holder, "another worker has this film");
                return (Outcome::Busy, Rest::None);
            }
            Ok(Err(e)) => return self.not_begun(job, attempt, share_error(Stage::Preflight, e), stop).await,
            Err(e) => return self.not_begun(job, attempt, e, stop).await,
        };
        if let Some(report) = self.given_up(id).await {
            release(&lease);
            return (Outcome::GivenUp { report, again }, Rest::None);
        }
        match self.begin_unless_cancelled(job, attempt, &lease, stop).await {
            Ok(begun) => self.work(job, attempt, lease, begun, stop).await,
            Err(e) => {
                let (outcome, rest) = self.not_begun(job, attempt, e, stop).await;
                let outcome = self.write_failure(job, attempt, outcome).await;
                release(&lease);
                (outcome, rest)
            }
        }
    }

    /// The report of a film that is given up. To queue such a film again takes the report away first, so a message that
    /// meets one is older than it: another copy, or one whose worker died between report and dead letter.
    async fn given_up(&self, id: JobId) -> Option<Box<FailureReport>> {
        let share = self.share.clone();
        let read = blocking(move || {
            let report = share.read::<FailureReport>(Folder::Failed, id)?;
            if report.is_some() {
                share.remove(Folder::Queued, id)?;
            }
            Ok::<_, common::share::ShareError>(report)
        });
        match read.await {
            Ok(Ok(report)) => report.map(Box::new),
            // Nothing is lost by trying once more.
            Ok(Err(e)) => {
                tracing::warn!(job = %id, error = %e, "the report of an earlier failure cannot be read");
                None
            }
            Err(e) => {
                tracing::error!(job = %id, error = %e, "reading the report");
                None
            }
        }
    }

    async fn begin_unless_cancelled(
        &self,
        job: &JobMessage,
        attempt: u32,
        lease: &Lease,
        stop: &Stop,
    ) -> Result<Begun, StageError> {
        let (share, id) = (self.share.clone(), job.id);
        let read = blocking(move || share.cancelled(id)).await?;
        let cancelled = read.map_err(|e| share_error(Stage::Preflight, e))?;
        if cancelled.is_some() {
            stop.stop(FailureCode::Cancelled);
        }
        stop.check(Stage::Preflight)?;
        self.begin(job, attempt, lease).await
    }

    /// With the lease in hand: counts crashes and writes the start down.
    async fn begin(&self, job: &JobMessage, attempt: u32, lease: &Lease) -> Result<Begun, StageError> {
        let (share, id, most) = (self.share.clone(), job.id, self.config.retry.max_crashes);
        let (start, film) = (self.entry(lease.token(), attempt, Event::Start), job.film.to_string());
        blocking(move || {
            let failed = |e| share_error(Stage::Preflight, e);
            steps::reached(Step::Leased, &start.run).map_err(|e| failed(e.into()))?;
            let journal = Journal::open(&share, id).map_err(failed)?;
            let entries = journal.entries().map_err(failed)?;
            let crashes = journal.crashes().map_err(failed)?;
            let dead: Vec<String> =
                entries.iter().filter(|e| e.event == Event::Start).map(|e| e.run.clone()).collect();
            if crashes.count >= most {
                close_open_runs(&journal, &entries, &start)?;
                let names: Vec<_> = crashes.workers.iter().map(String::as_str).collect();
                let message = format!("{} workers died over this film ({})", crashes.count, names.join(", "));
                return Err(StageError::new(Stage::Preflight, FailureCode::Poison, message));
            }
            journal.append(&start).map_err(failed)?;
            steps::reached(Step::Started, format_args!("{} {film}", start.run))
                .map_err(|e| failed(e.into()))?;
            let log = format!("attempt-{}-{}.log", start.attempt, &start.run[..start.run.len().min(8)]);
            Ok(Begun { journal, dead, log: share.log_path(id).join(log) })
        })
        .await?
    }

    async fn work(
        &self,
        job: &JobMessage,
        attempt: u32,
        lease: Lease,
        begun: Begun,
        stop: &Stop,
    ) -> (Outcome, Rest) {
        let began = Instant::now();
        let token = lease.token().to_owned();
        let log = begun.log.strip_prefix(self.share.dir()).ok().map(|p| p.to_string_lossy().into_owned());
        let keeper = match LeaseKeeper::start(lease, self.config.worker.beat()) {
            Ok(keeper) => Arc::new(keeper),
            Err(e) => {
                let error = StageError::new(
                    Stage::Preflight,
                    FailureCode::ToolFailed,
                    format!("no threads left: {e}"),
                );
                return (Outcome::Failed(Box::new(self.report(Some(job), &error, attempt, log))), Rest::None);
            }
        };
        let (lost, stopper) = (keeper.lost().clone(), stop.clone());
        let fence = tokio::spawn(async move {
            lost.cancelled().await;
            stopper.stop(FailureCode::LeaseLost);
        });
        self.presence.takes();
        self.outlets.metrics.attempt();
        let converted = self.convert(job, &token, &begun, &keeper, stop).await;
        let result = match converted.map_err(|e| self.doubted(job, e)) {
            Err(e) => Err(self.examine(job, e, stop).await),
            done => done,
        };
        fence.abort();
        self.presence.leaves(Some(result.is_ok()));
        self.outlets.metrics.ends(job.id);

        let (outcome, rest) = match &result {
            Ok(()) => {
                self.health.finished();
                self.room.forget(job.id);
                self.presence.remark(None);
                self.outlets.metrics.came(Came::Done, None, attempt);
                (Outcome::Done, Rest::None)
            }
            Err(e) => {
                let rest = self.rest_after(job, e, began.elapsed());
                (Outcome::Failed(Box::new(self.report(Some(job), e, attempt, log))), rest)
            }
        };
        let said = result.as_ref().map_or_else(|e| e.code.to_string(), |()| "done".into());
        let end = self.entry(&token, attempt, Event::End { outcome: said });
        let journal = begun.journal;
        match blocking(move || journal.append(&end).and_then(|()| Ok(steps::reached(Step::Ended, &end.run)?)))
            .await
        {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(error = %e, "the end of this attempt is not in the journal"),
            Err(e) => tracing::error!(error = %e, "the journal"),
        }
        if keeper.lost().is_cancelled() {
            return (self.unless_buried(job, attempt, outcome), rest);
        }
        let outcome = self.write_failure(job, attempt, outcome).await;
        // The keeper's threads end with it; a thread left behind by a hanging share may still hold it.
        if let Err(e) = blocking(move || release(keeper.lease())).await {
            tracing::error!(error = %e, "giving the lease back");
        }
        (outcome, rest)
    }

    async fn convert(
        &self,
        job: &JobMessage,
        token: &str,
        begun: &Begun,
        keeper: &Arc<LeaseKeeper>,
        stop: &Stop,
    ) -> Result<(), StageError> {
        let path = |e: common::job::PathError| {
            StageError::new(Stage::Preflight, FailureCode::MessagePath, e.to_string())
        };
        let source = self.config.library.resolve(&job.film).map_err(path)?;
        let target = self.config.result_path(&job.film).map_err(path)?;
        if let Some(root) = self.config.library.roots.get(job.film.root()) {
            // An empty mount point is no library whose films are all gone.
            present(root, &format!("library root {}", job.film.root()))?;
        }
        self.output_root()?;
        self.room.check(job.id)?;
        let task = FilmTask {
            source,
            expected: Some(Source { size: job.size, mtime_ns: job.mtime_ns }),
            target,
            publishing: Publishing::of_library(&self.config, &job.film),
            scratch: self.config.scratch.path(),
            recipe: job.recipe.clone(),
            token: token.to_owned(),
            dead: begun.dead.clone(),
            label: Label { job: Some(job.id), film: Some(job.film.to_string()), worker: self.name.clone() },
        };
        let reporter =
            Reporter::new(keeper.clone(), &self.outlets, self.name.clone(), job.id, job.film.clone());
        let context = Context {
            tools: self.tools(),
            watch: Watch {
                stall: self.config.worker.stall(),
                grace: self.config.worker.grace(),
                log: Some(begun.log.clone()),
            },
            decode: self.config.verify.decode,
            space: self.space.clone(),
            watcher: Arc::new(reporter),
            stop: stop.clone(),
        };
        let ledger = Arc::new(ShareLedger::new(self.share.clone(), job.id, keeper.clone()));
        let finished = self.films.convert(&context, task, ledger).await?;
        tracing::info!(
            film = %job.film, result = %finished.target.display(), frames = finished.certificate.frames,
            wrong_frames = finished.certificate.wrong_frames, "film done"
        );
        self.outlets.metrics.converted(&finished.certificate);
        Ok(())
    }

    /// Makes the results' folder if it is missing, but not in an empty mount point.
    pub(super) fn output_root(&self) -> Result<(), StageError> {
        let dir = &self.config.output.dir;
        if self.config.output.mode != OutputMode::Separate || dir.is_dir() {
            return Ok(());
        }
        if let Some(parent) = dir.parent() {
            present(parent, "folder of output.dir")?;
        }
        std::fs::create_dir_all(dir)
            .map_err(|e| StageError::file(Stage::Preflight, common::share::FileError::new("create", dir, e)))
    }

    /// The share's own record of a film that is given up; the queue gets the same. Where it cannot be written the film is not
    /// given up: a share that is gone may well be why it failed.
    async fn write_failure(&self, job: &JobMessage, attempt: u32, outcome: Outcome) -> Outcome {
        let Outcome::Failed(report) = &outcome else { return outcome };
        if decide(&outcome, self.config.retry.max_attempts) != Action::Bury {
            return outcome;
        }
        let (share, id, report) = (self.share.clone(), job.id, report.clone());
        let written = blocking(move || {
            // Done wins: whoever had this film before may have been frozen after its last check, and be through by now.
            if share.state_of(id)? == JobState::Done {
                return Ok(false);
            }
            let settled = share
                .settle(Folder::Failed, id, &report)
                .and_then(|()| Ok(steps::reached(Step::Reported, id)?));
            if report.code == FailureCode::Cancelled && settled.is_ok() {
                // It has done its work; a film that is tried again must not meet it.
                if let Err(e) = share.forget_cancel(id) {
                    tracing::debug!(job = %id, error = %e, "a cancel that was obeyed stays on the share");
                }
            }
            // What failed after the report was there changes nothing.
            let there =
                settled.is_err() && matches!(share.read::<FailureReport>(Folder::Failed, id), Ok(Some(_)));
            if there { Ok(true) } else { settled.map(|()| true) }
        })
        .await;
        let error = match written {
            Ok(Ok(true)) => return outcome,
            Ok(Ok(false)) => {
                tracing::info!(film = %job.film, "this attempt failed, but another one made the film");
                return Outcome::Done;
            }
            Ok(Err(e)) => share_error(Stage::Publish, e),
            Err(e) => e,
        };
        tracing::error!(job = %id, %error, "the film is not given up, since that cannot be written down");
        Outcome::Failed(Box::new(self.report(Some(job), &error, attempt, None)))
    }

    /// Whoever lost the lease gives nothing up: that is for the new holder to say.
    fn unless_buried(&self, job: &JobMessage, attempt: u32, outcome: Outcome) -> Outcome {
        if decide(&outcome, self.config.retry.max_attempts) != Action::Bury {
            return outcome;
        }
        let error = StageError::new(Stage::Publish, FailureCode::LeaseLost, FailureCode::LeaseLost.meaning());
        Outcome::Failed(Box::new(self.report(Some(job), &error, attempt, None)))
    }

    /// A film is missing only while the share and its library are there, and if it did not come back meanwhile.
    fn doubted(&self, job: &JobMessage, e: StageError) -> StageError {
        if e.code != FailureCode::SourceMissing {
            return e;
        }
        if let Err(gone) = self.share.check() {
            return share_error(e.stage, gone);
        }
        let root = job.film.root();
        let library = self.config.library.roots.get(root);
        if let Some(Err(gone)) = library.map(|dir| present(dir, &format!("library root {root}"))) {
            return gone;
        }
        if self.config.library.resolve(&job.film).is_ok_and(|film| Source::of(&film).is_ok()) {
            let message = format!("{} was not there for a moment", job.film);
            return StageError::new(e.stage, FailureCode::ShareGone, message).because(e);
        }
        e
    }

    fn report(
        &self,
        job: Option<&JobMessage>,
        e: &StageError,
        attempt: u32,
        log: Option<String>,
    ) -> FailureReport {
        FailureReport {
            v: 1,
            job: job.cloned(),
            code: e.code,
            class: e.code.class(),
            stage: e.stage.name().into(),
            summary: e.message.clone(),
            hint: e.advice().into(),
            causes: e.causes(),
            tool: e.tool.as_deref().cloned(),
            attempt,
            worker: self.name.clone(),
            at: jiff::Timestamp::now(),
            log,
            raw: None,
            discarded_at: None,
        }
    }

    fn entry(&self, token: &str, attempt: u32, event: Event) -> Entry {
        let owner = self.observer.owner();
        Entry {
            run: token.to_owned(),
            attempt,
            worker: owner.worker.clone(),
            host: owner.host.clone(),
            event,
            at: jiff::Timestamp::now(),
        }
    }
}

/// What [`Worker::begin`] found and made.
struct Begun {
    journal: Journal,
    /// Tokens of earlier attempts. We have the lease, so all of them are dead.
    dead: Vec<String>,
    log: PathBuf,
}

/// Gives every start its end, so that a person who tries the film again begins to count anew.
fn close_open_runs(journal: &Journal, entries: &[Entry], like: &Entry) -> Result<(), StageError> {
    let ended = |run: &str| entries.iter().any(|e| e.run == run && matches!(e.event, Event::End { .. }));
    for open in entries.iter().filter(|e| e.event == Event::Start && !ended(&e.run)) {
        let event = Event::End { outcome: FailureCode::Poison.to_string() };
        let end = Entry { run: open.run.clone(), attempt: open.attempt, event, ..like.clone() };
        journal.append(&end).map_err(|e| share_error(Stage::Preflight, e))?;
    }
    Ok(())
}

/// A folder that is missing or empty is taken for a mount that is gone.
fn present(dir: &Path, what: &str) -> Result<(), StageError> {
    if looks_mounted(dir) { Ok(()) } else { Err(absent(dir, what)) }
}

pub(super) fn absent(dir: &Path, what: &str) -> StageError {
    let message = format!("the {what} ({}) is not there or empty: not mounted?", dir.display());
    StageError::new(Stage::Preflight, FailureCode::ShareGone, message)
        .hint("Mount it, or correct the setting; the worker goes on by itself.")
}

fn release(lease: &Lease) {
    let released = lease.release().and_then(|()| Ok(steps::reached(Step::Released, lease.token())?));
    if let Err(e) = released {
        tracing::warn!(job = %lease.job(), error = %e, "the lease was not given back; it goes stale by itself");
    }
}

pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, StageError> {
    tokio::task::spawn_blocking(work).await.map_err(|e| {
        StageError::new(Stage::Preflight, FailureCode::BugPanic, format!("the program panicked: {e}"))
    })
}
