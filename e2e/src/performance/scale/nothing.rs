//! A conversion that does nothing, for measuring everything around it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use common::job::{Certificate, FailureCode};
use consumer::pipeline::{Announcement, Context, Convert, FilmTask, Finished, Ledger, Stage, StageError};
use dovi::hash::VclHasher;
use futures::future::BoxFuture;

use crate::performance::measure::resident;

/// Makes nothing of a film, and keeps the books as the pipeline does: looks for an announcement, announces, asks whether the
/// film is still ours, writes a certificate.
pub(super) struct Nothing {
    template: Certificate,
    seen: Mutex<Seen>,
}

/// What happened.
#[derive(Debug, Default)]
pub(super) struct Seen {
    /// When each film was done.
    pub(super) ends: Vec<Instant>,
    /// Films by worker.
    pub(super) by_worker: BTreeMap<String, u64>,
    /// Memory of this process after each film, bytes.
    pub(super) memory: Vec<u64>,
}

impl Nothing {
    /// Its certificates are copies of a real one, so that they are of a real size.
    pub(super) fn new(template: Certificate) -> Self {
        Self { template, seen: Mutex::default() }
    }

    pub(super) fn seen(&self) -> Seen {
        std::mem::take(&mut *self.seen.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn count(&self, worker: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.ends.push(Instant::now());
        seen.memory.push(resident());
        *seen.by_worker.entry(worker.to_owned()).or_default() += 1;
    }
}

impl Convert for Nothing {
    fn convert<'a>(
        &'a self,
        _: &'a Context,
        task: FilmTask,
        ledger: Arc<dyn Ledger>,
    ) -> BoxFuture<'a, Result<Finished, StageError>> {
        Box::pin(async move {
            let label = task.label;
            let worker = label.worker.clone();
            let certificate = Certificate {
                job: label.job,
                film: label.film,
                worker: label.worker,
                ..self.template.clone()
            };
            let kept = tokio::task::spawn_blocking(move || {
                let announcement =
                    Announcement { certificate, payload: VclHasher::default().finish(), replacing: None };
                if ledger.announced()?.is_none() {
                    ledger.announce(&announcement)?;
                }
                ledger.still_ours()?;
                ledger.conclude(&announcement.certificate)?;
                Ok(announcement.certificate)
            });
            let certificate = kept.await.map_err(|e| {
                StageError::new(Stage::Publish, FailureCode::BugPanic, format!("the books: {e}"))
            })??;
            self.count(&worker);
            Ok(Finished { target: task.target, certificate, adopted: false })
        })
    }
}
