//! The stages in their order.

use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use common::job::{Mode, StageTime};
use common::share::{FileError, Reservation};
use common::steps::{self, Step};
use dovi::film::FilmIndex;
use futures::future::BoxFuture;

use super::artifact::{Finished, Scanned, VideoStream};
use super::blocking::uninterrupted;
use super::certify::Expectation;
use super::stages::publish::{Published, Resumed};
use super::stages::verify::Story;
use super::stages::{copy, encode, external, mux, preflight, prescan, publish, verify};
use super::{Context, FilmTask, Ledger, Plan, Publishing, Source, Stage, StageError, Stop};
use crate::workspace::Workspace;

/// Whoever makes a result of a film. Measurements of everything around it put something in the place of [`Stages`] that does
/// nothing to films.
pub trait Convert: Send + Sync {
    /// Converts one film, as [`run`].
    fn convert<'a>(
        &'a self,
        context: &'a Context,
        task: FilmTask,
        ledger: Arc<dyn Ledger>,
    ) -> BoxFuture<'a, Result<Finished, StageError>>;
}

/// The stages of this module, with the real programs.
#[derive(Debug, Clone, Copy)]
pub struct Stages;

impl Convert for Stages {
    fn convert<'a>(
        &'a self,
        context: &'a Context,
        task: FilmTask,
        ledger: Arc<dyn Ledger>,
    ) -> BoxFuture<'a, Result<Finished, StageError>> {
        Box::pin(run(context, task, ledger))
    }
}

/// Converts one film.
///
/// # Errors
/// [`StageError`]; then nothing has the result's name, and nothing of this attempt is left on any disk. The one exception
/// is a certificate that could not be written after the result got its name: the next attempt finds that out.
pub async fn run(context: &Context, task: FilmTask, ledger: Arc<dyn Ledger>) -> Result<Finished, StageError> {
    let mut clock = StageClock { stop: context.stop.clone(), times: Vec::new() };
    steps::reached(Step::Preflight, &task.token).map_err(|e| StageError::file(Stage::Preflight, e))?;
    if let Resumed::Published(published) = publish::resume(&task, &ledger).await? {
        return adopt(context, task, *published, &ledger).await;
    }
    preflight::check(context, &task).await?;
    let source = preflight::source_unchanged(&task, Stage::Preflight)?;
    // From here on the film must stay as it is now, whoever asked for it.
    let task = preflight::fixed(task, source)?;

    if copy::fits_one_pass(context, &task).await? {
        let room = preflight::reserve_for_copy(context, &task, source)?;
        let workspace = open_workspace(&task)?;
        steps::reached(Step::Copy, &task.token).map_err(|e| StageError::file(Stage::Copy, e))?;
        let (scanned, video) =
            clock.time(Stage::Copy, copy::scan_and_copy(context, &task, &workspace)).await?;
        let made = video.map(|video| Made { _room: room, workspace, video });
        return convert(context, &task, scanned, made, source, clock, ledger).await;
    }
    steps::reached(Step::Prescan, &task.token).map_err(|e| StageError::file(Stage::Prescan, e))?;
    let scanned = clock.time(Stage::Prescan, prescan::prescan(context, &task)).await?;
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
    context.stop.pass(Stage::Mux).await?;
    steps::reached(Step::Mux, &task.token).map_err(|e| StageError::file(Stage::Mux, e))?;
    let muxing = mux::mux(context, task, &index, &plan, &video, &workspace);
    let muxed = clock.time(Stage::Mux, muxing).await?;
    drop(workspace);
    steps::reached(Step::Verify, &task.token).map_err(|e| StageError::file(Stage::Verify, e))?;
    let flushing = flush(muxed.partial.path());
    let story = Story { notices, stages: clock.times, source };
    let verified = match verify::verify(context, task, &index, muxed, payload, story).await {
        Ok(verified) => verified,
        Err(e) => return Err(external::advise(context, e).await),
    };
    flushing.await?;
    context.stop.pass(Stage::Publish).await?;
    steps::reached(Step::Publish, &task.token).map_err(|e| StageError::file(Stage::Publish, e))?;
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
    let (step, stage) = match plan.mode {
        Mode::Encode => (Step::Encode, Stage::Encode),
        Mode::Copy => (Step::Copy, Stage::Copy),
    };
    steps::reached(step, &task.token).map_err(|e| StageError::file(stage, e))?;
    match plan.mode {
        Mode::Encode => {
            clock.time(Stage::Encode, encode::encode(context, task, index, plan, workspace)).await
        }
        Mode::Copy => clock.time(Stage::Copy, copy::copy(context, task, index, workspace)).await,
    }
}

/// A crash between rename and certificate: the file is proven again, and then the certificate is written.
async fn adopt(
    context: &Context,
    task: FilmTask,
    published: Published,
    ledger: &Arc<dyn Ledger>,
) -> Result<Finished, StageError> {
    context.watcher.notice("an earlier attempt published this film and could not say so; proving it again");
    let Published { announced, source, expected, result: target } = published;
    let publishing = Publishing { replace: false, ..task.publishing };
    let task = FilmTask { source, expected, target, publishing, ..task };
    preflight::check(context, &task).await?;
    let index = prescan::prescan(context, &task).await?.index;
    let want = Expectation { mode: task.recipe.mode, payload: Some(announced.payload) };
    if let Err(e) = verify::prove(context, &task.source, &task.target, &index, want).await {
        context.stop.check(Stage::Verify)?;
        // Only a proof that fails says that the file is another. What else went wrong may go right the next time.
        let refuted = e.code.as_str().starts_with("proof.");
        return Err(if refuted { preflight::taken(&task.target).because(e) } else { e });
    }
    let (ledger, certificate) = (ledger.clone(), announced.certificate);
    let certificate = uninterrupted(Stage::Publish, move || {
        ledger.still_ours()?;
        ledger.conclude(&certificate)?;
        Ok(certificate)
    })
    .await?;
    Ok(Finished { target: task.target, certificate, adopted: true })
}

/// Seconds by stage, without those in which the work stood still.
struct StageClock {
    stop: Stop,
    times: Vec<StageTime>,
}

impl StageClock {
    async fn time<T>(
        &mut self,
        stage: Stage,
        work: impl Future<Output = Result<T, StageError>>,
    ) -> Result<T, StageError> {
        let (begun, frozen) = (Instant::now(), self.stop.frozen_for());
        let done = work.await;
        let seconds = begun.elapsed().saturating_sub(self.stop.frozen_for() - frozen).as_secs_f64();
        self.times.push(StageTime { stage: stage.name().into(), seconds });
        done
    }
}
