//! What can go wrong with files, with the share, and with a lease.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::atomic::is_no_space;
use crate::job::FailureCode;

/// A file that could not be written, moved or read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The final name is taken.
    #[error("{} exists already", path.display())]
    Exists {
        /// The taken name.
        path: PathBuf,
    },
    /// No space, or the user's quota is used up.
    #[error("no space left for {}", path.display())]
    NoSpace {
        /// The file that did not fit.
        path: PathBuf,
    },
    /// The two names are on different file systems, so that a rename cannot be atomic.
    #[error("{} and {} are on different file systems", from.display(), to.display())]
    CrossDevice {
        /// The file.
        from: PathBuf,
        /// Its wanted name.
        to: PathBuf,
    },
    /// Not allowed: rights of the folder, or a read-only mount.
    #[error("not allowed to {action} {}: {source}", path.display())]
    Denied {
        /// What was tried, as in "failed to …".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
    /// The file system takes no name of this length: no other worker's try ends otherwise.
    #[error("{} cannot be made: the file system takes no name of {length} bytes", path.display())]
    NameTooLong {
        /// The name that was asked for.
        path: PathBuf,
        /// Bytes of its last part.
        length: usize,
    },
    /// Anything else.
    #[error("failed to {action} {}: {source}", path.display())]
    Io {
        /// What was tried, as in "failed to …".
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the kernel said.
        source: io::Error,
    },
}

impl FileError {
    /// Sorts an I/O error by what a person would do about it.
    pub fn new(action: &'static str, path: &Path, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            _ if is_no_space(&source) => Self::NoSpace { path },
            io::ErrorKind::AlreadyExists => Self::Exists { path },
            // ENAMETOOLONG.
            io::ErrorKind::InvalidFilename => {
                let length = path.file_name().map_or(0, |name| name.len());
                Self::NameTooLong { path, length }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                Self::Denied { action, path, source }
            }
            _ => Self::Io { action, path, source },
        }
    }

    /// The code when this happens to a result on its way to its final name.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Exists { .. } => FailureCode::OutputExists,
            Self::NoSpace { .. } => FailureCode::DiskFull,
            Self::Denied { .. } => FailureCode::OutputDenied,
            Self::NameTooLong { .. } => FailureCode::OutputName,
            Self::CrossDevice { .. } | Self::Io { .. } => FailureCode::ShareIo,
        }
    }

    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Io { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The share state could not be used.
#[derive(Debug, thiserror::Error)]
pub enum ShareError {
    /// The sentinel cannot be seen: the share is not mounted, or this was never set up as a state folder.
    #[error("the share is gone: there is no sentinel in {} (not mounted, or never set up)", dir.display())]
    Gone {
        /// The state folder.
        dir: PathBuf,
    },
    /// The folder of results has no marker: it is not mounted.
    #[error("the folder of results {} is not there: it has no .dovi-fleet-results (not mounted?)", dir.display())]
    NoResults {
        /// `output.dir`.
        dir: PathBuf,
    },
    /// A file could not be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is larger than anything we would write.
    #[error("{} has {size} bytes, at most {limit} are read", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size in bytes.
        size: u64,
        /// The bound in bytes.
        limit: u64,
    },
    /// A file does not hold what its place promises.
    #[error("{} is not what it should be: {reason}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

impl ShareError {
    /// The stable code of this failure.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Gone { .. } | Self::NoResults { .. } => FailureCode::ShareGone,
            Self::File(FileError::NoSpace { .. }) => FailureCode::DiskFull,
            Self::File(FileError::NameTooLong { .. }) => FailureCode::OutputName,
            _ => FailureCode::ShareIo,
        }
    }
}

/// A claim that could not be renewed.
#[derive(Debug, thiserror::Error)]
pub enum LeaseError {
    /// The film belongs to another worker, or nobody can prove that it is still ours: stop the tools, drop the partial.
    #[error("the lease is lost: {0}")]
    Lost(String),
    /// Not renewed this time, but for less than half the stale time: go on and try again.
    #[error("the lease was not renewed for {} s: {source}", quiet.as_secs())]
    NotRenewed {
        /// Time since the last success.
        quiet: Duration,
        /// Why.
        source: ShareError,
    },
}

impl LeaseError {
    /// The stable code of this failure.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Lost(_) => FailureCode::LeaseLost,
            Self::NotRenewed { source, .. } => source.code(),
        }
    }
}
