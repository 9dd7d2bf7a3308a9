//! Follows the base layer through the film: pictures, order, SEI, slice hash.
use std::sync::Arc;

use super::{Hvcc, PictureMark, ScanError, au::Au, hvcc::Setup, light::Light};
use crate::{
    hash::VclHasher,
    matroska::Track,
    nal::{NalHeader, NalType},
    output::OutputProcess,
    params::{ParamSets, Sps},
    poc::PocTracker,
    sei,
    slice::SliceHeader,
};

/// More frames than any film; a bound on what hostile bytes can make us keep.
const MAX_FRAMES: usize = 20_000_000;

/// One frame in decode order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Row {
    pub(crate) pts_ns: i64,
    pub(crate) poc: i64,
    pub(crate) cvs: u64,
    pub(crate) output: bool,
    pub(crate) hdr10plus: Option<(usize, usize)>,
    pub(crate) mark: PictureMark,
}

pub(crate) struct BaseLayer {
    pub(crate) hvcc: Hvcc,
    params: ParamSets,
    tracker: PocTracker,
    decoder: OutputProcess,
    /// Decode indices of frames that no decoder puts out.
    hidden: Vec<u64>,
    pub(crate) vcl: VclHasher,
    pub(crate) sps: Option<Arc<Sps>>,
    pub(crate) light: Light,
    pub(crate) rows: Vec<Row>,
    pub(crate) hdr10plus: Vec<u8>,
    pub(crate) end_of_sequence: u64,
    pub(crate) drops_prior: u64,
    /// Blocks with BlockAdditions, and their bytes.
    pub(crate) additions: (u64, u64),
}

impl BaseLayer {
    pub(crate) fn new(track: &Track) -> Result<Self, ScanError> {
        let Setup { hvcc, params, light } = Setup::of(track)?;
        Ok(Self {
            hvcc,
            params,
            tracker: PocTracker::new(),
            decoder: OutputProcess::new(),
            hidden: Vec::new(),
            vcl: VclHasher::new(),
            sps: None,
            light,
            rows: Vec::new(),
            hdr10plus: Vec::new(),
            end_of_sequence: 0,
            drops_prior: 0,
            additions: (0, 0),
        })
    }

    /// Takes the next frame in decode order.
    pub(crate) fn take(&mut self, au: &Au<'_>, pts_ns: i64, offset: u64) -> Result<(), ScanError> {
        let frame = self.rows.len() as u64;
        if au.pictures != 1 {
            return Err(ScanError::Pictures { frame, offset, pictures: au.pictures });
        }
        if self.rows.len() == MAX_FRAMES {
            return Err(ScanError::Unsupported(format!("more than {MAX_FRAMES} frames")));
        }
        let mut hdr10plus = None;
        let mut row = None;
        for (i, (header, nal)) in au.nals.iter().enumerate() {
            if header.layer_id != 0 && header.ty.0 < 48 {
                continue;
            }
            match header.ty {
                NalType::VPS | NalType::SPS | NalType::PPS => {
                    self.params.feed(nal).map_err(|source| ScanError::Params { frame, offset, source })?;
                }
                NalType::EOS | NalType::EOB => {
                    self.tracker.end_of_sequence();
                    self.end_of_sequence += 1;
                }
                NalType::PREFIX_SEI | NalType::SUFFIX_SEI => {
                    hdr10plus = hdr10plus.or(self.light.look(nal));
                }
                ty if ty.is_vcl() => {
                    self.vcl.update_vcl(nal);
                    if au.first_slice == Some(i) {
                        row = Some(self.picture(nal, *header, pts_ns, frame, offset)?);
                    }
                }
                _ => {}
            }
        }
        if let Some(mut row) = row {
            row.mark = PictureMark { bytes: au.vcl_bytes(), up_to_here: self.vcl.mark() };
            row.hdr10plus = hdr10plus.map(|payload| {
                let nal = sei::hdr10plus_nal(&payload);
                let start = self.hdr10plus.len();
                self.hdr10plus.extend_from_slice(&nal);
                (start, nal.len())
            });
            self.rows.push(row);
        }
        Ok(())
    }

    fn picture(
        &mut self,
        nal: &[u8],
        header: NalHeader,
        pts_ns: i64,
        frame: u64,
        offset: u64,
    ) -> Result<Row, ScanError> {
        let slice = SliceHeader::parse(nal, &self.params).map_err(|source| ScanError::Slice {
            frame,
            offset,
            source,
        })?;
        let first = self.sps.get_or_insert_with(|| Arc::clone(&slice.sps));
        if !Arc::ptr_eq(first, &slice.sps) {
            let format = |sps: &Sps| (sps.width, sps.height, sps.bit_depth_luma, sps.chroma_format_idc);
            if format(first) != format(&slice.sps) {
                return Err(ScanError::Unsupported(format!(
                    "picture format changes at frame {frame}: {}x{} to {}x{}",
                    first.width, first.height, slice.sps.width, slice.sps.height
                )));
            }
        }
        self.light.progressive(&slice.sps)?;
        let picture = self.tracker.picture(&slice, header);
        self.drops_prior += u64::from(picture.no_output_of_prior_pics && frame > 0);
        self.decoder.push(&picture, &mut self.hidden);
        Ok(Row {
            pts_ns,
            poc: picture.poc,
            cvs: picture.cvs,
            output: true,
            hdr10plus: None,
            mark: PictureMark::default(),
        })
    }

    /// All frames in decode order, at the end of the film.
    pub(crate) fn finish_rows(&mut self) -> Vec<Row> {
        let mut rows = std::mem::take(&mut self.rows);
        for hidden in &self.hidden {
            if let Some(row) = usize::try_from(*hidden).ok().and_then(|i| rows.get_mut(i)) {
                row.output = false;
            }
        }
        rows
    }
}
