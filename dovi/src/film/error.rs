//! Why a film cannot be scanned, each with a stable code.
use crate::{matroska::MatroskaError, nal::NalError, params::ParamError, rpu::RpuError, slice::SliceError};

/// Damage, impossibility, or a stop from outside. `frame` counts video frames in decode order from 0, `offset` is the
/// byte of the block in the file.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The container.
    #[error(transparent)]
    Matroska(#[from] MatroskaError),
    /// The file ends earlier than its contents say.
    #[error("{0}")]
    Truncated(String),
    /// The container is whole but holds no frame of the film.
    #[error("video track {track} has no frames")]
    NoFrames {
        /// Track number.
        track: u64,
    },
    /// No HEVC video track.
    #[error("no hevc video track ({0})")]
    NoVideo(String),
    /// More than one track could be the film.
    #[error("{0}")]
    Ambiguous(String),
    /// The film is of a kind this system does not handle.
    #[error("{0}")]
    Unsupported(String),
    /// Pictures are fields or hold two of them.
    #[error("interlaced video: {0}")]
    Interlaced(&'static str),
    /// The frame's NAL units do not fit its block.
    #[error("frame {frame} at byte {offset}: {source}")]
    Nal {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
        /// What is wrong.
        source: NalError,
    },
    /// A parameter set cannot be read.
    #[error("frame {frame} at byte {offset}: {source}")]
    Params {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
        /// What is wrong.
        source: ParamError,
    },
    /// The first slice header cannot be read.
    #[error("frame {frame} at byte {offset}: {source}")]
    Slice {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
        /// What is wrong.
        source: SliceError,
    },
    /// A block does not hold exactly one picture.
    #[error("block {frame} at byte {offset} holds {pictures} pictures")]
    Pictures {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
        /// Pictures found.
        pictures: u32,
    },
    /// An RPU cannot be used.
    #[error("frame {frame} at byte {offset}: {source}")]
    RpuInvalid {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
        /// What is wrong.
        source: RpuError,
    },
    /// Two different RPUs in one access unit: players disagree about which one counts.
    #[error("frame {frame} at byte {offset} has two different rpus")]
    RpuDuplicate {
        /// Frame.
        frame: u64,
        /// Byte.
        offset: u64,
    },
    /// Too many frames have no RPU.
    #[error("no rpu on {missing} of {frames} frames (longest run {longest_run}, first at frame {first})")]
    RpuMissing {
        /// Frames without.
        missing: u64,
        /// All frames.
        frames: u64,
        /// Longest run of consecutive ones in display order.
        longest_run: u64,
        /// Display index of the first.
        first: u64,
    },
    /// The enhancement layer track does not go with the base layer.
    #[error("enhancement layer track: {0}")]
    ElTrack(String),
    /// No RPU in the frames, but something outside them that cannot be read.
    #[error(
        "no frame has an rpu, but {blocks} blocks of track {track} have additions ({kind}, {bytes} bytes): \
         the enhancement layer was stored outside the frames"
    )]
    ElElsewhere {
        /// Track number.
        track: u64,
        /// Types the track declares for its BlockAdditions, four characters each.
        kind: String,
        /// Blocks with BlockAdditions.
        blocks: u64,
        /// Their bytes.
        bytes: u64,
    },
    /// Timestamps and picture order disagree, so no frame has a certain place.
    #[error("order of frames is uncertain: {0}")]
    Order(String),
    /// What is written while the film is read cannot be written.
    #[error("write failed after {bytes} bytes: {source}")]
    Output {
        /// Bytes written before.
        bytes: u64,
        /// The system's word.
        source: std::io::Error,
    },
    /// The watcher asked to stop.
    #[error("cancelled after {bytes} bytes")]
    Cancelled {
        /// Bytes read so far.
        bytes: u64,
    },
}

impl ScanError {
    /// The message without the number of the frame, for reads that did not start at the first frame.
    #[must_use]
    pub fn unnumbered(&self) -> String {
        let text = self.to_string();
        match text.strip_prefix("frame ").and_then(|rest| rest.split_once(" at byte ")) {
            Some((_, rest)) => format!("at byte {rest}"),
            None => text,
        }
    }

    /// Stable failure code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Matroska(error) if error.is_truncation() => "source.truncated",
            Self::Matroska(error) => match error {
                MatroskaError::Io { .. } => "source.unreadable",
                MatroskaError::Empty => "source.empty",
                MatroskaError::NotMatroska(_) => "source.not-matroska",
                MatroskaError::NoTracks => "source.no-video",
                MatroskaError::TooLarge { .. } | MatroskaError::Unsupported { .. } => "source.unsupported",
                MatroskaError::Damaged { .. } | MatroskaError::Truncated { .. } => "source.damaged",
            },
            Self::Truncated(_) => "source.truncated",
            Self::NoFrames { .. } | Self::NoVideo(_) => "source.no-video",
            Self::Ambiguous(_) => "source.ambiguous",
            Self::Unsupported(_) | Self::Interlaced(_) => "source.unsupported",
            Self::Nal { .. } | Self::Params { .. } | Self::Slice { .. } | Self::Pictures { .. } => {
                "source.damaged"
            }
            Self::RpuInvalid { .. } => "rpu.invalid",
            Self::RpuDuplicate { .. } => "rpu.duplicate",
            Self::RpuMissing { .. } => "rpu.missing",
            Self::ElTrack(_) | Self::ElElsewhere { .. } => "dv.el-unreadable",
            Self::Order(_) => "align.order",
            Self::Output { source, .. } if source.kind() == std::io::ErrorKind::StorageFull => "disk.full",
            Self::Output { .. } => "share.io",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}
