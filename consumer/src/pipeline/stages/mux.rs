//! Putting the film together: the new video track, and everything else of the source.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::job::FailureCode;
use common::process::{ExitReport, Outcome, Progress as Count, Stdout, Supervision, run};
use common::share::FileError;
use dovi::film::FilmIndex;
use dovi::matroska::Track;
use tokio_util::sync::CancellationToken;

use crate::pipeline::artifact::{MuxedFilm, Partial, VideoStream};
use crate::pipeline::meter::Unit;
use crate::pipeline::plan::Clock;
use crate::pipeline::{Context, FilmTask, Meter, Plan, Stage, StageError};
use crate::tools::mkvmerge::{Display, Mux, MuxLog, Timing, VideoTrack, tag_file};
use crate::workspace::{Workspace, partial_name};

/// Writes the whole film under a hidden name into the result's folder.
pub async fn mux(
    context: &Context,
    task: &FilmTask,
    index: &FilmIndex,
    plan: &Plan,
    video: &VideoStream,
    workspace: &Workspace,
) -> Result<MuxedFilm, StageError> {
    let mkvmerge = context.tools.mkvmerge().await?;
    let partial = Partial::at(partial_name(&task.target, &task.token));
    task.publishing.folders.make(Stage::Mux, partial.path().parent().unwrap_or(Path::new("/")))?;
    let prepared = prepare(task, index, plan, video, workspace, partial.path(), &mkvmerge.path);
    let (mux, option_file) = prepared.map_err(|e| StageError::file(Stage::Mux, e))?;
    let command = mux.command(&option_file);

    let log = Arc::new(Mutex::new(MuxLog::default()));
    let mut meter = Meter::begin(&context.watcher, plan.mode, Stage::Mux, Unit::Other, 100);
    let (count, own) = (Count::new(), CancellationToken::new());
    let lines = {
        let (log, count) = (log.clone(), count.clone());
        Stdout::lines(move |line| {
            if let Some(percent) = log.lock().unwrap_or_else(PoisonError::into_inner).line(line) {
                count.set(percent.into());
                meter.set(percent.into());
            }
        })
    };
    // A percent of a large film on a slow share may take longer than the stall time; the size of the file does not lie.
    let growth = tokio::spawn(watch_growth(partial.path().to_owned(), count.clone()));
    let watch = Supervision { stdout: lines, ..context.supervision(&count, &own) };
    let exit = run(&command, watch).await;
    growth.abort();
    context.stop.check(Stage::Mux)?;
    let exit = exit.map_err(|e| StageError::spawn(Stage::Mux, e))?;
    let log = std::mem::take(&mut *log.lock().unwrap_or_else(PoisonError::into_inner));
    judge(&exit, &log)?;
    // The encoded stream has served; the space may be needed for the next film.
    if let Err(e) = fs::remove_file(&video.path) {
        tracing::debug!(error = %e, "the video stream stays until the end");
    }
    Ok(MuxedFilm { partial, warnings: log.warnings })
}

async fn watch_growth(path: PathBuf, count: Count) {
    loop {
        tokio::time::sleep(std::time::Duration::from_secs(2)).await;
        if let Ok(meta) = tokio::task::spawn_blocking({
            let path = path.clone();
            move || fs::metadata(path)
        })
        .await
        .unwrap_or_else(|e| Err(io::Error::other(e)))
        {
            count.set(100 + meta.len());
        }
    }
}

/// Makes all files mkvmerge is told of.
fn prepare(
    task: &FilmTask,
    index: &FilmIndex,
    plan: &Plan,
    video: &VideoStream,
    workspace: &Workspace,
    partial: &Path,
    mkvmerge: &Path,
) -> Result<(Mux, PathBuf), FileError> {
    let link = |name: &str, to: &Path| workspace.link(name, to).map_err(|e| FileError::new("link to", to, e));
    // JSON takes only UTF-8: a name of other bytes gets a plain one in scratch.
    let source =
        if Mux::plain(&task.source) { task.source.clone() } else { link("source.mkv", &task.source)? };
    let timing = match &plan.clock {
        _ if video.has_times() => Timing::Kept,
        Clock::Constant { num, den, start_ms } => {
            Timing::Constant { num: *num, den: *den, start_ms: *start_ms }
        }
        Clock::Each(times) => {
            let file = workspace.timestamps();
            fs::write(&file, timestamps(times)).map_err(|e| FileError::new("write", &file, e))?;
            Timing::File(file)
        }
    };
    let track = &index.header.tracks[index.video.track_id];
    let mux = Mux {
        mkvmerge: mkvmerge.to_owned(),
        folder: partial.parent().unwrap_or(Path::new("/")).to_owned(),
        output: partial.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        video: VideoTrack {
            file: video.path.clone(),
            name: track.name.clone(),
            language: Some(track.language_ietf.clone().unwrap_or_else(|| track.language.clone())),
            default: track.flag_default,
            forced: track.flag_forced,
            enabled: track.flag_enabled,
            flags: flags(track),
            display: display(track),
            crop: crop(track),
            tags: tags(index, track, workspace)?,
            colour: plan.colour.clone(),
            timing,
        },
        source,
        without: plan.without.clone(),
        other_video: plan.other_video,
        order: plan.order.clone(),
    };
    let file = workspace.mux_options();
    let json =
        serde_json::to_vec_pretty(&mux.options()).map_err(|e| FileError::new("write", &file, e.into()))?;
    fs::write(&file, json).map_err(|e| FileError::new("write", &file, e))?;
    Ok((mux, file))
}

