//! What `scan` and `rescan` share: walk, look into each file, decide, queue.

use std::path::PathBuf;
use std::time::Duration;

use common::config::Config;
use common::job::{FailureCode, JobId, JobMessage};
use common::media::Decision;
use common::share::{JobState, ShareState};
use futures::StreamExt;

use super::Context;
use super::seen::Seen;
use crate::exit::{Exit, Failure};
use crate::first_run::{self, Start};
use crate::ledger::{Known, Ledger};
use crate::library::{Candidate, Clock, Found, Place, Roots, Walk, read_candidates, walk};
use crate::render::{
    Action, FilmLine, Output, Progress, Pulse, TotalsLine, WarningLine, duration, safe_path,
};
use crate::submit::{Submitted, Submitter};

/// Which films that the fleet knows already are queued again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Again {
    /// None.
    No,
    /// Those that failed.
    Failed,
    /// Those that failed and those that are done.
    Done,
}

/// What to do.
#[derive(Debug)]
pub(super) struct Request {
    pub paths: Vec<PathBuf>,
    pub dry_run: bool,
    pub limit: Option<u64>,
    pub json: bool,
    pub again: Again,
    /// Whether a state folder that is not there may be made, if all else looks like a first run.
    pub first: bool,
}

/// What was found and done.
#[derive(Debug)]
pub(super) struct Surveyed {
    pub totals: TotalsLine,
    /// The first films that were queued, at most [`Surveyed::NAMES`].
    pub queued: Vec<String>,
    /// Each only once, in the order of their paths.
    pub warnings: Vec<WarningLine>,
    /// When the first of the films that are still being copied may be complete.
    pub complete_in: Option<Duration>,
}

impl Surveyed {
    /// How many films are named.
    pub const NAMES: usize = 3;

    fn exit(&self) -> Exit {
        if self.totals.missed > 0 { Exit::Some } else { Exit::Ok }
    }
}

/// Prints what it finds.
pub(super) async fn survey(request: &Request, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let mut out = Output::new(request.json);
    let mut seen = Seen::forgetful();
    let all = survey_fleet(request, &config, &share, &mut out, &mut seen, &Pulse::default(), context).await?;
    Ok(all.exit())
}

/// Looks first (roots, broker, share), so that nothing is written anywhere while something is missing.
pub(super) async fn survey_fleet(
    request: &Request,
    config: &Config,
    share: &ShareState,
    out: &mut Output,
    seen: &mut Seen,
    pulse: &Pulse,
    context: &Context,
) -> Result<Surveyed, Failure> {
    let roots = Roots::open(&config.library.roots)?;
    let places = match request.paths.as_slice() {
        [] => roots.places(),
        paths => paths.iter().map(|p| roots.locate(p)).collect::<Result<Vec<Place>, _>>()?,
    };
    let start = first_run::look(share)?;
    if start == Start::First && !request.first {
        share.check()?;
    }
    let submitter = match request.dry_run {
        true => None,
        false => Some(Submitter::connect(config, share, start == Start::First).await?),
    };
    if start == Start::First {
        if request.dry_run {
            out.line(&format!("First run: {} would be made.", safe_path(share.dir())))?;
        } else {
            first_run::create(share)?;
            out.line(&format!("First run: made the state folder {}.", safe_path(share.dir())))?;
        }
    }
    let survey = Survey::open(request, config, share, start, submitter, seen, pulse)?;
    survey.run(&places, out, context).await
}

struct Survey<'a> {
    request: &'a Request,
    config: &'a Config,
    ledger: Ledger,
    clock: Clock,
    recipe_digest: String,
    submitter: Option<Submitter>,
    seen: &'a mut Seen,
    pulse: &'a Pulse,
    result: Surveyed,
}

