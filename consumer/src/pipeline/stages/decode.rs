//! Decoding the result: some pictures of it beside the source's, or all of it for the decoder's complaints.

use std::borrow::Cow;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use common::config::Decode;
use common::job::{Check, Encoder, FailureCode, Mode, Recipe};
use common::process::{ExitReport, Progress as Count, Stdout, Supervision, ToolCommand, run};
use tokio_util::sync::CancellationToken;

use crate::pipeline::blocking::blocking;
use crate::pipeline::meter::Unit;
use crate::pipeline::picture::{self, Found, MOST_TIMES, Place};
use crate::pipeline::{Context, Ffmpeg, Meter, Source, Stage, StageError};
use crate::tools::ffmpeg::{
    DecodeArgs, FRAME_BYTES, FrameArgs, ProgressParser, SmallFrame, is_complaint, read_frames,
};

/// How much earlier a second try begins, in nanoseconds: where an index names a key frame too late.
const EARLIER_NS: i64 = 30_000_000_000;
/// Added on both sides of a stretch of time, in nanoseconds: less than a frame, more than rounding.
const MARGIN_NS: i64 = 2_000_000;

/// A film and its video track.
#[derive(Debug, Clone, Copy)]
pub struct Film<'a> {
    /// The file, absolute.
    pub path: &'a Path,
    /// The track among the video tracks, from 0.
    pub video_position: usize,
}

/// Compares pictures of both films at places spread over them. `shown` are the times of the source's pictures that a
/// decoder shows, in nanoseconds, ascending.
///
/// # Errors
/// A tool failed, or the source gives too few pictures to compare: that says nothing of the result.
pub async fn sample(
    context: &Context,
    mode: Mode,
    source: Film<'_>,
    result: Film<'_>,
    shown: &[i64],
) -> Result<Check, StageError> {
    let ffmpeg = context.tools.ffmpeg().await?;
    let places = picture::places(shown);
    let mut meter = Meter::begin(&context.watcher, mode, Stage::Verify, Unit::Other, places.len() as u64);
    let mut all: Vec<Found> = Vec::new();
    for (done, place) in (1u64..).zip(&places) {
        let (ours, theirs) =
            tokio::join!(pictures(context, ffmpeg, source, place), pictures(context, ffmpeg, result, place));
        context.stop.check(Stage::Verify)?;
        let (ours, theirs) = (ours.map_err(|e| of_source(source.path, e))?, theirs?);
        let place = place.clone();
        let compare = move || Ok(picture::compare(&place, &ours, &theirs));
        all.push(blocking(Stage::Verify, &context.stop, compare).await?);
        meter.set(done);
    }
    let wanted: usize = places.iter().map(|p| p.compared().len()).sum();
    let given: usize = all.iter().map(|f| f.frames + f.missing.len()).sum();
    if given * 2 < wanted || wanted == 0 {
        let message = format!("the source gave {given} of {wanted} pictures to compare with");
        return Err(StageError::new(Stage::Verify, FailureCode::SourceUnreadable, message));
    }
    let judged = picture::judge(&all);
    let mut check = Check::new("picture", judged.wrong.is_none(), judged.found());
    check.differences.extend(judged.wrong);
    check.figures.extend([
        ("pictures".into(), judged.frames.into()),
        ("places".into(), judged.places.into()),
        ("in_time".into(), judged.in_time.into()),
        ("least_psnr_db".into(), ((judged.psnr * 10.0).round() / 10.0).into()),
    ]);
    Ok(check)
}

/// A source that went away meanwhile is not the result's fault, and no tool's.
fn of_source(path: &Path, e: StageError) -> StageError {
    let Err(io) = Source::of(path) else { return e };
    let code = match io.kind() {
        std::io::ErrorKind::NotFound => FailureCode::SourceMissing,
        _ => FailureCode::SourceUnreadable,
    };
    let message = format!("the source cannot be read any more: {}: {io}", path.display());
    StageError { code, message, ..e }
}

/// Decodes one place of a film. Pictures that do not come are looked for once more from further back.
async fn pictures(
    context: &Context,
    ffmpeg: &Ffmpeg,
    film: Film<'_>,
    place: &Place,
) -> Result<Vec<SmallFrame>, StageError> {
    let (Some(first), Some(last)) = (place.times.first(), place.times.last()) else { return Ok(Vec::new()) };
    let mut args = FrameArgs {
        ffmpeg: ffmpeg.path.clone(),
        file: film.path.to_owned(),
        video_position: film.video_position,
        seek_ns: Some(*first).filter(|ns| *ns > 0),
        from_ns: first - MARGIN_NS,
        to_ns: last + MARGIN_NS,
    };
    let found = extract(context, ffmpeg, &args).await?;
    if args.seek_ns.is_none() || picture::complete(place, &found) {
        return Ok(found);
    }
    tracing::debug!(file = %film.path.display(), at = place.seconds(), "pictures are missing; from further back");
    args.seek_ns = Some(first - EARLIER_NS).filter(|ns| *ns > 0);
    extract(context, ffmpeg, &args).await
}