fn flags(track: &Track) -> Vec<(&'static str, bool)> {
    [
        ("--hearing-impaired-flag", track.flag_hearing_impaired),
        ("--visual-impaired-flag", track.flag_visual_impaired),
        ("--text-descriptions-flag", track.flag_text_descriptions),
        ("--original-flag", track.flag_original),
        ("--commentary-flag", track.flag_commentary),
    ]
    .into_iter()
    .filter_map(|(option, flag)| Some((option, flag?)))
    .collect()
}

/// The film's display size, always given: otherwise mkvmerge takes one from the stream.
fn display(track: &Track) -> Option<Display> {
    let v = track.video.as_ref()?;
    let [left, top, right, bottom] = v.crop;
    // What is shown where nothing else is said (RFC 9559 section 5.1.4.1.28.12).
    let shown = (v.width.saturating_sub(left + right), v.height.saturating_sub(top + bottom));
    let (w, h) = v.display_width.zip(v.display_height).unwrap_or(shown);
    match (v.display_unit, w, h) {
        (_, 0, _) | (_, _, 0) => None,
        (0, w, h) => Some(Display::Pixels(w, h)),
        (_, w, h) => Some(Display::Ratio(w, h)),
    }
}

fn crop(track: &Track) -> Option<[u64; 4]> {
    track.video.as_ref().map(|v| v.crop).filter(|c| *c != [0; 4])
}

/// Writes the film's own tags, which mkvmerge would leave behind with the old track, into a file.
fn tags(index: &FilmIndex, track: &Track, workspace: &Workspace) -> Result<Option<PathBuf>, FileError> {
    let own = index.header.tags.iter().filter(|t| track.uid != 0 && t.targets.tracks.contains(&track.uid));
    let Some(text) = tag_file(own) else { return Ok(None) };
    let file = workspace.video_tags();
    fs::write(&file, text).map_err(|e| FileError::new("write", &file, e))?;
    Ok(Some(file))
}

/// Timestamps in mkvmerge's format version 2: milliseconds, in display order (measured with B-frames).
fn timestamps(times_ns: &[i64]) -> String {
    let mut text = String::from("# timestamp format v2\n");
    for ns in times_ns {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{:.6}", *ns as f64 / 1e6);
    }
    text
}

/// Exit code 1 is "with warnings". Most are harmless, but bytes that were skipped are a damaged film.
fn judge(exit: &ExitReport, log: &MuxLog) -> Result<(), StageError> {
    match exit.outcome {
        Outcome::Exited(0 | 1) if log.errors.is_empty() => match log.damage() {
            Some(warning) => Err(StageError::new(Stage::Mux, FailureCode::SourceDamaged, warning).tool(exit)),
            None => Ok(()),
        },
        _ if log.no_space() => {
            let words = log.errors.join("; ");
            Err(StageError::new(
                Stage::Mux,
                FailureCode::DiskFull,
                format!("the result's disk is full: {words}"),
            )
            .tool(exit))
        }
        _ => {
            let mut error = StageError::exit(Stage::Mux, FailureCode::MuxFailed, "mkvmerge", exit);
            // mkvmerge complains on standard output.
            if let Some(words) = log.errors.first() {
                error.message = format!("mkvmerge {}: {words}", exit.outcome);
            }
            if let Some(tool) = &mut error.tool {
                tool.tail.extend(log.errors.iter().chain(&log.warnings).take(20).cloned());
            }
            Err(error)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn exit(outcome: Outcome) -> ExitReport {
        ExitReport {
            command: "mkvmerge".into(),
            outcome,
            duration: Duration::from_secs(1),
            stderr_tail: String::new(),
            stdout: Vec::new(),
            stdout_cut: false,
            leaked: false,
        }
    }

    #[test]
    fn warnings_are_judged_by_what_they_say() {
        let log = |warnings: &[&str], errors: &[&str]| MuxLog {
            warnings: warnings.iter().map(ToString::to_string).collect(),
            errors: errors.iter().map(ToString::to_string).collect(),
        };
        let code = |n, log: &MuxLog| judge(&exit(Outcome::Exited(n)), log).err().map(|e| e.code);
        assert_eq!(code(0, &log(&[], &[])), None);
        assert_eq!(code(1, &log(&["The track's language is odd."], &[])), None);
        assert_eq!(
            code(1, &log(&["x: Error in the Matroska file structure"], &[])),
            Some(FailureCode::SourceDamaged)
        );
        assert_eq!(code(2, &log(&[], &["could not be opened"])), Some(FailureCode::MuxFailed));
        assert_eq!(code(2, &log(&[], &["The drive may be full."])), Some(FailureCode::DiskFull));
        let killed = judge(&exit(Outcome::Signaled(9)), &log(&[], &[])).unwrap_err();
        assert_eq!(killed.code, FailureCode::ToolKilled);
    }

    #[test]
    fn timestamps_are_milliseconds_with_all_digits() {
        assert_eq!(
            timestamps(&[0, 41_708_333, -1]),
            "# timestamp format v2\n0.000000\n41.708333\n-0.000001\n"
        );
    }
}
