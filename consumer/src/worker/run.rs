//! One delivery: read it, claim the film, work on it, and write down what came of it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use common::broker::Delivery;
use common::config::{Config, OutputMode};
use common::job::{FailureCode, FailureReport, JobId, JobMessage};
use common::share::{
    Acquire, Entry, Event, Folder, JobState, Journal, Lease, LeaseKeeper, LeaseObserver, Owner, Reservations,
    ResultsFolder, ShareState, looks_mounted,
};
use common::steps::{self, Step};

use super::fitness::Tested;
use super::health::{Health, Rest};
use super::ledger::{ShareLedger, share_error};
use super::presence::Presence;
use super::report::Reporter;
use super::room::Room;
use super::settle::{Action, Outcome, Try, decide};
use super::steering::Steering;
use super::telling::Outlets;
use crate::metrics::Came;
use crate::pipeline::{
    self, Context, Convert, FilmTask, Label, Publishing, Source, Stage, StageError, Stop, Toolbox, Watch,
    no_results,
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
        let this = Try::of(delivery);
        let job = match delivery.body() {
            Ok(job) => job,
            Err(e) => {
                let error = StageError::new(Stage::Preflight, e.code(), e.to_string());
                let raw =
                    String::from_utf8_lossy(&delivery.raw()[..delivery.raw().len().min(RAW)]).into_owned();
                let report = FailureReport { raw: Some(raw), ..self.report(None, &error, this, None) };
                let handled = self.handled(Outcome::Failed(Box::new(report)), this, None, Rest::None);
                self.tell_of_no_job(&handled).await;
                return handled;
            }
        };
        let id = job.id;
        tracing::info!(film = %job.film, job = %id, attempt = this.number, recipe = job.recipe.summary(), "film received");
        let (outcome, rest) = self.claim_and_work(&job, this, delivery.redelivered(), stop).await;
        let handled = self.handled(outcome, this, Some(id), rest);
        self.tell(&job, this.number, &handled).await;
        handled
    }

    fn handled(&self, outcome: Outcome, this: Try, job: Option<JobId>, rest: Rest) -> Handled {
        let action = self.decide(&outcome, this);
        Handled { outcome, action, job, rest }
    }

    fn decide(&self, outcome: &Outcome, this: Try) -> Action {
        decide(outcome, this.before, self.config.retry.max_attempts)
    }

    /// A failure before the film itself was begun.
    async fn not_begun(&self, job: &JobMessage, this: Try, e: StageError, stop: &Stop) -> (Outcome, Rest) {
        let e = self.examine(job, e, stop).await;
        let rest = self.rest_after(job, &e, std::time::Duration::ZERO);
        (Outcome::Failed(Box::new(self.report(Some(job), &e, this, None))), rest)
    }

    async fn claim_and_work(&self, job: &JobMessage, this: Try, again: bool, stop: &Stop) -> (Outcome, Rest) {
        let _in_hand = self.steering.takes(job.id, stop);
        let (observer, id, stale) = (self.observer.clone(), job.id, self.config.worker.stale());
        let claimed = blocking(move || observer.acquire(id, stale)).await;
        let lease = match claimed {
            Ok(Ok(Acquire::Mine(lease))) => lease,
            Ok(Ok(Acquire::Done)) => {
                self.outlets.metrics.came(Came::Known, None, this.number);
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
            Ok(Err(e)) => return self.not_begun(job, this, share_error(Stage::Preflight, e), stop).await,
            Err(e) => return self.not_begun(job, this, e, stop).await,
        };
        if let Some(report) = self.given_up(id).await {
            release(&lease);
            return (Outcome::GivenUp { report, again }, Rest::None);
        }
        match self.begin_unless_cancelled(job, this.number, &lease, stop).await {
            Ok(begun) => self.work(job, this, lease, begun, stop).await,
            Err(e) => {
                let (outcome, rest) = self.not_begun(job, this, e, stop).await;
                let outcome = self.write_failure(job, this, outcome).await;
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
            let poison = (crashes.count >= most).then(|| {
                let names: Vec<_> = crashes.workers.iter().map(String::as_str).collect();
                let message = format!("{} workers died over this film ({})", crashes.count, names.join(", "));
                StageError::new(Stage::Preflight, FailureCode::Poison, message)
            });
            if poison.is_some() {
                close_open_runs(&journal, &entries, &start)?;
            }
            journal.append(&start).map_err(failed)?;
            steps::reached(Step::Started, format_args!("{} {film}", start.run))
                .map_err(|e| failed(e.into()))?;
            let log = format!("attempt-{}-{}.log", start.attempt, &start.run[..start.run.len().min(8)]);
            Ok(Begun { journal, dead, poison, log: share.log_path(id).join(log) })
        })
        .await?
    }

    async fn work(
        &self,
        job: &JobMessage,
        this: Try,
        lease: Lease,
        mut begun: Begun,
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
                let end = Event::End { outcome: error.code.to_string(), wait_s: None };
                self.ended(begun.journal, &token, this, end).await;
                return (Outcome::Failed(Box::new(self.report(Some(job), &error, this, log))), Rest::None);
            }
        };
        let (lost, stopper) = (keeper.lost().clone(), stop.clone());
        let fence = tokio::spawn(async move {
            lost.cancelled().await;
            stopper.stop(FailureCode::LeaseLost);
        });
        self.presence.takes();
        let poison = begun.poison.take();
        self.outlets.metrics.attempt();
        let converted = self.convert(job, &token, &begun, poison, &keeper, stop).await;
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
                self.outlets.metrics.came(Came::Done, None, this.number);
                (Outcome::Done, Rest::None)
            }
            Err(e) => {
                let rest = self.rest_after(job, e, began.elapsed());
                (Outcome::Failed(Box::new(self.report(Some(job), e, this, log))), rest)
            }
        };
        let said = result.as_ref().map_or_else(|e| e.code.to_string(), |()| "done".into());
        let wait_s = self.decide(&outcome, this).wait_s(self.config.broker.retry_delays_s);
        self.ended(begun.journal, &token, this, Event::End { outcome: said, wait_s }).await;
        if keeper.lost().is_cancelled() {
            self.withdraw(job.id).await;
            return (self.unless_buried(job, this, outcome), rest);
        }
        let outcome = self.write_failure(job, this, outcome).await;
        // The keeper's threads end with it; a thread left behind by a hanging share may still hold it.
        if let Err(e) = blocking(move || release(keeper.lease())).await {
            tracing::error!(error = %e, "giving the lease back");
        }
        (outcome, rest)
    }

    async fn ended(&self, journal: Journal, token: &str, this: Try, end: Event) {
        let end = self.entry(token, this.number, end);
        let append = move || journal.append(&end).and_then(|()| Ok(steps::reached(Step::Ended, &end.run)?));
        match blocking(append).await {
            Ok(Ok(())) => {}
            Ok(Err(e)) => tracing::warn!(error = %e, "the end of this attempt is not in the journal"),
            Err(e) => tracing::error!(error = %e, "the journal"),
        }
    }

    /// A worker that was frozen may have announced its result after another one finished the film.
    async fn withdraw(&self, id: JobId) {
        let share = self.share.clone();
        let cleared = blocking(move || match share.state_of(id)? {
            JobState::Done => ShareLedger::clear_after(&share, id),
            _ => Ok(()),
        });
        if let Ok(Err(e)) | Err(e) =
            cleared.await.map(|cleared| cleared.map_err(|e| share_error(Stage::Publish, e)))
        {
            tracing::debug!(error = %e, "the announcement of a film that another worker finished stays");
        }
    }

    async fn convert(
        &self,
        job: &JobMessage,
        token: &str,
        begun: &Begun,
        poison: Option<StageError>,
        keeper: &Arc<LeaseKeeper>,
        stop: &Stop,
    ) -> Result<(), StageError> {
        let (config, film) = (self.config.clone(), job.film.clone());
        let (source, target) = blocking(move || {
            let path = |e: common::job::PathError| {
                StageError::new(Stage::Preflight, FailureCode::MessagePath, e.to_string())
            };
            let (source, target) =
                (config.library.resolve(&film).map_err(path)?, config.result_path(&film).map_err(path)?);
            if let Some(root) = config.library.roots.get(film.root()) {
                // An empty mount point is no library whose films are all gone.
                present(root, &format!("library root {}", film.root()))?;
            }
            Ok((source, target))
        })
        .await??;
        self.output_root().await?;
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
        if let Some(poison) = poison {
            // The last of them may have died while the original had no name.
            pipeline::take_back(&task, ledger).await?;
            return Err(poison);
        }
        let finished = self.films.convert(&context, task, ledger).await?;
        tracing::info!(
            film = %job.film, result = %finished.target.display(), frames = finished.certificate.frames,
            wrong_frames = finished.certificate.wrong_frames, "film done"
        );
        self.outlets.metrics.converted(&finished.certificate);
        Ok(())
    }

    /// Sees whether the folder of results is there; the first worker ever makes it.
    pub(super) async fn output_root(&self) -> Result<(), StageError> {
        if self.config.output.mode != OutputMode::Separate {
            return Ok(());
        }
        let (share, results) = (self.share.clone(), ResultsFolder::new(&self.config.output.dir));
        blocking(move || results.open(&share).map_err(|e| no_results(Stage::Preflight, &results, e))).await?
    }

    /// The share's own record of a film that is given up; the queue gets the same. Where it cannot be written the film is not
    /// given up: a share that is gone may well be why it failed.
    async fn write_failure(&self, job: &JobMessage, this: Try, outcome: Outcome) -> Outcome {
        let Outcome::Failed(report) = &outcome else { return outcome };
        if self.decide(&outcome, this) != Action::Bury {
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
        Outcome::Failed(Box::new(self.report(Some(job), &error, this, None)))
    }

    /// Whoever lost the lease gives nothing up: that is for the new holder to say.
    fn unless_buried(&self, job: &JobMessage, this: Try, outcome: Outcome) -> Outcome {
        if self.decide(&outcome, this) != Action::Bury {
            return outcome;
        }
        let error = StageError::new(Stage::Publish, FailureCode::LeaseLost, FailureCode::LeaseLost.meaning());
        Outcome::Failed(Box::new(self.report(Some(job), &error, this, None)))
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
        this: Try,
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
            attempt: this.number,
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
    /// Too many of them ended with their worker.
    poison: Option<StageError>,
    log: PathBuf,
}

/// Gives every start its end, so that a person who tries the film again begins to count anew.
fn close_open_runs(journal: &Journal, entries: &[Entry], like: &Entry) -> Result<(), StageError> {
    let ended = |run: &str| entries.iter().any(|e| e.run == run && matches!(e.event, Event::End { .. }));
    for open in entries.iter().filter(|e| e.event == Event::Start && !ended(&e.run)) {
        let event = Event::End { outcome: FailureCode::Poison.to_string(), wait_s: None };
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
