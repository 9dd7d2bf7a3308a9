//! What the checks of a worker look at.

use std::sync::Arc;

use common::doctor::{Finding, Fleet};

use crate::pipeline::{StageError, Toolbox};

/// A machine that shall convert films.
#[derive(Debug)]
pub struct Machine {
    /// Configuration, share and broker.
    pub fleet: Fleet,
    /// The programs.
    pub tools: Arc<Toolbox>,
}

impl Machine {
    /// Looks for no program yet.
    pub fn new(fleet: Fleet) -> Self {
        let tools = Toolbox::new(fleet.config.tools.clone()).with_backend(fleet.config.dovi.backend);
        Self { fleet, tools: Arc::new(tools) }
    }
}

impl AsRef<Fleet> for Machine {
    fn as_ref(&self) -> &Fleet {
        &self.fleet
    }
}

/// What stopped a stage, with its code.
pub fn failed(e: &StageError) -> Finding {
    Finding::failed(format!("{} ({})", e.message, e.code), e.advice()).measured("code", e.code.as_str())
}
