//! What can be wrong with a Matroska file.
use std::io;

/// Why a file cannot be read on. Offsets are bytes from the start of the file.
#[derive(Debug, thiserror::Error)]
pub enum MatroskaError {
    /// Reading or seeking failed.
    #[error("read failed at byte {offset}: {source}")]
    Io {
        /// Where.
        offset: u64,
        /// The system's word.
        source: io::Error,
    },
    /// The file has no bytes.
    #[error("file is empty")]
    Empty,
    /// No EBML header, or another document type.
    #[error("not a matroska file: {0}")]
    NotMatroska(&'static str),
    /// An element ends behind the end of the file.
    #[error("truncated: {what} at byte {offset} ends at byte {declared_end}, the file at {file_end}")]
    Truncated {
        /// Which element.
        what: &'static str,
        /// Its start.
        offset: u64,
        /// Its end as declared.
        declared_end: u64,
        /// Size of the file.
        file_end: u64,
    },
    /// The bytes are no valid element.
    #[error("damaged at byte {offset}: {what}")]
    Damaged {
        /// Where.
        offset: u64,
        /// What was found.
        what: String,
    },
    /// The file is larger in some respect than this reader accepts.
    #[error("{what} at byte {offset} has {size} bytes, the limit is {limit}")]
    TooLarge {
        /// Which element.
        what: &'static str,
        /// Where.
        offset: u64,
        /// Its size.
        size: u64,
        /// The limit.
        limit: u64,
    },
    /// The track is stored in a way this reader has no code for.
    #[error("track {track} uses unsupported {what}")]
    Unsupported {
        /// Track number.
        track: u64,
        /// Which feature.
        what: &'static str,
    },
    /// Segment without a Tracks element.
    #[error("no tracks found before the first cluster")]
    NoTracks,
}

impl MatroskaError {
    pub(crate) fn damaged(offset: u64, what: impl Into<String>) -> Self {
        Self::Damaged { offset, what: what.into() }
    }

    /// True if the file ends too early, as opposed to holding wrong bytes.
    #[must_use]
    pub fn is_truncation(&self) -> bool {
        match self {
            Self::Truncated { .. } => true,
            Self::Io { source, .. } => source.kind() == io::ErrorKind::UnexpectedEof,
            _ => false,
        }
    }
}
