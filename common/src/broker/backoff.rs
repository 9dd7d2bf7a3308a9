//! How long to wait before the next try.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::Duration;

/// Doubling waits with jitter, so that a fleet does not knock on a restarted broker all at once.
#[derive(Debug, Clone)]
pub struct Backoff {
    next: Duration,
    first: Duration,
    most: Duration,
}

impl Backoff {
    /// Waits of about `first`, twice that, and so on up to `most`.
    pub const fn new(first: Duration, most: Duration) -> Self {
        Self { next: first, first, most }
    }

    /// The next wait: between half of the current step and all of it.
    pub fn wait(&mut self) -> Duration {
        let step = self.next.min(self.most);
        self.next = (step * 2).min(self.most);
        // std's hash seed is random, which is all the randomness that jitter needs.
        let random = RandomState::new().build_hasher().finish() >> 11;
        step.mul_f64(0.5 + 0.5 * (random as f64 / (1_u64 << 53) as f64))
    }

    /// Starts over after a success.
    pub fn reset(&mut self) {
        self.next = self.first;
    }
}

impl Default for Backoff {
    /// 0.5 s up to 30 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(500), Duration::from_secs(30))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_doubles_within_its_bounds_and_starts_over() {
        let mut b = Backoff::new(Duration::from_secs(1), Duration::from_secs(5));
        for step in [1.0, 2.0, 4.0, 5.0, 5.0] {
            let wait = b.wait().as_secs_f64();
            assert!((step / 2.0..=step).contains(&wait), "{wait} at step {step}");
        }
        b.reset();
        assert!(b.wait() <= Duration::from_secs(1));
    }

    #[test]
    fn two_workers_do_not_wait_equally() {
        let waits: Vec<_> = (0..8).map(|_| Backoff::default().wait()).collect();
        assert!(waits.iter().any(|w| *w != waits[0]));
    }
}
