//! The workers. What their files say is text from outside.

use std::time::Duration;

use common::share::{SeenWorker, WorkerInfo, WorkerState};
use serde::Serialize;

use super::model::Running;
use crate::forecast::{Amount, InHand, Slot};
use crate::render::{Tone, duration, safe};

/// More slots than any machine has.
const MOST_SLOTS: u16 = 64;

/// A worker that left word on the share.
#[derive(Debug, Clone, Serialize)]
pub struct Worker {
    /// Nothing was heard of it for more than three of its beats: it may be dead, frozen or cut off.
    pub silent: bool,
    /// Seconds since it was heard of, by the clock of the share's server.
    pub heard_s: u64,
    /// What it says of itself.
    #[serde(flatten)]
    pub info: WorkerInfo,
}

impl From<SeenWorker> for Worker {
    fn from(seen: SeenWorker) -> Self {
        Self { silent: seen.is_silent(), heard_s: seen.quiet.as_secs(), info: seen.info }
    }
}

impl Worker {
    /// What it is at, in one word.
    pub fn state(&self) -> &'static str {
        if self.silent { "silent" } else { self.info.state.name() }
    }

    /// How that is to be taken.
    pub fn tone(&self) -> Tone {
        match self.info.state {
            _ if self.silent => Tone::Bad,
            WorkerState::Ill => Tone::Bad,
            WorkerState::Busy => Tone::Good,
            WorkerState::Idle | WorkerState::Starting => Tone::Plain,
            WorkerState::Paused | WorkerState::Draining | WorkerState::Stopped | WorkerState::Unknown => {
                Tone::Warn
            }
        }
    }

    /// Why it takes no films, or takes them slowly; empty if there is nothing to say.
    pub fn why(&self) -> String {
        let info = &self.info;
        if self.silent {
            let heard = duration(Duration::from_secs(self.heard_s));
            return format!("not heard of for {heard} (was {})", info.state.name());
        }
        let why = info.why.as_deref().map(safe).unwrap_or_default();
        match info.code.as_deref().map(safe) {
            Some(code) if !why.is_empty() => format!("{code}: {why}"),
            Some(code) => code,
            None => why,
        }
    }

    /// How long it has been at that: its own clock tells when, ours only how long that is.
    pub fn since(&self, now: jiff::Timestamp) -> Option<Duration> {
        let known = !self.silent && self.info.state != WorkerState::Unknown;
        known.then(|| now.duration_since(self.info.since).unsigned_abs())
    }

    fn has(&self, film: &Running) -> bool {
        let lease = &film.lease;
        (&lease.worker, &lease.host, lease.pid) == (&self.info.name, &self.info.host, self.info.pid)
    }

    /// How long it takes no further film; none if nobody can tell.
    fn rests(&self, now: jiff::Timestamp) -> Option<Duration> {
        use WorkerState::{Busy, Idle, Paused, Starting};
        if self.silent || !matches!(self.info.state, Starting | Idle | Busy | Paused) {
            return None;
        }
        match &self.info.pause {
            Some(pause) => Some(Duration::try_from(pause.until?.duration_since(now)).unwrap_or_default()),
            None => (self.info.state != Paused).then_some(Duration::ZERO),
        }
    }

    fn stands_still(&self) -> bool {
        self.info.pause.as_ref().is_some_and(|p| p.frozen)
    }

    fn stands_on(&self) -> bool {
        !self.silent && self.info.pause.as_ref().is_some_and(|p| p.frozen && p.until.is_none())
    }
}

/// Marks the films with which a living worker stands still.
pub(super) fn mark_frozen(workers: &[Worker], running: &mut [Running]) {
    for film in running {
        film.frozen = workers.iter().any(|w| !w.silent && w.stands_still() && w.has(film));
    }
}

/// Films with which a worker stands still until a person says otherwise: nobody knows when they will be done.
pub(super) fn held(workers: &[Worker], running: &[Running]) -> u64 {
    let held = |film: &&Running| film.frozen && workers.iter().any(|w| w.has(film) && w.stands_on());
    running.iter().filter(held).count() as u64
}

