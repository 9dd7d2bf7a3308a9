//! How a program ends: exit codes, and errors that say what to do.

use std::fmt;
use std::process::ExitCode;

use crate::broker::BrokerError;
use crate::config::ConfigError;
use crate::job::{FailureClass, FailureCode};
use crate::share::{FileError, ShareError};
use crate::text::{safe_path, without_numbers};

/// The exit codes of both programs, a contract with scripts. `--help` prints the same list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Exit {
    /// Everything that was asked for was done.
    Ok = 0,
    /// Some films or actions failed, or a check did not hold; each has its line.
    Some = 1,
    /// The command line or the configuration is wrong: nothing was done.
    Usage = 2,
    /// A program, the broker, the share, a disk or a library root is not there.
    Environment = 3,
    /// Stopped from outside (Ctrl-C, SIGTERM, a closed pipe); what was done is done.
    Interrupted = 4,
    /// A state that should be impossible.
    Bug = 70,
}

impl Exit {
    /// How a program that was asked for one film ends when that film fails with this code.
    pub fn of(code: FailureCode) -> Self {
        match code.class() {
            FailureClass::Permanent | FailureClass::Transient => Self::Some,
            FailureClass::Resource => Self::Environment,
            FailureClass::Interrupted => Self::Interrupted,
            FailureClass::Bug => Self::Bug,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(e: Exit) -> Self {
        Self::from(e as u8)
    }
}

/// Why a command stopped: one sentence that says what is wrong, a hint that says what to do, and causes for `-v`.
#[derive(Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// The sentence after `error: `. Empty: nothing is printed, because there is nobody to read it.
    pub message: String,
    /// The sentence after `hint: `.
    pub hint: Option<String>,
    /// What lies below, nearest first.
    pub causes: Vec<String>,
}

impl Failure {
    /// A failure without hint and causes.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Self { exit, message: message.into(), hint: None, causes: Vec::new() }
    }

    /// Wrong use: the command line asks for something that makes no sense here.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, message)
    }

    /// Something outside is not there.
    pub fn environment(message: impl Into<String>) -> Self {
        Self::new(Exit::Environment, message)
    }

    /// Adds what a person does about it.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds an error and all that lies below it to the causes.
    #[must_use]
    pub fn because(mut self, error: &dyn std::error::Error) -> Self {
        let mut next = Some(error);
        while let Some(e) = next {
            let text = e.to_string();
            // Said already, in the sentence or by an error that only passes its source on.
            if text != self.message && self.causes.last() != Some(&text) {
                self.causes.push(text);
            }
            next = e.source();
        }
        self
    }

    /// Nobody reads the output any more.
    pub fn closed_pipe() -> Self {
        Self::new(Exit::Interrupted, "")
    }

    /// What standard error gets. Causes only if asked for: the sentence and the hint come first.
    pub fn report(&self, verbose: bool) -> String {
        use fmt::Write;
        let mut text = String::new();
        if self.message.is_empty() {
            return text;
        }
        let plain = |t: &str| if verbose { t.to_owned() } else { without_numbers(t) };
        let _ = writeln!(text, "error: {}", plain(&self.message));
        if let Some(hint) = &self.hint {
            let _ = writeln!(text, "hint: {hint}");
        }
        if verbose {
            for cause in &self.causes {
                let _ = writeln!(text, "cause: {cause}");
            }
        }
        text
    }
}

impl From<ConfigError> for Failure {
    fn from(e: ConfigError) -> Self {
        let hint = match &e {
            ConfigError::NoFile(_) => "check the path after --config".to_owned(),
            ConfigError::Read { hint, .. } => hint.clone(),
            ConfigError::Value { .. } => "settings are read from /etc/dovi-fleet/config.toml, ./dovi-fleet.toml and --config FILE; \
                 `config show` prints what is in force and where it came from, docs/CONFIGURATION.md explains each"
                .to_owned(),
        };
        Self::usage(e.to_string()).hint(hint).because(&e)
    }
}

impl From<ShareError> for Failure {
    fn from(e: ShareError) -> Self {
        let hint = match &e {
            ShareError::Gone { .. } => {
                "mount the share; if this is the first start, run `dovi-producer setup` once".to_owned()
            }
            ShareError::File(FileError::Denied { path, .. }) => {
                let dir = safe_path(path.ancestors().find(|p| p.is_dir()).unwrap_or(path));
                format!(
                    "let the user of this program write there: `ls -ld {dir}` and `id` say who may and who asks"
                )
            }
            ShareError::File(FileError::NoSpace { path }) => {
                let dir = safe_path(path.ancestors().find(|p| p.is_dir()).unwrap_or(path));
                format!("free some space there: `df -h {dir}`, and `df -i {dir}` for the number of files")
            }
            _ => e.code().hint().to_owned(),
        };
        Self::environment(e.to_string()).hint(hint).because(&e)
    }
}

impl From<BrokerError> for Failure {
    fn from(e: BrokerError) -> Self {
        let exit = match &e {
            BrokerError::Url(_)
            | BrokerError::AdminUrl(_)
            | BrokerError::Setting(_)
            | BrokerError::NoSuchLetter(_) => Exit::Usage,
            BrokerError::NoJob(_) | BrokerError::Body(_) => Exit::Some,
            _ => Exit::Environment,
        };
        Self::new(exit, e.to_string()).hint(e.hint()).because(&e)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_come_only_when_asked_for() {
        let io = std::io::Error::other("connection refused");
        let f = Failure::environment("the broker does not answer").hint("start it").because(&io);
        assert_eq!(f.report(false), "error: the broker does not answer\nhint: start it\n");
        assert!(f.report(true).ends_with("cause: connection refused\n"));
    }
    #[test]
    fn the_class_of_a_failure_decides_the_exit_code() {
        assert_eq!(Exit::of(FailureCode::SourceTruncated), Exit::Some);
        assert_eq!(Exit::of(FailureCode::ToolMissing), Exit::Environment);
        assert_eq!(Exit::of(FailureCode::Shutdown), Exit::Interrupted);
        assert_eq!(Exit::of(FailureCode::BugPanic), Exit::Bug);
    }
}
