//! Several passes of one stage, told as one.

use std::sync::Arc;

use common::job::Mode;

use super::meter::share;
use super::{Context, Progress, Watcher};

/// The context for one pass of a stage: its progress from 0 to 1 is told as `from` to `to` of the stage.
pub(super) fn pass(context: &Context, mode: Mode, from: f32, to: f32) -> Context {
    let watcher = Arc::new(Pass { inner: context.watcher.clone(), mode, from, to });
    Context { watcher, ..context.clone() }
}

struct Pass {
    inner: Arc<dyn Watcher>,
    mode: Mode,
    from: f32,
    to: f32,
}

impl Watcher for Pass {
    fn progress(&self, p: &Progress) {
        let part = self.from + (self.to - self.from) * p.part;
        let (base, span) = share(self.mode, p.stage);
        // A pass knows nothing of those behind it.
        let eta = p.eta.filter(|_| self.to >= 1.0);
        self.inner.progress(&Progress { part, percent: base + span * part, eta, ..p.clone() });
    }

    fn notice(&self, text: &str) {
        self.inner.notice(text);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::pipeline::Stage;
    use crate::pipeline::meter::tests::Seen;

    #[test]
    fn two_passes_go_from_the_beginning_of_the_stage_to_its_end() {
        let seen = Arc::new(Seen::default());
        let told = |part| Progress {
            stage: Stage::Verify,
            percent: 0.0,
            part,
            frames: None,
            fps: None,
            eta: Some(Duration::from_secs(5)),
        };
        for (from, to) in [(0.0, 0.25), (0.25, 1.0)] {
            let pass = Pass { inner: seen.clone(), mode: Mode::Encode, from, to };
            [0.0, 1.0].iter().for_each(|part| pass.progress(&told(*part)));
        }
        let (base, span) = share(Mode::Encode, Stage::Verify);
        let seen: Vec<_> =
            seen.0.lock().unwrap().iter().map(|p| (p.part, p.percent, p.eta.is_some())).collect();
        let at = |part: f32, eta| (part, base + span * part, eta);
        assert_eq!(seen, [at(0.0, false), at(0.25, false), at(0.25, true), at(1.0, true)]);
    }
}
