//! Identity of a picture stream: one hash over its coded slices.
//!
//! Muxers add, drop and repeat parameter sets and SEI, so files are compared by their slices alone.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use thiserror::Error;

use crate::nal::NalHeader;

/// BLAKE3 over all VCL NAL units of layer 0 in decode order, each with its length before it as `u64`
/// little-endian. Prints, parses and serialises as 64 lowercase hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VclHash(blake3::Hash);

/// Text that is not 64 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a hash of 64 hex digits")]
pub struct VclHashError;

impl fmt::Display for VclHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.to_hex().as_str())
    }
}

impl FromStr for VclHash {
    type Err = VclHashError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        blake3::Hash::from_hex(text).map(Self).map_err(|_| VclHashError)
    }
}

impl Serialize for VclHash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for VclHash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// Builds a [`VclHash`] from NAL units in decode order.
#[derive(Debug, Clone, Default)]
pub struct VclHasher {
    state: blake3::Hasher,
    nals: u64,
}

impl VclHasher {
    /// Nothing hashed yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes any NAL; everything that is not a slice of layer 0 is ignored. Zero bytes behind the NAL are not
    /// part of it (H.265 B.2) and are ignored too, since only one of Annex B and Matroska keeps them.
    pub fn update(&mut self, nal: &[u8]) {
        if NalHeader::parse(nal).is_ok_and(|header| header.ty.is_vcl() && header.layer_id == 0) {
            self.update_vcl(nal);
        }
    }

    /// As [`VclHasher::update`], for a caller that has read the header already.
    pub fn update_vcl(&mut self, nal: &[u8]) {
        let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
        let nal = nal.get(..end).unwrap_or_default();
        self.state.update(&(nal.len() as u64).to_le_bytes());
        self.state.update(nal);
        self.nals += 1;
    }

    /// Slices hashed so far.
    #[must_use]
    pub const fn nals(&self) -> u64 {
        self.nals
    }

    /// The first eight bytes of [`Self::finish`], enough to tell where two streams part.
    #[must_use]
    pub fn mark(&self) -> u64 {
        let mut first = [0; 8];
        first.copy_from_slice(&self.state.finalize().as_bytes()[..8]);
        u64::from_be_bytes(first)
    }

    /// The hash of all slices so far.
    #[must_use]
    pub fn finish(&self) -> VclHash {
        VclHash(self.state.finalize())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_base_layer_slices_count() {
        let mut plain = VclHasher::new();
        plain.update(&[0x02, 0x01, 5]);
        let mut mixed = VclHasher::new();
        for nal in [&[0x40, 0x01, 1][..], &[0x02, 0x01, 5, 0, 0], &[0x02, 0x09, 5], &[0x7c, 0x01, 9]] {
            mixed.update(nal);
        }
        assert_eq!(plain.finish(), mixed.finish());
        assert_eq!(mixed.nals(), 1);
        plain.update(&[0x02, 0x01]);
        assert_ne!(plain.finish(), mixed.finish());
    }

    #[test]
    fn text_form_round_trips() {
        let hash = VclHasher::new().finish();
        assert_eq!(hash.to_string().parse(), Ok(hash));
        assert_eq!("12".parse::<VclHash>(), Err(VclHashError));
    }
}
