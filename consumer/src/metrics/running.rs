//! The films in work: speed and how far they are.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use common::job::JobId;

use crate::pipeline::{Progress, Stage};

/// The latest of each film in work.
#[derive(Debug, Default)]
pub(super) struct Running(Mutex<HashMap<JobId, Now>>);

#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub stage: Stage,
    pub percent: f32,
    pub fps: Option<f32>,
    frames: u64,
}

impl Running {
    fn films(&self) -> MutexGuard<'_, HashMap<JobId, Now>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far it is. Gives the frames that came since the last word from this stage.
    pub fn progress(&self, job: JobId, p: &Progress) -> u64 {
        let frames = p.frames.map_or(0, |f| f.0);
        let now = Now { stage: p.stage, percent: p.percent, fps: p.fps, frames };
        let before = self.films().insert(job, now).filter(|b| b.stage == p.stage).map_or(0, |b| b.frames);
        frames.saturating_sub(before)
    }

    /// It is in work no longer.
    pub fn ends(&self, job: JobId) {
        self.films().remove(&job);
    }

    pub fn all(&self) -> Vec<(JobId, Now)> {
        self.films().iter().map(|(job, now)| (*job, *now)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_are_counted_once_each() {
        let running = Running::default();
        let job: JobId = format!("{:032x}", 7).parse().unwrap();
        let at = |stage, frames| Progress {
            stage,
            percent: 1.0,
            part: 0.1,
            frames: Some((frames, 100)),
            fps: Some(2.0),
            eta: None,
        };
        assert_eq!(running.progress(job, &at(Stage::Encode, 10)), 10);
        assert_eq!(running.progress(job, &at(Stage::Encode, 25)), 15);
        assert_eq!(running.progress(job, &at(Stage::Verify, 5)), 5);
        assert_eq!(running.all().len(), 1);
        running.ends(job);
        assert!(running.all().is_empty());
    }
}
