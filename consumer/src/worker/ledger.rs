//! The books of the fleet, for one film in work: certificate, announcement, and whether the film is still ours.

use std::path::PathBuf;
use std::sync::Arc;

use common::job::{Certificate, FailureCode, JobId};
use common::share::{FileError, Folder, LeaseKeeper, ShareError, ShareState, write_file};
use common::steps::{self, Step};

use crate::pipeline::{Announcement, Ledger, Stage, StageError};

/// Keeps the books on the share, under a lease.
pub(super) struct ShareLedger {
    share: ShareState,
    job: JobId,
    keeper: Arc<LeaseKeeper>,
}

impl ShareLedger {
    pub(super) fn new(share: ShareState, job: JobId, keeper: Arc<LeaseKeeper>) -> Self {
        Self { share, job, keeper }
    }

    fn file(&self) -> PathBuf {
        Self::announcement(&self.share, self.job)
    }

    fn announcement(share: &ShareState, job: JobId) -> PathBuf {
        share.log_path(job).join("announced.json")
    }

    /// Of a film that is done: takes away what only stood there until then. Whoever finished it may have died before.
    pub(super) fn clear_after(share: &ShareState, job: JobId) -> Result<(), ShareError> {
        share.remove(Folder::Queued, job)?;
        share.remove(Folder::Failed, job)?;
        match std::fs::remove_file(Self::announcement(share, job)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => {
                Err(FileError::new("remove", &Self::announcement(share, job), e).into())
            }
            _ => Ok(()),
        }
    }
}

pub(super) fn share_error(stage: Stage, e: ShareError) -> StageError {
    StageError::new(stage, e.code(), e.to_string()).because(e)
}

impl Ledger for ShareLedger {
    fn announced(&self) -> Result<Option<Announcement>, StageError> {
        match std::fs::read(self.file()) {
            // One that cannot be read was cut off in the middle: then nothing was published after it.
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
                self.share.check().map_err(|e| share_error(Stage::Preflight, e))?;
                Ok(None)
            }
            Err(e) => {
                let message = format!("failed to read {}: {e}", self.file().display());
                Err(StageError::new(Stage::Preflight, FailureCode::ShareIo, message).because(e))
            }
        }
    }

    fn announce(&self, announcement: &Announcement) -> Result<(), StageError> {
        let json = serde_json::to_vec_pretty(announcement)
            .map_err(|e| StageError::new(Stage::Publish, FailureCode::BugPanic, e.to_string()))?;
        self.share.log_dir(self.job).map_err(|e| share_error(Stage::Publish, e))?;
        write_file(&self.file(), &json).map_err(|e| share_error(Stage::Publish, e.into()))
    }

    fn still_ours(&self) -> Result<(), StageError> {
        self.keeper.check().map_err(|e| StageError::new(Stage::Publish, e.code(), e.to_string()).because(e))
    }

    fn conclude(&self, certificate: &Certificate) -> Result<(), StageError> {
        self.share.settle(Folder::Done, self.job, certificate).map_err(|e| share_error(Stage::Publish, e))?;
        let token = self.keeper.lease().token();
        steps::reached(Step::Certified, token).map_err(|e| StageError::file(Stage::Publish, e))?;
        // A person who wanted it dropped came too late.
        if let Err(e) = self.share.forget_cancel(self.job) {
            tracing::debug!(error = %e, "a cancel that came too late stays on the share");
        }
        // It has served: the certificate says the same.
        if let Err(e) = std::fs::remove_file(self.file()) {
            tracing::debug!(error = %e, "the announcement stays behind");
        }
        Ok(())
    }
}
