//! Reads an elementary stream back as coded pictures, with ffmpeg's word for where one ends and when it is shown.
//!
//! Nothing here parses a slice or counts pictures: sizes and presentation times are what ffmpeg's muxers were
//! handed. The ground truth of the tests must not share code with what they test.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result, ensure};

/// One packet of a video stream.
#[derive(Debug, Clone)]
pub(super) struct Packet {
    /// Annex B bytes.
    pub bytes: Vec<u8>,
    /// Presentation time in the ticks of the list it came from.
    pub pts: i64,
    /// Rank of `pts` among all packets: the display index.
    pub display: u64,
}

/// Output of `-f tee` for [`read`]: the stream in `<stem>.hevc` and its packet list in `<stem>.list`, relative to
/// the folder ffmpeg runs in (so nothing needs escaping).
pub(super) fn tee(stem: &str) -> String {
    format!("[f=hevc]{stem}.hevc|[f=framecrc]{stem}.list")
}

/// Packets in decode order, from what ffmpeg wrote to [`tee`]; not yet ranked.
pub(super) fn read(dir: &Path, stem: &str) -> Result<Vec<Packet>> {
    let stream = fs::read(dir.join(format!("{stem}.hevc"))).with_context(|| format!("stream {stem}"))?;
    let list =
        fs::read_to_string(dir.join(format!("{stem}.list"))).with_context(|| format!("packets of {stem}"))?;
    let mut packets = Vec::new();
    let mut at = 0;
    for line in list.lines().filter(|l| !l.starts_with('#')) {
        // stream, dts, pts, duration, size, checksum…
        let mut fields = line.split(',').map(str::trim).skip(2);
        let pts = fields.next().context("a packet has a pts")?.parse()?;
        let size: usize = fields.nth(1).context("a packet has a size")?.parse()?;
        let bytes = stream.get(at..at + size).with_context(|| format!("{stem} is shorter than its list"))?;
        packets.push(Packet { bytes: bytes.to_vec(), pts, display: 0 });
        at += size;
    }
    ensure!(at == stream.len(), "{stem}: {at} bytes listed, {} written", stream.len());
    Ok(packets)
}

/// Gives every packet its display index anew.
pub(super) fn rank(packets: &mut [Packet]) -> Result<()> {
    let mut times: Vec<i64> = packets.iter().map(|p| p.pts).collect();
    times.sort_unstable();
    ensure!(times.windows(2).all(|w| w[0] < w[1]), "two pictures are shown at the same time");
    for packet in packets {
        packet.display = times.partition_point(|t| *t < packet.pts) as u64;
    }
    Ok(())
}

/// The NAL units between the start codes of an Annex B byte string (H.265 B.1).
pub(super) fn nals(bytes: &[u8]) -> Vec<&[u8]> {
    let mut starts = Vec::new();
    let mut at = 0;
    while let Some(found) = bytes[at..].windows(3).position(|w| w == [0, 0, 1]) {
        starts.push(at + found + 3);
        at += found + 3;
    }
    let ends = starts.iter().skip(1).map(|s| s - 3).chain([bytes.len()]);
    starts
        .iter()
        .zip(ends)
        .map(|(start, end)| {
            let nal = &bytes[*start..end];
            // A fourth zero of the next start code belongs to no NAL; a NAL itself never ends with zero.
            let zeros = nal.iter().rev().take_while(|b| **b == 0).count();
            &nal[..nal.len() - zeros]
        })
        .collect()
}

/// `nal_unit_type` (H.265 7.3.1.2).
pub(super) fn nal_type(nal: &[u8]) -> u8 {
    nal.first().map_or(0, |b| b >> 1 & 0x3F)
}
