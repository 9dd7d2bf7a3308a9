//! Whether this worker may trust itself. Decides only; the tests and the waiting are done elsewhere.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::config::WorkerConfig;
use common::job::{FailureClass, FailureCode, JobId, Recipe};
use tokio::sync::watch;

use crate::pipeline::Stage;

/// Whether a failure says as much about this worker as about the film, so that it counts only if the worker passes a test
/// of itself first.
///
/// What a film is has been decided when it was read whole; what goes wrong after that, in the hands of programs, disks and
/// memory of this machine, is first held against the test, under whatever code. So are, at any stage, failures that may go
/// better elsewhere. A film that is truncated is truncated on every worker.
pub fn is_suspicious(code: FailureCode, stage: Stage) -> bool {
    match code.class() {
        FailureClass::Transient | FailureClass::Bug => true,
        // What a person wants is nobody's fault.
        FailureClass::Permanent if code == FailureCode::Cancelled => false,
        FailureClass::Permanent => matches!(stage, Stage::Encode | Stage::Mux | Stage::Verify),
        FailureClass::Resource | FailureClass::Interrupted => false,
    }
}

/// What a worker does before its next film.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rest {
    /// Nothing.
    None,
    /// It waits for so long: others shall get the next film first.
    For(Duration),
    /// It takes no films until it finds itself well.
    UntilWell,
}

/// Why a worker takes no films.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Illness {
    /// What kind of failure.
    pub code: FailureCode,
    /// In one sentence.
    pub why: String,
}

#[derive(Debug, Default)]
struct State {
    illness: Option<Illness>,
    /// The recipe with which the worker must pass its test before it is well.
    prove: Option<Recipe>,
    /// Films that failed here fast, one after the other.
    streak: HashSet<JobId>,
    /// Films in a row for which there was no room, or no encoder.
    unfit: u32,
}

/// What a worker knows of its own fitness. All slots share it.
#[derive(Debug)]
pub struct Health {
    state: Mutex<State>,
    ill: watch::Sender<bool>,
    after: usize,
    fast: Duration,
    pause: Duration,
}

impl Health {
    /// Well, as far as it knows.
    pub fn new(config: &WorkerConfig) -> Self {
        Self {
            state: Mutex::default(),
            ill: watch::Sender::new(false),
            after: config.ill_after.max(1) as usize,
            fast: config.ill_fast(),
            pause: config.pause(),
        }
    }

    /// Takes no films from now on; `prove`: before it is well, it must pass its test with this recipe. True if it was well
    /// before, or ill for another reason.
    pub fn fall_ill(&self, illness: Illness, prove: Option<Recipe>) -> bool {
        let mut state = self.state();
        // Figures in the sentence change from test to test.
        let changed = state.illness.as_ref().map(|i| i.code) != Some(illness.code);
        state.illness = Some(illness);
        state.prove = prove.or(state.prove.take());
        self.ill.send_replace(true);
        changed
    }

    /// With which recipe it must prove itself.
    pub fn to_prove(&self) -> Option<Recipe> {
        self.state().prove.clone()
    }

    /// It found itself well. True if it was ill before.
    pub fn recover(&self) -> bool {
        let mut state = self.state();
        state.prove = None;
        self.ill.send_replace(false);
        state.illness.take().is_some()
    }

    /// Why it takes no films, if it takes none.
    pub fn illness(&self) -> Option<Illness> {
        self.state().illness.clone()
    }

    /// Returns when it falls ill; at once if it is.
    pub async fn falls_ill(&self) {
        let mut ill = self.ill.subscribe();
        // The sender lives as long as we do.
        let _ = ill.wait_for(|ill| *ill).await;
    }

    /// A film was finished here.
    pub fn finished(&self) {
        let mut state = self.state();
        state.streak.clear();
        state.unfit = 0;
    }

    /// A film failed after `took` although the worker passed its test. The test may not see everything: when one film after
    /// the other fails fast here, the worker goes slower and slower, so that others take the next ones.
    pub fn failed(&self, job: JobId, took: Duration) -> Rest {
        const SLOWEST: usize = 4;
        let mut state = self.state();
        state.unfit = 0;
        if took > self.fast {
            state.streak.clear();
            return Rest::None;
        }
        state.streak.insert(job);
        match state.streak.len().checked_sub(self.after) {
            Some(beyond) => Rest::For(self.pause * (1 << beyond.min(SLOWEST))),
            None => Rest::None,
        }
    }

