//! Copy mode: the base layer untouched, the enhancement layer gone, every RPU in its profile 8.1 form.
mod one_pass;

use std::{
    io::{self, Read, Seek, Write},
    ops::ControlFlow,
};

use crate::{
    annexb::write_nal,
    film::{FilmIndex, Hvcc, Progress, ScanError, au::Au},
    hash::{VclHash, VclHasher},
    matroska::MatroskaReader,
    nal::{NalHeader, NalType},
};

pub use one_pass::scan_and_copy;

/// Bytes between two calls of the watcher.
const WATCH_STEP: u64 = 8 << 20;

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CopyReport {
    /// Access units.
    pub frames: u64,
    /// RPUs.
    pub rpus: u64,
    /// NAL 63 left out.
    pub el_dropped: u64,
    /// Bytes of the elementary stream.
    pub bytes: u64,
    /// Hash of the slices written; equals that of the index.
    pub vcl: VclHash,
}

/// Why the copy failed.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The source cannot be read.
    #[error(transparent)]
    Source(#[from] ScanError),
    /// The source is no longer what was indexed.
    #[error("source changed since it was indexed: {0}")]
    Changed(String),
    /// A frame has no profile 8.1 RPU.
    #[error("frame {display} (display order) has no rpu to write")]
    NoRpu {
        /// Display index.
        display: u64,
    },
    /// The output cannot be written.
    #[error("write failed after {bytes} bytes: {source}")]
    Write {
        /// Bytes written before.
        bytes: u64,
        /// The system's word.
        source: io::Error,
    },
}

impl CopyError {
    /// Stable failure code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Source(error) => error.code(),
            Self::Changed(_) => "source.changed",
            Self::NoRpu { .. } => "rpu.missing",
            Self::Write { source, .. } if source.kind() == io::ErrorKind::StorageFull => "disk.full",
            Self::Write { .. } => "share.io",
        }
    }
}

/// Writes the base layer of `source` as an Annex B stream with 4-byte start codes.
///
/// Every NAL unit of the base layer is written byte for byte and in its order, except NAL 62 and 63. The RPU of the
/// frame's display index goes last into its access unit, before an end of sequence or bitstream. Parameter sets and
/// SEI of the configuration record are written before the first slice if the first access unit has none of its own.
/// The output is not flushed to disk; that is the caller's.
///
/// # Errors
/// See [`CopyError`]. Frames without RPU must have been filled before.
pub fn copy_p81<R: Read + Seek, W: Write>(
    source: R,
    out: W,
    index: &FilmIndex,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<CopyReport, CopyError> {
    let mut reader = MatroskaReader::open(source).map_err(ScanError::from)?;
    let number = index.video.track_number;
    let hvcc = reader
        .header()
        .track(number)
        .and_then(|t| Hvcc::parse(&t.codec_private))
        .ok_or_else(|| CopyError::Changed(format!("no hevc track {number}")))?;
    let total = reader.integrity().file_end;
    let mut writer = Writer { out, bytes: 0, vcl: VclHasher::new(), rpus: 0, el_dropped: 0 };
    let mut buf = Vec::new();
    let (mut frames, mut next_watch) = (0u64, 0);
    while let Some(block) =
        reader.next_block(&mut |track| track == number, &mut buf).map_err(ScanError::from)?
    {
        let bytes = reader.position();
        if bytes >= next_watch {
            next_watch = bytes + WATCH_STEP;
            if watch(Progress { bytes, total, frames }).is_break() {
                return Err(ScanError::Cancelled { bytes }.into());
            }
        }
        let au = Au::dissect(&buf, hvcc.length_size).map_err(|source| ScanError::Nal {
            frame: frames,
            offset: block.offset,
            source,
        })?;
        let place = usize::try_from(frames).ok().and_then(|i| index.display_of.get(i)).copied();
        let Some(display) = place.map(u64::from) else {
            return Err(CopyError::Changed(format!("more than {} frames", index.frames)));
        };
        let rpu = index.rpus.p81(display).ok_or(CopyError::NoRpu { display })?;
        let ahead = if frames == 0 { out_of_band(&hvcc, &au) } else { Vec::new() };
        writer.access_unit(&au, &ahead, rpu)?;
        frames += 1;
    }
    writer.out.flush().map_err(|source| CopyError::Write { bytes: writer.bytes, source })?;
    let vcl = writer.vcl.finish();
    if frames != index.frames {
        return Err(CopyError::Changed(format!("{frames} frames instead of {}", index.frames)));
    }
    if vcl != index.vcl {
        return Err(CopyError::Changed("slices have another hash".to_owned()));
    }
    // All is written; a wish to stop comes too late.
    let _ = watch(Progress { bytes: reader.position(), total, frames });
    Ok(CopyReport { frames, rpus: writer.rpus, el_dropped: writer.el_dropped, bytes: writer.bytes, vcl })
}

/// NAL units of the configuration record whose type the first access unit lacks.
fn out_of_band<'a>(hvcc: &'a Hvcc, au: &Au<'_>) -> Vec<&'a [u8]> {
    let has = |first: u8| au.nals.iter().any(|(h, _)| h.layer_id == 0 && h.ty.0 == first >> 1);
    hvcc.nals.iter().filter(|nal| nal.first().is_some_and(|b| !has(*b))).map(Vec::as_slice).collect()
}

struct Writer<W> {
    out: W,
    bytes: u64,
    vcl: VclHasher,
    rpus: u64,
    el_dropped: u64,
}

impl<W: Write> Writer<W> {
    fn nal(&mut self, nal: &[u8]) -> Result<(), CopyError> {
        write_nal(&mut self.out, nal).map_err(|source| CopyError::Write { bytes: self.bytes, source })?;
        self.bytes += nal.len() as u64 + 4;
        Ok(())
    }

    fn access_unit(&mut self, au: &Au<'_>, ahead: &[&[u8]], rpu: &[u8]) -> Result<(), CopyError> {
        let mut ahead = Some(ahead);
        for nal in kept(au, rpu) {
            if nal.first().is_some_and(|byte| byte >> 1 != NalType::AUD.0) {
                for extra in ahead.take().unwrap_or_default() {
                    self.nal(extra)?;
                }
            }
            self.vcl.update(nal);
            self.nal(nal)?;
        }
        self.rpus += 1;
        self.el_dropped += au.el_nals;
        Ok(())
    }
}

/// The NAL units of the new access unit: those of the base layer in their order, and the RPU behind them, before an end
/// of sequence or bitstream.
fn kept<'a>(au: &'a Au<'a>, rpu: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
    let ends = |(header, _): &(NalHeader, &[u8])| matches!(header.ty, NalType::EOS | NalType::EOB);
    let end = au.nals.iter().position(ends).unwrap_or(au.nals.len());
    let (before, after) = au.nals.split_at(end);
    let base = |nals: &'a [(NalHeader, &'a [u8])]| {
        nals.iter().filter(|(h, _)| !matches!(h.ty, NalType::RPU | NalType::EL)).map(|(_, nal)| *nal)
    };
    base(before).chain(std::iter::once(rpu)).chain(base(after))
}
