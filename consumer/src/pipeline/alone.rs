//! The books of a conversion that nobody else can have begun.

use std::path::PathBuf;

use common::job::{Certificate, FailureCode};
use common::share::write_file;

use super::{Announcement, Ledger, Stage, StageError};

/// No queue, no lease and no earlier attempt: a film converted by hand, or a worker's test of itself.
#[derive(Debug)]
pub struct Alone {
    /// Where the certificate goes, if anybody wants it.
    pub certificate: Option<PathBuf>,
}

impl Ledger for Alone {
    fn announced(&self) -> Result<Option<Announcement>, StageError> {
        Ok(None)
    }

    fn announce(&self, _: &Announcement) -> Result<(), StageError> {
        Ok(())
    }

    fn still_ours(&self) -> Result<(), StageError> {
        Ok(())
    }

    fn conclude(&self, certificate: &Certificate) -> Result<(), StageError> {
        let Some(path) = &self.certificate else { return Ok(()) };
        let json = serde_json::to_vec_pretty(certificate)
            .map_err(|e| StageError::new(Stage::Publish, FailureCode::BugPanic, e.to_string()))?;
        write_file(path, &json).map_err(|e| StageError::file(Stage::Publish, e))
    }
}
