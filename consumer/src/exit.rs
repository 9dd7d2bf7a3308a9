//! How the program ends; what is the worker's own about it.

pub use common::exit::{Exit, Failure};

use crate::pipeline::StageError;

impl From<StageError> for Failure {
    fn from(e: StageError) -> Self {
        let mut failure = Self::new(Exit::of(e.code), format!("{} ({})", e.message, e.code)).hint(e.advice());
        failure.causes = e.causes();
        if let Some(tool) = &e.tool {
            failure.causes.push(tool.command.clone());
            failure.causes.extend(tool.tail.iter().cloned());
        }
        failure
    }
}
