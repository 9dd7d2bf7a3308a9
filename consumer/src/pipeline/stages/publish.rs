//! Giving a proven result its name, once.

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, UNIX_EPOCH};

use common::job::{Certificate, FailureCode};
use common::share::{FileError, publish_no_clobber};

use super::preflight::source_unchanged;
use super::verify::VerifiedFilm;
use crate::pipeline::blocking::uninterrupted;
use crate::pipeline::{Announcement, Context, FilmTask, Ledger, Source, Stage, StageError};

/// Announces, asks whether the film is still ours, renames without ever replacing a file, and writes the certificate.
///
/// Takes a [`VerifiedFilm`], so nothing unproven can get here.
pub async fn publish(
    context: &Context,
    task: &FilmTask,
    film: VerifiedFilm,
    ledger: Arc<dyn Ledger>,
) -> Result<Certificate, StageError> {
    context.stop.check(Stage::Publish)?;
    let task = task.clone();
    // Never left half done: a thread that is left behind here could publish a film that somebody else has by then.
    uninterrupted(Stage::Publish, move || {
        let (partial, certificate, payload) = film.into_parts();
        let source = source_unchanged(&task, Stage::Publish)?;
        dress(partial.path(), &task.source, source)?;
        let announcement = Announcement { certificate, payload };
        ledger.announce(&announcement)?;
        ledger.still_ours()?;
        publish_no_clobber(partial.path(), &task.target).map_err(|e| match e {
            FileError::Exists { .. } => {
                let message = format!("{} was made by somebody else meanwhile", task.target.display());
                StageError::new(Stage::Publish, FailureCode::OutputExists, message).because(e)
            }
            e => StageError::file(Stage::Publish, e),
        })?;
        ledger.conclude(&announcement.certificate)?;
        Ok(announcement.certificate)
    })
    .await
}

/// Date, mode and, where we may, owner of the source.
fn dress(partial: &Path, source: &Path, facts: Source) -> Result<(), StageError> {
    let failed = |e| StageError::file(Stage::Publish, FileError::new("set the date of", partial, e));
    let meta = fs::metadata(source).map_err(failed)?;
    if let Err(e) = chown(partial, Some(meta.uid()), Some(meta.gid())) {
        // Only root may give files away; and shares map owners as they like.
        tracing::debug!(error = %e, "the result keeps the worker as its owner");
    }
    if let Err(e) = fs::set_permissions(partial, fs::Permissions::from_mode(meta.mode() & 0o777 | 0o400)) {
        tracing::debug!(error = %e, "the result keeps its own mode");
    }
    let since = Duration::from_nanos(facts.mtime_ns.unsigned_abs());
    let date = if facts.mtime_ns >= 0 { UNIX_EPOCH + since } else { UNIX_EPOCH - since };
    // Opened for reading: the mode may have taken the right to write away.
    File::open(partial).and_then(|f| f.set_modified(date)).map_err(failed)
}
