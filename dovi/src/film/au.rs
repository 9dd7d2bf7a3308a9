//! One Matroska block as an access unit.
use crate::annexb::find_forbidden;
use crate::nal::{NalError, NalHeader, NalType, split_length_prefixed};
use crate::slice::is_first_slice;

/// NAL units of a block, sorted into what they are for.
#[derive(Debug, Default)]
pub(crate) struct Au<'a> {
    /// All NAL units in order.
    pub(crate) nals: Vec<(NalHeader, &'a [u8])>,
    /// First slice segment of each picture in the block; exactly one in a sound film.
    pub(crate) first_slice: Option<usize>,
    pub(crate) pictures: u32,
    /// First NAL 62.
    pub(crate) rpu: Option<&'a [u8]>,
    pub(crate) rpus: u32,
    /// A further NAL 62 differs from the first.
    pub(crate) rpu_differs: bool,
    /// Nothing but an end of sequence or bitstream, or filler, follows the RPU.
    pub(crate) rpu_last: bool,
    /// NAL 63 and their payload bytes (without the wrapping header).
    pub(crate) el_nals: u64,
    pub(crate) el_bytes: u64,
}

impl<'a> Au<'a> {
    pub(crate) fn dissect(payload: &'a [u8], length_size: u8) -> Result<Self, NalError> {
        let mut au = Self { nals: Vec::with_capacity(16), ..Self::default() };
        for nal in split_length_prefixed(payload, length_size) {
            let nal = nal?;
            let header = NalHeader::parse(nal)?;
            match header.ty {
                NalType::RPU => {
                    au.rpus += 1;
                    au.rpu_last = true;
                    match au.rpu {
                        None => au.rpu = Some(nal),
                        Some(first) => au.rpu_differs |= trimmed(first) != trimmed(nal),
                    }
                }
                NalType::EL => {
                    au.el_nals += 1;
                    au.el_bytes += (nal.len() as u64).saturating_sub(2);
                    au.rpu_last = false;
                }
                NalType::EOS | NalType::EOB | NalType::FILLER => {}
                ty => {
                    au.rpu_last = false;
                    if ty.is_vcl() && header.layer_id == 0 && is_first_slice(nal) {
                        au.pictures += 1;
                        au.first_slice.get_or_insert(au.nals.len());
                    }
                }
            }
            au.nals.push((header, nal));
        }
        Ok(au)
    }

    /// Fails where a slice of layer 0 holds what no slice can, such as the zeros of a hole in the file.
    pub(crate) fn intact(self) -> Result<Self, NalError> {
        for (header, nal) in self.nals.iter().filter(|(h, _)| h.ty.is_vcl() && h.layer_id == 0) {
            if let Some(at) = find_forbidden(nal) {
                return Err(NalError::Forbidden { ty: header.ty.0, at });
            }
        }
        Ok(self)
    }

    /// Bytes of the slices of layer 0.
    pub(crate) fn vcl_bytes(&self) -> u64 {
        let slices = self.nals.iter().filter(|(h, _)| h.ty.is_vcl() && h.layer_id == 0);
        slices.map(|(_, nal)| nal.len() as u64).sum()
    }
}

fn trimmed(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &nal[..end]
}
