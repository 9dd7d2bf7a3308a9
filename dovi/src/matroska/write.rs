//! Writes a Matroska file of one video track for a muxer to read: no index, no known length.
use std::io::{self, Seek, SeekFrom, Write};

use super::ids;

/// A cluster is closed at the first key frame after so many bytes, and in any case at [`MOST_BYTES`].
const GOOD_BYTES: usize = 1 << 20;
const MOST_BYTES: usize = 4 << 20;
/// Cluster id, size of eight bytes, and the timestamp with its id and size.
const CLUSTER_HEAD: usize = 4 + 8 + 2 + 8;
/// Bytes of an element with an id of three bytes and a number: kept free behind the track's other elements.
const GAP: usize = 3 + 8 + 8;
/// Size "unknown" in eight bytes (RFC 8794 section 6.2).
const UNKNOWN: [u8; 8] = [0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF];
const DOCUMENT: [(u32, u64); 4] = [(0x4286, 1), (0x42F7, 1), (0x42F2, 4), (0x42F3, 8)];
const DOC_TYPE_VERSION: u32 = 0x4287;
const DOC_TYPE_READ_VERSION: u32 = 0x4285;
const FLAG_LACING: u32 = 0x9C;
const BLOCK_ADD_ID_NAME: u32 = 0x41A4;
/// `dvvC`: the configuration record of profiles above 7.
const DVVC: u64 = 0x6476_7643;

/// What the file says about its track.
#[derive(Debug, Clone)]
pub(crate) struct OneTrack {
    pub(crate) uid: u64,
    pub(crate) timestamp_scale_ns: u64,
    pub(crate) width: u64,
    pub(crate) height: u64,
    /// HEVCDecoderConfigurationRecord with length fields of four bytes.
    pub(crate) hvcc: Vec<u8>,
    /// Dolby Vision configuration record.
    pub(crate) dvvc: [u8; 24],
}

/// The file in the making. Memory: one cluster.
pub(crate) struct OneTrackWriter<W> {
    out: W,
    scale: i64,
    cluster: Vec<u8>,
    /// Timestamp of the cluster in ticks.
    base: i64,
    bytes: u64,
    /// Where the frame duration goes, which is known only at the end.
    duration_at: u64,
}

impl<W: Write + Seek> OneTrackWriter<W> {
    /// Writes everything before the first frame.
    pub(crate) fn begin(out: W, track: &OneTrack) -> io::Result<Self> {
        let mut head = Vec::new();
        let mut ebml = Vec::new();
        DOCUMENT.iter().for_each(|(id, value)| uint(&mut ebml, *id, *value));
        element(&mut ebml, ids::DOC_TYPE, b"matroska");
        uint(&mut ebml, DOC_TYPE_VERSION, 4);
        uint(&mut ebml, DOC_TYPE_READ_VERSION, 2);
        element(&mut head, ids::EBML, &ebml);
        id(&mut head, ids::SEGMENT);
        head.extend_from_slice(&UNKNOWN);
        let mut info = Vec::new();
        uint(&mut info, ids::TIMESTAMP_SCALE, track.timestamp_scale_ns);
        element(&mut info, ids::MUXING_APP, b"dovi-fleet");
        element(&mut info, ids::WRITING_APP, b"dovi-fleet");
        element(&mut head, ids::INFO, &info);
        let mut tracks = Vec::new();
        element(&mut tracks, ids::TRACK_ENTRY, &entry(track));
        element(&mut head, ids::TRACKS, &tracks);
        // The entry ends with the gap.
        let duration_at = (head.len() - GAP) as u64;
        let scale = i64::try_from(track.timestamp_scale_ns).unwrap_or(i64::MAX).max(1);
        let mut writer = Self { out, scale, cluster: Vec::new(), base: 0, bytes: 0, duration_at };
        writer.put(&head)?;
        Ok(writer)
    }

