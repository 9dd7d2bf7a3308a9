//! The frames of a sample, folded into a verdict.
use std::io::{Read, Seek};

use super::{
    Hdr10, Hvcc, Sample, ScanError, Unreadable,
    additions::elsewhere,
    au::Au,
    collect::{Collector, Found},
    fold::Context,
    hdr10::Sources,
    hvcc::Setup,
    light::Light,
    select::{Selection, is_el},
};
use crate::{
    matroska::{Block, Header, MatroskaReader, Video},
    nal::NalType,
    params::{ParamSets, Sps},
    slice::SliceHeader,
};

/// Blocks of other tracks that may come before the wanted frames of the film.
const MAX_BLOCKS: u64 = 20_000;
/// Frame duration where neither the track nor the timestamps tell one: 24000/1001 per second, in ns.
const FILM_NS: u64 = 41_708_333;

/// How much of the film was looked at.
#[derive(Debug, Clone, Copy)]
pub(super) struct Span {
    pub(super) places: u64,
    /// The end of the film was reached without a jump.
    pub(super) whole: bool,
}

/// How much is enough in one place.
#[derive(Debug)]
pub(super) struct Quota {
    /// Frames of the base layer.
    pub(super) frames: u64,
    /// So many will do once `bytes` of them and of their enhancement layer were read.
    pub(super) least: u64,
    pub(super) bytes: u64,
}

/// A track that may be the enhancement layer.
struct Layer {
    number: u64,
    position: usize,
    length_size: u8,
    rpus: Collector,
    slices: u64,
    bytes: u64,
}

pub(super) struct Look {
    pub(super) bl: u64,
    hvcc: Hvcc,
    layers: Vec<Layer>,
    own: Collector,
    params: ParamSets,
    sps: Option<Sps>,
    light: Light,
    l1_max: Vec<Option<u16>>,
    pub(super) frames: u64,
    hdr10plus: u64,
    additions: (u64, u64),
    /// Shortest and longest time of the frames at the start, and how many.
    head: Option<(i64, i64, u64)>,
    /// Offset of the furthest block looked at; places before it would be counted twice.
    pub(super) furthest: u64,
}

impl Look {
    pub(super) fn new(header: &Header, selection: &Selection) -> Result<Self, ScanError> {
        let track = &header.tracks[selection.bl];
        let Setup { hvcc, params, light } = Setup::of(track)?;
        let layer = |i: &usize| {
            let track = &header.tracks[*i];
            Layer {
                number: track.number,
                position: *i,
                length_size: Hvcc::parse(&track.codec_private).map_or(4, |h| h.length_size),
                rpus: Collector::new(false),
                slices: 0,
                bytes: 0,
            }
        };
        Ok(Self {
            bl: track.number,
            hvcc,
            layers: selection.el.iter().map(layer).collect(),
            own: Collector::new(false),
            params,
            sps: None,
            light,
            l1_max: Vec::new(),
            frames: 0,
            hdr10plus: 0,
            additions: (0, 0),
            head: None,
            furthest: 0,
        })
    }

    pub(super) fn has_rpus(&self) -> bool {
        self.own.rpus > 0 || self.layers.iter().any(|l| l.rpus.rpus > 0)
    }

    /// What follows does not touch what was read before.
    pub(super) fn next_place(&mut self) {
        self.l1_max.push(None);
    }

    /// Reads until enough further frames of the base layer were seen; true if the film ended before.
    pub(super) fn read<R: Read + Seek>(
        &mut self,
        reader: &mut MatroskaReader<R>,
        quota: &Quota,
    ) -> Result<bool, ScanError> {
        let mut place: Vec<(i64, Option<u16>)> = Vec::new();
        let mut times: Vec<i64> = Vec::new();
        let result = self.read_place(reader, quota, &mut place, &mut times);
        place.sort_unstable_by_key(|(pts, _)| *pts);
        self.l1_max.extend(place.into_iter().map(|(_, l1)| l1));
        if let (None, Some(first), Some(last)) = (self.head, times.iter().min(), times.iter().max()) {
            self.head = Some((*first, *last, times.len() as u64));
        }
        result
    }

    fn read_place<R: Read + Seek>(
        &mut self,
        reader: &mut MatroskaReader<R>,
        quota: &Quota,
        place: &mut Vec<(i64, Option<u16>)>,
        times: &mut Vec<i64>,
    ) -> Result<bool, ScanError> {
        let mut buf = Vec::new();
        let before = self.frames;
        let (mut blocks, mut bytes) = (0u64, 0u64);
        while blocks < MAX_BLOCKS {
            let frames = self.frames - before;
            if frames >= quota.frames || frames >= quota.least && bytes >= quota.bytes {
                break;
            }
            let mut want = |track| {
                blocks += 1;
                track == self.bl || self.layers.iter().any(|l| l.number == track)
            };
            let Some(block) = reader.next_block(&mut want, &mut buf)? else { return Ok(true) };
            self.furthest = self.furthest.max(block.offset);
            bytes += buf.len() as u64;
            let found = if block.track == self.bl {
                times.push(block.pts_ns);
                self.base(&block, &buf)?
            } else {
                self.layer(&block, &buf)?
            };
            place.extend(found.map(|f| (block.pts_ns, f.levels.l1.map(|l1| l1.max))));
        }
        Ok(false)
    }

