//! Who hears of what a worker does: listeners of events, Prometheus, people and media servers. None of them holds a film up.

use std::sync::Arc;
use std::time::Duration;

use common::broker::Events;
use common::job::{
    Certificate, EVENT_VERSION, FailureCode, FailureReport, FilmEvent, JobMessage, Notice, Occasion,
    WorkerEvent,
};
use common::share::{Folder, ShareError};

use super::health::Illness;
use super::run::{Handled, Worker, blocking};
use super::settle::{Action, Outcome};
use crate::metrics::{Answers, Came, Metrics};
use crate::notify::{self, Notifier};

/// A share that hangs for longer loses a notice, not a film.
const PATIENCE: Duration = Duration::from_secs(20);

/// All who hear.
#[derive(Clone)]
pub struct Outlets {
    /// Live telemetry.
    pub events: Events,
    /// Figures.
    pub metrics: Arc<Metrics>,
    /// People and media servers.
    pub notifier: Notifier,
}

impl Worker {
    /// What came of a film, before its message is acknowledged.
    pub(super) async fn tell(&self, job: &JobMessage, attempt: u32, handled: &Handled) {
        let (state, code, next) = match &handled.outcome {
            Outcome::Done => ("done", None, None),
            Outcome::Busy => {
                self.outlets.metrics.came(Came::Busy, None, attempt);
                ("busy", None, None)
            }
            Outcome::GivenUp { report, .. } => {
                tracing::info!(film = %job.film, code = %report.code, "given up before; nothing to do");
                self.outlets.metrics.came(Came::Known, None, attempt);
                ("failed", Some(report.code), Some("given-up"))
            }
            Outcome::Failed(r) => {
                let (next, words, came) = match handled.action {
                    Action::Bury if r.code == FailureCode::Cancelled => {
                        ("given-up", "given up", Came::Cancelled)
                    }
                    Action::Bury => ("given-up", "given up", Came::Failed),
                    Action::Retry(_) => ("retry", "tried again later", Came::Retried),
                    Action::GiveBack(_) | Action::Ack => ("back", "given back", Came::GivenBack),
                };
                tracing::warn!(
                    film = %job.film, code = %r.code, stage = r.stage, next = words, "{}; {}", r.summary, r.hint
                );
                self.outlets.metrics.came(came, Some(r.code), attempt);
                ("failed", Some(r.code), Some(next))
            }
        };
        let event = FilmEvent {
            v: EVENT_VERSION,
            worker: self.name.clone(),
            job: job.id,
            film: job.film.clone(),
            state: state.into(),
            code: code.map(|c| c.to_string()),
            next: next.map(Into::into),
            attempt,
            at: jiff::Timestamp::now(),
        };
        self.outlets.events.send(format!("film.{}", job.id), &event);
        self.notify(Some(job), handled).await;
    }

    /// A message that was no job.
    pub(super) async fn tell_of_no_job(&self, handled: &Handled) {
        if let Outcome::Failed(report) = &handled.outcome {
            self.outlets.metrics.came(Came::Failed, Some(report.code), report.attempt);
        }
        self.notify(None, handled).await;
    }

    /// Into the outbox, in any case before the message goes: whoever gets it again finds it there, or puts it there.
    async fn notify(&self, job: Option<&JobMessage>, handled: &Handled) {
        let notifier = self.outlets.notifier.clone();
        let ended = handled.action == Action::Bury || matches!(handled.outcome, Outcome::Done);
        let given_up = match &handled.outcome {
            Outcome::Failed(report) if handled.action == Action::Bury => Some(report.clone()),
            Outcome::GivenUp { report, .. } if report.discarded_at.is_none() => Some(report.clone()),
            _ => None,
        };
        // Whoever cancelled it knows.
        let given_up = given_up.filter(|report| report.code != FailureCode::Cancelled);
        let wanted = [Occasion::Done, Occasion::Failed, Occasion::QueueEmpty];
        if !(ended || given_up.is_some()) || !wanted.iter().any(|w| notifier.wants(*w)) {
            return;
        }
        let (worker, config, share) = (self.name.clone(), self.config.clone(), self.share.clone());
        let job = job.cloned().filter(|_| matches!(handled.outcome, Outcome::Done));
        let work = blocking(move || {
            let fresh = |at: jiff::Timestamp| {
                jiff::Timestamp::now().duration_since(at).unsigned_abs() <= notifier.patience()
            };
            // The share's copy: the same for every worker that meets this film.
            if let Some(job) = job
                && let Some(certificate) = share.read::<Certificate>(Folder::Done, job.id)?
                && fresh(certificate.at)
            {
                notifier.tell(&notify::film_done(&config, &job, &certificate));
            }
            if let Some(report) = given_up {
                let of_share = match &report.job {
                    Some(job) => share.read::<FailureReport>(Folder::Failed, job.id)?,
                    None => None,
                };
                let report = of_share.unwrap_or(*report);
                if fresh(report.at) {
                    notifier.tell(&notify::film_failed(&report));
                }
            }
            if notifier.wants(Occasion::QueueEmpty) {
                let counts = share.counts()?;
                if counts.queued == 0 && counts.leased == 0 {
                    notifier.tell(&notify::all_done(&worker, counts));
                }
            }
            Ok::<_, ShareError>(())
        });
        match tokio::time::timeout(PATIENCE, work).await {
            Ok(Ok(Ok(()))) => {}
            Ok(Ok(Err(e))) => tracing::warn!(error = %e, "nobody is told of this film"),
            Ok(Err(e)) => tracing::error!(error = %e, "nobody is told of this film"),
            Err(_) => tracing::warn!("the share does not answer: nobody is told of this film"),
        }
    }

    /// People hear of an illness.
    pub(super) fn tell_illness(&self, illness: &Illness, hint: &str) {
        let notice: Notice = notify::worker_ill(&self.name, illness, hint);
        self.outlets.notifier.tell_soon(&notice);
    }

    /// To those who listen to events.
    pub fn tell_state(&self, state: &str, illness: Option<&Illness>) {
        let event = WorkerEvent {
            v: EVENT_VERSION,
            worker: self.name.clone(),
            state: state.into(),
            version: env!("CARGO_PKG_VERSION").into(),
            code: illness.map(|i| i.code.to_string()),
            why: illness.map(|i| i.why.clone()),
            at: jiff::Timestamp::now(),
        };
        self.outlets.events.send(format!("worker.{}", self.name), &event);
    }
}

impl Answers for Worker {
    fn metrics(&self) -> Result<Vec<u8>, String> {
        let (state, code, _) = self.presence.now();
        self.outlets.metrics.state(state, code.as_deref());
        self.outlets.metrics.text(&self.outlets.events).map_err(|e| e.to_string())
    }

    fn health(&self) -> Result<String, String> {
        match self.presence.now() {
            (state, Some(code), why) => {
                Err(format!("{}: {} ({code})", state.name(), why.unwrap_or_default()))
            }
            (state, None, _) => Ok(state.name().to_owned()),
        }
    }
}
