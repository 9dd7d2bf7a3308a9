//! Bit reader over an RBSP (bytes without emulation prevention). Never panics, never allocates.

use thiserror::Error;

/// Why bits could not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum BitError {
    /// The data ended.
    #[error("data ends after {0} bits")]
    End(usize),
    /// An Exp-Golomb code has more than 32 leading zeros, or a value is not allowed by the syntax.
    #[error("{0} has a forbidden value")]
    Value(&'static str),
}

/// Reads bits from the most significant one on.
#[derive(Debug, Clone)]
pub struct BitReader<'a> {
    data: &'a [u8],
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Starts at the first bit of `data`.
    #[must_use]
    pub const fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Bits read so far.
    #[must_use]
    pub const fn position(&self) -> usize {
        self.at
    }

    /// One bit.
    ///
    /// # Errors
    /// [`BitError::End`].
    pub fn flag(&mut self) -> Result<bool, BitError> {
        let byte = self.data.get(self.at / 8).ok_or(BitError::End(self.at))?;
        let bit = byte >> (7 - self.at % 8) & 1;
        self.at += 1;
        Ok(bit == 1)
    }

    /// `u(n)`, at most 32 bits.
    ///
    /// # Errors
    /// [`BitError::End`], or [`BitError::Value`] for more than 32 bits.
    pub fn bits(&mut self, count: u32) -> Result<u32, BitError> {
        if count > 32 {
            return Err(BitError::Value("bit count"));
        }
        let mut value = 0u32;
        for _ in 0..count {
            value = value << 1 | u32::from(self.flag()?);
        }
        Ok(value)
    }

    /// `u(8)`.
    ///
    /// # Errors
    /// [`BitError::End`].
    pub fn byte(&mut self) -> Result<u8, BitError> {
        Ok(self.bits(8)?.to_le_bytes()[0])
    }

    /// Skips bits.
    ///
    /// # Errors
    /// [`BitError::End`] if fewer are left.
    pub fn skip(&mut self, count: usize) -> Result<(), BitError> {
        let total = self.data.len().saturating_mul(8);
        match self.at.checked_add(count) {
            Some(next) if next <= total => {
                self.at = next;
                Ok(())
            }
            _ => Err(BitError::End(total)),
        }
    }

    /// `ue(v)`, unsigned Exp-Golomb, 0..=2^32-2 (H.265 9.2).
    ///
    /// # Errors
    /// [`BitError::End`], or [`BitError::Value`] for more than 31 leading zeros.
    pub fn ue(&mut self) -> Result<u32, BitError> {
        let mut zeros = 0u32;
        while !self.flag()? {
            zeros += 1;
            if zeros > 31 {
                return Err(BitError::Value("Exp-Golomb code"));
            }
        }
        let tail = u64::from(self.bits(zeros)?);
        u32::try_from((1u64 << zeros) - 1 + tail).map_err(|_| BitError::Value("Exp-Golomb code"))
    }

    /// `ue(v)` that must not be above `max`.
    ///
    /// # Errors
    /// As [`BitReader::ue`], or [`BitError::Value`] naming `what`.
    pub fn ue_max(&mut self, max: u32, what: &'static str) -> Result<u32, BitError> {
        let value = self.ue()?;
        if value > max { Err(BitError::Value(what)) } else { Ok(value) }
    }

    /// `se(v)`, signed Exp-Golomb.
    ///
    /// # Errors
    /// As [`BitReader::ue`].
    pub fn se(&mut self) -> Result<i64, BitError> {
        let code = i64::from(self.ue()?);
        Ok(if code % 2 == 1 { (code + 1) / 2 } else { -(code / 2) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exp_golomb_table() {
        // 1 010 011 00100 00101 -> 0 1 2 3 4
        let data = [0b1010_0110, 0b0100_0010, 0b1000_0000];
        let mut reader = BitReader::new(&data);
        let codes: Vec<u32> = (0..5).map(|_| reader.ue().unwrap()).collect();
        assert_eq!(codes, [0, 1, 2, 3, 4]);
        let mut reader = BitReader::new(&data);
        let codes: Vec<i64> = (0..5).map(|_| reader.se().unwrap()).collect();
        assert_eq!(codes, [0, 1, -1, 2, -2]);
    }

    #[test]
    fn end_and_overlong_codes_are_errors() {
        assert_eq!(BitReader::new(&[0; 8]).ue(), Err(BitError::Value("Exp-Golomb code")));
        assert_eq!(BitReader::new(&[0; 2]).ue(), Err(BitError::End(16)));
        assert_eq!(BitReader::new(&[0xff]).bits(9), Err(BitError::End(8)));
        assert_eq!(BitReader::new(&[0xff]).skip(usize::MAX), Err(BitError::End(8)));
        let mut exact = BitReader::new(&[0xa5]);
        exact.skip(8).unwrap();
        assert_eq!(exact.flag(), Err(BitError::End(8)));
    }
}
