//! Films that need no second look, for a program that scans again and again.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use common::job::JobId;

/// The largest number of films that are remembered; 32 bytes each.
const MOST: usize = 500_000;
/// After this everything is looked at afresh, in case the reason for leaving a film alone is gone.
const FOR: Duration = Duration::from_secs(24 * 3600);

/// Remembers films that were read and are not wanted. A job's id has size, date and recipe in it, so a film that changes is
/// another one.
#[derive(Debug)]
pub(super) struct Seen {
    ids: HashSet<JobId>,
    since: Instant,
    most: usize,
}

impl Seen {
    /// Remembers for a day.
    pub(super) fn new() -> Self {
        Self { ids: HashSet::new(), since: Instant::now(), most: MOST }
    }

    /// Remembers nothing: for a single scan, which tells the reason of each film.
    pub(super) fn forgetful() -> Self {
        Self { ids: HashSet::new(), since: Instant::now(), most: 0 }
    }

    pub(super) fn knows(&self, job: JobId) -> bool {
        self.ids.contains(&job)
    }

    pub(super) fn remember(&mut self, job: JobId) {
        if self.ids.len() < self.most {
            self.ids.insert(job);
        }
    }

    /// To be called before each scan.
    pub(super) fn refresh(&mut self, now: Instant) {
        if self.ids.len() >= self.most || now.duration_since(self.since) > FOR {
            self.ids.clear();
            self.since = now;
        }
    }
}

#[cfg(test)]
mod tests {
    use common::job::Recipe;

    use super::*;

    #[test]
    fn it_remembers_for_a_day_and_no_more_than_it_may() {
        let job = |n| JobId::of(&"films:a.mkv".parse().unwrap(), n, 1, &Recipe::default());
        let mut seen = Seen { most: 2, ..Seen::new() };
        (0..3).for_each(|n| seen.remember(job(n)));
        assert_eq!([0, 1, 2].map(|n| seen.knows(job(n))), [true, true, false]);
        seen.refresh(Instant::now());
        assert!(!seen.knows(job(0)), "it was full");
        seen.remember(job(2));
        seen.refresh(Instant::now() + FOR / 2);
        assert!(seen.knows(job(2)));
        seen.refresh(Instant::now() + FOR * 2);
        assert!(!seen.knows(job(2)));
        let mut forgetful = Seen::forgetful();
        forgetful.remember(job(0));
        assert!(!forgetful.knows(job(0)));
    }
}
