//! What SEI messages say about the whole film: HDR10 values, and whether pictures are fields.
use super::ScanError;
use crate::{
    params::Sps,
    sei::{self, Cll, Mdcv, SeiNal},
};

/// `pic_timing` (H.265 D.2.3), whose first four bits are `pic_struct` where the SPS says so.
const PIC_TIMING: u32 = 1;

/// First MDCV and CLL of a stream, and what contradicts them.
#[derive(Debug, Default)]
pub(crate) struct Light {
    pub(crate) mdcv: Option<Mdcv>,
    pub(crate) cll: Option<Cll>,
    /// Later messages with other values.
    pub(crate) changed: u64,
    /// A picture timing message starts with the code of a field; only meaningful if the SPS announces such codes.
    field: bool,
}

impl Light {
    /// Looks into an SEI NAL; returns an HDR10+ payload if it has one.
    pub(crate) fn look(&mut self, nal: &[u8]) -> Option<Vec<u8>> {
        let sei = SeiNal::read(nal)?;
        let mut hdr10plus = None;
        for message in sei.messages() {
            match message.ty {
                sei::MASTERING_DISPLAY => {
                    let found = Mdcv::parse(message.payload);
                    self.changed += u64::from(self.mdcv.is_some() && found.is_some() && self.mdcv != found);
                    self.mdcv = self.mdcv.or(found);
                }
                sei::CONTENT_LIGHT => {
                    let found = Cll::parse(message.payload);
                    self.changed += u64::from(self.cll.is_some() && found.is_some() && self.cll != found);
                    self.cll = self.cll.or(found);
                }
                // Table D.2: 1 and 2 are single fields, 9 to 12 fields paired with a neighbour.
                PIC_TIMING => {
                    self.field |= matches!(message.payload.first().map(|b| b >> 4), Some(1 | 2 | 9..=12));
                }
                sei::T35 if sei::is_hdr10plus(message.payload) => hdr10plus = Some(message.payload.to_vec()),
                _ => {}
            }
        }
        hdr10plus
    }

    /// Refuses fields: Dolby Vision metadata belongs to frames.
    pub(crate) fn progressive(&self, sps: &Sps) -> Result<(), ScanError> {
        let what = if sps.vui.is_some_and(|vui| vui.field_seq) {
            "field_seq_flag is set, every picture is one field"
        } else if sps.frame_field_info && self.field {
            "picture timing messages mark pictures as fields"
        } else if sps.interlaced_source {
            "the profile marks the source as interlaced"
        } else {
            return Ok(());
        };
        Err(ScanError::Interlaced(what))
    }
}
