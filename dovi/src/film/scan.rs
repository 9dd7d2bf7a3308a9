//! The sequential read.
use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use super::{
    FilmIndex, Progress, ScanError, ScanOptions,
    assemble::{self, Parts},
    au::Au,
    base_layer::BaseLayer,
    collect::{Collector, Found},
    el_track::ElCandidate,
    select::{Selection, select},
    tap::Tap,
    tracks::TrackFold,
};
use crate::matroska::{Block, MatroskaError, MatroskaReader};

/// Bytes between two calls of the watcher.
const WATCH_STEP: u64 = 8 << 20;
/// A file without a declared end may stop this much before its declared duration (ns) before it counts as cut.
const DURATION_SLACK_NS: i64 = 10_000_000_000;

/// Reads a whole film once, front to back, and indexes it. `watch` is called every few MiB and may stop the read.
///
/// # Errors
/// Any truncation or damage, RPUs that cannot be used, and films whose frames have no certain order; see
/// [`ScanError::code`]. Missing RPUs are no error here but counted; see
/// [`RpuTable::fill_missing`](super::RpuTable::fill_missing).
pub fn scan<R: Read + Seek>(
    source: R,
    options: &ScanOptions,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FilmIndex, ScanError> {
    scan_tapped(source, options, None, watch)
}

/// As [`scan`], with somebody who is shown every frame.
pub(crate) fn scan_tapped<R: Read + Seek>(
    source: R,
    options: &ScanOptions,
    mut tap: Option<&mut dyn Tap>,
    watch: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<FilmIndex, ScanError> {
    let mut reader = MatroskaReader::open(source)?;
    let integrity = reader.integrity();
    if let Some(declared_end) = integrity.declared_end
        && integrity.truncated
    {
        let file_end = integrity.file_end;
        return Err(MatroskaError::Truncated { what: "segment", offset: 0, declared_end, file_end }.into());
    }
    let selection = select(reader.header())?;
    let mut work = Work::new(&reader, &selection, options)?;
    if let Some(tap) = &mut tap {
        tap.begin(reader.header(), &reader.header().tracks[selection.bl])?;
    }
    let mut buf = Vec::new();
    let mut next_watch = 0;
    loop {
        let bytes = reader.position();
        if bytes >= next_watch {
            next_watch = bytes + WATCH_STEP;
            let frames = work.base.rows.len() as u64;
            if watch(Progress { bytes, total: integrity.file_end, frames }).is_break() {
                return Err(ScanError::Cancelled { bytes });
            }
        }
        let all = options.hash_tracks;
        let block = reader.next_block(&mut |track| all || work.wants(track), &mut buf)?;
        let Some(block) = block else { break };
        work.block(&block, &buf, &mut tap)?;
    }
    let integrity = reader.integrity();
    let declared = reader.header().duration_ns.and_then(|d| i64::try_from(d).ok());
    if let Some(declared) = declared
        && integrity.declared_end.is_none()
        && options.hash_tracks
        && declared.saturating_sub(work.end_ns) > DURATION_SLACK_NS
    {
        return Err(ScanError::Truncated(format!(
            "declared duration is {:.1} s, the last block ends at {:.1} s",
            declared as f64 / 1e9,
            work.end_ns as f64 / 1e9
        )));
    }
    // All is read; a wish to stop comes too late.
    let _ = watch(Progress {
        bytes: reader.position(),
        total: integrity.file_end,
        frames: work.base.rows.len() as u64,
    });
    assemble::index(Parts {
        header: reader.header().clone(),
        integrity,
        selection,
        base: work.base,
        own: work.own,
        found: work.found,
        els: work.els,
        tracks: work.tracks.into_iter().map(|t| t.finish(options.hash_tracks)).collect(),
    })
}

struct Work {
    bl: u64,
    base: BaseLayer,
    own: Collector,
    found: Vec<Option<Found>>,
    els: Vec<ElCandidate>,
    tracks: Vec<TrackFold>,
    end_ns: i64,
}

impl Work {
    fn new<R: Read + Seek>(
        reader: &MatroskaReader<R>,
        selection: &Selection,
        options: &ScanOptions,
    ) -> Result<Self, ScanError> {
        let header = reader.header();
        let track = &header.tracks[selection.bl];
        let els = selection.el.iter().map(|i| ElCandidate::new(&header.tracks[*i], *i, options.convert));
        let others = header.tracks.iter().filter(|t| t.number != track.number);
        Ok(Self {
            bl: track.number,
            base: BaseLayer::new(track)?,
            own: Collector::new(options.convert),
            found: Vec::new(),
            els: els.collect(),
            tracks: others.map(TrackFold::new).collect(),
            end_ns: i64::MIN,
        })
    }

    fn wants(&self, track: u64) -> bool {
        track == self.bl || self.els.iter().any(|el| el.number == track)
    }

    fn block(
        &mut self,
        block: &Block,
        payload: &[u8],
        tap: &mut Option<&mut dyn Tap>,
    ) -> Result<(), ScanError> {
        let duration = block.duration_ns.and_then(|d| i64::try_from(d).ok()).unwrap_or(0);
        self.end_ns = self.end_ns.max(block.pts_ns.saturating_add(duration));
        if block.track == self.bl {
            let (frame, offset) = (self.base.rows.len() as u64, block.offset);
            let au = Au::dissect(payload, self.base.hvcc.length_size)
                .and_then(Au::intact)
                .map_err(|source| ScanError::Nal { frame, offset, source })?;
            self.base.take(&au, block.pts_ns, offset)?;
            if block.additions > 0 {
                self.base.additions.0 += 1;
                self.base.additions.1 += block.additions;
            }
            let found = self.own.take(&au, frame, offset)?;
            self.found.push(found);
            if let Some(tap) = tap {
                let p81 = found.and_then(|f| f.slot.p81).and_then(|p81| self.own.table.nal(p81));
                tap.frame(&au, block.pts_ns, p81)?;
            }
            return Ok(());
        }
        if let Some(el) = self.els.iter_mut().find(|el| el.number == block.track) {
            el.take(block, payload);
        }
        if let Some(track) = self.tracks.iter_mut().find(|t| t.number() == block.track) {
            track.add(block, payload);
        }
        Ok(())
    }
}
