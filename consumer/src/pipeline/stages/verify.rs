//! Reading the whole result once and comparing it with the source. Only this makes a [`VerifiedFilm`].

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::config::Decode;
use common::job::{Certificate, Check, FailureCode, FileFacts, Mode, StageTime, ToolVersions};
use dovi::film::{FilmIndex, Verdict};
use dovi::hash::VclHash;

use super::decode::{self, Film};
use super::prescan::read;
use crate::pipeline::artifact::{MuxedFilm, Partial};
use crate::pipeline::blocking::blocking;
use crate::pipeline::certify::{self, Expectation};
use crate::pipeline::passes::pass;
use crate::pipeline::{Context, FilmTask, Source, Stage, StageError};

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
    let proven = prove(context, &task.source, partial.path(), index, want).await?;
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
    source: &Path,
    path: &Path,
    index: &Arc<FilmIndex>,
    want: Expectation,
) -> Result<Proven, StageError> {
    let proven = look(context, source, path, index, Some(want)).await?;
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
/// encode whose slices cannot be compared; its pictures can.
pub async fn look(
    context: &Context,
    source: &Path,
    path: &Path,
    index: &Arc<FilmIndex>,
    want: Option<Expectation>,
) -> Result<Proven, StageError> {
    // Where it is not known what the result is, it may have to be decoded.
    let mode = want.map_or(Mode::Encode, |w| w.mode);
    let plan = Passes::of(context.decode, mode);
    let (inner, known, file) = (pass(context, mode, 0.0, plan.read), index.clone(), path.to_owned());
    let (mut proven, video_position) = blocking(Stage::Verify, &context.stop, move || {
        let result = read(&inner, Stage::Verify, mode, &file, false).map_err(of_result)?;
        let want = want.unwrap_or_else(|| certify::guess(&known, &result));
        let (checks, wrong_frames) = certify::checks(&known, &result, want);
        let (frames, size) = (result.frames, result.integrity.file_end);
        Ok((Proven { checks, wrong_frames, frames, size, want }, result.video.video_position))
    })
    .await?;
    let result = Film { path, video_position };
    let source = Film { path: source, video_position: index.video.video_position };
    let more = decoded(context, &plan, source, result, index, &proven).await?;
    proven.checks.extend(more);
    Ok(proven)
}

/// The checks for which pictures are decoded, as far as the settings ask for them.
async fn decoded(
    context: &Context,
    plan: &Passes,
    source: Film<'_>,
    result: Film<'_>,
    index: &FilmIndex,
    proven: &Proven,
) -> Result<Vec<Check>, StageError> {
    let (mode, mut checks) = (proven.want.mode, Vec::new());
    if context.decode == Decode::Off {
        return Ok(checks);
    }
    let expected = index.expected();
    if mode == Mode::Encode {
        let shown: Vec<i64> = (0..expected.frames()).filter_map(|i| expected.pts_ns(i)).collect();
        let inner = pass(context, mode, plan.read, plan.sample);
        checks.push(decode::sample(&inner, mode, source, result, &shown).await?);
    } else if proven.checks.iter().any(|c| c.name == "payload" && c.ok) {
        let found = "the source's by the hash of all slices; nothing to compare";
        checks.push(Check::new("picture", true, found));
    }
    if context.decode == Decode::Full {
        let shown = if mode == Mode::Encode { proven.frames } else { expected.frames() };
        let inner = pass(context, mode, plan.sample, 1.0);
        checks.push(decode::full(&inner, mode, result, proven.frames, shown).await?);
    }
    Ok(checks)
}

/// How far the stage is after each of its passes, 0 to 1. Roughly: a decoder takes hours for pictures whose bytes are read in
/// minutes.
struct Passes {
    read: f32,
    sample: f32,
}

impl Passes {
    fn of(decode: Decode, mode: Mode) -> Self {
        match (decode, mode) {
            (Decode::Off, _) | (Decode::Sample, Mode::Copy) => Self { read: 1.0, sample: 1.0 },
            (Decode::Sample, Mode::Encode) => Self { read: 0.8, sample: 1.0 },
            (Decode::Full, Mode::Copy) => Self { read: 0.1, sample: 0.1 },
            (Decode::Full, Mode::Encode) => Self { read: 0.1, sample: 0.12 },
        }
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

async fn certificate(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    proven: Proven,
    story: Story,
) -> Result<Certificate, StageError> {
    let external = context.tools.external().await?;
    let ffmpeg = if task.recipe.mode == Mode::Encode || external.is_some() {
        context.tools.ffmpeg().await?.can.version.clone()
    } else {
        String::new()
    };
    let tools = ToolVersions {
        dovi_fleet: env!("CARGO_PKG_VERSION").into(),
        ffmpeg,
        mkvmerge: context.tools.mkvmerge().await?.version.clone(),
        dovi_tool: external.map(|t| t.version.clone()).unwrap_or_default(),
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
    let proven = look(context, source, result, &index, None).await?;
    let mut notices = Vec::new();
    if proven.want.payload.is_none() && context.decode == Decode::Off {
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
