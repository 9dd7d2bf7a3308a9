//! Reading the whole result once and comparing it with the source. Only this makes a [`VerifiedFilm`].

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::config::Decode;
use common::job::{Certificate, Check, FailureCode, FileFacts, Mode, StageTime, ToolVersions};
use common::process::{Progress as Count, Stdout, Supervision, run};
use dovi::film::{FilmIndex, Verdict};
use dovi::hash::VclHash;
use tokio_util::sync::CancellationToken;

use super::prescan::read;
use crate::pipeline::artifact::{MuxedFilm, Partial};
use crate::pipeline::blocking::blocking;
use crate::pipeline::certify::{self, Expectation};
use crate::pipeline::meter::Unit;
use crate::pipeline::{Context, FilmTask, Meter, Source, Stage, StageError};
use crate::tools::ffmpeg::{DecodeArgs, ProgressParser, is_complaint};

/// A film that was proven. There is no other way to make one than [`verify`].
#[derive(Debug)]
pub struct VerifiedFilm {
    partial: Partial,
    certificate: Certificate,
    payload: VclHash,
}

impl VerifiedFilm {
    /// The file, its certificate, and the hash of its picture data.
    pub fn into_parts(self) -> (Partial, Certificate, VclHash) {
        (self.partial, self.certificate, self.payload)
    }
}

/// What the certificate says besides the checks.
#[derive(Debug)]
pub struct Story {
    /// What was noticed on the way.
    pub notices: Vec<String>,
    /// Time by stage.
    pub stages: Vec<StageTime>,
    /// The source as it was read.
    pub source: Source,
}

/// Proves a film that was just put together.
pub async fn verify(
    context: &Context,
    task: &FilmTask,
    index: &Arc<FilmIndex>,
    muxed: MuxedFilm,
    payload: VclHash,
    mut story: Story,
) -> Result<VerifiedFilm, StageError> {
    let begun = std::time::Instant::now();
    let MuxedFilm { partial, warnings } = muxed;
    let want = Expectation { mode: task.recipe.mode, payload: Some(payload) };
    let proven = prove(context, partial.path(), index, want).await?;
    story.notices.extend(warnings);
    story
        .stages
        .push(StageTime { stage: Stage::Verify.name().into(), seconds: begun.elapsed().as_secs_f64() });
    let certificate = certificate(context, task, index, proven, story).await?;
    Ok(VerifiedFilm { partial, certificate, payload })
}

/// Reads a result and compares. The checks all hold, or the first that does not is the error.
pub async fn prove(
    context: &Context,
    path: &Path,
    index: &Arc<FilmIndex>,
    want: Expectation,
) -> Result<Proven, StageError> {
    let proven = look(context, path, index, Some(want)).await?;
    match proven.checks.iter().find(|c| !c.ok) {
        None => Ok(proven),
        Some(failed) => {
            let message = format!("{}: {}", failed.name, failed.found);
            Err(StageError::new(Stage::Verify, certify::code_of(failed), message))
        }
    }
}

/// What a comparison found.
#[derive(Debug)]
pub struct Proven {
    /// All checks.
    pub checks: Vec<Check>,
    /// Frames with a wrong RPU.
    pub wrong_frames: u64,
    /// Frames of the result.
    pub frames: u64,
    /// Bytes of the result.
    pub size: u64,
    /// What it was compared with.
    pub want: Expectation,
}

/// Reads a result and compares, whatever comes of it. Without an expectation, equal picture data mean a copy, and others an
/// encode that cannot be compared.
pub async fn look(
    context: &Context,
    path: &Path,
    index: &Arc<FilmIndex>,
    want: Option<Expectation>,
) -> Result<Proven, StageError> {
    let (inner, source, file) = (context.clone(), index.clone(), path.to_owned());
    let (mut proven, position) = blocking(Stage::Verify, &context.stop, move || {
        let mode = want.map_or(Mode::Copy, |w| w.mode);
        let result = read(&inner, Stage::Verify, mode, &file, false).map_err(of_result)?;
        let want = want.unwrap_or_else(|| guess(&source, &result));
        let (checks, wrong_frames) = certify::checks(&source, &result, want);
        let (frames, size) = (result.frames, result.integrity.file_end);
        Ok((Proven { checks, wrong_frames, frames, size, want }, result.video.video_position))
    })
    .await?;
    if context.decode == Decode::Full {
        proven.checks.push(decode(context, path, position, proven.want.mode, proven.frames).await?);
    }
    Ok(proven)
}

fn guess(source: &FilmIndex, result: &FilmIndex) -> Expectation {
    if source.vcl == result.vcl {
        Expectation { mode: Mode::Copy, payload: Some(source.vcl) }
    } else {
        Expectation { mode: Mode::Encode, payload: None }
    }
}

/// A result of ours that cannot be read is not a damaged source.
fn of_result(e: StageError) -> StageError {
    let code = match e.code.as_str() {
        code if code.starts_with("rpu.") => FailureCode::ProofRpus,
        "align.order" => FailureCode::ProofAlignment,
        "source.missing" | "source.unreadable" => FailureCode::ShareIo,
        code if code.starts_with("source.") || code.starts_with("dv.") => FailureCode::ProofPayload,
        _ => return e,
    };
    StageError { code, message: format!("the result cannot be read back: {}", e.message), ..e }
}

