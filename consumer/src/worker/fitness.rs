//! The worker's care for itself: it takes films only while it can do them, and holds a suspicious failure against a test of
//! itself before the film pays for it.

use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

use common::job::{FailureClass, FailureCode, JobMessage, Recipe};

use super::health::{Illness, Rest, is_suspicious};
use super::ledger::share_error;
use super::room::any_room;
use super::run::{Worker, absent, blocking};
use crate::pipeline::{self, Stage, StageError, Stop, Toolbox};

/// How the last test of this process came out. Slots that ask at the same time get one answer.
#[derive(Debug)]
pub(super) struct Tested {
    began: Instant,
    recipe: Recipe,
    failure: Option<Failure>,
}

#[derive(Debug, Clone)]
struct Failure {
    code: FailureCode,
    message: String,
    hint: String,
}

impl Failure {
    fn error(self) -> StageError {
        StageError::new(Stage::Preflight, self.code, self.message).hint(self.hint)
    }
}

impl Worker {
    /// The programs in use.
    pub(super) fn tools(&self) -> Arc<Toolbox> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Sees whether films can be worked on: programs, share, library and output folders, room on all disks, and, if this
    /// worker fell ill before, whether it passes a test of itself now. If not, it says once why.
    pub async fn ready(&self) -> bool {
        match self.look().await {
            Ok(()) => {
                if self.health.recover() {
                    tracing::info!("everything needed is there, going on");
                    self.tell_state("well", None);
                }
                self.presence.well();
                true
            }
            Err(e) => {
                self.fall_ill(&e, None);
                false
            }
        }
    }

    /// Returns when this worker falls ill, over whatever slot's film.
    pub async fn falls_ill(&self) {
        self.health.falls_ill().await;
    }

    async fn look(&self) -> Result<(), StageError> {
        let tools = self.tools();
        tools.mkvmerge().await?;
        pipeline::able(&tools, &self.config).await?;
        self.share.check().map_err(|e| share_error(Stage::Preflight, e))?;
        self.output_root().await?;
        let config = self.config.clone();
        blocking(move || {
            for (name, root) in &config.library.roots {
                if !root.is_dir() {
                    return Err(absent(root, &format!("library root {name}")));
                }
            }
            pipeline::trash_ready(&config).and_then(|()| any_room(&config))
        })
        .await??;
        let Some(recipe) = self.health.to_prove() else { return Ok(()) };
        let now = Instant::now();
        let recent = now.checked_sub(self.config.worker.pause()).unwrap_or(now);
        self.self_test(&recipe, &Stop::default(), recent).await
    }

    /// A test that began at `since` or later need not be made again.
    async fn self_test(&self, recipe: &Recipe, stop: &Stop, since: Instant) -> Result<(), StageError> {
        let mut tested = self.tested.lock().await;
        if let Some(last) = tested.as_ref().filter(|t| t.began >= since && t.recipe == *recipe) {
            return last.failure.clone().map_or(Ok(()), |f| Err(f.error()));
        }
        let began = Instant::now();
        let tried = match self.try_share().await {
            Ok(()) => pipeline::self_test(&self.config, recipe, stop).await,
            Err(e) => Err(e),
        };
        let failure = match tried {
            Ok(tools) => {
                tracing::info!(
                    seconds = began.elapsed().as_secs_f32(),
                    "this worker's test of itself is good"
                );
                // A program may have been replaced by another version since this worker started.
                *self.tools.lock().unwrap_or_else(PoisonError::into_inner) = tools;
                None
            }
            Err(e) if stop.is_stopped() => return Err(e),
            Err(e) => Some(Failure { code: e.code, hint: e.advice().to_owned(), message: e.message }),
        };
        let answer = failure.clone().map_or(Ok(()), |f| Err(f.error()));
        *tested = Some(Tested { began, recipe: recipe.clone(), failure });
        answer
    }

    async fn try_share(&self) -> Result<(), StageError> {
        let share = self.share.clone();
        blocking(move || share.probe().map_err(|e| share_error(Stage::Preflight, e))).await?
    }

    /// A failure as it shall count. A suspicious one counts only if this worker passes its test at once; otherwise the film
    /// goes back uncounted, as `worker.ill`. The test costs seconds, and an attempt at a film at least one reading of it.
    pub(super) async fn examine(&self, job: &JobMessage, e: StageError, stop: &Stop) -> StageError {
        if !is_suspicious(e.code, e.stage) || stop.is_stopped() {
            return e;
        }
        tracing::info!(film = %job.film, code = %e.code, "this may be the worker's own fault: it tests itself");
        let test = match self.self_test(&job.recipe, stop, Instant::now()).await {
            Ok(()) => return e,
            Err(_) if stop.is_stopped() => return stop.error(e.stage),
            Err(test) => test,
        };
        self.fall_ill(&test, Some(job.recipe.clone()));
        let message = format!("{}; then this worker failed its test of itself: {}", e.message, test.message);
        let tool = e.tool.clone();
        StageError { tool, ..StageError::new(e.stage, FailureCode::WorkerIll, message).because(e) }
    }

    /// What this worker does before its next film, after a failure that was examined.
    pub(super) fn rest_after(&self, job: &JobMessage, e: &StageError, took: Duration) -> Rest {
        let alone = self.room.learn(job.id, job.size, &self.config.scratch.path(), e);
        match e.code.class() {
            _ if is_suspicious(e.code, e.stage) => {
                let rest = self.health.failed(job.id, took);
                if rest != Rest::None {
                    let films = self.health.streak();
                    self.presence.remark(Some(format!(
                        "{films} films in a row failed here although the test is good, the last with {}: taking films slowly",
                        e.code
                    )));
                }
                rest
            }
            FailureClass::Resource if e.code == FailureCode::WorkerIll => Rest::UntilWell,
            FailureClass::Resource if alone || e.code == FailureCode::ScratchSmall => self.health.unfit(),
            // The film brought a recipe for hardware that this machine was never meant to have.
            FailureClass::Resource
                if e.code == FailureCode::EncodeUnsupported
                    && job.recipe.encoder != self.config.recipe.encoder =>
            {
                self.health.unfit()
            }
            FailureClass::Resource => {
                let programs = matches!(e.code, FailureCode::ToolMissing | FailureCode::EncodeUnsupported);
                self.fall_ill(e, programs.then(|| job.recipe.clone()));
                Rest::UntilWell
            }
            _ => Rest::None,
        }
    }

    fn fall_ill(&self, e: &StageError, prove: Option<Recipe>) {
        let illness = Illness { code: e.code, why: e.message.clone() };
        if self.health.fall_ill(illness.clone(), prove) {
            tracing::error!(code = %e.code, "taking no films: {}; {}", e.message, e.advice());
            self.tell_state("ill", Some(&illness));
            self.tell_illness(&illness, e.advice());
        }
        self.presence.ill(&illness);
    }
}
