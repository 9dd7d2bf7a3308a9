//! What an encoded stream must be before Dolby Vision metadata goes into it.
//!
//! Players and muxers take these tags at their word: with a missing transfer tag mkvmerge writes compatibility
//! 0 or 2 instead of 1 (measured), and no later step can repair that without a new encode.

use std::fmt;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::params::Sps;

/// The SPS and VUI values the encoder was asked for. 4:2:0 and progressive are always expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct StreamExpectation {
    /// Picture width in luma samples, after cropping by the conformance window.
    pub width: u32,
    /// Picture height in luma samples, after cropping by the conformance window.
    pub height: u32,
    /// Bit depth of luma and chroma; 10 for profile 8.
    pub bit_depth: u8,
    /// `colour_primaries`; 9 for BT.2020.
    pub primaries: u8,
    /// `transfer_characteristics`; 16 for PQ.
    pub transfer: u8,
    /// `matrix_coeffs`; 9 for BT.2020 non-constant.
    pub matrix: u8,
    /// `video_full_range_flag`.
    pub full_range: bool,
    /// `chroma_sample_loc_type`, 0..=5. `None`: not checked. A stream without the field means 0.
    pub chroma_loc: Option<u8>,
}

/// One field that is not as expected.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Name of the field.
    pub field: &'static str,
    /// What it should be.
    pub expected: String,
    /// What the stream says.
    pub found: String,
}

/// All fields that are not as expected; never empty.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub struct StreamMismatch(pub Vec<Mismatch>);

impl fmt::Display for StreamMismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, wrong) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            write!(f, "{comma}{} is {} instead of {}", wrong.field, wrong.found, wrong.expected)?;
        }
        Ok(())
    }
}

impl StreamExpectation {
    /// Compares with a stream's SPS.
    ///
    /// # Errors
    /// Every field that differs.
    pub fn check(&self, sps: &Sps) -> Result<(), StreamMismatch> {
        let mut wrong = Vec::new();
        let mut equal = |field: &'static str, expected: u32, found: Option<u32>| {
            if found != Some(expected) {
                let found = found.map_or_else(|| "missing".to_owned(), |value| value.to_string());
                wrong.push(Mismatch { field, expected: expected.to_string(), found });
            }
        };
        equal("width", self.width, Some(sps.width));
        equal("height", self.height, Some(sps.height));
        equal("luma bit depth", u32::from(self.bit_depth), Some(u32::from(sps.bit_depth_luma)));
        equal("chroma bit depth", u32::from(self.bit_depth), Some(u32::from(sps.bit_depth_chroma)));
        equal("chroma format", 1, Some(u32::from(sps.chroma_format_idc)));
        let vui = sps.vui;
        equal("colour primaries", u32::from(self.primaries), vui.map(|v| u32::from(v.colour_primaries)));
        equal("transfer", u32::from(self.transfer), vui.map(|v| u32::from(v.transfer)));
        equal("matrix", u32::from(self.matrix), vui.map(|v| u32::from(v.matrix)));
        // H.265 E.3.1 infers these three when they, or the whole VUI, are not sent.
        equal("full range", u32::from(self.full_range), Some(vui.map_or(0, |v| u32::from(v.full_range))));
        equal("field coding", 0, Some(vui.map_or(0, |v| u32::from(v.field_seq))));
        if let Some(expected) = self.chroma_loc {
            let found = vui.and_then(|v| v.chroma_loc).unwrap_or(0);
            equal("chroma location", u32::from(expected), Some(u32::from(found)));
        }
        if wrong.is_empty() { Ok(()) } else { Err(StreamMismatch(wrong)) }
    }
}
