//! How far the work is, how fast it goes, and when it will be done.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::job::Mode;

use super::{Stage, Watcher};

/// How far the work is.
#[derive(Debug, Clone, PartialEq)]
pub struct Progress {
    /// The stage.
    pub stage: Stage,
    /// Of the whole film, 0 to 100.
    pub percent: f32,
    /// Of this stage, 0 to 1.
    pub part: f32,
    /// Frames done and frames in all, where a stage counts frames.
    pub frames: Option<(u64, u64)>,
    /// Frames per second over the last seconds, where a stage counts frames.
    pub fps: Option<f32>,
    /// Until this stage is done, once that can be told.
    pub eta: Option<Duration>,
}

/// What a stage counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Frames of the film.
    Frames,
    /// Bytes, or percent.
    Other,
}

/// Share of the whole in percent: where a stage begins and how long it is. Measured on 2160p films: an encode outweighs
/// everything; in copy mode reading and writing are all there is.
pub(super) const fn share(mode: Mode, stage: Stage) -> (f32, f32) {
    match (mode, stage) {
        (_, Stage::Preflight) => (0.0, 0.0),
        (Mode::Encode, Stage::Prescan) => (0.0, 4.0),
        (Mode::Encode, Stage::Encode | Stage::Copy) => (4.0, 90.0),
        (Mode::Encode, Stage::Mux) => (94.0, 3.0),
        (Mode::Encode, Stage::Verify) => (97.0, 3.0),
        // Most films are read and copied in one go, without a read before.
        (Mode::Copy, Stage::Prescan) => (0.0, 10.0),
        (Mode::Copy, Stage::Encode | Stage::Copy) => (10.0, 30.0),
        (Mode::Copy, Stage::Mux) => (40.0, 40.0),
        (Mode::Copy, Stage::Verify) => (80.0, 20.0),
        (_, Stage::Publish) => (100.0, 0.0),
    }
}

/// Shortest time between two reports.
const PAUSE: Duration = Duration::from_millis(250);
/// The speed is that of so much time.
const WINDOW: Duration = Duration::from_secs(15);

/// Counts one stage and tells the watcher, not too often.
pub struct Meter {
    watcher: Arc<dyn Watcher>,
    mode: Mode,
    stage: Stage,
    unit: Unit,
    total: u64,
    begun: Instant,
    told: Option<Instant>,
    past: VecDeque<(Instant, u64)>,
}

impl Meter {
    /// A stage begins; says so at once.
    pub fn begin(watcher: &Arc<dyn Watcher>, mode: Mode, stage: Stage, unit: Unit, total: u64) -> Self {
        let begun = Instant::now();
        let past = VecDeque::from([(begun, 0)]);
        let mut meter = Self { watcher: watcher.clone(), mode, stage, unit, total, begun, told: None, past };
        meter.set(0);
        meter
    }

    /// So much is done.
    pub fn set(&mut self, done: u64) {
        let now = Instant::now();
        if self.told.is_some_and(|t| now - t < PAUSE) && done < self.total {
            return;
        }
        self.told = Some(now);
        self.past.push_back((now, done));
        while self.past.len() > 2 && self.past.front().is_some_and(|(t, _)| now - *t > WINDOW) {
            self.past.pop_front();
        }
        self.watcher.progress(&self.progress(now, done));
    }

    /// Another total: some counts are known only when the work has begun.
    pub fn total(&mut self, total: u64) {
        self.total = total;
    }

    fn progress(&self, now: Instant, done: u64) -> Progress {
        let part = if self.total == 0 { 0.0 } else { (done as f64 / self.total as f64).min(1.0) as f32 };
        let (base, span) = share(self.mode, self.stage);
        let speed = self.past.front().and_then(|(then, before)| {
            let seconds = (now - *then).as_secs_f64();
            (seconds > 0.2 && done > *before).then(|| (done - before) as f64 / seconds)
        });
        let left = self.total.saturating_sub(done);
        // A whole second first: the first frames of an encoder say nothing about the rest.
        let eta = speed
            .filter(|_| self.begun.elapsed() > Duration::from_secs(1))
            .map(|s| Duration::from_secs_f64((left as f64 / s).min(1e8)));
        let frames = self.unit == Unit::Frames;
        Progress {
            stage: self.stage,
            percent: base + span * part,
            part,
            frames: frames.then_some((done, self.total)),
            fps: speed.filter(|_| frames).map(|s| s as f32),
            eta,
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::Mutex;

    use super::*;

    /// A watcher that keeps what it is told.
    #[derive(Default)]
    pub(in crate::pipeline) struct Seen(pub(in crate::pipeline) Mutex<Vec<Progress>>);

    impl Watcher for Seen {
        fn progress(&self, p: &Progress) {
            self.0.lock().unwrap().push(p.clone());
        }
        fn notice(&self, _: &str) {}
    }

    #[test]
    fn the_first_and_the_last_are_told_and_not_all_between() {
        let seen = Arc::new(Seen::default());
        let watcher: Arc<dyn Watcher> = seen.clone();
        let mut meter = Meter::begin(&watcher, Mode::Encode, Stage::Encode, Unit::Frames, 1000);
        (1..=1000).for_each(|n| meter.set(n));
        let seen = seen.0.lock().unwrap();
        assert!(seen.len() < 20, "{}", seen.len());
        assert_eq!((seen[0].percent, seen[0].frames), (4.0, Some((0, 1000))));
        let last = seen.last().unwrap();
        assert_eq!((last.percent, last.part), (94.0, 1.0));
    }

    #[test]
    fn speed_and_time_left_come_from_the_last_seconds() {
        let watcher: Arc<dyn Watcher> = Arc::new(Seen::default());
        let mut meter = Meter::begin(&watcher, Mode::Encode, Stage::Encode, Unit::Frames, 1000);
        let start = meter.begun - Duration::from_secs(100);
        (meter.begun, meter.past) = (start, VecDeque::from([(start + Duration::from_secs(90), 300)]));
        let p = meter.progress(start + Duration::from_secs(100), 400);
        assert_eq!(p.fps, Some(10.0));
        assert_eq!(p.eta, Some(Duration::from_secs(60)));
    }

    #[test]
    fn the_stages_of_a_mode_add_up() {
        for (mode, stages) in [
            (Mode::Encode, [Stage::Prescan, Stage::Encode, Stage::Mux, Stage::Verify, Stage::Publish]),
            (Mode::Copy, [Stage::Prescan, Stage::Copy, Stage::Mux, Stage::Verify, Stage::Publish]),
        ] {
            let end = stages.iter().fold(0.0, |at, stage| {
                let (base, span) = share(mode, *stage);
                assert_eq!(base, at, "{stage}");
                base + span
            });
            assert_eq!(end, 100.0);
        }
    }
}
