//! NAL units: header, type names, emulation prevention, and the length-prefixed form used by Matroska.
//!
//! A "NAL" in this crate is the bytes from the two-byte header on: no start code, no length field.

use thiserror::Error;

/// Why bytes are not a NAL unit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum NalError {
    /// Fewer bytes than a NAL header has.
    #[error("NAL unit of {0} bytes is shorter than its header")]
    TooShort(usize),
    /// `forbidden_zero_bit` is set: these bytes are not HEVC, or they are damaged.
    #[error("NAL header {0:#04x} has its forbidden bit set")]
    ForbiddenBit(u8),
    /// `nuh_temporal_id_plus1` is 0, which H.265 7.4.2.2 forbids.
    #[error("NAL header of type {0} has no temporal id")]
    TemporalId(u8),
    /// A length field says zero.
    #[error("NAL unit of length zero at byte {0} of the block")]
    ZeroLength(usize),
    /// A length field reaches behind the end of the block, or the field itself is cut.
    #[error("NAL unit at byte {at} wants {wanted} bytes, the block has {left} left")]
    Overrun {
        /// Position of the NAL (or of the cut length field) in the block.
        at: usize,
        /// Bytes the length field asks for.
        wanted: usize,
        /// Bytes that are there.
        left: usize,
    },
    /// Bytes inside a slice that no encoder writes.
    #[error("slice of NAL type {ty} is overwritten: its byte {at} begins what no NAL unit holds")]
    Forbidden {
        /// Its type.
        ty: u8,
        /// Position in the NAL.
        at: usize,
    },
    /// The length field size is none of 1, 2, 3, 4.
    #[error("NAL length fields of {0} bytes are not supported")]
    LengthSize(u8),
}

/// `nal_unit_type`, 6 bits (H.265 table 7-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NalType(pub u8);

impl NalType {
    /// First of the leading pictures: RADL, non-reference.
    pub const RADL_N: Self = Self(6);
    /// RADL, reference.
    pub const RADL_R: Self = Self(7);
    /// RASL, non-reference.
    pub const RASL_N: Self = Self(8);
    /// RASL, reference.
    pub const RASL_R: Self = Self(9);
    /// First of the broken-link pictures.
    pub const BLA_W_LP: Self = Self(16);
    /// Last of the broken-link pictures.
    pub const BLA_N_LP: Self = Self(18);
    /// IDR that may have RADL pictures.
    pub const IDR_W_RADL: Self = Self(19);
    /// IDR without leading pictures.
    pub const IDR_N_LP: Self = Self(20);
    /// Clean random access picture.
    pub const CRA: Self = Self(21);
    /// Video parameter set.
    pub const VPS: Self = Self(32);
    /// Sequence parameter set.
    pub const SPS: Self = Self(33);
    /// Picture parameter set.
    pub const PPS: Self = Self(34);
    /// Access unit delimiter.
    pub const AUD: Self = Self(35);
    /// End of sequence.
    pub const EOS: Self = Self(36);
    /// End of bitstream.
    pub const EOB: Self = Self(37);
    /// Filler data.
    pub const FILLER: Self = Self(38);
    /// Prefix SEI.
    pub const PREFIX_SEI: Self = Self(39);
    /// Suffix SEI.
    pub const SUFFIX_SEI: Self = Self(40);
    /// Unspecified 62: Dolby Vision RPU.
    pub const RPU: Self = Self(62);
    /// Unspecified 63: one wrapped NAL unit of the Dolby Vision enhancement layer.
    pub const EL: Self = Self(63);

    /// A slice segment of any picture, reserved VCL types included.
    #[must_use]
    pub const fn is_vcl(self) -> bool {
        self.0 < 32
    }

    /// A slice segment of a defined type. The other VCL types are reserved, and decoders ignore them.
    #[must_use]
    pub const fn is_slice(self) -> bool {
        matches!(self.0, 0..=9 | 16..=21)
    }

    /// BLA, IDR, CRA and the two reserved IRAP types (16..=23).
    #[must_use]
    pub const fn is_irap(self) -> bool {
        self.0 >= 16 && self.0 <= 23
    }

    /// IDR with or without RADL.
    #[must_use]
    pub const fn is_idr(self) -> bool {
        self.0 == 19 || self.0 == 20
    }

