//! A verdict from a few hundred frames, for walking a library.
use std::io::{Read, Seek};

use super::{
    Evidence, Hdr10, Hvcc, ScanError, Verdict,
    au::Au,
    base_layer::Light,
    collect::{Collector, Found},
    evidence::Context,
    hdr10::Sources,
    select::{Selection, select},
};
use crate::{
    matroska::{Header, Integrity, MatroskaReader},
    nal::NalType,
    params::{ParamSets, Sps},
    slice::SliceHeader,
};

/// Frames at the start.
const HEAD_FRAMES: u64 = 48;
/// Places after it, and frames at each.
const PLACES: usize = 10;
const PLACE_FRAMES: u64 = 24;
/// Blocks of other tracks that may come before the wanted frames of the film.
const MAX_BLOCKS: u64 = 20_000;
/// Small reads suit sampling: most of a large buffer would be thrown away at the next seek.
const BUFFER: usize = 128 << 10;

/// What a few hundred frames say about a film.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Container header as far as it stands before the clusters.
    pub header: Header,
    /// Position of the base layer among all tracks.
    pub track_id: usize,
    /// Verdict; a FEL may still turn out to be expanding in frames that were not looked at.
    pub verdict: Verdict,
    /// Its evidence, with `sampled` set.
    pub evidence: Evidence,
    /// Base layer frames looked at.
    pub frames: u64,
    /// RPUs among them.
    pub rpus: u64,
    /// NAL 63, or slices of an enhancement layer track, among them.
    pub el_nals: u64,
    /// Static metadata.
    pub hdr10: Hdr10,
    /// Frames with HDR10+ metadata.
    pub hdr10plus: u64,
    /// Declared duration; a claim only.
    pub duration_ns: Option<u64>,
    /// Width from the SPS, else the container.
    pub width: u32,
    /// Height from the SPS, else the container.
    pub height: u32,
    /// Structure of the file; `integrity.truncated` is set if the file ends before its declared end.
    pub integrity: Integrity,
    /// Places that could not be read, with the reason.
    pub unreadable: Vec<String>,
}

/// Looks at the header, the first 48 frames and 24 frames at each of about ten places. Films without any RPU at the
/// start and without a Dolby Vision record are not looked at further.
///
/// # Errors
/// If the header, the selection of the film, or the first frames fail. A truncated file is no error here as long as
/// its first frames can be read.
pub fn sample<R: Read + Seek>(source: R) -> Result<Sample, ScanError> {
    let mut reader = MatroskaReader::with_buffer(source, BUFFER)?;
    let selection = select(reader.header())?;
    let mut look = Look::new(reader.header(), selection)?;
    let mut unreadable = Vec::new();
    match look.read(&mut reader, HEAD_FRAMES) {
        Err(error) if look.frames == 0 || error.code() != "source.truncated" => return Err(error),
        Err(error) => unreadable.push(error.to_string()),
        Ok(()) => {}
    }
    if look.frames == 0 {
        return Err(ScanError::NoFrames { track: look.bl });
    }
    let claimed = reader.header().tracks.iter().any(|t| t.dovi.is_some());
    if look.has_rpus() || claimed {
        for place in places(&mut reader, look.bl, look.furthest) {
            if place.offset() <= look.furthest {
                continue;
            }
            look.l1_max.push(None);
            let found = match place {
                Place::Cluster(at) => reader.seek_cluster(at).map(|()| true),
                Place::Near(at) => reader.resync(at),
            };
            match found {
                Ok(false) => break,
                Ok(true) => {
                    if let Err(error) = look.read(&mut reader, PLACE_FRAMES) {
                        unreadable.push(error.to_string());
                    }
                }
                Err(error) => unreadable.push(error.to_string()),
            }
        }
    }
    Ok(look.finish(&reader, selection, unreadable))
}

enum Place {
    Cluster(u64),
    Near(u64),
}

impl Place {
    fn offset(&self) -> u64 {
        match self {
            Self::Cluster(at) | Self::Near(at) => *at,
        }
    }
}

/// Cue points spread over the rest of the film; even steps in bytes if there are none.
fn places<R: Read + Seek>(reader: &mut MatroskaReader<R>, track: u64, after: u64) -> Vec<Place> {
    let integrity = reader.integrity();
    let end = integrity.declared_end.unwrap_or(u64::MAX).min(integrity.file_end);
    let mut clusters = reader.cue_clusters(track);
    clusters.retain(|at| *at > after && *at < end);
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.is_empty() && after < end {
        let step = (end - after) / (PLACES as u64 + 1);
        let nears = (1..=PLACES as u64).map(|i| Place::Near(after + i * step));
        return if step > 0 { nears.collect() } else { Vec::new() };
    }
    let count = clusters.len().min(PLACES);
    (0..count).map(|i| Place::Cluster(clusters[(i * clusters.len()) / count])).collect()
}

struct Look {
    bl: u64,
    hvcc: Hvcc,
    el: Option<(u64, u8)>,
    own: Collector,
    el_rpus: Collector,
    el_slices: u64,
    el_slice_bytes: u64,
    params: ParamSets,
    sps: Option<Sps>,
    light: Light,
    l1_max: Vec<Option<u16>>,
    frames: u64,
    hdr10plus: u64,
    /// Offset of the furthest block looked at; places before it would be counted twice.
    furthest: u64,
}

