//! How far a film is: into the lease for those who look at the share, and as events for those who listen.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use common::job::{EVENT_VERSION, JobId, LibraryPath, ProgressEvent};
use common::share::{Beat, LeaseKeeper};

use super::telling::Outlets;
use crate::pipeline::{Progress, Stage, Watcher};

/// Shortest time between two progress events of a film.
const PAUSE: Duration = Duration::from_secs(2);

/// Tells about one film.
pub struct Reporter {
    keeper: Arc<LeaseKeeper>,
    outlets: Outlets,
    worker: String,
    job: JobId,
    film: LibraryPath,
    last: Mutex<Option<(Stage, Instant)>>,
}

impl Reporter {
    /// Nothing told yet.
    pub fn new(
        keeper: Arc<LeaseKeeper>,
        outlets: &Outlets,
        worker: String,
        job: JobId,
        film: LibraryPath,
    ) -> Self {
        Self { keeper, outlets: outlets.clone(), worker, job, film, last: Mutex::default() }
    }
}

impl Watcher for Reporter {
    fn progress(&self, p: &Progress) {
        self.outlets.metrics.progress(self.job, p);
        let eta_s = p.eta.map(|e| e.as_secs());
        self.keeper.report(Beat { stage: p.stage.name().into(), percent: p.percent, fps: p.fps, eta_s });
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let new_stage = last.is_none_or(|(stage, _)| stage != p.stage);
        if !new_stage && last.is_some_and(|(_, at)| at.elapsed() < PAUSE) {
            return;
        }
        *last = Some((p.stage, Instant::now()));
        drop(last);
        if new_stage {
            tracing::info!(film = %self.film, stage = %p.stage, "stage begins");
        }
        let event = ProgressEvent {
            v: EVENT_VERSION,
            worker: self.worker.clone(),
            job: self.job,
            film: self.film.clone(),
            stage: p.stage.name().into(),
            percent: p.percent,
            frames: p.frames.map(|f| f.0),
            of: p.frames.map(|f| f.1),
            fps: p.fps,
            eta_s,
            at: jiff::Timestamp::now(),
        };
        self.outlets.events.send(format!("progress.{}.{}", self.worker, self.job), &event);
    }

    fn notice(&self, text: &str) {
        tracing::warn!(film = %self.film, "{text}");
    }
}
