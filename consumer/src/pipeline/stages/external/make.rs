//! The steps of both modes.

use std::path::{Path, PathBuf};

use common::job::Mode;
use common::process::ToolCommand;
use dovi::film::FilmIndex;

use super::encode::encode;
use super::feed::{feed, run_alone};
use super::limits::check;
use crate::pipeline::artifact::VideoStream;
use crate::pipeline::meter::Unit;
use crate::pipeline::toolbox::DoviTool;
use crate::pipeline::{Context, FilmTask, Meter, Plan, Stage, StageError};
use crate::tools::dovi_tool::{Convert, ExtractRpu, InjectRpu, Mux};
use crate::tools::ffmpeg::DemuxArgs;
use crate::workspace::Workspace;

/// Makes the new video track with dovi_tool.
///
/// # Errors
/// `source.unsupported` for a film that it cannot do, `tool.*` where it or ffmpeg failed, and those of an encode.
pub async fn make(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    plan: &Plan,
    workspace: &Workspace,
    tool: &DoviTool,
) -> Result<VideoStream, StageError> {
    let stage = if plan.mode == Mode::Copy { Stage::Copy } else { Stage::Encode };
    check(index, plan.mode, stage)?;
    let steps = Steps { context, task, index, stage, mode: plan.mode, tool };
    let path = workspace.video();
    let scratch = |name: &str| Temporary(workspace.dir().join(name));
    if plan.mode == Mode::Copy {
        steps.copy(&scratch("el.hevc"), &path).await?;
        return Ok(VideoStream { path, vcl: index.vcl });
    }
    let (rpus, encoded) = (scratch("rpu.bin"), scratch("encoded.hevc"));
    steps.extract(&rpus.0).await?;
    let vcl = encode(context, task, index, plan, &encoded.0).await?;
    let dovi_tool = tool.path.clone();
    let inject =
        InjectRpu { dovi_tool, encoded: encoded.0.clone(), rpus: rpus.0.clone(), output: path.clone() };
    run_alone(context, stage, "dovi_tool", &inject.command(), &path).await?;
    Ok(VideoStream { path, vcl })
}

struct Steps<'a> {
    context: &'a Context,
    task: &'a FilmTask,
    index: &'a FilmIndex,
    stage: Stage,
    mode: Mode,
    tool: &'a DoviTool,
}

impl Steps<'_> {
    /// The base layer as it is, with Profile 8.1 metadata.
    async fn copy(&self, el: &Temporary, output: &Path) -> Result<(), StageError> {
        let (dovi_tool, output) = (self.tool.path.clone(), output.to_owned());
        let convert = match self.index.video.el_track {
            None => Convert { dovi_tool, output: output.clone() }.command(),
            Some(track) => {
                self.demux(track.video_position, &el.0).await?;
                Mux { dovi_tool, el: el.0.clone(), output: output.clone() }.command()
            }
        };
        self.feed(self.index.video.video_position, &convert, &output).await
    }

    /// All metadata in display order; in a film of two tracks it is in the second.
    async fn extract(&self, output: &Path) -> Result<(), StageError> {
        let video = &self.index.video;
        let position = video.el_track.map_or(video.video_position, |el| el.video_position);
        let extract = ExtractRpu { dovi_tool: self.tool.path.clone(), output: output.to_owned() };
        self.feed(position, &extract.command(), output).await
    }

    /// A track's stream into a file.
    async fn demux(&self, position: usize, output: &Path) -> Result<(), StageError> {
        let command = self.film(position, Some(output)).await?;
        run_alone(self.context, self.stage, "ffmpeg", &command, output).await
    }

    async fn feed(&self, position: usize, tool: &ToolCommand, output: &Path) -> Result<(), StageError> {
        let film = self.film(position, None).await?;
        let other: u64 = self.index.tracks.iter().map(|t| t.bytes).sum();
        let bytes = self.index.integrity.file_end.saturating_sub(other);
        // Before an encode, which takes many times as long, this is next to nothing.
        let total = if self.mode == Mode::Copy { bytes } else { bytes.saturating_mul(50) };
        let meter = Meter::begin(&self.context.watcher, self.mode, self.stage, Unit::Other, total);
        feed(self.context, self.stage, &film, tool, output, meter).await
    }

    async fn film(&self, video_position: usize, output: Option<&Path>) -> Result<ToolCommand, StageError> {
        let ffmpeg = self.context.tools.ffmpeg().await?.path.clone();
        let source = self.task.source.clone();
        Ok(DemuxArgs { ffmpeg, source, video_position, output: output.map(Path::to_owned) }.command())
    }
}

/// A file of scratch that is gone when it is no longer needed: there may be little room.
struct Temporary(PathBuf);

impl Drop for Temporary {
    fn drop(&mut self) {
        // What cannot be removed here goes with the whole folder.
        let _ = std::fs::remove_file(&self.0);
    }
}