impl<'a> Survey<'a> {
    fn open(
        request: &'a Request,
        config: &'a Config,
        share: &ShareState,
        start: Start,
        submitter: Option<Submitter>,
        seen: &'a mut Seen,
        pulse: &'a Pulse,
    ) -> Result<Self, Failure> {
        let blank = request.dry_run && start == Start::First;
        let ledger = if blank { Ledger::blank() } else { Ledger::open(share)? };
        let stable = Duration::from_secs(config.library.stable_s);
        let clock =
            if request.dry_run { Clock::of_this_machine(stable) } else { Clock::of_share(share, stable)? };
        let recipe_digest = config.recipe.digest();
        let totals = TotalsLine { dry_run: request.dry_run, ..TotalsLine::default() };
        let result = Surveyed { totals, queued: Vec::new(), warnings: Vec::new(), complete_in: None };
        Ok(Self { request, config, ledger, clock, recipe_digest, submitter, seen, pulse, result })
    }

    async fn run(
        mut self,
        places: &[Place],
        out: &mut Output,
        context: &Context,
    ) -> Result<Surveyed, Failure> {
        let walk = self.walk(places, out, context).await?;
        self.result.warnings = walk.warnings.iter().map(WarningLine::from).collect();
        if !out.is_silent() {
            for line in &self.result.warnings {
                out.object(line)?;
                eprintln!("warning: {}: {}", line.path, line.text);
            }
        }
        let totals = &mut self.result.totals;
        totals.films = walk.found.len() as u64;
        totals.ours = walk.ours;
        totals.missed = walk.warnings.iter().filter(|w| w.missed).count() as u64;
        if !walk.found.is_empty() {
            out.line(&FilmLine::head())?;
        }
        let outcome = self.films(walk.found, out, context).await;
        if let Some(submitter) = self.submitter.take()
            && let Some(trouble) = submitter.close().await
        {
            eprintln!("warning: {trouble}");
        }
        // What was queued before a failure is queued, so the totals come in any case.
        out.object(&self.result.totals)?;
        out.line(&self.result.totals.text())?;
        outcome?;
        Ok(self.result)
    }

    fn progress(&self, out: &Output, shown: impl FnOnce() -> Progress) -> Progress {
        if out.is_silent() { Progress::silent(self.pulse) } else { shown() }
    }

    async fn walk(&self, places: &[Place], out: &Output, context: &Context) -> Result<Walk, Failure> {
        let progress = self.progress(out, || Progress::spinner("looking for films"));
        let (places, config, stop) = (places.to_vec(), self.config.clone(), context.stop.clone());
        let walking = tokio::task::spawn_blocking(move || {
            walk(&places, &config, &mut |n| {
                progress.set(n as u64);
                !stop.is_cancelled()
            })
        });
        tokio::select! {
            walked = walking => walked.map_err(|e| Failure::new(Exit::Bug, "the walk failed").because(&e)),
            () = context.stop.cancelled() => Err(context.interrupted("nothing was queued")),
        }
    }

    async fn films(&mut self, found: Vec<Found>, out: &mut Output, context: &Context) -> Result<(), Failure> {
        let total = found.len();
        let wanted = found.into_iter().map(|f| {
            let job = self.job_of(&f);
            let look = self.clock.wait(f.mtime_ns).is_none()
                && self.is_open(self.ledger.state(job))
                && !self.seen.knows(job);
            (f, look)
        });
        let wanted: Vec<_> = wanted.collect();
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        let mut films = std::pin::pin!(read_candidates(wanted, &self.config.recipe, cores));
        let progress = self.progress(out, || Progress::bar("films", total as u64));
        for n in 0.. {
            if self.request.limit.is_some_and(|limit| self.result.totals.queue >= limit) {
                self.result.totals.beyond_limit = total as u64 - n;
                break;
            }
            let next = tokio::select! {
                biased;
                () = context.stop.cancelled() => {
                    let text = format!("{} films were queued, run it again to go on", self.result.totals.queue);
                    return Err(context.interrupted(&text));
                }
                next = films.next() => next,
            };
            let Some((found, candidate)) = next else { break };
            let line = self.film(&found, candidate).await?;
            progress.set(n + 1);
            self.result.totals.add(&line);
            if line.action == Action::Queue && self.result.queued.len() < Surveyed::NAMES {
                self.result.queued.push(common::text::safe(&line.film));
            }
            progress.around(|| out.object(&line).and_then(|()| out.line(&line.text())))?;
        }
        Ok(())
    }