    /// Any of the three BLA types.
    #[must_use]
    pub const fn is_bla(self) -> bool {
        self.0 >= 16 && self.0 <= 18
    }

    /// Random access skipped leading: not decodable when decoding starts at its IRAP.
    #[must_use]
    pub const fn is_rasl(self) -> bool {
        self.0 == 8 || self.0 == 9
    }

    /// Random access decodable leading.
    #[must_use]
    pub const fn is_radl(self) -> bool {
        self.0 == 6 || self.0 == 7
    }

    /// RADL or RASL: decoded after its IRAP, shown before it.
    #[must_use]
    pub const fn is_leading(self) -> bool {
        self.0 >= 6 && self.0 <= 9
    }

    /// Sub-layer non-reference picture: even types below 15 (0, 2, .. 14).
    #[must_use]
    pub const fn is_sub_layer_non_reference(self) -> bool {
        self.0 < 15 && self.0.is_multiple_of(2)
    }

    /// VPS, SPS or PPS.
    #[must_use]
    pub const fn is_parameter_set(self) -> bool {
        self.0 >= 32 && self.0 <= 34
    }

    /// Non-VCL types that, after a slice, can only belong to the next access unit (H.265 7.4.2.4.4):
    /// parameter sets, AUD, prefix SEI, reserved 41..=44, unspecified 48..=55.
    #[must_use]
    pub const fn starts_access_unit(self) -> bool {
        matches!(self.0, 32..=35 | 39 | 41..=44 | 48..=55)
    }
}

/// The two-byte NAL unit header (H.265 7.3.1.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NalHeader {
    /// `nal_unit_type`.
    pub ty: NalType,
    /// `nuh_layer_id`; 0 is the base layer.
    pub layer_id: u8,
    /// `TemporalId`, that is `nuh_temporal_id_plus1 - 1`.
    pub temporal_id: u8,
}

impl NalHeader {
    /// Reads the header of a NAL. An end of sequence or end of bitstream of one byte is accepted: both have
    /// no payload, and writers exist that cut the second byte of the header.
    ///
    /// # Errors
    /// Too few bytes, a set forbidden bit, or a temporal id of "minus one".
    pub fn parse(nal: &[u8]) -> Result<Self, NalError> {
        let first = *nal.first().ok_or(NalError::TooShort(0))?;
        if first & 0x80 != 0 {
            return Err(NalError::ForbiddenBit(first));
        }
        let ty = NalType(first >> 1);
        let Some(&second) = nal.get(1) else {
            return match ty {
                NalType::EOS | NalType::EOB => Ok(Self { ty, layer_id: 0, temporal_id: 0 }),
                _ => Err(NalError::TooShort(nal.len())),
            };
        };
        let temporal_id = (second & 7).checked_sub(1).ok_or(NalError::TemporalId(ty.0))?;
        Ok(Self { ty, layer_id: (first & 1) << 5 | second >> 3, temporal_id })
    }
}

/// Removes emulation prevention bytes (the 03 of `00 00 03`) into `out`, which is cleared first, and stops
/// after `limit` bytes of output. Header parsers pass a small limit and so never copy a slice.
pub fn unescape_into(data: &[u8], limit: usize, out: &mut Vec<u8>) {
    out.clear();
    let mut zeros = 0u8;
    for &byte in data {
        if out.len() >= limit {
            return;
        }
        if zeros >= 2 && byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if byte == 0 { zeros.saturating_add(1) } else { 0 };
        out.push(byte);
    }
}

/// [`unescape_into`] with a vector of its own.
#[must_use]
pub fn unescape(data: &[u8], limit: usize) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len().min(limit));
    unescape_into(data, limit, &mut out);
    out
}

/// Inserts emulation prevention bytes, so that no `00 00 00..03` remains, and closes data that ends in a
/// cabac_zero_word (`00 00`) with a 03: a NAL must not end in a zero byte (H.265 7.4.1).
#[must_use]
pub fn escape(data: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(data.len() + data.len() / 64 + 4);
    let mut zeros = 0u8;
    for &byte in data {
        if zeros == 2 && byte <= 3 {
            out.push(3);
            zeros = 0;
        }
        zeros = if byte == 0 { zeros + 1 } else { 0 };
        out.push(byte);
    }
    if zeros > 0 {
        out.push(3);
    }
    out
}

