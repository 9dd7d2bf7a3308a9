//! Fingerprint of a track's payload, independent of how it was cut into blocks or packed.
use serde::{Deserialize, Serialize};

use crate::matroska::{Block, Track, TrackKind};

/// One track that is carried over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrackDigest {
    /// Track number in its file.
    pub number: u64,
    /// Unique id; kept by mkvmerge.
    pub uid: u64,
    /// `video`, `audio`, `subtitle`, `buttons` or `other`.
    pub kind: String,
    /// Codec.
    pub codec_id: String,
    /// BLAKE3 over all frames one after the other, as 64 hex digits; empty if tracks were not hashed.
    pub payload: String,
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
    /// First timestamp.
    pub first_pts_ns: Option<i64>,
    /// Greatest timestamp.
    pub last_pts_ns: Option<i64>,
    /// Mean of all timestamps: moves if any part of the track does.
    pub mean_pts_ns: Option<i64>,
    /// Sum of the durations that are written with the frames, as those of subtitles are.
    pub shown_ns: u64,
    /// Frames with the timestamp of the frame before in the same block: laced ones of a track without frame durations. Their
    /// real times, and with them the last and the mean, are later by up to a lace.
    pub untimed: u64,
    /// Frames with the timestamp of the frame before in a block of their own. Such are usual where frames are shorter than
    /// the timestamps' unit, as those of TrueHD are; elsewhere their times are lost.
    pub stacked: u64,
}

/// Builds a [`TrackDigest`].
pub(crate) struct TrackFold {
    digest: TrackDigest,
    hasher: blake3::Hasher,
    pts_sum: i128,
    default_duration_ns: Option<u64>,
    /// Timestamp and block of the frame before.
    previous: Option<(i64, u64)>,
}

impl TrackFold {
    pub(crate) fn new(track: &Track) -> Self {
        let kind = match track.kind {
            TrackKind::Video => "video",
            TrackKind::Audio => "audio",
            TrackKind::Subtitle => "subtitle",
            TrackKind::Buttons => "buttons",
            TrackKind::Other(_) => "other",
        };
        let digest = TrackDigest {
            number: track.number,
            uid: track.uid,
            kind: kind.to_owned(),
            codec_id: track.codec_id.clone(),
            payload: String::new(),
            frames: 0,
            bytes: 0,
            first_pts_ns: None,
            last_pts_ns: None,
            mean_pts_ns: None,
            shown_ns: 0,
            untimed: 0,
            stacked: 0,
        };
        let default_duration_ns = track.default_duration_ns;
        Self { digest, hasher: blake3::Hasher::new(), pts_sum: 0, default_duration_ns, previous: None }
    }

    pub(crate) fn number(&self) -> u64 {
        self.digest.number
    }

    pub(crate) fn add(&mut self, block: &Block, frame: &[u8]) {
        self.hasher.update(frame);
        self.digest.frames += 1;
        self.digest.bytes += frame.len() as u64;
        self.digest.first_pts_ns.get_or_insert(block.pts_ns);
        self.digest.last_pts_ns = self.digest.last_pts_ns.max(Some(block.pts_ns));
        if let Some((_, before)) =
            self.previous.replace((block.pts_ns, block.offset)).filter(|p| p.0 == block.pts_ns)
        {
            let count =
                if before == block.offset { &mut self.digest.untimed } else { &mut self.digest.stacked };
            *count += 1;
        }
        self.pts_sum += i128::from(block.pts_ns);
        if self.default_duration_ns.is_none() {
            self.digest.shown_ns = self.digest.shown_ns.saturating_add(block.duration_ns.unwrap_or(0));
        }
    }

    pub(crate) fn finish(mut self, hashed: bool) -> TrackDigest {
        if hashed {
            self.digest.payload = self.hasher.finalize().to_hex().to_string();
        }
        let frames = i128::from(self.digest.frames);
        self.digest.mean_pts_ns = self.pts_sum.checked_div(frames).and_then(|mean| i64::try_from(mean).ok());
        self.digest
    }
}