    /// Bytes written so far.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Adds the next frame in decode order.
    pub(crate) fn frame<'a>(
        &mut self,
        pts_ns: i64,
        key: bool,
        nals: impl Iterator<Item = &'a [u8]>,
    ) -> io::Result<()> {
        let ticks = pts_ns.div_euclid(self.scale);
        let full = self.cluster.len() > if key { GOOD_BYTES } else { MOST_BYTES };
        if full || i16::try_from(ticks - self.base).is_err() {
            self.close()?;
        }
        if self.cluster.is_empty() {
            self.cluster.resize(CLUSTER_HEAD, 0);
            self.base = ticks.max(0);
        }
        let too_far = |_| io::Error::new(io::ErrorKind::InvalidData, "a frame is shown too long before zero");
        let relative = i16::try_from(ticks - self.base).map_err(too_far)?;
        id(&mut self.cluster, ids::SIMPLE_BLOCK);
        let size_at = self.cluster.len();
        self.cluster.extend_from_slice(&[0; 5]);
        self.cluster.push(0x81);
        self.cluster.extend_from_slice(&relative.to_be_bytes());
        self.cluster.push(if key { 0x80 } else { 0 });
        for nal in nals {
            let too_large = |_| io::Error::new(io::ErrorKind::InvalidData, "a NAL unit is larger than 4 GiB");
            let length = u32::try_from(nal.len()).map_err(too_large)?;
            self.cluster.extend_from_slice(&length.to_be_bytes());
            self.cluster.extend_from_slice(nal);
        }
        let size = (self.cluster.len() - size_at - 5) as u64;
        // Five bytes of size hold 35 bits; a block of that size was refused by the reader long before.
        let bytes = (size | 1 << 35).to_be_bytes();
        self.cluster[size_at..size_at + 5].copy_from_slice(&bytes[3..]);
        Ok(())
    }

    /// Writes what is left, and how long each frame is shown if all are shown equally long. Gives the number of bytes of
    /// the file, which began at the output's start.
    pub(crate) fn finish(mut self, frame_ns: Option<u64>) -> io::Result<u64> {
        self.close()?;
        if let Some(ns) = frame_ns {
            let mut duration = Vec::with_capacity(GAP);
            uint(&mut duration, ids::DEFAULT_DURATION, ns);
            self.out.seek(SeekFrom::Start(self.duration_at))?;
            self.out.write_all(&duration)?;
        }
        self.out.flush()?;
        Ok(self.bytes)
    }

    fn close(&mut self) -> io::Result<()> {
        let Some(size) = self.cluster.len().checked_sub(12) else { return Ok(()) };
        let mut head = Vec::with_capacity(CLUSTER_HEAD);
        id(&mut head, ids::CLUSTER);
        head.extend_from_slice(&(size as u64 | 1 << 56).to_be_bytes());
        id(&mut head, ids::CLUSTER_TIMESTAMP);
        head.push(0x88);
        head.extend_from_slice(&self.base.to_be_bytes());
        self.cluster[..CLUSTER_HEAD].copy_from_slice(&head);
        let mut cluster = std::mem::take(&mut self.cluster);
        self.put(&cluster)?;
        cluster.clear();
        self.cluster = cluster;
        Ok(())
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.out.write_all(bytes)?;
        self.bytes += bytes.len() as u64;
        Ok(())
    }
}

fn entry(track: &OneTrack) -> Vec<u8> {
    let mut entry = Vec::new();
    for (id, value) in
        [(ids::TRACK_NUMBER, 1), (ids::TRACK_UID, track.uid), (ids::TRACK_TYPE, 1), (FLAG_LACING, 0)]
    {
        uint(&mut entry, id, value);
    }
    element(&mut entry, ids::CODEC_ID, b"V_MPEGH/ISO/HEVC");
    element(&mut entry, ids::CODEC_PRIVATE, &track.hvcc);
    let mut video = Vec::new();
    uint(&mut video, ids::PIXEL_WIDTH, track.width);
    uint(&mut video, ids::PIXEL_HEIGHT, track.height);
    element(&mut entry, ids::VIDEO, &video);
    let mut mapping = Vec::new();
    element(&mut mapping, BLOCK_ADD_ID_NAME, b"Dolby Vision configuration");
    uint(&mut mapping, ids::BLOCK_ADD_ID_TYPE, DVVC);
    element(&mut mapping, ids::BLOCK_ADD_ID_EXTRA_DATA, &track.dvvc);
    element(&mut entry, ids::BLOCK_ADDITION_MAPPING, &mapping);
    element(&mut entry, ids::VOID, &[0; GAP - 1 - 8]);
    entry
}

/// An id, whose leading zero bytes are not written.
fn id(to: &mut Vec<u8>, id: u32) {
    to.extend(id.to_be_bytes().into_iter().skip_while(|b| *b == 0));
}

fn element(to: &mut Vec<u8>, of: u32, payload: &[u8]) {
    id(to, of);
    to.extend_from_slice(&(payload.len() as u64 | 1 << 56).to_be_bytes());
    to.extend_from_slice(payload);
}

fn uint(to: &mut Vec<u8>, of: u32, value: u64) {
    element(to, of, &value.to_be_bytes());
}
