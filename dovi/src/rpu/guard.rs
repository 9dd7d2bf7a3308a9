//! Bounds check of the counts inside an RPU, before the parser allocates by them.
//!
//! The parser reads its counts as Exp-Golomb numbers and reserves memory for them before it looks at the CRC; an
//! allocation that fails ends the process and cannot be caught. So the RPU is walked once without keeping anything.
use super::RpuError;

/// num_pivots_minus2 is at most 7 (ETSI GS CCM 001 clause 5.3.3).
const MAX_PIVOTS: u64 = 9;
/// Extension blocks per RPU: the specification knows about a dozen levels, some of them repeated up to 16 times.
const MAX_BLOCKS: u64 = 255;
/// Bytes of one extension block; the largest known level has 25.
const MAX_BLOCK_BYTES: u64 = 1024;

pub(super) fn check(nal62: &[u8]) -> Result<(), RpuError> {
    let payload = match nal62 {
        [0x7C, 0x01, 25, rest @ ..] => rest,
        _ => return Err(RpuError::Parse("no nal 62 with an rpu prefix".to_owned())),
    };
    let bytes = dolby_vision::utils::clear_start_code_emulation_prevention_3_byte(payload);
    // As the parser does: zero bytes behind the final 0x80 are not part of the RPU.
    let end = bytes.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    let mut walk = Walk { bytes: &bytes[..end], bit: 0, overlong: false };
    // Running out of bits is the parser's to report; only counts that are too large matter here.
    match walk.rpu() {
        Some(Err(what)) => Err(RpuError::OutOfRange(what)),
        _ if walk.overlong => Err(RpuError::OutOfRange("Exp-Golomb code")),
        _ => Ok(()),
    }
}

struct Walk<'a> {
    bytes: &'a [u8],
    bit: usize,
    /// A number has more than 32 bits. The parser reads up to 64; whoever stops earlier is out of step with it and
    /// takes other bits for the counts that follow.
    overlong: bool,
}

