//! The one loop that watches a tool.
//!
//! ```text
//!            cancel             grace over, or kill
//! Running ───────────▶ Asked ───────────────────────▶ Killed ──▶ gone
//!    │ stalled, or kill                                  ▲
//!    └──────────────────────────────────────────────────┘
//! ```
//! The leader's end is not the end: its group and its pipes are given a moment to empty, then the rest is killed and
//! reported as leaked.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures::future::{FusedFuture, FutureExt};
use rustix::process::Pid;
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio_util::sync::CancellationToken;

use super::freeze::Freeze;
use super::group::Group;
use super::log::Log;
use super::output::Sink;
use super::stall::StallClock;
use super::stop::{self, Stop};
use super::{ExitReport, SpawnError, StallWatch, Stdout, Tail, ToolCommand, spawner};

/// How long to wait for the log's disk at the end.
const LOG_PATIENCE: Duration = Duration::from_secs(5);

/// How to watch a tool.
pub struct Supervision {
    /// Cancelled: ask the tool to end (SIGTERM to its group), kill after `grace`.
    pub cancel: CancellationToken,
    /// Cancelled: kill at once. The second signal of an impatient person.
    pub kill: CancellationToken,
    /// While it is on, the tool stands still.
    pub freeze: Freeze,
    /// Time from SIGTERM to SIGKILL.
    pub grace: Duration,
    /// When the tool counts as stuck; `None` waits for ever.
    pub stall: Option<StallWatch>,
    /// The end of a pipe that it reads as its standard input; `None`: there is nothing to read.
    pub stdin: Option<io::PipeReader>,
    /// Where its standard output goes.
    pub stdout: Stdout,
    /// Bytes of standard error to keep for the report.
    pub stderr_tail: usize,
    /// A file to append the command line and the whole standard error to. If it cannot be opened the tool runs
    /// nevertheless, with a warning.
    pub log: Option<PathBuf>,
    /// How long processes may stay behind when the tool has ended, before they are killed and reported.
    pub leak_wait: Duration,
}

impl Default for Supervision {
    fn default() -> Self {
        Self {
            cancel: CancellationToken::new(),
            kill: CancellationToken::new(),
            freeze: Freeze::default(),
            grace: Duration::from_secs(10),
            stall: None,
            stdin: None,
            stdout: Stdout::Null,
            stderr_tail: 32 << 10,
            log: None,
            leak_wait: Duration::from_millis(500),
        }
    }
}

/// Runs a tool to its end, whichever that is.
///
/// Dropping the future kills the tool's group. Only the tool itself dies with a SIGKILLed worker; what it started in
/// turn is left to the container or the service's cgroup.
///
/// # Errors
/// [`SpawnError`] if it could not be started. A tool that ran and failed is no error here: see [`ExitReport::outcome`].
pub async fn run(command: &ToolCommand, watch: Supervision) -> Result<ExitReport, SpawnError> {
    let line = command.to_string();
    let mut log = watch.log.as_deref().and_then(|path| {
        Log::open(path, &line)
            .inspect_err(|e| tracing::warn!(path = %path.display(), error = %e, "no log for this tool"))
            .ok()
    });
    let (handle, mut sink) = Sink::open(watch.stdout);
    let mut std_command = command.to_std();
    std_command
        .stdin(watch.stdin.map_or_else(Stdio::null, Stdio::from))
        .stdout(handle)
        .stderr(Stdio::piped());

    let started = Instant::now();
    tracing::debug!(command = %line, "tool starts");
    let mut child = match spawner::spawn(std_command).await {
        Ok(child) => child,
        Err(source) => {
            let error = spawn_error(command, source);
            if let Some(log) = log {
                log.close(&format!("not started: {error}"), LOG_PATIENCE).await;
            }
            return Err(error);
        }
    };
    let mut group = group_of(&child).map_err(|source| spawn_error(command, source))?;
    let mut tail = Tail::new(watch.stderr_tail);
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());

    let stop = Stop { freeze: watch.freeze, cancel: watch.cancel, kill: watch.kill, grace: watch.grace };
    let (ended, leaked) = {
        let read_out = drain(stdout, |bytes| sink.push(bytes));
        let read_err = drain(stderr, |bytes| {
            tail.push(bytes);
            if let Some(log) = &mut log {
                log.push(bytes);
            }
        });
        let mut drained = std::pin::pin!(async { tokio::join!(read_out, read_err) }.fuse());
        let ended = {
            let stall = watch.stall.map(StallClock::new);
            let mut end = std::pin::pin!(stop::watch_leader(&mut child, &group, &stop, stall));
            // The pipes may close long before the tool ends, and the other way round.
            tokio::select! {
                biased;
                ended = &mut end => ended,
                _ = &mut drained => end.await,
            }
        };
        let leaked = left_behind(&group, drained, watch.leak_wait).await || !ended.is_gone();
        if ended.is_gone() {
            group.disarm();
        }
        (ended, leaked)
    };
    let (stdout, stdout_cut) = sink.finish();
    let (outcome, duration) = (ended.outcome(&line), started.elapsed());
    let report =
        ExitReport { command: line, outcome, duration, stderr_tail: tail.text(), stdout, stdout_cut, leaked };
    if let Some(log) = log {
        let rest = if leaked { ", and left processes behind" } else { "" };
        let last = format!("{} after {:.1} s{rest}", report.outcome, report.duration.as_secs_f64());
        log.close(&last, LOG_PATIENCE).await;
    }
    if leaked {
        tracing::warn!(command = %report.command, "the tool left processes behind; they were killed");
    }
    Ok(report)
}

async fn drain(pipe: Option<impl AsyncRead + Unpin>, mut take: impl FnMut(&[u8])) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = vec![0; 64 << 10];
    loop {
        match pipe.read(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(n) => take(&buffer[..n]),
        }
    }
}

/// Waits until the pipes are closed and the group is empty; after `patience` kills the rest and returns true.
async fn left_behind(group: &Group, mut drained: impl FusedFuture + Unpin, patience: Duration) -> bool {
    let empty = async {
        if !drained.is_terminated() {
            (&mut drained).await;
        }
        while group.alive() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    if tokio::time::timeout(patience, empty).await.is_ok() {
        return false;
    }
    group.kill();
    if !drained.is_terminated() {
        // Whoever left the group (setsid) and still holds the pipe is out of reach: read no longer.
        let _ = tokio::time::timeout(patience, drained).await;
    }
    true
}

fn group_of(child: &Child) -> io::Result<Group> {
    let id = child.id().and_then(|id| i32::try_from(id).ok());
    id.and_then(Pid::from_raw).map(Group::of).ok_or_else(|| io::Error::other("the child has no process id"))
}

fn spawn_error(command: &ToolCommand, source: io::Error) -> SpawnError {
    let program = command.program().to_owned();
    match (source.kind(), command.get_cwd()) {
        (io::ErrorKind::NotFound | io::ErrorKind::NotADirectory, Some(cwd)) if !cwd.is_dir() => {
            SpawnError::Folder { program, cwd: cwd.to_owned() }
        }
        (io::ErrorKind::NotFound, _) => SpawnError::NotFound { program },
        (io::ErrorKind::PermissionDenied, _) => SpawnError::Permission { program },
        _ => SpawnError::Io { program, source },
    }
}
