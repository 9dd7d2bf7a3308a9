//! One check, and what it found.

use std::collections::BTreeMap;

use futures::future::BoxFuture;
use serde::Serialize;
use serde_json::Value;

use crate::broker::BrokerError;
use crate::exit::Failure;
use crate::share::ShareError;

/// How good or bad a finding is, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// As it should be.
    Ok,
    /// It was not looked at: it does not apply, cannot be learned from here, or something it needs has failed.
    Skipped,
    /// It works, but a person should know.
    Warning,
    /// It must be put right first.
    Failed,
}

impl Level {
    /// The word in print.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What a check found. A check that looks at several things (every library root) finds several.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// How good or bad it is.
    pub level: Level,
    /// What was seen, with its figures.
    pub text: String,
    /// The figures for programs; units are part of the names (`free_bytes`, `write_mb_s`).
    pub measured: BTreeMap<&'static str, Value>,
    /// What to do, with the exact command where there is one.
    pub hint: Option<String>,
    /// Whether checks that need this one are left out.
    pub blocks: bool,
}

impl Finding {
    fn new(level: Level, text: impl Into<String>) -> Self {
        let blocks = level == Level::Failed;
        Self { level, text: text.into(), measured: BTreeMap::new(), hint: None, blocks }
    }

    /// As it should be.
    pub fn ok(text: impl Into<String>) -> Self {
        Self::new(Level::Ok, text)
    }

    /// Not looked at, for this reason.
    pub fn skipped(why: impl Into<String>) -> Self {
        Self::new(Level::Skipped, why)
    }

    /// It works, but a person should know, and can do this about it.
    pub fn warning(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Warning, text).hint(hint)
    }

    /// It must be put right, in this way.
    pub fn failed(text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self::new(Level::Failed, text).hint(hint)
    }

    /// Adds what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds a figure. Its unit is part of its name.
    #[must_use]
    pub fn measured(mut self, name: &'static str, value: impl Into<Value>) -> Self {
        self.measured.insert(name, value.into());
        self
    }

    /// Leaves out what needs this check, though it has not failed.
    #[must_use]
    pub fn blocking(mut self) -> Self {
        self.blocks = true;
        self
    }
}

impl From<Failure> for Finding {
    fn from(failure: Failure) -> Self {
        Self { hint: failure.hint, ..Self::new(Level::Failed, failure.message) }
    }
}

impl From<BrokerError> for Finding {
    fn from(e: BrokerError) -> Self {
        Failure::from(e).into()
    }
}

impl From<ShareError> for Finding {
    fn from(e: ShareError) -> Self {
        Failure::from(e).into()
    }
}

/// Looks at one thing in the program's world `W`. Changes nothing that stays.
pub type Look<W> = for<'a> fn(&'a W) -> BoxFuture<'a, Vec<Finding>>;

/// One check of a program whose world is `W`.
#[derive(Debug)]
pub struct Check<W: 'static> {
    /// Its name, a contract with scripts (`--only`).
    pub name: &'static str,
    /// What it belongs to: `settings`, `tools`, `disks`, `share` or `broker`.
    pub part: &'static str,
    /// What it looks at, for `--list`.
    pub about: &'static str,
    /// Checks that must not have failed.
    pub needs: &'static [&'static str],
    /// It takes a second or more; `--fast` leaves it out.
    pub slow: bool,
    /// The worst that it may find.
    pub worst: Level,
    /// The look.
    pub look: Look<W>,
}
