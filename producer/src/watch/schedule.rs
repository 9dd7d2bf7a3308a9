//! When the next scan is due.

use std::time::{Duration, Instant};

/// Even right after a scan nobody needs the next one sooner.
const LEAST: Duration = Duration::from_secs(1);
/// A scan rests for so many times as long as it took, so that a slow disk is not walked all the time.
const REST: u32 = 2;

/// The plan after a scan: by interval at the latest, earlier if something changes or a film may be complete.
#[derive(Debug, Clone, Copy)]
pub struct Schedule {
    /// Not before this, whatever changes.
    pub rested: Instant,
    /// A film that was still being copied may be complete now.
    pub complete: Option<Instant>,
    /// The interval is over.
    pub latest: Instant,
}

impl Schedule {
    /// After a scan that ended at `now` and took `took`.
    pub fn after(now: Instant, took: Duration, interval: Duration, complete_in: Option<Duration>) -> Self {
        let rest = (took * REST).max(LEAST).min(interval);
        Self { rested: now + rest, complete: complete_in.map(|d| now + d), latest: now + interval }
    }

    /// The moment of the next scan, when the last change was at `changed`.
    ///
    /// While changes keep coming, the interval still holds: a library in which something is always copied is scanned, too.
    pub fn due(&self, changed: Option<Instant>, quiet: Duration) -> Instant {
        let quiet = changed.map(|at| at + quiet);
        let early = [quiet, self.complete].into_iter().flatten().min().unwrap_or(self.latest);
        early.max(self.rested).min(self.latest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUIET: Duration = Duration::from_secs(20);
    const INTERVAL: Duration = Duration::from_secs(900);

    #[test]
    fn without_events_only_the_interval_counts() {
        let now = Instant::now();
        let plan = Schedule::after(now, Duration::ZERO, INTERVAL, None);
        assert_eq!(plan.due(None, QUIET), now + INTERVAL);
    }

    #[test]
    fn a_change_is_looked_at_after_the_quiet_time_and_not_sooner() {
        let now = Instant::now();
        let plan = Schedule::after(now, Duration::ZERO, INTERVAL, None);
        let at = |s| now + Duration::from_secs(s);
        assert_eq!(plan.due(Some(at(100)), QUIET), at(120));
        assert_eq!(plan.due(Some(at(110)), QUIET), at(130), "a further change begins the quiet time anew");
        assert_eq!(plan.due(Some(at(890)), QUIET), at(900), "but the interval holds");
    }

    #[test]
    fn a_film_that_may_be_complete_is_looked_at_then() {
        let now = Instant::now();
        let plan = Schedule::after(now, Duration::ZERO, INTERVAL, Some(Duration::from_secs(60)));
        assert_eq!(plan.due(None, QUIET), now + Duration::from_secs(60));
    }

    #[test]
    fn a_slow_scan_rests_longer_and_a_short_interval_wins() {
        let now = Instant::now();
        let soon = Some(Duration::from_secs(1));
        let plan = Schedule::after(now, Duration::from_secs(30), INTERVAL, soon);
        assert_eq!(plan.due(Some(now), Duration::ZERO), now + Duration::from_secs(60));
        let plan = Schedule::after(now, Duration::from_secs(3600), INTERVAL, soon);
        assert_eq!(plan.due(Some(now), QUIET), now + INTERVAL);
    }
}