    /// A second track that cannot be read is only worth a verdict if the first has no RPUs.
    fn layer(&mut self, block: &Block, payload: &[u8]) -> Result<Option<Found>, ScanError> {
        let Some(layer) = self.layers.iter_mut().find(|l| l.number == block.track) else { return Ok(None) };
        let Ok(au) = Au::dissect(payload, layer.length_size) else { return Ok(None) };
        layer.slices += u64::from(au.pictures);
        layer.bytes += au.vcl_bytes();
        match layer.rpus.take(&au, self.frames, block.offset) {
            _ if self.own.rpus > 0 => Ok(None),
            result => result,
        }
    }

    fn base(&mut self, block: &Block, payload: &[u8]) -> Result<Option<Found>, ScanError> {
        let (frame, offset) = (self.frames, block.offset);
        let au = Au::dissect(payload, self.hvcc.length_size).map_err(|source| ScanError::Nal {
            frame,
            offset,
            source,
        })?;
        let mut hdr10plus = false;
        for (i, (header, nal)) in au.nals.iter().enumerate() {
            match header.ty {
                ty if ty.is_parameter_set() => {
                    // A slice that uses an unreadable set will say so.
                    let _ = self.params.feed(nal);
                }
                NalType::PREFIX_SEI => hdr10plus |= self.light.look(nal).is_some(),
                _ if au.first_slice == Some(i) && self.sps.is_none() => {
                    self.sps = SliceHeader::parse(nal, &self.params).ok().map(|s| Sps::clone(&s.sps));
                }
                _ => {}
            }
        }
        if let Some(sps) = &self.sps {
            self.light.progressive(sps)?;
        }
        if block.additions > 0 {
            self.additions.0 += 1;
            self.additions.1 += block.additions;
        }
        let found = self.own.take(&au, frame, offset)?;
        self.hdr10plus += u64::from(hdr10plus);
        self.frames += 1;
        Ok(found)
    }

    pub(super) fn finish<R: Read + Seek>(
        mut self,
        reader: &MatroskaReader<R>,
        selection: &Selection,
        span: Span,
        unreadable: Vec<Unreadable>,
    ) -> Result<Sample, ScanError> {
        let header = reader.header().clone();
        let track = &header.tracks[selection.bl];
        let dual = self.own.rpus == 0;
        let layer = self.layers.iter().position(|l| {
            if dual { l.rpus.rpus > 0 } else { header.tracks.get(l.position).is_some_and(is_el) }
        });
        let layer = layer.map(|at| self.layers.swap_remove(at));
        let el_track = layer.as_ref().map(|l| l.number);
        let mut claim = track.dovi;
        let mut collector = self.own;
        if let Some(layer) = layer {
            claim = header.tracks.get(layer.position).and_then(|t| t.dovi).or(claim);
            if dual {
                collector = layer.rpus;
            }
            collector.el_nals += layer.slices;
            collector.el_bytes += layer.bytes;
        }
        let aside = elsewhere(track, collector.rpus, collector.el_bytes, self.additions)?;
        let video = track.video.as_ref();
        let colour = video.and_then(|v| v.colour.as_ref());
        let (l6, l9_primaries) = collector.fold.levels();
        let hdr10 = Hdr10::merge(&Sources {
            sei_mdcv: self.light.mdcv,
            sei_cll: self.light.cll,
            colour,
            l6,
            l9_primaries,
            sei_changed: self.light.changed,
        });
        let vui = self.sps.as_ref().and_then(|s| s.vui).map(|v| u64::from(v.transfer)).filter(|t| *t != 2);
        let container =
            |pick: fn(&Video) -> u64| video.map_or(0, |v| u32::try_from(pick(v)).unwrap_or(u32::MAX));
        let width = self.sps.as_ref().map_or_else(|| container(|v| v.width), |s| s.width);
        let height = self.sps.as_ref().map_or_else(|| container(|v| v.height), |s| s.height);
        let frame_ns = track.default_duration_ns.or_else(|| {
            let (first, last, frames) = self.head.filter(|(_, _, n)| *n > 1)?;
            Some(last.abs_diff(first) / (frames - 1)).filter(|ns| *ns > 0)
        });
        let frames_of = if span.whole {
            Some(self.frames)
        } else {
            header.duration_ns.zip(frame_ns).map(|(all, each)| all.saturating_add(each / 2) / each.max(1))
        };
        let (rpus, el_nals, el_bytes) = (collector.rpus, collector.el_nals, collector.el_bytes);
        let (verdict, mut evidence) = collector.fold.finish(&Context {
            sampled: !span.whole,
            frames: self.frames,
            frames_of,
            places: span.places,
            l1_max: &self.l1_max,
            hdr10: &hdr10,
            el_bytes,
            seconds: self.frames as f64 * frame_ns.unwrap_or(FILM_NS) as f64 / 1e9,
            transfer: vui.or(colour.and_then(|c| c.transfer)),
            claim,
            size: (width, height),
        });
        evidence.notes.extend(aside);
        Ok(Sample {
            track_id: selection.bl,
            el_track,
            verdict,
            evidence,
            frames: self.frames,
            rpus,
            el_nals,
            hdr10,
            hdr10plus: self.hdr10plus,
            duration_ns: header.duration_ns,
            sps: self.sps,
            width,
            height,
            integrity: reader.integrity(),
            unreadable,
            header,
        })
    }
}
