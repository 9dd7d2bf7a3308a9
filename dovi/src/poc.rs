//! Picture order count (H.265 8.3.1) and coded video sequences, in decode order.
//!
//! All arithmetic is signed: RADL pictures after an IDR have negative counts, and a parser that forgets it
//! sorts them behind their sequence (99 of 120 frames measured wrong with three RADL pictures per IDR).

use crate::nal::{NalHeader, NalType};
use crate::slice::SliceHeader;

/// One picture of the base layer, as its first slice describes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Picture {
    /// `PicOrderCntVal`. Only comparable within one coded video sequence.
    pub poc: i64,
    /// Pictures before this one in the stream.
    pub decode_index: u64,
    /// Number of the coded video sequence, from 0.
    pub cvs: u64,
    /// Opens its sequence: an IRAP whose NoRaslOutputFlag is 1.
    pub opens_cvs: bool,
    /// Type of its slices.
    pub nal_type: NalType,
    /// `TemporalId`.
    pub temporal_id: u8,
    /// `PicOutputFlag`: false for RASL pictures of an IRAP with NoRaslOutputFlag 1 and for `pic_output_flag` 0.
    pub output: bool,
    /// `NoOutputOfPriorPicsFlag`: pictures that still wait for output when this one arrives are discarded
    /// (H.265 C.5.2.2). True for a CRA that opens a sequence and is not the first picture, else as sent.
    pub no_output_of_prior_pics: bool,
    /// `sps_max_num_reorder_pics` of the active SPS: how many pictures a decoder lets wait for output.
    pub max_num_reorder: u32,
}

/// Derives [`Picture`]s from slice headers in decode order.
#[derive(Debug, Clone, Default)]
pub struct PocTracker {
    decoded: u64,
    sequences: u64,
    /// The next picture follows an end of sequence (or of bitstream).
    after_end: bool,
    /// RASL pictures of the latest IRAP are not output.
    drop_rasl: bool,
    /// Count of the latest picture that may serve as reference for the most significant bits.
    previous: i64,
}

impl PocTracker {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the first slice of the next picture.
    pub fn picture(&mut self, slice: &SliceHeader, header: NalHeader) -> Picture {
        let ty = header.ty;
        let first = self.decoded == 0;
        // A stream that starts without an IRAP is not legal; its first picture opens a sequence all the same,
        // so that indices are right for what is there.
        let opens_cvs = first || ty.is_irap() && (ty.is_idr() || ty.is_bla() || self.after_end);
        if ty.is_irap() {
            self.drop_rasl = opens_cvs;
        }
        if opens_cvs {
            self.sequences += 1;
        }
        let lsb = i64::from(slice.poc_lsb);
        let msb = if opens_cvs && ty.is_irap() { 0 } else { self.msb(lsb, slice.sps.log2_max_poc_lsb) };
        let poc = msb + lsb;
        if header.temporal_id == 0 && !ty.is_leading() && !ty.is_sub_layer_non_reference() {
            self.previous = poc;
        }
        let no_output_of_prior_pics =
            !first && opens_cvs && (ty == NalType::CRA || slice.no_output_of_prior_pics);
        let picture = Picture {
            poc,
            decode_index: self.decoded,
            cvs: self.sequences.saturating_sub(1),
            opens_cvs,
            nal_type: ty,
            temporal_id: header.temporal_id,
            output: slice.pic_output && !(ty.is_rasl() && self.drop_rasl),
            no_output_of_prior_pics,
            max_num_reorder: slice.sps.max_num_reorder,
        };
        self.decoded += 1;
        self.after_end = false;
        picture
    }

    /// An end of sequence or end of bitstream NAL of layer 0: the next IRAP opens a new sequence.
    pub const fn end_of_sequence(&mut self) {
        self.after_end = true;
    }

    /// Pictures seen so far.
    #[must_use]
    pub const fn decoded(&self) -> u64 {
        self.decoded
    }

    /// H.265 8-1: the most significant part that puts `lsb` closest to the previous reference.
    fn msb(&self, lsb: i64, bits: u8) -> i64 {
        let max = 1i64 << bits;
        let previous_lsb = self.previous.rem_euclid(max);
        let previous_msb = self.previous - previous_lsb;
        if lsb < previous_lsb && previous_lsb - lsb >= max / 2 {
            previous_msb + max
        } else if lsb > previous_lsb && lsb - previous_lsb > max / 2 {
            previous_msb - max
        } else {
            previous_msb
        }
    }
}
