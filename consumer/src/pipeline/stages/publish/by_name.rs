//! The steps that end a film.

use std::sync::Arc;

use common::job::{Certificate, FailureCode};
use common::share::{FileError, FileIdentity, publish_no_clobber};
use common::steps::{self, Step};

use super::dress::dress;
use super::in_place::InPlace;
use crate::pipeline::blocking::uninterrupted;
use crate::pipeline::stages::preflight::source_unchanged;
use crate::pipeline::stages::verify::VerifiedFilm;
use crate::pipeline::{Announcement, Context, FilmTask, Ledger, Stage, StageError};

/// Announces, asks whether the film is still ours, gives the result its name without ever overwriting a file, and writes the
/// certificate. Between any two of these steps the worker may die: [`resume`](super::resume()) finds out.
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
    uninterrupted(Stage::Publish, move || named(&task, film, &*ledger)).await
}

fn named(task: &FilmTask, film: VerifiedFilm, ledger: &dyn Ledger) -> Result<Certificate, StageError> {
    let (partial, mut certificate, payload) = film.into_parts();
    let source = source_unchanged(task, Stage::Publish)?;
    certificate.notices.extend(dress(partial.path(), task, source)?);
    let made =
        FileIdentity::of(partial.path()).map_err(|e| failed(FileError::new("look at", partial.path(), e)))?;
    // As the file system keeps it: some round dates.
    certificate.result.mtime_ns = made.mtime_ns;
    reached(task, Step::Dressed)?;

    let in_place = if task.publishing.replace { Some(InPlace::prepare(task, made)?) } else { None };
    if let Some(in_place) = &in_place {
        certificate.notices.push(in_place.notice());
    }
    let replacing = in_place.as_ref().map(InPlace::announced);
    let announcement = Announcement { certificate, payload, replacing };
    ledger.announce(&announcement)?;
    reached(task, Step::Announced)?;

    ledger.still_ours()?;
    reached(task, Step::Fenced)?;

    match in_place {
        Some(in_place) => in_place.replace(task, partial.path(), ledger)?,
        None => new_name(task, partial.path())?,
    }
    reached(task, Step::Renamed)?;

    ledger.conclude(&announcement.certificate)?;
    reached(task, Step::Concluded)?;
    Ok(announcement.certificate)
}

fn new_name(task: &FilmTask, partial: &std::path::Path) -> Result<(), StageError> {
    publish_no_clobber(partial, &task.target).map(drop).map_err(|e| match e {
        FileError::Exists { .. } => {
            let message = format!("{} was made by somebody else meanwhile", task.target.display());
            StageError::new(Stage::Publish, FailureCode::OutputExists, message).because(e)
        }
        e => failed(e),
    })
}

pub(super) fn failed(e: FileError) -> StageError {
    StageError::file(Stage::Publish, e)
}

pub(super) fn reached(task: &FilmTask, step: Step) -> Result<(), StageError> {
    steps::reached(step, &task.token).map_err(failed)
}
