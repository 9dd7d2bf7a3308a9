//! Renewing a lease in the background.

use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use super::{Beat, Lease, LeaseError, ShareError};

/// Beats for a lease on threads of its own: neither a busy runtime, nor a tool, nor the broker can delay it.
///
/// A second thread watches the first: on a share that hangs no call returns, and then the lease must be given up all
/// the same. Dropping the keeper stops the beats without giving the lease back.
pub struct LeaseKeeper {
    lease: Arc<Lease>,
    lost: CancellationToken,
    progress: Arc<Mutex<Beat>>,
    stop: Arc<Stop>,
}

#[derive(Default)]
struct Stop {
    stopped: Mutex<bool>,
    changed: Condvar,
}

impl LeaseKeeper {
    /// Begins to beat, `every` so often.
    ///
    /// # Errors
    /// No threads left on this machine; the lease is given back.
    pub fn start(lease: Lease, every: Duration) -> std::io::Result<Self> {
        let keeper = Self {
            lease: Arc::new(lease),
            lost: CancellationToken::new(),
            progress: Arc::default(),
            stop: Arc::default(),
        };
        keeper.begin(every).inspect_err(|_| {
            keeper.stop.set();
            if let Err(e) = keeper.lease.release() {
                tracing::warn!(job = %keeper.lease.job(), error = %e, "the lease was not given back; it goes stale by itself");
            }
        })?;
        Ok(keeper)
    }

    fn begin(&self, every: Duration) -> std::io::Result<()> {
        let (lease, lost, progress, stop) = self.parts();
        thread::Builder::new().name("lease-beat".into()).spawn(move || {
            while !lost.is_cancelled() && !stop.wait(every) {
                let now = progress.lock().unwrap_or_else(PoisonError::into_inner).clone();
                match lease.beat(&now) {
                    Ok(()) => {}
                    Err(e @ LeaseError::NotRenewed { .. }) => {
                        tracing::warn!(job = %lease.job(), error = %e, "lease beat");
                    }
                    Err(LeaseError::Lost(_)) => lost.cancel(),
                }
            }
        })?;
        let (lease, lost, _, stop) = self.parts();
        let look = (lease.stale() / 40).clamp(Duration::from_millis(10), Duration::from_secs(5));
        thread::Builder::new().name("lease-watch".into()).spawn(move || {
            // Time in which this process was frozen does not count: whether somebody took the lease meanwhile is for the
            // next beat to see.
            let (mut awake, mut last) = (Duration::ZERO, Instant::now());
            while !lost.is_cancelled() && !stop.wait(look) {
                awake += last.elapsed().min(look * 2);
                last = Instant::now();
                awake = awake.min(lease.quiet());
                if awake > lease.stale() / 2 {
                    lease.lose(format!(
                        "it was not renewed for {} s: the share does not answer",
                        awake.as_secs()
                    ));
                    lost.cancel();
                }
            }
        })?;
        Ok(())
    }

    fn parts(&self) -> (Arc<Lease>, CancellationToken, Arc<Mutex<Beat>>, Arc<Stop>) {
        (self.lease.clone(), self.lost.clone(), self.progress.clone(), self.stop.clone())
    }

    /// Cancelled when the lease is lost: stop the tools, drop the partial. [`Lease::lost`] says why.
    pub fn lost(&self) -> &CancellationToken {
        &self.lost
    }

    /// The lease.
    pub fn lease(&self) -> &Lease {
        &self.lease
    }

    /// Says how far the work is; goes out with the next beat. Never blocks on the share.
    pub fn report(&self, progress: Beat) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Fencing just before a step that cannot be taken back; see [`Lease::check`]. Blocks.
    ///
    /// # Errors
    /// On any error do not take the step.
    pub fn check(&self) -> Result<(), LeaseError> {
        self.lease.check().inspect_err(|e| {
            if matches!(e, LeaseError::Lost(_)) {
                self.lost.cancel();
            }
        })
    }

    /// Stops beating and gives the lease back. Blocks.
    ///
    /// # Errors
    /// The share failed; the lease then goes stale by itself.
    pub fn release(self) -> Result<(), ShareError> {
        self.stop.set();
        self.lease.release()
    }
}

impl Drop for LeaseKeeper {
    fn drop(&mut self) {
        self.stop.set();
    }
}

impl Stop {
    fn set(&self) {
        *self.stopped.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.changed.notify_all();
    }

    /// Waits; true if it was stopped.
    fn wait(&self, time: Duration) -> bool {
        let guard = self.stopped.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(guard, time, |stopped| !*stopped);
        *waited.unwrap_or_else(PoisonError::into_inner).0
    }
}
