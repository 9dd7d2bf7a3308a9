//! Standing still without losing anything.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::watch;

/// A switch that makes tools and threads stand still and go on again. Clones are the same switch.
///
/// A tool under a [`Supervision`](super::Supervision) with it gets SIGSTOP and SIGCONT, its whole group; it keeps its memory,
/// its files and its pipes, and uses no processor time meanwhile. Its stall clock stands still too.
#[derive(Debug, Clone, Default)]
pub struct Freeze(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    on: watch::Sender<bool>,
    state: Mutex<State>,
    thawed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    since: Option<Instant>,
    before: Duration,
}

impl Freeze {
    /// Turns it on or off. The same again changes nothing.
    pub fn set(&self, on: bool) {
        let mut state = self.state();
        match (on, state.since) {
            (true, None) => state.since = Some(Instant::now()),
            (false, Some(since)) => {
                state.before += since.elapsed();
                state.since = None;
            }
            _ => return,
        }
        self.0.on.send_replace(on);
        drop(state);
        self.0.thawed.notify_all();
    }

    /// Whether it is on.
    pub fn is_on(&self) -> bool {
        *self.0.on.borrow()
    }

    /// Returns once it is on, or off. May be dropped at any point.
    pub async fn until(&self, on: bool) {
        // The sender lives as long as we do.
        let _ = self.0.on.subscribe().wait_for(|now| *now == on).await;
    }

    /// Holds this thread while it is on.
    pub fn hold(&self) {
        let state = self.state();
        drop(self.0.thawed.wait_while(state, |state| state.since.is_some()));
    }

    /// How long it has been on in all.
    pub fn total(&self) -> Duration {
        let state = self.state();
        state.before + state.since.map(|s| s.elapsed()).unwrap_or_default()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_thread_stands_still_and_the_time_is_counted() {
        let freeze = Freeze::default();
        freeze.hold();
        assert_eq!(freeze.total(), Duration::ZERO);
        freeze.set(true);
        freeze.set(true);
        let begun = Instant::now();
        let held = thread::spawn({
            let freeze = freeze.clone();
            move || {
                freeze.hold();
                begun.elapsed()
            }
        });
        thread::sleep(Duration::from_millis(50));
        assert!(!held.is_finished() && freeze.is_on());
        freeze.set(false);
        assert!(held.join().unwrap() >= Duration::from_millis(50));
        let total = freeze.total();
        assert!(total >= Duration::from_millis(50) && freeze.total() == total);
    }
}
