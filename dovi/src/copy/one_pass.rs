//! Indexing and copying in one read of the film.
use std::io::{Read, Seek, Write};
use std::ops::ControlFlow;

use super::{CopyError, CopyReport, kept};
use crate::film::{FilmIndex, Hvcc, Progress, ScanError, ScanOptions, Tap, au::Au, scan_tapped};
use crate::matroska::{Header, OneTrack, OneTrackWriter, Track};

/// Where level 1 of Dolby Vision begins and every other ends, in luma samples per second (Dolby Vision profiles and
/// levels, section 2: 1280x720 at 24, 30; 1920x1080 at 24, 30, 60; 3840x2160 at 24, 30, 48, 60, 120).
const LEVELS: [u64; 10] = [
    22_118_400,
    27_648_000,
    49_766_400,
    62_208_000,
    124_416_000,
    199_065_600,
    248_832_000,
    398_131_200,
    497_664_000,
    995_328_000,
];

/// Scans `source` as [`crate::film::scan`] does, and on the way writes its base layer with profile 8.1 RPUs as a Matroska
/// file of this one track: every frame with the time it had, its NAL units as [`super::copy_p81`] would write them.
///
/// The report is `None` if the film needs a second read, because the RPU of a frame is not in the frame: it is missing, or
/// all of them are in a track of their own. What was written then is of no use.
///
/// # Errors
/// See [`CopyError`].
pub fn scan_and_copy<R: Read + Seek, W: Write + Seek>(
    source: R,
    out: W,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(FilmIndex, Option<CopyReport>), CopyError> {
    let mut tap = CopyTap { out: Some(out), writer: None, frames: 0, el_dropped: 0 };
    let index = scan_tapped(source, &ScanOptions::default(), Some(&mut tap), watch).map_err(|e| match e {
        ScanError::Output { bytes, source } => CopyError::Write { bytes, source },
        e => CopyError::Source(e),
    })?;
    let Some(writer) = tap.writer.filter(|_| tap.frames == index.frames) else { return Ok((index, None)) };
    let before = writer.bytes();
    let frame_ns = index.video.rate.frame_ns().and_then(|ns| u64::try_from(ns).ok());
    let bytes = writer.finish(frame_ns).map_err(|source| CopyError::Write { bytes: before, source })?;
    let CopyTap { frames, el_dropped, .. } = tap;
    let report = CopyReport { frames, rpus: frames, el_dropped, bytes, vcl: index.vcl };
    Ok((index, Some(report)))
}

struct CopyTap<W> {
    out: Option<W>,
    writer: Option<OneTrackWriter<W>>,
    frames: u64,
    el_dropped: u64,
}

impl<W: Write + Seek> Tap for CopyTap<W> {
    fn begin(&mut self, header: &Header, track: &Track) -> Result<(), ScanError> {
        let (Some(video), Some(out)) = (&track.video, self.out.take()) else { return Ok(()) };
        let Some(hvcc) = four_byte_lengths(&track.codec_private) else { return Ok(()) };
        let one = OneTrack {
            uid: track.uid,
            timestamp_scale_ns: header.timestamp_scale_ns,
            width: video.width,
            height: video.height,
            hvcc,
            dvvc: profile_81(level(video.width, video.height, track.default_duration_ns)),
        };
        let writer =
            OneTrackWriter::begin(out, &one).map_err(|source| ScanError::Output { bytes: 0, source })?;
        self.writer = Some(writer);
        Ok(())
    }

    fn frame(&mut self, au: &Au<'_>, pts_ns: i64, p81: Option<&[u8]>) -> Result<(), ScanError> {
        let Some(writer) = &mut self.writer else { return Ok(()) };
        let Some(rpu) = p81 else {
            self.writer = None;
            return Ok(());
        };
        let key = au.first_slice.and_then(|i| au.nals.get(i)).is_some_and(|(header, _)| header.ty.is_irap());
        let bytes = writer.bytes();
        writer.frame(pts_ns, key, kept(au, rpu)).map_err(|source| ScanError::Output { bytes, source })?;
        self.frames += 1;
        self.el_dropped += au.el_nals;
        Ok(())
    }
}

/// The configuration record for length fields of four bytes, which is what is written.
fn four_byte_lengths(record: &[u8]) -> Option<Vec<u8>> {
    Hvcc::parse(record)?;
    let mut record = record.to_vec();
    *record.get_mut(21)? |= 3;
    Some(record)
}

fn level(width: u64, height: u64, frame_ns: Option<u64>) -> u8 {
    let second = 1_000_000_000u64;
    // A little slower than written: 24000/1001 and its rounded duration count as 24.
    let rate = |ns: u64| width.saturating_mul(height).saturating_mul(second) / (ns.max(1) + 1);
    let samples = frame_ns.map_or(width.saturating_mul(height).saturating_mul(24), rate);
    LEVELS.iter().position(|most| samples <= *most).map_or(11, |i| i as u8 + 1)
}

/// DOVIDecoderConfigurationRecord, version 1.0 (Dolby Vision streams within the ISO base media file format, 3.2):
/// profile 8, RPU and base layer, compatibility id 1.
fn profile_81(level: u8) -> [u8; 24] {
    let mut record = [0; 24];
    record[..5].copy_from_slice(&[1, 0, 8 << 1 | level >> 5, level << 3 | 0b101, 1 << 4]);
    record
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matroska::DoviConfig;

    #[test]
    fn levels_are_those_of_the_table() {
        let film = Some(41_708_333);
        assert_eq!(level(1920, 1080, film), 3);
        assert_eq!(level(3840, 2160, film), 6);
        assert_eq!(level(3840, 2160, None), 6);
        assert_eq!(level(3840, 2160, Some(20_000_000)), 9);
        assert_eq!(level(7680, 4320, film), 10);
        let record = DoviConfig::parse(&profile_81(6)).unwrap();
        let (profile, level, compat) = (record.profile, record.level, record.compat);
        assert_eq!((profile, level, compat), (8, 6, 1));
        assert!(record.rpu && record.bl && !record.el);
    }
}
