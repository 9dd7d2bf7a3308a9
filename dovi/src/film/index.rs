//! The result of a scan.
use serde::{Deserialize, Serialize};

use super::{Evidence, FrameLevels, Hdr10, PictureMark, Rate, RpuHash, RpuTable, TrackDigest, Verdict};
use crate::{
    hash::VclHash,
    inject::{RpuByDisplay, SeiByDisplay},
    matroska::{Header, Integrity},
    params::Vui,
};

/// What a scan does beside indexing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScanOptions {
    /// Hash the payload of every track that is carried over. Costs reading all of them (the file is read anyway).
    pub hash_tracks: bool,
    /// Keep the profile 8.1 form of every RPU.
    pub convert: bool,
}

impl Default for ScanOptions {
    fn default() -> Self {
        Self { hash_tracks: true, convert: true }
    }
}

/// How far a read has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Bytes passed.
    pub bytes: u64,
    /// Size of the file.
    pub total: u64,
    /// Video frames so far.
    pub frames: u64,
}

/// A separate enhancement layer track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ElTrack {
    /// Track number.
    pub track_number: u64,
    /// Position among all tracks, mkvmerge's track id.
    pub track_id: usize,
    /// Position among the video tracks.
    pub video_position: usize,
}

/// The base layer track and its picture format.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// Track number.
    pub track_number: u64,
    /// Position among the video tracks: ffmpeg's `0:v:N`.
    pub video_position: usize,
    /// Position among all tracks, 0-based: mkvmerge's track id.
    pub track_id: usize,
    /// Width in luma samples, conformance window applied.
    pub width: u32,
    /// Height in luma samples, conformance window applied.
    pub height: u32,
    /// Luma bit depth.
    pub bit_depth: u8,
    /// `chroma_format_idc`, 1 is 4:2:0.
    pub chroma_format_idc: u8,
    /// Colour tags of the first active SPS.
    pub vui: Option<Vui>,
    /// Smallest timestamp.
    pub start_ns: i64,
    /// Frame rate.
    pub rate: Rate,
    /// The container's nominal frame duration.
    pub default_duration_ns: Option<u64>,
    /// Separate enhancement layer track, if the RPUs came from one.
    pub el_track: Option<ElTrack>,
}

/// Counts of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// RPUs, one per frame at most; a doubled one counts once.
    pub rpus: u64,
    /// NAL 63, or slices of the enhancement layer track.
    pub el_nals: u64,
    /// Bytes of enhancement layer.
    pub el_bytes: u64,
    /// Frames without RPU.
    pub missing: u64,
    /// Display indices of the first of them, 16 at most.
    pub missing_first: Vec<u64>,
    /// Longest run of them in display order.
    pub missing_longest_run: u64,
    /// Frames with the same RPU more than once.
    pub duplicate: u64,
    /// Frames whose RPU is not last in its access unit.
    pub not_last: u64,
    /// End of sequence or bitstream NAL units: branch points.
    pub end_of_sequence: u64,
    /// Coded video sequences.
    pub cvs: u64,
    /// Frames a decoder does not output: skipped RASL, `pic_output_flag` 0, and those discarded at a branch point.
    pub not_output: u64,
    /// Pictures that tell a decoder to drop what it has not shown yet; where this is not 0, a count of the decoder's
    /// frames is worth more than `not_output`.
    pub drops_prior: u64,
    /// Frames at the very time of the frame shown before them.
    pub equal_pts: u64,
    /// Frames before the time of the frame shown before them: overlapping branches.
    pub backward_pts: u64,
    /// Display index of the first frame of either kind.
    pub irregular_pts_at: Option<u64>,
    /// Frames with HDR10+ metadata.
    pub hdr10plus: u64,
}

