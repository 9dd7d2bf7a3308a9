//! Decoding, encoding and injecting in one go: ffmpeg's output passes through our hands, frame by frame.

use std::fs::File;
use std::io::{self, BufWriter, PipeReader, Read, Write};
use std::sync::Arc;

use common::job::{Encoder, FailureCode, Mode};
use common::process::{ExitReport, Outcome, Progress as Count, Supervision, ToolCommand, pipe, run};
use common::share::FileError;
use common::steps::{self, Step};
use dovi::film::FilmIndex;
use dovi::inject::{InjectError, InjectPlan, InjectReport, inject};
use tokio_util::sync::CancellationToken;

use super::decode::checksummed;
use super::trial;
use crate::pipeline::artifact::VideoStream;
use crate::pipeline::blocking::blocking;
use crate::pipeline::encoder::settings;
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Plan, Stage, StageError};
use crate::tools::ffmpeg::{EncodeArgs, Input};
use crate::workspace::Workspace;

/// Encodes the film's picture anew, with every RPU on its frame.
pub async fn encode(
    context: &Context,
    task: &FilmTask,
    index: &Arc<FilmIndex>,
    plan: &Plan,
    workspace: &Workspace,
) -> Result<VideoStream, StageError> {
    let command = command(context, task, index, plan).await?;
    let path = workspace.video();
    let injecting = {
        let (inner, index, plan, path) = (context.clone(), index.clone(), plan.clone(), path.clone());
        let token = task.token.clone();
        through(context, &command, move |stream, count| {
            steps::reached(Step::Encoding, token).map_err(|e| InjectError::Output(io::Error::other(e)))?;
            inject_all(&inner, &index, &plan, stream, &path, count)
        })
    };
    match injecting.await {
        Ok((report, _)) => Ok(VideoStream { path, vcl: report.vcl }),
        Err(e) => Err(blame(context, task.recipe.encoder, e)),
    }
}

/// Names the encoder that failed in the middle of a film. What was proven of a chip before counts no longer.
pub(super) fn blame(context: &Context, encoder: Encoder, mut e: StageError) -> StageError {
    if e.code.as_str().starts_with("encode.") {
        e.message = format!("the encoder {}: {}", encoder.name(), e.message);
    }
    if encoder.is_hardware() {
        context.tools.forget_proofs(encoder);
    }
    e
}

/// Runs ffmpeg while `read` reads its stream on a thread of its own. If `read` gives up before the stream's end, ffmpeg is
/// killed at once.
pub(super) async fn through<T: Send + 'static>(
    context: &Context,
    command: &ToolCommand,
    read: impl FnOnce(&mut ToEnd<PipeReader>, &Count) -> Result<T, InjectError> + Send + 'static,
) -> Result<(T, ExitReport), StageError> {
    let (stdout, reader) = pipe().map_err(|e| {
        StageError::new(Stage::Encode, FailureCode::ToolFailed, format!("failed to make a pipe: {e}"))
            .because(e)
    })?;
    let (count, own) = (Count::new(), CancellationToken::new());
    let watch = Supervision { stdout, ..context.supervision(&count, &own) };

    let reading = {
        let own = own.clone();
        blocking(Stage::Encode, &context.stop, move || {
            let mut reader = ToEnd { inner: reader, ended: false };
            let done = read(&mut reader, &count);
            let ended = reader.ended;
            if done.is_err() && !ended {
                // Whatever ffmpeg still does is in vain.
                own.cancel();
            }
            Ok((done, ended))
        })
    };
    let (exit, done) = tokio::join!(run(command, watch), reading);
    context.stop.check(Stage::Encode)?;
    let exit = exit.map_err(|e| StageError::spawn(Stage::Encode, e))?;
    let (done, ended) = done?;
    let done = judge(&exit, done, ended)?;
    Ok((done, exit))
}

/// The encoder's command line; its stream comes on standard output. The encoder has shown before that it works here.
pub(super) async fn command(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    plan: &Plan,
) -> Result<ToolCommand, StageError> {
    let features = trial::for_film(context, task, plan).await?.features;
    let tool = context.tools.encoder(task.recipe.encoder).await?;
    let recipe = checksummed(context.decode, &task.recipe);
    let args = EncodeArgs {
        ffmpeg: tool.ffmpeg.path.clone(),
        input: Input::Film { source: task.source.clone(), video_position: index.video.video_position },
        encoder: settings(&recipe, &plan.picture, features, context.tools.vaapi_device()),
    };
    args.command(&tool.ffmpeg.can, tool.options)
        .map_err(|e| StageError::new(Stage::Encode, FailureCode::EncodeUnsupported, e.to_string()).because(e))
}

