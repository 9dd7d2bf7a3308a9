//! The head of a picture's first slice segment (H.265 7.3.6.1), up to its picture order count.

use std::sync::Arc;

use thiserror::Error;

use crate::bits::{BitError, BitReader};
use crate::nal::{NalError, NalHeader, NalType, unescape_into};
use crate::params::{ParamSets, Sps};

/// Unescaped bytes that always hold the wanted fields: 1 + 1 + at most 13 bits of PPS id, 7 extra bits, 7 of
/// slice type, 1 + 2 + 16; 64 leaves room for codes of forbidden length, which are then rejected by value.
const HEAD: usize = 64;

/// Why a slice header was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SliceError {
    /// Not a NAL at all.
    #[error(transparent)]
    Nal(#[from] NalError),
    /// Not a VCL NAL.
    #[error("NAL type {0} has no slice header")]
    NotASlice(u8),
    /// Only the first slice segment of a picture is read.
    #[error("not the first slice segment of its picture")]
    NotFirst,
    /// The picture parameter set has not been sent.
    #[error("slice refers to picture parameter set {0}, which was never sent")]
    NoPps(u8),
    /// The sequence parameter set has not been sent.
    #[error("slice refers to sequence parameter set {0}, which was never sent")]
    NoSps(u8),
    /// Cut or impossible fields.
    #[error("unreadable slice header: {0}")]
    Bits(#[from] BitError),
}

/// `slice_type` (H.265 table 7-7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SliceType {
    /// Predicted from up to two lists.
    B,
    /// Predicted from one list.
    P,
    /// Not predicted.
    I,
}

/// Fields of the first slice segment header of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SliceHeader {
    /// `slice_pic_parameter_set_id`.
    pub pps_id: u8,
    /// Active sequence parameter set.
    pub sps: Arc<Sps>,
    /// Type of the picture's first slice.
    pub slice_type: SliceType,
    /// `no_output_of_prior_pics_flag`; false for pictures that are not IRAP.
    pub no_output_of_prior_pics: bool,
    /// `pic_output_flag`; true when not sent.
    pub pic_output: bool,
    /// `slice_pic_order_cnt_lsb`; 0 for IDR.
    pub poc_lsb: u32,
}

/// `first_slice_segment_in_pic_flag` of a VCL NAL, read without touching anything else.
#[must_use]
pub fn is_first_slice(nal: &[u8]) -> bool {
    nal.get(2).is_some_and(|byte| byte & 0x80 != 0)
}

impl SliceHeader {
    /// Reads the header of a first slice segment with the parameter sets known at this place of the stream.
    ///
    /// # Errors
    /// Not a first slice, unknown parameter sets, or cut or impossible fields.
    pub fn parse(nal: &[u8], params: &ParamSets) -> Result<Self, SliceError> {
        let header = NalHeader::parse(nal)?;
        if !header.ty.is_vcl() {
            return Err(SliceError::NotASlice(header.ty.0));
        }
        let mut head = Vec::with_capacity(HEAD);
        unescape_into(nal.get(2..).unwrap_or_default(), HEAD, &mut head);
        fields(&mut BitReader::new(&head), header.ty, params)
    }
}

fn fields(r: &mut BitReader<'_>, ty: NalType, params: &ParamSets) -> Result<SliceHeader, SliceError> {
    if !r.flag()? {
        return Err(SliceError::NotFirst);
    }
    let no_output_of_prior_pics = ty.is_irap() && r.flag()?;
    let pps_id = r.ue_max(63, "picture parameter set id")?.to_le_bytes()[0];
    let pps = params.pps(pps_id).ok_or(SliceError::NoPps(pps_id))?;
    let sps = params.sps(pps.sps_id).ok_or(SliceError::NoSps(pps.sps_id))?;
    r.skip(usize::from(pps.extra_slice_header_bits))?;
    let slice_type = match r.ue_max(2, "slice type")? {
        0 => SliceType::B,
        1 => SliceType::P,
        _ => SliceType::I,
    };
    let pic_output = !pps.output_flag_present || r.flag()?;
    if sps.separate_colour_planes {
        r.skip(2)?;
    }
    let poc_lsb = if ty.is_idr() { 0 } else { r.bits(u32::from(sps.log2_max_poc_lsb))? };
    Ok(SliceHeader { pps_id, sps: Arc::clone(sps), slice_type, no_output_of_prior_pics, pic_output, poc_lsb })
}
