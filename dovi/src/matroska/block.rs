//! The head of a SimpleBlock or Block.
use std::io::{Read, Seek};

use super::{MatroskaError, input::Input};

/// Track, relative timestamp and flags of a block, and where its frames are.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockHead {
    pub(crate) track: u64,
    pub(crate) relative: i16,
    pub(crate) flags: u8,
    /// Offset of the block element.
    pub(crate) offset: u64,
    /// Bytes after the head.
    pub(crate) size: u64,
}

impl BlockHead {
    pub(crate) fn read<R: Read + Seek>(
        input: &mut Input<R>,
        offset: u64,
        size: u64,
    ) -> Result<Self, MatroskaError> {
        let start = input.pos();
        input.fits("block", offset, start.saturating_add(size))?;
        let short = || MatroskaError::damaged(offset, "block is too short for its header");
        let mut bytes = [0u8; 8];
        if size < 4 {
            return Err(short());
        }
        input.fill(&mut bytes[..1])?;
        let length = bytes[0].leading_zeros() as usize + 1;
        if length > 8 || size < length as u64 + 3 {
            return Err(short());
        }
        input.fill(&mut bytes[1..length])?;
        let mut track = u64::from(bytes[0]) & ((1u64 << (8 - length)) - 1);
        for byte in &bytes[1..length] {
            track = track << 8 | u64::from(*byte);
        }
        let mut rest = [0u8; 3];
        input.fill(&mut rest)?;
        let head = length as u64 + 3;
        Ok(Self {
            track,
            relative: i16::from_be_bytes([rest[0], rest[1]]),
            flags: rest[2],
            offset,
            size: size - head,
        })
    }

    /// Lacing kind: 0 none, 1 Xiph, 2 fixed, 3 EBML.
    pub(crate) fn lacing(&self) -> u8 {
        self.flags >> 1 & 3
    }
}
