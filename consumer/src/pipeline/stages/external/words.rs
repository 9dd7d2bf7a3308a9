//! What a program says, for reports and logs.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use common::job::FailureCode;
use common::process::{ExitReport, Stdout};

use crate::pipeline::{Context, Stage, StageError};
use crate::tools::dovi_tool::{is_warning, no_space};

/// Lines of standard output that are kept.
const MOST: usize = 40;

/// The lines of its standard output: dovi_tool's steps and warnings come there.
#[derive(Debug, Clone)]
pub struct Words {
    name: &'static str,
    lines: Arc<Mutex<Vec<String>>>,
}

impl Words {
    /// Of a program with this name.
    pub fn of(name: &'static str) -> Self {
        Self { name, lines: Arc::default() }
    }

    /// Takes standard output.
    pub fn listen(&self) -> Stdout {
        let (name, words) = (self.name, self.lines.clone());
        Stdout::lines(move |line| {
            tracing::debug!(line, "{name} says");
            let mut words = words.lock().unwrap_or_else(PoisonError::into_inner);
            if words.len() < MOST && !line.trim().is_empty() {
                words.push(line.trim().to_owned());
            }
        })
    }

    fn all(&self) -> Vec<String> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// How it ended: its warnings become notices, a failure gets everything it said, and an end without a result is one.
    pub fn judge(
        &self,
        context: &Context,
        stage: Stage,
        exit: &ExitReport,
        output: &Path,
    ) -> Result<(), StageError> {
        for warning in self.all().iter().filter(|line| is_warning(line)) {
            context.watcher.notice(&format!("{}: {warning}", self.name));
        }
        if !exit.success() {
            return Err(self.failed(stage, exit));
        }
        match std::fs::metadata(output) {
            Ok(meta) if meta.len() > 0 => Ok(()),
            _ => {
                let message = format!("{} {} and wrote nothing", self.name, exit.outcome);
                Err(self.with_words(StageError::new(stage, FailureCode::ToolFailed, message), exit))
            }
        }
    }

    /// It ended by itself before it had read the film.
    pub fn stopped_reading(&self, stage: Stage, exit: &ExitReport) -> StageError {
        if !exit.success() {
            return self.failed(stage, exit);
        }
        let message = format!("{} {} before it had read the film to its end", self.name, exit.outcome);
        self.with_words(StageError::new(stage, FailureCode::ToolFailed, message), exit)
    }

    fn failed(&self, stage: Stage, exit: &ExitReport) -> StageError {
        let error = StageError::exit(stage, FailureCode::ToolFailed, self.name, exit);
        let full = no_space(&exit.stderr_tail) && error.code == FailureCode::ToolFailed;
        let code = if full { FailureCode::DiskFull } else { error.code };
        self.with_words(StageError { code, ..error }, exit)
    }

    fn with_words(&self, error: StageError, exit: &ExitReport) -> StageError {
        let mut error = if error.tool.is_some() { error } else { error.tool(exit) };
        if let Some(tool) = &mut error.tool {
            tool.tail.splice(0..0, self.all());
        }
        error
    }
}
