//! Input as a pipe would give it, and the checksum that hostile RPUs need to get past the door.

use std::io::{Read, Result};

/// A reader whose reads are short, each of another length.
pub struct Pieces<'a> {
    rest: &'a [u8],
    state: u32,
}

impl<'a> Pieces<'a> {
    /// Lengths follow from `seed`; 0 gives whole reads.
    pub fn new(data: &'a [u8], seed: u8) -> Self {
        Self { rest: data, state: u32::from(seed) }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buf: &mut [u8]) -> Result<usize> {
        let most = if self.state == 0 {
            usize::MAX
        } else {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223) | 1;
            // Mostly tiny, sometimes a page.
            if self.state >> 28 == 0 { 4096 } else { 1 + (self.state >> 24 & 7) as usize }
        };
        let count = self.rest.len().min(buf.len()).min(most);
        let (now, rest) = self.rest.split_at(count);
        buf[..count].copy_from_slice(now);
        self.rest = rest;
        Ok(count)
    }
}

/// CRC-32/MPEG-2, which closes every RPU.
pub fn crc32_mpeg2(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte) << 24, |crc, _| {
            if crc >> 31 == 1 { crc << 1 ^ 0x04C1_1DB7 } else { crc << 1 }
        })
    })
}