async fn extract(
    context: &Context,
    ffmpeg: &Ffmpeg,
    args: &FrameArgs,
) -> Result<Vec<SmallFrame>, StageError> {
    // Twice what is asked for, and room for the container around it.
    let stdout = Stdout::Capture(2 * MOST_TIMES * FRAME_BYTES + (1 << 20));
    let exit = decoded(context, &args.command(&ffmpeg.can), stdout, &Count::new()).await?;
    if exit.stdout.is_empty() {
        return Ok(Vec::new());
    }
    read_frames(&exit.stdout).map_err(|e| {
        StageError::new(Stage::Verify, FailureCode::ToolFailed, format!("ffmpeg: {e}")).tool(&exit).because(e)
    })
}

/// Runs a decoder to its good end.
async fn decoded(
    context: &Context,
    command: &ToolCommand,
    stdout: Stdout,
    count: &Count,
) -> Result<ExitReport, StageError> {
    let own = CancellationToken::new();
    let watch = Supervision { stdout, ..context.supervision(count, &own) };
    let exit = run(command, watch).await;
    own.cancel();
    let exit = exit.map_err(|e| StageError::spawn(Stage::Verify, e))?;
    context.stop.check(Stage::Verify)?;
    if exit.success() {
        Ok(exit)
    } else {
        Err(StageError::exit(Stage::Verify, FailureCode::ToolFailed, "ffmpeg", &exit))
    }
}

/// The recipe for an encode whose result is decoded whole: x265 writes a checksum (MD5) of every picture into the stream.
/// Without it a decoder rarely notices flipped bits: it takes them for another picture. Measured: 57 bytes a picture
/// (11 kbit/s), 3 % of the time of preset medium. Parameters of the recipe come later and win.
pub fn checksummed<'a>(decode: Decode, recipe: &'a Recipe) -> Cow<'a, Recipe> {
    if decode != Decode::Full || recipe.encoder != Encoder::X265 {
        return Cow::Borrowed(recipe);
    }
    let mut recipe = recipe.clone();
    recipe.x265_params.insert(0, "hash=1".into());
    Cow::Owned(recipe)
}

/// Decodes every frame once: finds damage that every hash agrees on, because the encoder made it. `frames` are in the
/// file, `shown` of them come out of a decoder.
///
/// # Errors
/// ffmpeg failed. What it complains of is in the check.
pub async fn full(
    context: &Context,
    mode: Mode,
    film: Film<'_>,
    frames: u64,
    shown: u64,
) -> Result<Check, StageError> {
    let ffmpeg = context.tools.ffmpeg().await?;
    let args = DecodeArgs {
        ffmpeg: ffmpeg.path.clone(),
        file: film.path.to_owned(),
        video_position: film.video_position,
    };
    let count = Count::new();
    let done = Arc::new(Mutex::new(0));
    let lines = {
        let (mut parser, count, done) = (ProgressParser::default(), count.clone(), done.clone());
        let mut meter = Meter::begin(&context.watcher, mode, Stage::Verify, Unit::Frames, frames);
        Stdout::lines(move |line| {
            if let Some(update) = parser.line(line) {
                count.set(update.frames);
                meter.set(update.frames);
                *done.lock().unwrap_or_else(PoisonError::into_inner) = update.frames;
            }
        })
    };
    let exit = decoded(context, &args.command(&ffmpeg.can), lines, &count).await?;
    let decoded = *done.lock().unwrap_or_else(PoisonError::into_inner);
    let complaint = exit.stderr_tail.lines().find(|l| is_complaint(l));
    // In copy mode frames that are never shown are in the file all the same, so there may be fewer.
    let complete = (shown.min(frames)..=frames).contains(&decoded);
    let found = match complaint {
        Some(line) => format!("the decoder complains: {}", line.trim()),
        None if complete => format!("{decoded} frames decoded without complaint"),
        None => format!("{decoded} frames come out of the decoder instead of {shown}"),
    };
    let ok = complaint.is_none() && complete;
    let mut check = Check::new("decode", ok, found);
    if !ok {
        check.differences.push(check.found.clone());
    }
    check.figures.extend([("decoded".into(), decoded.into()), ("shown".into(), shown.into())]);
    Ok(check)
}