/// What the forecast counts on: a slot for each film that a worker can have at a time, and how many workers it does not count on.
pub(super) fn slots(
    workers: &[Worker],
    running: &[(&Running, Option<Amount>)],
    now: jiff::Timestamp,
) -> (Vec<Slot>, u64) {
    let mut slots = Vec::new();
    let mut absent = 0;
    for worker in workers {
        let films: Vec<InHand> = running
            .iter()
            .filter(|(r, _)| !r.silent && worker.has(r) && !worker.stands_on())
            .map(|(r, a)| in_hand(r, a.as_ref(), now))
            .collect();
        let number = usize::from(worker.info.slots.clamp(1, MOST_SLOTS));
        let rests = worker.rests(now);
        absent += u64::from(rests.is_none() && worker.info.state != WorkerState::Stopped);
        let mut films = films.into_iter();
        for _ in 0..number {
            let mut film = films.next();
            // Until when that is, is known: see above.
            if let Some(film) = film.as_mut().filter(|_| worker.stands_still()) {
                film.stands = rests.unwrap_or_default();
            }
            if rests.is_some() || film.is_some() {
                slots.push(Slot {
                    worker: worker.info.name.clone(),
                    film,
                    takes_more: rests.is_some(),
                    rests: rests.unwrap_or_default(),
                });
            }
        }
    }
    // Their workers left no word; that they work can be seen.
    for (film, amount) in running.iter().filter(|(r, _)| !r.silent && !workers.iter().any(|w| w.has(r))) {
        let worker = film.lease.worker.clone();
        let film = Some(in_hand(film, amount.as_ref(), now));
        slots.push(Slot { worker, film, takes_more: true, rests: Duration::ZERO });
    }
    (slots, absent)
}

fn in_hand(film: &Running, amount: Option<&Amount>, now: jiff::Timestamp) -> InHand {
    let lease = &film.lease;
    // Both by the worker's clock. What came after the last beat is ours to measure and at most a beat.
    let elapsed = lease.beat_at.duration_since(lease.started_at);
    let since = now.duration_since(lease.beat_at);
    let elapsed = Duration::try_from(elapsed).unwrap_or_default();
    let since = Duration::try_from(since).unwrap_or_default().min(Duration::from_secs(60));
    InHand {
        amount: amount.cloned(),
        elapsed: elapsed + since,
        percent: f64::from(lease.progress.percent),
        stands: Duration::ZERO,
    }
}

#[cfg(test)]
mod tests {
    use super::super::made_up::{ill, now, paused};
    use super::*;

    fn of(status: &super::super::Status) -> (Vec<Slot>, u64) {
        let hands: Vec<_> = status.running.iter().map(|r| (r, None)).collect();
        slots(&status.workers, &hands, now())
    }

    #[test]
    fn workers_that_take_no_films_are_not_counted_on() {
        let (slots, absent) = of(&ill());
        let seen: Vec<_> =
            slots.iter().map(|s| (s.worker.as_str(), s.film.is_some(), s.takes_more)).collect();
        assert_eq!(seen, [("vm1", true, true)]);
        assert_eq!(absent, 3);
    }

    #[test]
    fn a_paused_worker_counts_from_its_hour_on_and_one_without_an_hour_finishes_its_film() {
        let (slots, absent) = of(&paused());
        let seen: Vec<_> =
            slots.iter().map(|s| (s.worker.as_str(), s.takes_more, s.rests.as_secs())).collect();
        assert_eq!(seen, [("vm1", true, 0), ("vm2", true, 6360), ("vm3", false, 0)]);
        let stands = |n: usize| slots[n].film.as_ref().unwrap().stands.as_secs();
        assert_eq!([0, 1, 2].map(stands), [0, 6360, 0]);
        assert_eq!(absent, 1);
    }

    #[test]
    fn a_film_that_stands_still_without_an_end_is_not_counted_on() {
        let mut status = paused();
        let pause = |w: &mut Worker| w.info.pause.as_mut().map(|p| (p.frozen, p.until) = (true, None));
        status.workers[2].info.state = WorkerState::Paused;
        pause(&mut status.workers[2]).unwrap();
        mark_frozen(&status.workers, &mut status.running);
        let seen: Vec<_> = of(&status).0.into_iter().map(|s| s.worker).collect();
        assert_eq!((seen, of(&status).1), (vec!["vm1".to_owned(), "vm2".into()], 1));
        assert_eq!(status.running.iter().map(|r| r.frozen).collect::<Vec<_>>(), [false, true, true]);
        assert_eq!(held(&status.workers, &status.running), 1, "vm2 goes on by itself");
        // A worker that is gone holds nothing: another one takes the film over.
        status.workers[2].silent = true;
        mark_frozen(&status.workers, &mut status.running);
        assert_eq!(held(&status.workers, &status.running), 0);
    }
}