    fn job_of(&self, found: &Found) -> JobId {
        JobId::of(&found.film, found.size, found.mtime_ns.into(), &self.config.recipe)
    }

    /// Whether a film of that state may be queued by this run.
    fn is_open(&self, state: JobState) -> bool {
        match state {
            JobState::Unknown => true,
            JobState::Failed => self.request.again >= Again::Failed,
            JobState::Done => self.request.again >= Again::Done,
            JobState::Queued | JobState::Leased => false,
        }
    }

    fn complete_in(&mut self, wait: Duration) {
        let soonest = self.result.complete_in.map_or(wait, |soonest| soonest.min(wait));
        self.result.complete_in = Some(soonest);
    }

    /// Decides about one film, and queues it if that is the decision.
    async fn film(&mut self, found: &Found, candidate: Option<Candidate>) -> Result<FilmLine, Failure> {
        let job = self.job_of(found);
        let mut line = FilmLine {
            film: found.film.to_string(),
            path: safe_path(&found.path),
            verdict: candidate.as_ref().map(|c| c.verdict.clone()),
            action: Action::Wait,
            code: None,
            reason: String::new(),
            evidence: candidate.as_ref().and_then(|c| c.evidence.clone()),
            job,
            size: found.size,
        };
        let Some(candidate) = candidate else {
            match self.ledger.know(job)? {
                Some(known) => line.tell(known),
                None if self.seen.knows(job) => {
                    line.action = Action::Skip;
                    line.reason = "as at the look before".into();
                }
                None => {
                    let wait = self.clock.wait(found.mtime_ns).unwrap_or_default();
                    self.complete_in(wait);
                    line.reason =
                        format!("still being copied? complete if unchanged for {} more", duration(wait));
                }
            }
            return Ok(line);
        };
        if candidate.changed {
            line.reason = "still being copied: it changed while it was read".into();
            self.complete_in(Duration::from_secs(self.config.library.stable_s));
            return Ok(line);
        }
        match candidate.decision {
            Decision::Skip(refusal) => {
                // An I/O error says nothing about the film: it may well be one that was wanted.
                if refusal.code == FailureCode::SourceUnreadable {
                    self.result.totals.missed += 1;
                } else {
                    self.seen.remember(job);
                }
                (line.action, line.code, line.reason) =
                    (Action::Skip, Some(refusal.code), crate::render::safe(&refusal.to_string()));
                return Ok(line);
            }
            Decision::Queue { reason } => (line.action, line.reason) = (Action::Queue, reason),
        }
        if self.request.again < Again::Done
            && let Some(known) = self.ledger.know_otherwise(found, job, &self.recipe_digest)?
        {
            self.seen.remember(job);
            line.tell(known);
            return Ok(line);
        }
        if let Some(submitter) = &mut self.submitter {
            let verdict = candidate.verdict;
            let recipe = self.config.recipe.clone();
            let message = JobMessage {
                extent: candidate.extent,
                ..JobMessage::new(found.film.clone(), found.size, found.mtime_ns, recipe, verdict)
            };
            let old = self.ledger.jobs_of(&found.film)?;
            let old =
                old.into_iter().filter(|(_, s)| self.request.again == Again::Done && *s == JobState::Done);
            let old: Vec<_> = old.map(|(id, _)| id).collect();
            match submitter.submit(&message, &old, self.request.again == Again::Done).await? {
                Submitted::Queued => self.ledger.queued(job),
                Submitted::Meanwhile(state) => {
                    self.ledger.learn(job, state);
                    if let Some(known) = self.ledger.know(job)? {
                        line.tell(known);
                    }
                }
            }
        }
        Ok(line)
    }
}

impl FilmLine {
    fn tell(&mut self, known: Known) {
        self.action = match known.state {
            JobState::Done => Action::Done,
            JobState::Failed => Action::Failed,
            JobState::Leased => Action::Running,
            JobState::Queued | JobState::Unknown => Action::Queued,
        };
        self.verdict = self.verdict.take().or(known.verdict);
        self.reason = known.reason;
    }
}
