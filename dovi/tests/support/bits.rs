//! NAL units built bit by bit.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses another part of this module")]

use dovi::nal::{NalType, escape};

#[derive(Default)]
pub struct Bits(Vec<bool>);

impl Bits {
    pub fn u(&mut self, count: u32, value: u64) -> &mut Self {
        self.0.extend((0..count).rev().map(|bit| value >> bit & 1 == 1));
        self
    }

    pub fn ue(&mut self, value: u64) -> &mut Self {
        let length = 64 - (value + 1).leading_zeros();
        self.u(length - 1, 0).u(length, value + 1)
    }

    pub fn se(&mut self, value: i64) -> &mut Self {
        self.ue(if value > 0 { 2 * value as u64 - 1 } else { 2 * value.unsigned_abs() })
    }

    pub fn nal(&self, ty: NalType) -> Vec<u8> {
        self.nal_at(ty, 0)
    }

    /// A NAL of this temporal layer.
    pub fn nal_at(&self, ty: NalType, temporal_id: u8) -> Vec<u8> {
        let mut bits = self.0.clone();
        bits.push(true);
        let bytes: Vec<u8> = bits
            .chunks(8)
            .map(|chunk| chunk.iter().zip((0..8).rev()).map(|(bit, at)| u8::from(*bit) << at).sum())
            .collect();
        [vec![ty.0 << 1, temporal_id + 1], escape(&bytes)].concat()
    }
}
