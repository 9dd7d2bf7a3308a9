//! HEVCDecoderConfigurationRecord (ISO/IEC 14496-15 clause 8.3.3.1): length size and out-of-band NAL units.
use super::{ScanError, light::Light};
use crate::{matroska::Track, params::ParamSets};

/// Largest number of NAL units taken from the record.
const MAX_NALS: usize = 256;

/// What the codec private data of an HEVC track holds.
#[derive(Debug, Clone, Default)]
pub(crate) struct Hvcc {
    /// Bytes of the length field before each NAL in a block: 1, 2 or 4.
    pub(crate) length_size: u8,
    /// Parameter sets and SEI, in order.
    pub(crate) nals: Vec<Vec<u8>>,
}

impl Hvcc {
    /// `None` if the record is cut or of another version.
    pub(crate) fn parse(record: &[u8]) -> Option<Self> {
        // Version 0 was written by muxers before the specification was final.
        if record.len() < 23 || record[0] > 1 {
            return None;
        }
        let length_size = (record[21] & 3) + 1;
        let mut rest = &record[23..];
        let mut nals = Vec::new();
        for _ in 0..record[22] {
            let (head, tail) = rest.split_at_checked(3)?;
            rest = tail;
            for _ in 0..u16::from_be_bytes([head[1], head[2]]) {
                let (size, tail) = rest.split_at_checked(2)?;
                let (nal, tail) =
                    tail.split_at_checked(usize::from(u16::from_be_bytes([size[0], size[1]])))?;
                rest = tail;
                if nals.len() < MAX_NALS && !nal.is_empty() {
                    nals.push(nal.to_vec());
                }
            }
        }
        Some(Self { length_size, nals })
    }
}

/// What an HEVC track says before its first frame.
pub(crate) struct Setup {
    pub(crate) hvcc: Hvcc,
    pub(crate) params: ParamSets,
    pub(crate) light: Light,
}

impl Setup {
    pub(crate) fn of(track: &Track) -> Result<Self, ScanError> {
        let hvcc = Hvcc::parse(&track.codec_private).ok_or_else(|| {
            ScanError::Unsupported(format!(
                "track {} has no readable hevc configuration record",
                track.number
            ))
        })?;
        let mut params = ParamSets::new();
        let mut light = Light::default();
        for nal in &hvcc.nals {
            // A set that cannot be read may never be used; a slice that uses it will say so.
            let _ = params.feed(nal);
            light.look(nal);
        }
        Ok(Self { hvcc, params, light })
    }
}