/// Decodes every frame once: finds damage that every hash agrees on, because the encoder made it.
async fn decode(
    context: &Context,
    path: &Path,
    video_position: usize,
    mode: Mode,
    frames: u64,
) -> Result<Check, StageError> {
    let ffmpeg = context.tools.ffmpeg().await?;
    let args = DecodeArgs { ffmpeg: ffmpeg.path.clone(), file: path.to_owned(), video_position };
    let (count, own) = (Count::new(), CancellationToken::new());
    let decoded = Arc::new(Mutex::new(0));
    let lines = {
        let (mut parser, count, decoded) = (ProgressParser::default(), count.clone(), decoded.clone());
        let mut meter = Meter::begin(&context.watcher, mode, Stage::Verify, Unit::Frames, frames);
        Stdout::lines(move |line| {
            if let Some(update) = parser.line(line) {
                count.set(update.frames);
                meter.set(update.frames);
                *decoded.lock().unwrap_or_else(PoisonError::into_inner) = update.frames;
            }
        })
    };
    let watch = Supervision { stdout: lines, ..context.supervision(&count, &own) };
    let exit =
        run(&args.command(&ffmpeg.can), watch).await.map_err(|e| StageError::spawn(Stage::Verify, e))?;
    context.stop.check(Stage::Verify)?;
    if !exit.success() {
        return Err(StageError::exit(Stage::Verify, FailureCode::ToolFailed, "ffmpeg", &exit));
    }
    let decoded = *decoded.lock().unwrap_or_else(PoisonError::into_inner);
    let complaint = exit.stderr_tail.lines().find(|l| is_complaint(l));
    let found = match complaint {
        Some(line) => format!("the decoder complains: {line}"),
        None => format!("{decoded} frames decoded without complaint"),
    };
    // In copy mode frames that are never shown are in the file all the same, so there may be fewer.
    let complete = decoded == frames || (mode == Mode::Copy && decoded <= frames && decoded > 0);
    Ok(Check { name: "decode".into(), ok: complaint.is_none() && complete, found })
}

async fn certificate(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    proven: Proven,
    story: Story,
) -> Result<Certificate, StageError> {
    let ffmpeg = match task.recipe.mode {
        Mode::Encode => context.tools.ffmpeg().await?.can.version.clone(),
        Mode::Copy => String::new(),
    };
    let tools = ToolVersions {
        dovi_fleet: env!("CARGO_PKG_VERSION").into(),
        ffmpeg,
        mkvmerge: context.tools.mkvmerge().await?.version.clone(),
    };
    let text = |path: &PathBuf| path.to_string_lossy().into_owned();
    Ok(Certificate {
        v: 1,
        job: task.label.job,
        film: task.label.film.clone(),
        source: FileFacts {
            path: text(&task.source),
            size: story.source.size,
            mtime_ns: story.source.mtime_ns,
        },
        // The result gets the source's date.
        result: FileFacts { path: text(&task.target), size: proven.size, mtime_ns: story.source.mtime_ns },
        verdict: index.verdict.to_string(),
        evidence: index.evidence.summary(),
        recipe: Some(task.recipe.clone()),
        frames: proven.frames,
        wrong_frames: proven.wrong_frames,
        checks: proven.checks,
        notices: story.notices,
        tools,
        stages: story.stages,
        worker: task.label.worker.clone(),
        at: jiff::Timestamp::now(),
    })
}

/// Proves any pair of files. Whether the result is a copy or an encode is seen from its picture data.
///
/// # Errors
/// A file cannot be read. Checks that do not hold are in the certificate.
pub async fn pair(
    context: &Context,
    source: &Path,
    result: &Path,
    worker: &str,
) -> Result<Certificate, StageError> {
    let facts = |path: &Path| {
        Source::of(path).map_err(|e| {
            let message = format!("failed to look at {}: {e}", path.display());
            StageError::new(Stage::Verify, FailureCode::SourceMissing, message).because(e)
        })
    };
    let (source_facts, result_facts) = (facts(source)?, facts(result)?);
    let (inner, source_path) = (context.clone(), source.to_owned());
    let index = blocking(Stage::Prescan, &context.stop, move || {
        let mut index = read(&inner, Stage::Prescan, Mode::Copy, &source_path, true)?;
        // What a converter filled shows as equal or not; how much it may fill is not ours to judge here.
        let all = dovi::film::MissingPolicy { max_share: 1.0, max_run: u64::MAX };
        if index.verdict.is_profile7() && index.rpus.fill_missing(all).is_err() {
            tracing::debug!("no rpus to compare with");
        }
        Ok(index)
    })
    .await?;
    let index = Arc::new(index);
    let proven = look(context, result, &index, None).await?;
    let mut notices = Vec::new();
    if proven.want.payload.is_none() {
        notices.push("the picture was encoded again: its content is not compared with the source".into());
    }
    if !matches!(index.verdict, Verdict::Mel | Verdict::Fel | Verdict::FelExpanding) {
        notices.push(format!("the source is {}, not Profile 7", index.verdict));
    }
    let text = |path: &Path| path.to_string_lossy().into_owned();
    Ok(Certificate {
        v: 1,
        job: None,
        film: None,
        source: FileFacts { path: text(source), size: source_facts.size, mtime_ns: source_facts.mtime_ns },
        result: FileFacts { path: text(result), size: result_facts.size, mtime_ns: result_facts.mtime_ns },
        verdict: index.verdict.to_string(),
        evidence: index.evidence.summary(),
        recipe: None,
        frames: proven.frames,
        wrong_frames: proven.wrong_frames,
        checks: proven.checks,
        notices,
        tools: ToolVersions { dovi_fleet: env!("CARGO_PKG_VERSION").into(), ..ToolVersions::default() },
        stages: Vec::new(),
        worker: worker.to_owned(),
        at: jiff::Timestamp::now(),
    })
}
