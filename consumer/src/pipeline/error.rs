//! What stopped a film.

use std::error::Error;
use std::fmt;

use common::job::{FailureCode, ToolReport};
use common::media::Refusal;
use common::process::{ExitReport, Outcome, SpawnError};
use common::share::FileError;

/// A step of the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// Looking at what there is before any work: free space, tools, names.
    Preflight,
    /// Reading the whole film once.
    Prescan,
    /// Decoding, encoding and injecting in one go.
    Encode,
    /// Rewriting the metadata and keeping the picture.
    Copy,
    /// Putting the result together.
    Mux,
    /// Reading the whole result once, and comparing.
    Verify,
    /// Giving the result its name.
    Publish,
}

impl Stage {
    /// The name in reports, leases and certificates.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Preflight => "preflight",
            Self::Prescan => "prescan",
            Self::Encode => "encode",
            Self::Copy => "copy",
            Self::Mux => "mux",
            Self::Verify => "verify",
            Self::Publish => "publish",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Why a film was not finished.
#[derive(Debug)]
pub struct StageError {
    /// Where.
    pub stage: Stage,
    /// What kind of failure, for machines.
    pub code: FailureCode,
    /// What happened, in one sentence with its figures, for people.
    pub message: String,
    /// What to do about this very case; otherwise the code's hint holds.
    pub hint: Option<String>,
    /// The program that failed, in its own words.
    pub tool: Option<Box<ToolReport>>,
    /// What lies below.
    pub source: Option<Box<dyn Error + Send + Sync>>,
}

impl fmt::Display for StageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({} in {})", self.message, self.code, self.stage)
    }
}

impl Error for StageError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_deref().map(|e| e as &(dyn Error + 'static))
    }
}

/// Lines of a tool's own words that go into a report.
const TAIL_LINES: usize = 20;

impl StageError {
    /// A failure with nothing below it.
    pub fn new(stage: Stage, code: FailureCode, message: impl Into<String>) -> Self {
        Self { stage, code, message: message.into(), hint: None, tool: None, source: None }
    }

    /// Adds what lies below.
    #[must_use]
    pub fn because(mut self, source: impl Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the program that failed.
    #[must_use]
    pub fn tool(mut self, report: &ExitReport) -> Self {
        self.tool = Some(Box::new(tool_report(report)));
        self
    }

    /// A film that is left alone, in the words of every other place that says so.
    pub fn refused(stage: Stage, refusal: Refusal) -> Self {
        Self::new(stage, refusal.code, refusal.what).hint(refusal.advice)
    }

    /// What a person does about it.
    pub fn advice(&self) -> &str {
        self.hint.as_deref().unwrap_or(self.code.hint())
    }

    /// The causes below the message, nearest first; not those that only repeat what the one above already says.
    pub fn causes(&self) -> Vec<String> {
        let mut causes = Vec::new();
        let mut said = self.message.clone();
        let mut next = self.source();
        while let Some(e) = next {
            let text = e.to_string();
            if !said.contains(&text) {
                causes.push(text.clone());
                said = text;
            }
            next = e.source();
        }
        causes
    }

    /// A tool that could not be started.
    pub fn spawn(stage: Stage, error: SpawnError) -> Self {
        let code = match &error {
            SpawnError::NotFound { .. } | SpawnError::Permission { .. } => FailureCode::ToolMissing,
            // Only what writes results runs in a folder: theirs.
            SpawnError::Folder { .. } => FailureCode::ShareGone,
            SpawnError::Io { .. } => FailureCode::ToolFailed,
        };
        Self::new(stage, code, error.to_string()).because(error)
    }

    /// A tool that ran and did not end well; `failed` is the code where it ended by itself.
    pub fn exit(stage: Stage, failed: FailureCode, name: &str, report: &ExitReport) -> Self {
        let code = match report.outcome {
            Outcome::Exited(_) | Outcome::Cancelled => failed,
            Outcome::Signaled(_) => FailureCode::ToolKilled,
            Outcome::Stalled => FailureCode::ToolStalled,
        };
        Self::new(stage, code, format!("{name} {report}")).tool(report)
    }

    /// A file that could not be written, moved or read.
    pub fn file(stage: Stage, error: FileError) -> Self {
        Self::new(stage, error.code(), error.to_string()).because(error)
    }
}

fn tool_report(report: &ExitReport) -> ToolReport {
    let mut tail: Vec<String> =
        report.stderr_tail.lines().map(str::trim_end).filter(|l| !l.is_empty()).map(cut).collect();
    tail.drain(..tail.len().saturating_sub(TAIL_LINES));
    ToolReport { command: report.command.clone(), outcome: report.outcome.to_string(), tail }
}

fn cut(line: &str) -> String {
    const LONGEST: usize = 500;
    if line.chars().count() <= LONGEST {
        line.to_owned()
    } else {
        line.chars().take(LONGEST).chain(['…']).collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn report(outcome: Outcome) -> ExitReport {
        let stderr_tail = (0..40).map(|n| format!("line {n}\n\n")).collect();
        let (duration, stdout) = (Duration::from_secs(3), Vec::new());
        ExitReport {
            command: "ffmpeg -i x".into(),
            outcome,
            duration,
            stderr_tail,
            stdout,
            stdout_cut: false,
            leaked: false,
        }
    }

    #[test]
    fn how_a_tool_ended_decides_the_code_and_its_last_words_are_kept() {
        let code = |o| StageError::exit(Stage::Encode, FailureCode::EncodeFailed, "ffmpeg", &report(o)).code;
        assert_eq!(code(Outcome::Exited(1)), FailureCode::EncodeFailed);
        assert_eq!(code(Outcome::Signaled(9)), FailureCode::ToolKilled);
        assert_eq!(code(Outcome::Stalled), FailureCode::ToolStalled);
        let error =
            StageError::exit(Stage::Encode, FailureCode::EncodeFailed, "ffmpeg", &report(Outcome::Exited(1)));
        assert_eq!(error.message, "ffmpeg exited with code 1 after 3.0 s: line 39");
        let tool = error.tool.unwrap();
        assert_eq!((tool.tail.len(), tool.tail[19].as_str()), (TAIL_LINES, "line 39"));
    }
}
