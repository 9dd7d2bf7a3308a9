//! Running dovi_tool, with a film on its standard input or without, and telling which of the two programs is stuck.

use std::convert::Infallible;
use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::time::Duration;

use common::job::FailureCode;
use common::process::{Progress as Count, Supervision, ToolCommand, pipe, run};
use tokio_util::sync::CancellationToken;

use super::words::Words;
use crate::pipeline::blocking::blocking;
use crate::pipeline::{Context, Meter, Stage, StageError};

/// How often the growth of a file is looked at.
const LOOK: Duration = Duration::from_millis(100);
const BUFFER: usize = 1 << 20;

/// What the thread between the two programs waits for.
const FOR_FILM: u8 = 0;
const FOR_TOOL: u8 = 1;
const AT_END: u8 = 2;

#[derive(Debug, Default)]
struct Between {
    bytes: AtomicU64,
    waits: AtomicU8,
}

/// What became of the bytes between the two programs.
enum Pumped {
    /// All of them went over.
    Whole,
    /// dovi_tool closed its side.
    Refused,
    /// Reading failed.
    Broken(io::Error),
}

/// Runs a program whose output is a file that grows. It reads nothing from us.
pub async fn run_alone(
    context: &Context,
    stage: Stage,
    name: &'static str,
    tool: &ToolCommand,
    output: &Path,
) -> Result<(), StageError> {
    let (count, own, words) = (Count::new(), CancellationToken::new(), Words::of(name));
    let watch = Supervision { stdout: words.listen(), ..context.supervision(&count, &own) };
    let exit = or_forever(run(tool, watch), grow(&count, output)).await;
    context.stop.check(stage)?;
    let exit = exit.map_err(|e| StageError::spawn(stage, e))?;
    words.judge(context, stage, &exit, output)
}

/// Runs `film | tool`: the first writes a raw stream to its standard output, the second reads it and makes `output`.
///
/// `meter` is told the bytes that went over.
pub async fn feed(
    context: &Context,
    stage: Stage,
    film: &ToolCommand,
    tool: &ToolCommand,
    output: &Path,
    meter: Meter,
) -> Result<(), StageError> {
    let no_pipe = |e: io::Error| {
        StageError::new(stage, FailureCode::ToolFailed, format!("failed to make a pipe: {e}")).because(e)
    };
    let (stdout, from_film) = pipe().map_err(no_pipe)?;
    let (stdin, to_tool) = io::pipe().map_err(no_pipe)?;
    let (film_count, tool_count) = (Count::new(), Count::new());
    let (own, words) = (CancellationToken::new(), Words::of("dovi_tool"));
    let watch_film = Supervision { stdout, ..context.supervision(&film_count, &own) };
    let watch_tool =
        Supervision { stdin: Some(stdin), stdout: words.listen(), ..context.supervision(&tool_count, &own) };
    let between = Arc::new(Between::default());
    let pumping = {
        let between = between.clone();
        blocking(stage, &context.stop, move || Ok(pump(from_film, to_tool, &between, meter)))
    };
    let growing = count(&between, &film_count, &tool_count, output);
    let both = async {
        let tool = async {
            let exit = run(tool, watch_tool).await;
            if exit.is_err() {
                // It never started, so nobody reads: the pump would see that only with the film's first bytes.
                own.cancel();
            }
            exit
        };
        tokio::join!(run(film, watch_film), tool, pumping)
    };
    let (film_exit, tool_exit, pumped) = or_forever(both, growing).await;
    context.stop.check(stage)?;
    let tool_exit = tool_exit.map_err(|e| StageError::spawn(stage, e))?;
    let film_exit = film_exit.map_err(|e| StageError::spawn(stage, e))?;
    match pumped? {
        // Then the first program saw a broken pipe, whatever it says about that.
        Pumped::Refused => Err(words.stopped_reading(stage, &tool_exit)),
        // The second took the early end for the film's: it says nothing and exits with 0 (measured).
        _ if !film_exit.success() => {
            Err(StageError::exit(stage, FailureCode::ToolFailed, "ffmpeg", &film_exit))
        }
        Pumped::Broken(e) => {
            let message = format!("failed to read from ffmpeg: {e}");
            Err(StageError::new(stage, FailureCode::ToolFailed, message).because(e))
        }
        Pumped::Whole => words.judge(context, stage, &tool_exit, output),
    }
}

/// Moves everything from one program to the other. Blocks.
fn pump(mut from: PipeReader, mut to: PipeWriter, between: &Between, mut meter: Meter) -> Pumped {
    let mut buffer = vec![0; BUFFER];
    let moved = loop {
        between.waits.store(FOR_FILM, Ordering::Relaxed);
        let n = match from.read(&mut buffer) {
            Ok(0) => break Pumped::Whole,
            Ok(n) => n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
            Err(e) => break Pumped::Broken(e),
        };
        between.waits.store(FOR_TOOL, Ordering::Relaxed);
        if to.write_all(&buffer[..n]).is_err() {
            break Pumped::Refused;
        }
        meter.set(between.bytes.fetch_add(n as u64, Ordering::Relaxed) + n as u64);
    };
    between.waits.store(AT_END, Ordering::Relaxed);
    moved
}

/// Counts for the two stall watches. Neither program is to blame while it waits for the other.
async fn count(between: &Between, film: &Count, tool: &Count, output: &Path) -> Infallible {
    let (mut film_waits, mut tool_waits) = (0, 0);
    loop {
        tokio::time::sleep(LOOK).await;
        match between.waits.load(Ordering::Relaxed) {
            FOR_FILM => tool_waits += 1,
            FOR_TOOL => film_waits += 1,
            _ => {}
        }
        let moved = between.bytes.load(Ordering::Relaxed);
        film.set(moved + film_waits);
        tool.set(moved + tool_waits + size(output));
    }
}

/// Counts for the stall watch of a program that reads nothing from us.
async fn grow(tool: &Count, output: &Path) -> Infallible {
    loop {
        tokio::time::sleep(LOOK).await;
        tool.set(size(output));
    }
}

/// One system call on a local disk, so no thread for it.
fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |m| m.len())
}

/// The work, with something at its side that never ends.
async fn or_forever<T>(work: impl Future<Output = T>, beside: impl Future<Output = Infallible>) -> T {
    tokio::select! {
        biased;
        done = work => done,
        never = beside => match never {},
    }
}
