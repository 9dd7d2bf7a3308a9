//! Progress and results for a person.

use std::io::IsTerminal;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{HumanDuration, ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::pipeline::{Progress, Stage, Watcher};

/// Time between two plain lines of the same stage.
const PAUSE: Duration = Duration::from_secs(10);

/// A bar on a terminal, plain lines elsewhere, all on standard error.
pub(super) struct Display {
    bar: Option<ProgressBar>,
    silent: bool,
    last: Mutex<Option<(Stage, Instant)>>,
}

impl Display {
    /// With `silent` nothing but notices is shown.
    pub(super) fn new(silent: bool) -> Self {
        let bar = (!silent && std::io::stderr().is_terminal()).then(|| {
            let bar = ProgressBar::with_draw_target(Some(1000), ProgressDrawTarget::stderr());
            // The template is a constant; a wrong one would only look plain.
            if let Ok(style) = ProgressStyle::with_template("{prefix:9} [{bar:36}] {msg}") {
                bar.set_style(style.progress_chars("=> "));
            }
            bar
        });
        Self { bar, silent, last: Mutex::default() }
    }

    /// A line above the bar.
    pub(super) fn line(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Takes the bar away.
    pub(super) fn clear(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }

    /// The next film begins.
    pub(super) fn restart(&self) {
        if let Some(bar) = &self.bar {
            bar.reset();
        }
        *self.last.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Watcher for Display {
    fn progress(&self, p: &Progress) {
        if let Some(bar) = &self.bar {
            bar.set_prefix(p.stage.name());
            bar.set_position((p.part * 1000.0) as u64);
            bar.set_message(describe(p));
            return;
        }
        if self.silent {
            return;
        }
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let due = last.is_none_or(|(stage, at)| stage != p.stage || at.elapsed() > PAUSE);
        if due {
            *last = Some((p.stage, Instant::now()));
            eprintln!("{:9} {}", p.stage, describe(p));
        }
    }

    fn notice(&self, text: &str) {
        self.line(&format!("note: {text}"));
    }
}

/// `62 %, 1234 of 2000 frames, 8.5 fps, 2 minutes left`
fn describe(p: &Progress) -> String {
    let mut text = format!("{:3.0} %", p.part * 100.0);
    if let Some((done, all)) = p.frames {
        text += &format!(", {done} of {all} frames");
    }
    if let Some(fps) = p.fps {
        text += &format!(", {fps:.1} fps");
    }
    if let Some(eta) = p.eta.filter(|e| e.as_secs() > 0) {
        text += &format!(", {} left", HumanDuration(eta));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_reads_like_a_sentence() {
        let p = Progress {
            stage: Stage::Encode,
            percent: 50.0,
            part: 0.617,
            frames: Some((1234, 2000)),
            fps: Some(8.54),
            eta: Some(Duration::from_secs(90)),
        };
        assert_eq!(describe(&p), " 62 %, 1234 of 2000 frames, 8.5 fps, 2 minutes left");
        let bare = Progress { frames: None, fps: None, eta: None, part: 0.0, ..p };
        assert_eq!(describe(&bare), "  0 %");
    }
}