impl Walk<'_> {
    fn bits(&mut self, count: u32) -> Option<u64> {
        let mut value = 0;
        for _ in 0..count {
            let byte = *self.bytes.get(self.bit / 8)?;
            value = value << 1 | u64::from(byte >> (7 - self.bit % 8) & 1);
            self.bit += 1;
        }
        Some(value)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.bit = self.bit.checked_add(count)?;
        (self.bit <= self.bytes.len() * 8).then_some(())
    }

    fn ue(&mut self) -> Option<u64> {
        let mut zeros = 0;
        while self.bits(1)? == 0 {
            zeros += 1;
            if zeros > 32 {
                self.overlong = true;
                return None;
            }
        }
        Some((1u64 << zeros) - 1 + self.bits(zeros)?)
    }

    /// `None`: ended early; `Some(Err)`: a count is out of range.
    fn rpu(&mut self) -> Option<Result<(), &'static str>> {
        macro_rules! at_most {
            ($value:expr, $limit:expr, $what:literal) => {{
                let value = $value;
                if value > $limit {
                    return Some(Err($what));
                }
                value
            }};
        }
        self.skip(6)?;
        let format = self.bits(11)?;
        self.skip(8)?;
        let (mut data_type, mut denominator, mut depth) = (1, 32u32, 8u64);
        let (mut residual_off, mut compressed) = (false, false);
        if self.bits(1)? == 1 {
            self.skip(1)?;
            data_type = self.bits(2)?;
            if data_type == 0 {
                denominator = at_most!(self.ue()?, 32, "coefficient_log2_denom") as u32;
            }
            self.skip(3)?;
            if format & 0x700 == 0 {
                depth = 8 + at_most!(self.ue()?, 8, "bl_bit_depth_minus8");
                at_most!(self.ue()?, 0xFFFF, "el_bit_depth_minus8");
                at_most!(self.ue()?, 8, "vdr_bit_depth_minus8");
                self.skip(1)?;
                compressed = self.bits(3)? == 1;
                self.skip(1)?;
                residual_off = self.bits(1)? == 1;
            }
        }
        let has_dm = self.bits(1)? == 1;
        let nlq = format & 0x700 == 0 && !residual_off;
        if self.bits(1)? == 1 {
            at_most!(self.ue()?, 15, "prev_vdr_rpu_id");
        } else {
            for _ in 0..3 {
                self.ue()?;
            }
            let mut pieces = [0; 3];
            for pieces in &mut pieces {
                let pivots = 2 + at_most!(self.ue()?, MAX_PIVOTS - 2, "num_pivots_minus2");
                self.skip(usize::try_from(pivots * depth).ok()?)?;
                *pieces = pivots - 1;
            }
            if nlq {
                self.skip(3 + 2 * usize::try_from(depth).ok()?)?;
            }
            self.ue()?;
            self.ue()?;
            for piece in pieces.iter().flat_map(|n| 0..*n) {
                let _ = piece;
                let coefficients = match self.ue()? {
                    0 => match self.ue()? {
                        0 if self.bits(1)? == 1 => return Some(Err("linear interpolation of curves")),
                        order => 2 + at_most!(order, 1, "poly_order_minus1"),
                    },
                    1 => 1 + 7 * (1 + at_most!(self.bits(2)?, 2, "mmr_order_minus1")),
                    _ => return Some(Err("mapping_idc")),
                };
                for _ in 0..coefficients {
                    self.coefficient(data_type, denominator)?;
                }
            }
            for _ in 0..if nlq { 3 } else { 0 } {
                // el_bit_depth is checked by the parser; offsets are 10 bit in every valid stream.
                self.skip(10)?;
                for _ in 0..3 {
                    self.coefficient(data_type, denominator)?;
                }
            }
        }
        if !has_dm {
            return Some(Ok(()));
        }
        for _ in 0..3 {
            self.ue()?;
        }
        if !compressed {
            // 9 + 3 + 9 colour coefficients, signal description, source range and diagonal.
            self.skip(9 * 16 + 3 * 32 + 9 * 16 + 3 * 16 + 32 + 5 + 2 + 2 + 2 + 12 + 12 + 10)?;
        }
        for list in 0..2 {
            // CM v4.0 is there only if more than alignment, CRC and the final byte is left; so decides the parser.
            if list == 1 && (self.bytes.len() * 8).saturating_sub(self.bit) < 56 {
                break;
            }
            let blocks = at_most!(self.ue()?, MAX_BLOCKS, "num_ext_blocks");
            self.bit = self.bit.next_multiple_of(8);
            for _ in 0..blocks {
                let length = at_most!(self.ue()?, MAX_BLOCK_BYTES, "ext_block_length");
                self.skip(8 + 8 * usize::try_from(length).ok()?)?;
            }
        }
        Some(Ok(()))
    }

    fn coefficient(&mut self, data_type: u64, denominator: u32) -> Option<()> {
        if data_type == 0 {
            self.ue()?;
        }
        self.skip(denominator as usize)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nal::escape;

    /// Found by fuzzing: a code of more than 32 bits in a field nobody needs, and behind it a count by which the
    /// parser reserved 10^18 bytes, which ends the process.
    #[test]
    fn a_number_of_more_than_32_bits_does_not_hide_the_counts_behind_it() {
        let text = "08090840613650af003ff801ffc00ffc001fffa000001000000d0000000400800068000000002f40\
            0300b01e0020ffffffffffffffffffffffffffffffffffffffffffffffff0effffffffffffffffff\
            ffffffffffffffffffffffffffffffffffffffff02002002001000040280000000000000000dd7ff\
            f80000000000000dd7fff80000000000000280000000000000000dd7fff80000000000000dd7fff8\
            0000000000";
        let byte = |at: usize| u8::from_str_radix(&text[at..at + 2], 16).unwrap();
        let mut bits: Vec<u8> = (0..text.len()).step_by(2).map(byte).collect();
        // Checksum (never reached) and final byte.
        bits.extend([1, 2, 3, 4, 0x80]);
        let nal = [&[0x7C, 0x01, 25][..], &escape(&bits)].concat();
        assert!(matches!(check(&nal), Err(RpuError::OutOfRange(_))));
    }
}