/// The NAL units of one Matroska or MP4 block, whose NALs carry a big-endian length of `length_size` bytes.
/// The iterator ends after its first error, so damage never makes it spin.
#[must_use]
pub fn split_length_prefixed(payload: &[u8], length_size: u8) -> LengthPrefixed<'_> {
    LengthPrefixed { payload, at: 0, length_size }
}

/// Iterator of [`split_length_prefixed`].
#[derive(Debug, Clone)]
pub struct LengthPrefixed<'a> {
    payload: &'a [u8],
    at: usize,
    length_size: u8,
}

impl<'a> LengthPrefixed<'a> {
    fn step(&self) -> Result<(&'a [u8], usize), NalError> {
        if !(1..=4).contains(&self.length_size) {
            return Err(NalError::LengthSize(self.length_size));
        }
        let size = usize::from(self.length_size);
        let rest = self.payload.get(self.at..).unwrap_or_default();
        let Some((field, rest)) = rest.split_at_checked(size) else {
            return Err(NalError::Overrun { at: self.at, wanted: size, left: rest.len() });
        };
        let wanted = field.iter().fold(0usize, |sum, byte| sum << 8 | usize::from(*byte));
        if wanted == 0 {
            return Err(NalError::ZeroLength(self.at));
        }
        match rest.get(..wanted) {
            Some(nal) => Ok((nal, self.at + size + wanted)),
            None => Err(NalError::Overrun { at: self.at + size, wanted, left: rest.len() }),
        }
    }
}

impl<'a> Iterator for LengthPrefixed<'a> {
    type Item = Result<&'a [u8], NalError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.at >= self.payload.len() {
            return None;
        }
        match self.step() {
            Ok((nal, next)) => {
                self.at = next;
                Some(Ok(nal))
            }
            Err(error) => {
                self.at = self.payload.len();
                Some(Err(error))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let rpu = NalHeader::parse(&[0x7c, 0x01, 0x19]).unwrap();
        assert_eq!(rpu, NalHeader { ty: NalType::RPU, layer_id: 0, temporal_id: 0 });
        let layered = NalHeader::parse(&[0x01, 0x0b]).unwrap();
        assert_eq!(layered, NalHeader { ty: NalType(0), layer_id: 33, temporal_id: 2 });
        assert_eq!(NalHeader::parse(&[0x48]).unwrap().ty, NalType::EOS);
        assert_eq!(NalHeader::parse(&[0x02]), Err(NalError::TooShort(1)));
        assert_eq!(NalHeader::parse(&[0x80, 1]), Err(NalError::ForbiddenBit(0x80)));
        assert_eq!(NalHeader::parse(&[0x02, 0]), Err(NalError::TemporalId(1)));
    }

    #[test]
    fn escaping_covers_the_four_forbidden_patterns() {
        assert_eq!(escape(&[0, 0, 1, 0, 0, 0, 0, 0, 3]), [0, 0, 3, 1, 0, 0, 3, 0, 0, 3, 0, 3].as_slice());
        assert_eq!(escape(&[9, 0, 0]), [9, 0, 0, 3].as_slice());
        assert_eq!(unescape(&[9, 0, 0, 3], 9), [9, 0, 0].as_slice());
        assert_eq!(unescape(&[1, 0, 0, 3, 1, 7], 4), [1, 0, 0, 1].as_slice());
    }

    #[test]
    fn length_prefixed_stops_at_damage() {
        let good: Vec<_> = split_length_prefixed(&[0, 2, 5, 6, 0, 1, 7], 2).collect();
        assert_eq!(good, [Ok([5, 6].as_slice()), Ok([7].as_slice())]);
        let zero: Vec<_> = split_length_prefixed(&[0, 0, 0, 0, 1], 4).collect();
        assert_eq!(zero, [Err(NalError::ZeroLength(0))]);
        let long: Vec<_> = split_length_prefixed(&[1, 9, 255, 1], 1).collect();
        assert_eq!(long, [Ok([9].as_slice()), Err(NalError::Overrun { at: 3, wanted: 255, left: 1 })]);
        assert_eq!(split_length_prefixed(&[1, 2], 8).next(), Some(Err(NalError::LengthSize(8))));
    }
}