    /// How many films in a row failed here fast.
    pub fn streak(&self) -> usize {
        self.state().streak.len()
    }

    /// A film does not fit on this machine; others may. One after the other, it waits in between.
    pub fn unfit(&self) -> Rest {
        let mut state = self.state();
        state.unfit = state.unfit.saturating_add(1);
        if state.unfit as usize >= self.after { Rest::For(self.pause) } else { Rest::None }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use common::config::load;

    use super::*;

    fn health() -> Health {
        Health::new(&load(None, &vec![]).unwrap().config.worker)
    }

    fn job(n: u8) -> JobId {
        format!("{n:032x}").parse().unwrap()
    }

    #[test]
    fn the_film_is_guilty_of_what_it_is_and_the_worker_suspected_of_the_rest() {
        use FailureCode as C;
        for (code, stage, suspicious) in [
            (C::SourceTruncated, Stage::Prescan, false),
            (C::NotProfile7, Stage::Copy, false),
            (C::EncodeStream, Stage::Preflight, false),
            (C::EncodeStream, Stage::Encode, true),
            (C::AlignOrder, Stage::Prescan, false),
            (C::AlignOrder, Stage::Encode, true),
            (C::SourceDamaged, Stage::Mux, true),
            (C::EncodeFailed, Stage::Encode, true),
            (C::ToolFailed, Stage::Preflight, true),
            (C::SourceUnreadable, Stage::Prescan, true),
            (C::ShareIo, Stage::Publish, true),
            (C::ProofPayload, Stage::Verify, true),
            (C::BugPanic, Stage::Prescan, true),
            (C::OutputExists, Stage::Publish, false),
            (C::DiskFull, Stage::Encode, false),
            (C::Shutdown, Stage::Encode, false),
            (C::Cancelled, Stage::Encode, false),
        ] {
            assert_eq!(is_suspicious(code, stage), suspicious, "{code} in {stage}");
        }
    }

    #[test]
    fn fast_failures_of_different_films_slow_it_down_until_one_is_finished() {
        let (health, fast, pause) = (health(), Duration::from_secs(1), Duration::from_secs(30));
        assert_eq!(health.failed(job(1), fast), Rest::None);
        assert_eq!(health.failed(job(1), fast), Rest::None, "the same film again");
        assert_eq!(health.failed(job(2), fast), Rest::None);
        assert_eq!(health.failed(job(3), fast), Rest::For(pause));
        assert_eq!(health.failed(job(4), fast), Rest::For(pause * 2));
        for n in 5..50 {
            health.failed(job(n), fast);
        }
        assert_eq!(health.failed(job(50), fast), Rest::For(pause * 16), "no slower than that");
        health.finished();
        assert_eq!(health.failed(job(1), fast), Rest::None);
        health.failed(job(2), fast);
        assert_eq!(
            health.failed(job(3), Duration::from_secs(3600)),
            Rest::None,
            "an hour's work is no sickness"
        );
        assert_eq!(health.streak(), 0);
    }

    #[test]
    fn films_that_do_not_fit_do_not_make_it_spin() {
        let health = health();
        assert_eq!([health.unfit(), health.unfit()], [Rest::None; 2]);
        assert_eq!(health.unfit(), Rest::For(Duration::from_secs(30)));
        health.finished();
        assert_eq!(health.unfit(), Rest::None);
    }

    #[tokio::test]
    async fn it_says_once_why_and_must_prove_itself() {
        let health = health();
        let illness = |code, why: &str| Illness { code, why: why.into() };
        let encoder = FailureCode::EncodeUnsupported;
        assert!(health.fall_ill(illness(encoder, "no encoder after 1.0 s"), Some(Recipe::default())));
        assert!(!health.fall_ill(illness(encoder, "no encoder after 1.1 s"), None), "said already");
        assert!(health.fall_ill(illness(FailureCode::DiskFull, "no disk"), None));
        health.falls_ill().await;
        assert!(health.to_prove().is_some(), "a second illness does not prove the first one gone");
        assert!(health.recover() && !health.recover());
        assert!(health.illness().is_none() && health.to_prove().is_none());
    }
}