/// Reads ffmpeg's stream to its end. Blocks.
fn inject_all(
    context: &Context,
    index: &FilmIndex,
    plan: &Plan,
    reader: &mut ToEnd<PipeReader>,
    path: &std::path::Path,
    count: &Count,
) -> Result<InjectReport, InjectError> {
    let expected = index.expected();
    let plan = InjectPlan {
        rpus: &expected,
        frames: plan.frames,
        mdcv: index.hdr10.mdcv,
        cll: index.hdr10.cll,
        hdr10plus: Some(&expected),
        expect: plan.expect,
    };
    let mut meter = Meter::begin(&context.watcher, Mode::Encode, Stage::Encode, Unit::Frames, plan.frames);
    let mut progress = |frames: u64| {
        count.set(frames);
        meter.set(frames);
    };
    let file = File::options().write(true).create_new(true).open(path).map_err(InjectError::Output)?;
    let mut out = BufWriter::with_capacity(1 << 20, file);
    let report = inject(reader, &mut out, &plan, &mut progress)?;
    out.flush().map_err(InjectError::Output)?;
    Ok(report)
}

/// Remembers whether the stream came to its end: then it was ffmpeg that ended it.
pub(super) struct ToEnd<R> {
    pub inner: R,
    pub ended: bool,
}

impl<R: Read> Read for ToEnd<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.ended |= n == 0 && !buffer.is_empty();
        Ok(n)
    }
}

/// Who of the two failed first. When ffmpeg dies, our side sees a stream that ends early; when our side fails in the middle
/// of the stream, ffmpeg sees a broken pipe or our signal.
pub(super) fn judge<T>(
    exit: &ExitReport,
    injected: Result<T, InjectError>,
    ended: bool,
) -> Result<T, StageError> {
    match (exit.outcome, injected) {
        (Outcome::Exited(0), Ok(report)) => Ok(report),
        (Outcome::Exited(0), Err(e)) => Err(inject_error(e, exit)),
        (_, Err(e)) if !ended => Err(inject_error(e, exit)),
        // Where the stream was cut says less than why.
        _ => Err(StageError::exit(Stage::Encode, FailureCode::EncodeFailed, "ffmpeg", exit)),
    }
}

fn inject_error(e: InjectError, exit: &ExitReport) -> StageError {
    if let InjectError::Output(io) = e {
        // Scratch is a local disk: not the share's fault.
        let e = FileError::new(
            "write",
            std::path::Path::new("the video stream in scratch"),
            io::Error::from(io.kind()),
        );
        return match e {
            FileError::NoSpace { .. } => StageError::new(
                Stage::Encode,
                FailureCode::DiskFull,
                format!("the scratch disk is full: {io}"),
            )
            .because(io),
            _ => StageError::new(
                Stage::Encode,
                FailureCode::ToolFailed,
                format!("failed to write to scratch: {io}"),
            )
            .hint("Check the disk of scratch.dir.")
            .because(io),
        };
    }
    let code = match &e {
        // No setting makes a working encoder write this; a dying one, or bad memory, does. It may go better the next time.
        // A stream that was cut lacks a display index, too.
        InjectError::Input(_) | InjectError::Misplaced { .. } | InjectError::Order(_) => {
            FailureCode::EncodeFailed
        }
        e => e.code().parse().unwrap_or(FailureCode::EncodeFailed),
    };
    let error = StageError::new(Stage::Encode, code, e.to_string());
    // What ffmpeg said on the way may explain the stream.
    if exit.stderr_tail.trim().is_empty() { error.because(e) } else { error.tool(exit).because(e) }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use dovi::au::AuError;

    use super::*;

    fn exit(outcome: Outcome) -> ExitReport {
        ExitReport {
            command: "ffmpeg".into(),
            outcome,
            duration: Duration::from_secs(1),
            stderr_tail: "Conversion failed!\n".into(),
            stdout: Vec::new(),
            stdout_cut: false,
            leaked: false,
        }
    }

    #[test]
    fn whoever_failed_first_is_named() {
        let short = || -> Result<InjectReport, _> { Err(InjectError::FrameCount { planned: 9, encoded: 3 }) };
        let full = || Err(InjectError::Output(io::ErrorKind::StorageFull.into()));
        let missing = || Err(InjectError::RpuMissing(7));
        let noise = || Err(InjectError::Input(AuError::FirstSliceMissing { picture: 0 }));
        for (outcome, injected, ended, code) in [
            (Outcome::Exited(1), short(), true, FailureCode::EncodeFailed),
            (Outcome::Exited(0), short(), true, FailureCode::EncodeFrames),
            (Outcome::Signaled(9), short(), true, FailureCode::ToolKilled),
            (Outcome::Stalled, short(), true, FailureCode::ToolStalled),
            (Outcome::Exited(0), noise(), true, FailureCode::EncodeFailed),
            (Outcome::Cancelled, full(), false, FailureCode::DiskFull),
            (Outcome::Signaled(13), full(), false, FailureCode::DiskFull),
            (Outcome::Exited(0), full(), true, FailureCode::DiskFull),
            (Outcome::Cancelled, missing(), false, FailureCode::RpuMissing),
        ] {
            let name = format!("{outcome:?} {injected:?}");
            assert_eq!(judge(&exit(outcome), injected, ended).unwrap_err().code, code, "{name}");
        }
    }
}
