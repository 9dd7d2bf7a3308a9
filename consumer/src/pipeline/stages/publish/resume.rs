//! What the attempt before this one left, if it was cut off while it published.

use std::path::PathBuf;
use std::sync::Arc;

use common::job::FailureCode;
use common::share::{Recovered, Trash, recover};

use crate::pipeline::blocking::uninterrupted;
use crate::pipeline::stages::preflight::name_is_free;
use crate::pipeline::{Announcement, FilmTask, Ledger, Replacing, Source, Stage, StageError};
use crate::workspace::remove_partials_of;

/// How far an earlier attempt came.
#[derive(Debug)]
pub enum Resumed {
    /// Nothing is published; what was begun is taken back.
    Nothing,
    /// The result has its name, but no certificate. Boxed: it is large, and rare.
    Published(Box<Published>),
}

/// A result without its certificate.
#[derive(Debug)]
pub struct Published {
    /// What was announced.
    pub announced: Announcement,
    /// Where the original lies now: in the trash, if the result took its place.
    pub source: PathBuf,
    /// The original as it was asked for.
    pub expected: Option<Source>,
    /// Where the result lies.
    pub result: PathBuf,
}

/// Sees how far an earlier attempt came, by what it announced and what lies there; and takes back what it had begun, if it had
/// not come to the end of it. Before anything else: the film itself may have no name at this moment.
///
/// # Errors
/// `output.exists` if a file that is not ours has the result's name; or the books or files cannot be read.
pub async fn resume(task: &FilmTask, ledger: &Arc<dyn Ledger>) -> Result<Resumed, StageError> {
    let (task, ledger) = (task.clone(), ledger.clone());
    uninterrupted(Stage::Preflight, move || {
        // Whoever was frozen right after the claim finds out here that the film is another's by now.
        ledger.still_ours()?;
        // Without it an attempt that was only frozen cannot go on with publishing when it wakes up.
        let removed = remove_partials_of(&task.target, &task.dead);
        if removed > 0 {
            tracing::info!(removed, target = %task.target.display(), "removed partial results of dead attempts");
        }
        let announced = ledger.announced()?;
        // Reading may have hung for long enough to lose the film, and what was read be the next one's announcement.
        ledger.still_ours()?;
        let replacing = announced.as_ref().and_then(|a| a.replacing.clone());
        let resumed = match (announced, replacing, &task.publishing.trash) {
            (Some(announced), Some(replacing), Some(trash)) => replaced(&task, announced, &replacing, trash)?,
            (announced, _, _) => new_name(&task, announced)?,
        };
        if matches!(resumed, Resumed::Nothing) && !task.publishing.replace {
            name_is_free(&task.target)?;
        }
        Ok(resumed)
    })
    .await
}

/// The file that has the result's name may be the one that was announced. Its proof comes later.
fn new_name(task: &FilmTask, announced: Option<Announcement>) -> Result<Resumed, StageError> {
    let size = std::fs::symlink_metadata(&task.target).map(|m| m.len()).ok();
    Ok(match announced {
        Some(a) if !task.publishing.replace && Some(a.certificate.result.size) == size => {
            let (source, result) = (task.source.clone(), task.target.clone());
            Resumed::Published(Box::new(Published { announced: a, source, expected: task.expected, result }))
        }
        _ => Resumed::Nothing,
    })
}

fn replaced(
    task: &FilmTask,
    announced: Announcement,
    replacing: &Replacing,
    trash: &Trash,
) -> Result<Resumed, StageError> {
    let (place, original) = (trash.at(&replacing.trash), replacing.original);
    let found = recover(&task.source, &place.original, &original, &replacing.result)
        .map_err(|e| StageError::file(Stage::Preflight, e))?;
    place.forget();
    match found {
        Recovered::NotBegun => Ok(Resumed::Nothing),
        Recovered::Done => {
            let expected = Some(Source { size: original.size, mtime_ns: original.mtime_ns });
            let result = task.source.clone();
            Ok(Resumed::Published(Box::new(Published {
                announced,
                source: place.original,
                expected,
                result,
            })))
        }
        // A person has done something since. If the film is the one that was asked for, work on it; the checks that follow see.
        Recovered::Foreign if place.original.exists() => {
            let message = format!(
                "{} was being replaced and is neither the original nor the result any more; the original is {}",
                task.source.display(),
                place.original.display()
            );
            Err(StageError::new(Stage::Preflight, FailureCode::SourceChanged, message))
        }
        Recovered::Foreign => Ok(Resumed::Nothing),
    }
}
