//! Telling a stuck tool from a slow one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// A count that whoever sees the tool's work go on raises: frames read from its pipe, bytes of its file.
///
/// Clones share the count. Silence on standard error says nothing: a tool may compute for minutes without a word,
/// and a stuck one may repeat the same line for ever.
#[derive(Debug, Clone, Default)]
pub struct Progress(Arc<AtomicU64>);

impl Progress {
    /// A count of zero.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds to the count.
    pub fn add(&self, n: u64) {
        self.0.fetch_add(n, Ordering::Relaxed);
    }

    /// Sets the count.
    pub fn set(&self, n: u64) {
        self.0.store(n, Ordering::Relaxed);
    }

    /// The count now.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// When a tool counts as stuck.
#[derive(Debug, Clone)]
pub struct StallWatch {
    /// The count to watch.
    pub progress: Progress,
    /// The tool is stuck if the count did not change for this long.
    pub after: Duration,
}

/// The clock behind a [`StallWatch`].
pub(super) struct StallClock {
    watch: StallWatch,
    last_count: u64,
    last_look: Instant,
    idle: Duration,
}

impl StallClock {
    pub(super) fn new(watch: StallWatch) -> Self {
        let last_count = watch.progress.get();
        Self { watch, last_count, last_look: Instant::now(), idle: Duration::ZERO }
    }

    /// How often to look.
    pub(super) fn interval(&self) -> Duration {
        (self.watch.after / 8).clamp(Duration::from_millis(5), Duration::from_secs(5))
    }

    /// The time since the last look does not count: the tool was made to stand still.
    pub(super) fn skip(&mut self) {
        self.last_look = Instant::now();
    }

    /// Looks at the count; true if the tool is stuck.
    ///
    /// One look adds at most two intervals: a worker that was itself frozen (a suspended VM, SIGSTOP) must not
    /// wake up and blame its tools for the time it missed.
    pub(super) fn look(&mut self) -> bool {
        let now = Instant::now();
        let passed = (now - self.last_look).min(self.interval() * 2);
        self.last_look = now;
        let count = self.watch.progress.get();
        self.idle = if count == self.last_count { self.idle + passed } else { Duration::ZERO };
        self.last_count = count;
        self.idle >= self.watch.after
    }
}
