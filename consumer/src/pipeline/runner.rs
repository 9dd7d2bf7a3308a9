//! The stages in their order.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use common::job::{Mode, StageTime};
use common::share::{FileError, Reservation};
use dovi::film::FilmIndex;

use super::artifact::{Finished, Scanned, VideoStream};
use super::blocking::uninterrupted;
use super::certify::Expectation;
use super::stages::verify::Story;
use super::stages::{copy, encode, external, mux, preflight, prescan, publish, verify};
use super::{Announcement, Context, FilmTask, Ledger, Plan, Source, Stage, StageError};
use crate::workspace::Workspace;

/// Converts one film.
///
/// # Errors
/// [`StageError`]; then nothing has the result's name, and nothing of this attempt is left on any disk. The one exception
/// is a certificate that could not be written after the result got its name: the next attempt finds that out.
pub async fn run(context: &Context, task: FilmTask, ledger: Arc<dyn Ledger>) -> Result<Finished, StageError> {
    let mut clock = StageClock::default();
    preflight::check(context, &task).await?;
    let earlier = earlier(&task, &ledger).await?;
    let source = preflight::source_unchanged(&task, Stage::Preflight)?;
    // From here on the film must stay as it is now, whoever asked for it.
    let task = FilmTask { expected: Some(source), ..task };

    if earlier.is_none() && copy::fits_one_pass(context, &task).await? {
        let room = preflight::reserve_for_copy(context, &task, source)?;
        let workspace = open_workspace(&task)?;
        let (scanned, video) =
            clock.time(Stage::Copy, copy::scan_and_copy(context, &task, &workspace)).await?;
        let made = video.map(|video| Made { _room: room, workspace, video });
        return convert(context, &task, scanned, made, source, clock, ledger).await;
    }
    let scanned = clock.time(Stage::Prescan, prescan::prescan(context, &task)).await?;
    if let Some(announced) = earlier {
        return adopt(context, &task, &scanned.index, announced, &ledger).await;
    }
    convert(context, &task, scanned, None, source, clock, ledger).await
}

/// The new video, and what it needs to stay there.
struct Made {
    _room: [Reservation; 2],
    workspace: Workspace,
    video: VideoStream,
}

fn open_workspace(task: &FilmTask) -> Result<Workspace, StageError> {
    Workspace::create(&task.scratch, &task.token)
        .map_err(|e| StageError::file(Stage::Preflight, FileError::new("create", &e.dir, e.source)))
}

async fn convert(
    context: &Context,
    task: &FilmTask,
    scanned: Scanned,
    made: Option<Made>,
    source: Source,
    mut clock: StageClock,
    ledger: Arc<dyn Ledger>,
) -> Result<Finished, StageError> {
    let Scanned { index, notices } = scanned;
    let plan = Plan::new(&index, &task.recipe);
    let Made { _room, workspace, video } = match made {
        Some(made) => made,
        None => {
            let room = preflight::reserve(context, task, &index)?;
            let workspace = open_workspace(task)?;
            let video = make_video(context, task, &index, &plan, &workspace, &mut clock).await?;
            Made { _room: room, workspace, video }
        }
    };
    let payload = video.vcl;
    let muxing = mux::mux(context, task, &index, &plan, &video, &workspace);
    let muxed = clock.time(Stage::Mux, muxing).await?;
    drop(workspace);
    let flushing = flush(muxed.partial.path());
    let story = Story { notices, stages: clock.times, source };
    let verified = match verify::verify(context, task, &index, muxed, payload, story).await {
        Ok(verified) => verified,
        Err(e) => return Err(external::advise(context, e).await),
    };
    flushing.await?;
    let certificate = publish::publish(context, task, verified, ledger).await?;
    Ok(Finished { target: task.target.clone(), certificate, adopted: false })
}

/// Has the result written to disk while it is read back from memory; publishing waits for that in any case. A disk that
/// fails says so once and to whoever asks first, so the answer must not be lost.
fn flush(path: &Path) -> impl Future<Output = Result<(), StageError>> + use<> {
    let path = path.to_owned();
    let work = tokio::task::spawn_blocking(move || {
        File::open(&path).and_then(|f| f.sync_data()).map_err(|e| FileError::new("write", &path, e))
    });
    async {
        let done = work.await.unwrap_or(Ok(()));
        done.map_err(|e| StageError::file(Stage::Publish, e))
    }
}

async fn make_video(
    context: &Context,
    task: &FilmTask,
    index: &Arc<FilmIndex>,
    plan: &Plan,
    workspace: &Workspace,
    clock: &mut StageClock,
) -> Result<VideoStream, StageError> {
    if let Some(tool) = context.tools.external().await? {
        let stage = if plan.mode == Mode::Copy { Stage::Copy } else { Stage::Encode };
        return clock.time(stage, external::make(context, task, index, plan, workspace, tool)).await;
    }
    match plan.mode {
        Mode::Encode => {
            clock.time(Stage::Encode, encode::encode(context, task, index, plan, workspace)).await
        }
        Mode::Copy => clock.time(Stage::Copy, copy::copy(context, task, index, workspace)).await,
    }
}

/// The name of the result is free (`None`), or an attempt before us announced the file that has it.
async fn earlier(task: &FilmTask, ledger: &Arc<dyn Ledger>) -> Result<Option<Announcement>, StageError> {
    let (task, ledger) = (task.clone(), ledger.clone());
    uninterrupted(Stage::Preflight, move || {
        let Err(taken) = preflight::name_is_free(&task.target) else { return Ok(None) };
        let size = std::fs::metadata(&task.target).map(|m| m.len()).ok();
        match ledger.announced()? {
            Some(a) if Some(a.certificate.result.size) == size => Ok(Some(a)),
            _ => Err(taken),
        }
    })
    .await
}

/// A crash between rename and certificate: the file is proven again, and then the certificate is written.
async fn adopt(
    context: &Context,
    task: &FilmTask,
    index: &Arc<FilmIndex>,
    announced: Announcement,
    ledger: &Arc<dyn Ledger>,
) -> Result<Finished, StageError> {
    context.watcher.notice("an earlier attempt published this film and could not say so; proving it again");
    let want = Expectation { mode: task.recipe.mode, payload: Some(announced.payload) };
    if let Err(e) = verify::prove(context, &task.source, &task.target, index, want).await {
        context.stop.check(Stage::Verify)?;
        return Err(preflight::taken(&task.target).because(e));
    }
    let (ledger, certificate) = (ledger.clone(), announced.certificate);
    let certificate = uninterrupted(Stage::Publish, move || {
        ledger.still_ours()?;
        ledger.conclude(&certificate)?;
        Ok(certificate)
    })
    .await?;
    Ok(Finished { target: task.target.clone(), certificate, adopted: true })
}

/// Seconds by stage.
#[derive(Default)]
struct StageClock {
    times: Vec<StageTime>,
}

impl StageClock {
    async fn time<T>(
        &mut self,
        stage: Stage,
        work: impl Future<Output = Result<T, StageError>>,
    ) -> Result<T, StageError> {
        let begun = Instant::now();
        let done = work.await;
        self.times.push(StageTime { stage: stage.name().into(), seconds: begun.elapsed().as_secs_f64() });
        done
    }
}