/// Everything known about a film after one read.
#[derive(Debug, Clone)]
pub struct FilmIndex {
    /// Container header, complete with what stands behind the clusters.
    pub header: Header,
    /// Base layer.
    pub video: VideoFacts,
    /// Frames in the file (access units).
    pub frames: u64,
    /// Timestamps in display order.
    pub pts_ns: Vec<i64>,
    /// Display index of each frame in decode order.
    pub display_of: Vec<u32>,
    /// Frames a decoder outputs, by display index.
    pub output: Vec<bool>,
    /// RPUs by display index.
    pub rpus: RpuTable,
    /// What the RPUs found in the film say, by display index.
    pub levels: Vec<Option<FrameLevels>>,
    /// Marks of the base layer's slices, in decode order.
    pub pictures: Vec<PictureMark>,
    /// Counts.
    pub counts: Counts,
    /// Static metadata.
    pub hdr10: Hdr10,
    /// Verdict over all frames.
    pub verdict: Verdict,
    /// Its evidence.
    pub evidence: Evidence,
    /// Hash of the base layer's slices.
    pub vcl: VclHash,
    /// Tracks other than base layer and enhancement layer, in file order.
    pub tracks: Vec<TrackDigest>,
    /// Structure of the file.
    pub integrity: Integrity,
    pub(crate) hdr10plus: Hdr10PlusTable,
}

/// HDR10+ SEI NAL units by display index.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hdr10PlusTable {
    pub(crate) arena: Vec<u8>,
    pub(crate) by_display: Vec<Option<(usize, usize)>>,
}

impl FilmIndex {
    /// HDR10+ metadata of a frame by display index, as a complete prefix SEI NAL (escaped, no start code) around the
    /// payload found in the film.
    #[must_use]
    pub fn hdr10plus(&self, display: u64) -> Option<&[u8]> {
        let (start, len) = (*self.hdr10plus.by_display.get(usize::try_from(display).ok()?)?)?;
        self.hdr10plus.arena.get(start..start + len)
    }

    /// The frames a decoder outputs, in the order it outputs them. An encode of this film has exactly these.
    #[must_use]
    pub fn expected(&self) -> Expected<'_> {
        let all = self.output.iter().all(|o| *o);
        let displays = (0u64..).zip(&self.output).filter(|(_, output)| **output).map(|(i, _)| i);
        Expected { index: self, displays: (!all).then(|| displays.collect()) }
    }
}

/// View of a [`FilmIndex`] by output index, see [`FilmIndex::expected`].
#[derive(Debug, Clone)]
pub struct Expected<'a> {
    index: &'a FilmIndex,
    displays: Option<Vec<u64>>,
}

impl<'a> Expected<'a> {
    /// Number of frames.
    #[must_use]
    pub fn frames(&self) -> u64 {
        self.displays.as_ref().map_or(self.index.frames, |d| d.len() as u64)
    }

    /// Display index in the source of output frame `i`.
    #[must_use]
    pub fn display(&self, i: u64) -> Option<u64> {
        match &self.displays {
            None => (i < self.index.frames).then_some(i),
            Some(list) => list.get(usize::try_from(i).ok()?).copied(),
        }
    }

    /// Profile 8.1 RPU of output frame `i`.
    #[must_use]
    pub fn p81(&self, i: u64) -> Option<&'a [u8]> {
        self.index.rpus.p81(self.display(i)?)
    }

    /// Fingerprint of [`Self::p81`].
    #[must_use]
    pub fn p81_hash(&self, i: u64) -> Option<RpuHash> {
        self.index.rpus.p81_hash(self.display(i)?)
    }

    /// HDR10+ prefix SEI NAL of output frame `i`.
    #[must_use]
    pub fn hdr10plus(&self, i: u64) -> Option<&'a [u8]> {
        self.index.hdr10plus(self.display(i)?)
    }

    /// Timestamp of output frame `i`.
    #[must_use]
    pub fn pts_ns(&self, i: u64) -> Option<i64> {
        self.index.pts_ns.get(usize::try_from(self.display(i)?).ok()?).copied()
    }
}

/// By output index, which is the display index of the encode.
impl RpuByDisplay for Expected<'_> {
    fn rpu(&self, display: u64) -> Option<&[u8]> {
        self.p81(display)
    }
}

/// By output index, which is the display index of the encode.
impl SeiByDisplay for Expected<'_> {
    fn sei(&self, display: u64) -> Option<&[u8]> {
        self.hdr10plus(display)
    }
}
