//! Progress on standard error, if a person looks at it.

use std::io::IsTerminal;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A bar or a spinner; nothing where standard error is no terminal.
#[derive(Debug)]
pub struct Progress(ProgressBar, Pulse);

/// Counts every step of whatever shows its progress, so that another thread can tell work from a hang.
#[derive(Debug, Clone, Default)]
pub struct Pulse(Arc<AtomicU64>);

impl Pulse {
    /// A step was made.
    pub fn beat(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Steps so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Progress {
    /// Counts up without knowing the end.
    pub fn spinner(message: &str) -> Self {
        let bar = ProgressBar::no_length();
        style(&bar, "{spinner} {msg}: {pos}");
        bar.set_message(message.to_owned());
        Self::shown(bar)
    }

    /// Counts to `total`.
    pub fn bar(message: &str, total: u64) -> Self {
        let bar = ProgressBar::new(total);
        style(&bar, "{spinner} {msg} {bar:30} {pos}/{len}  {eta} left");
        bar.set_message(message.to_owned());
        Self::shown(bar)
    }

    /// Counts bytes to `total`.
    pub fn bytes(message: &str, total: u64) -> Self {
        let bar = ProgressBar::new(total);
        style(
            &bar,
            "{spinner} {msg} {bar:30} {decimal_bytes}/{decimal_total_bytes}  {decimal_bytes_per_sec}  {eta} left",
        );
        bar.set_message(message.to_owned());
        Self::shown(bar)
    }

    fn shown(bar: ProgressBar) -> Self {
        if std::io::stderr().is_terminal() {
            bar.enable_steady_tick(Duration::from_millis(200));
        } else {
            bar.set_draw_target(ProgressDrawTarget::hidden());
        }
        Self(bar, Pulse::default())
    }

    /// Shows nothing, only counts.
    pub fn silent(pulse: &Pulse) -> Self {
        Self(ProgressBar::hidden(), pulse.clone())
    }

    /// Moves to `position`.
    pub fn set(&self, position: u64) {
        self.1.beat();
        self.0.set_position(position);
    }

    /// Runs `f`, which prints lines, without the bar in their way.
    pub fn around<T>(&self, f: impl FnOnce() -> T) -> T {
        self.0.suspend(f)
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

fn style(bar: &ProgressBar, template: &str) {
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
}
