//! What came of a tool.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::Duration;

/// How a tool ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// By itself, with this exit code. Zero is no proof of complete work: see what it wrote.
    Exited(i32),
    /// By a signal that was not ours: the kernel's out-of-memory killer, a crash, a person.
    Signaled(i32),
    /// Killed by us: its progress count did not move for the stall time.
    Stalled,
    /// Stopped by us on request, whatever exit code it then gave: its output is not to be used.
    Cancelled,
}

impl Outcome {
    /// From a status the kernel reported, when we asked for nothing.
    pub(super) fn of(status: ExitStatus) -> Self {
        use std::os::unix::process::ExitStatusExt;
        match (status.code(), status.signal()) {
            (Some(code), _) => Self::Exited(code),
            (None, Some(signal)) => Self::Signaled(signal),
            // wait() reports only ends, and an end is one of the two above.
            (None, None) => Self::Exited(-1),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exited(code) => write!(f, "exited with code {code}"),
            Self::Signaled(n) => match signal_name(*n) {
                Some(name) => write!(f, "was killed by signal {n} ({name})"),
                None => write!(f, "was killed by signal {n}"),
            },
            Self::Stalled => write!(f, "made no progress and was killed"),
            Self::Cancelled => write!(f, "was stopped on request"),
        }
    }
}

fn signal_name(n: i32) -> Option<&'static str> {
    Some(match n {
        1 => "SIGHUP",
        2 => "SIGINT",
        3 => "SIGQUIT",
        4 => "SIGILL",
        6 => "SIGABRT",
        7 => "SIGBUS",
        8 => "SIGFPE",
        9 => "SIGKILL, perhaps out of memory",
        11 => "SIGSEGV",
        13 => "SIGPIPE",
        15 => "SIGTERM",
        25 => "SIGXFSZ",
        _ => return None,
    })
}

/// The end of one tool.
#[derive(Debug, Clone)]
pub struct ExitReport {
    /// The command line as it can be pasted into a shell.
    pub command: String,
    /// How it ended.
    pub outcome: Outcome,
    /// From start to end.
    pub duration: Duration,
    /// The last words on standard error, progress lines that overwrite each other reduced to the last.
    pub stderr_tail: String,
    /// The beginning of standard output, for [`Stdout::Capture`](super::Stdout::Capture).
    pub stdout: Vec<u8>,
    /// Standard output was longer than the limit; `stdout` holds the first bytes.
    pub stdout_cut: bool,
    /// It left processes behind in its group or holding its pipes. They were killed as far as they could be reached.
    pub leaked: bool,
}

impl ExitReport {
    /// Exit code zero by itself.
    pub fn success(&self) -> bool {
        self.outcome == Outcome::Exited(0)
    }

    /// The last line it said that is not empty.
    pub fn last_words(&self) -> Option<&str> {
        self.stderr_tail.lines().map(str::trim).rfind(|l| !l.is_empty())
    }
}

/// One sentence for a log or an error: how it ended, when, and its last words.
impl fmt::Display for ExitReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} after {:.1} s", self.outcome, self.duration.as_secs_f64())?;
        match self.last_words() {
            Some(words) => write!(f, ": {words}"),
            None => Ok(()),
        }
    }
}

/// A tool that could not be started.
#[derive(Debug, thiserror::Error)]
pub enum SpawnError {
    /// There is no such program.
    #[error("{} is not installed or not on PATH", program.display())]
    NotFound {
        /// The program as given.
        program: PathBuf,
    },
    /// The program may not be executed.
    #[error("{} may not be executed (permission, or a noexec mount)", program.display())]
    Permission {
        /// The program as given.
        program: PathBuf,
    },
    /// The folder to run in is not there.
    #[error("the folder {} to run {} in does not exist", cwd.display(), program.display())]
    Folder {
        /// The program as given.
        program: PathBuf,
        /// The folder.
        cwd: PathBuf,
    },
    /// Anything else: no memory, too many processes, a file of another machine type.
    #[error("{} could not be started: {source}", program.display())]
    Io {
        /// The program as given.
        program: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}