impl Look {
    fn new(header: &Header, selection: Selection) -> Result<Self, ScanError> {
        let track = &header.tracks[selection.bl];
        let hvcc = Hvcc::parse(&track.codec_private).ok_or_else(|| {
            ScanError::Unsupported(format!(
                "track {} has no readable hevc configuration record",
                track.number
            ))
        })?;
        let mut params = ParamSets::new();
        let mut light = Light::default();
        for nal in &hvcc.nals {
            let _ = params.feed(nal);
            light.look(nal);
        }
        let el = selection.el.map(|i| &header.tracks[i]);
        Ok(Self {
            bl: track.number,
            hvcc,
            el: el.map(|t| (t.number, Hvcc::parse(&t.codec_private).map_or(4, |h| h.length_size))),
            own: Collector::new(false),
            el_rpus: Collector::new(false),
            el_slices: 0,
            el_slice_bytes: 0,
            params,
            sps: None,
            light,
            l1_max: Vec::new(),
            frames: 0,
            hdr10plus: 0,
            furthest: 0,
        })
    }

    fn has_rpus(&self) -> bool {
        self.own.rpus > 0 || self.el_rpus.rpus > 0
    }

    /// Reads until `wanted` further frames of the base layer were seen, or the film ends.
    fn read<R: Read + Seek>(&mut self, reader: &mut MatroskaReader<R>, wanted: u64) -> Result<(), ScanError> {
        let mut place: Vec<(i64, Option<u16>)> = Vec::new();
        let result = self.read_place(reader, wanted, &mut place);
        place.sort_unstable_by_key(|(pts, _)| *pts);
        self.l1_max.extend(place.into_iter().map(|(_, l1)| l1));
        result
    }

    fn read_place<R: Read + Seek>(
        &mut self,
        reader: &mut MatroskaReader<R>,
        wanted: u64,
        place: &mut Vec<(i64, Option<u16>)>,
    ) -> Result<(), ScanError> {
        let mut buf = Vec::new();
        let (bl, el) = (self.bl, self.el);
        let goal = self.frames + wanted;
        let mut blocks = 0u64;
        while self.frames < goal && blocks < MAX_BLOCKS {
            let mut want = |track| {
                blocks += 1;
                track == bl || el.is_some_and(|(number, _)| number == track)
            };
            let Some(block) = reader.next_block(&mut want, &mut buf)? else { return Ok(()) };
            let (frame, offset) = (self.frames, block.offset);
            self.furthest = self.furthest.max(offset);
            if let Some((_, length_size)) = el.filter(|_| block.track != bl) {
                // A second track that cannot be read is only worth a verdict if the first has no RPUs.
                if let Ok(au) = Au::dissect(&buf, length_size) {
                    self.el_slices += u64::from(au.pictures);
                    self.el_slice_bytes += au.vcl_bytes();
                    let found = self.el_rpus.take(&au, frame, offset)?;
                    if self.own.rpus == 0 {
                        place.extend(found.map(|f| (block.pts_ns, f.l1_max)));
                    }
                }
                continue;
            }
            let au = Au::dissect(&buf, self.hvcc.length_size).map_err(|source| ScanError::Nal {
                frame,
                offset,
                source,
            })?;
            let found = self.picture(&au, frame, offset)?;
            place.extend(found.map(|f| (block.pts_ns, f.l1_max)));
            self.frames += 1;
        }
        Ok(())
    }

    fn picture(&mut self, au: &Au<'_>, frame: u64, offset: u64) -> Result<Option<Found>, ScanError> {
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
        self.hdr10plus += u64::from(hdr10plus);
        self.own.take(au, frame, offset)
    }

    fn finish<R: Read + Seek>(
        self,
        reader: &MatroskaReader<R>,
        selection: Selection,
        unreadable: Vec<String>,
    ) -> Sample {
        let header = reader.header().clone();
        let track = &header.tracks[selection.bl];
        let dual = self.own.rpus == 0 && self.el_rpus.rpus > 0;
        let mut collector = if dual { self.el_rpus } else { self.own };
        if dual {
            collector.el_nals += self.el_slices;
            collector.el_bytes += self.el_slice_bytes;
        }
        let video = track.video.as_ref();
        let colour = video.and_then(|v| v.colour.as_ref());
        let (l6, l9_primaries) = collector.fold.levels();
        let hdr10 = Hdr10::merge(&Sources {
            sei_mdcv: self.light.mdcv,
            sei_cll: self.light.cll,
            colour,
            l6,
            l9_primaries,
        });
        let vui = self.sps.as_ref().and_then(|s| s.vui).map(|v| u64::from(v.transfer)).filter(|t| *t != 2);
        let own_claim = track.dovi;
        let el_claim = selection.el.filter(|_| dual).and_then(|i| header.tracks[i].dovi);
        let (rpus, el_nals, el_bytes) = (collector.rpus, collector.el_nals, collector.el_bytes);
        let (verdict, evidence) = collector.fold.finish(&Context {
            sampled: true,
            frames: self.frames,
            l1_max: &self.l1_max,
            hdr10: &hdr10,
            el_bytes,
            seconds: self.frames as f64 * track.default_duration_ns.unwrap_or(41_708_333) as f64 / 1e9,
            transfer: vui.or(colour.and_then(|c| c.transfer)),
            claim: el_claim.or(own_claim),
        });
        let container = |pick: fn(&crate::matroska::Video) -> u64| {
            video.map_or(0, |v| u32::try_from(pick(v)).unwrap_or(u32::MAX))
        };
        Sample {
            track_id: selection.bl,
            verdict,
            evidence,
            frames: self.frames,
            rpus,
            el_nals,
            hdr10,
            hdr10plus: self.hdr10plus,
            duration_ns: header.duration_ns,
            width: self.sps.as_ref().map_or_else(|| container(|v| v.width), |s| s.width),
            height: self.sps.as_ref().map_or_else(|| container(|v| v.height), |s| s.height),
            integrity: reader.integrity(),
            unreadable,
            header,
        }
    }
}
