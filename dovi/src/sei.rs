//! SEI messages: reading, and writing the HDR10 and HDR10+ ones.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use crate::nal::{NalHeader, NalType, escape, unescape};

/// Largest SEI NAL that is looked into; longer ones are carried but not read.
const MAX_SEI: usize = 1 << 20;

/// `user_data_registered_itu_t_t35`.
pub const T35: u32 = 4;
/// `mastering_display_colour_volume`.
pub const MASTERING_DISPLAY: u32 = 137;
/// `content_light_level_info`.
pub const CONTENT_LIGHT: u32 = 144;

/// Mastering display colour volume (H.265 D.3.28), integers exactly as in the SEI.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Mdcv {
    /// x and y of green, blue, red in steps of 0.00002.
    pub primaries_gbr: [(u16, u16); 3],
    /// x and y of the white point in steps of 0.00002.
    pub white: (u16, u16),
    /// Highest luminance in steps of 0.0001 cd/m2.
    pub max_luminance: u32,
    /// Lowest luminance in steps of 0.0001 cd/m2.
    pub min_luminance: u32,
}

impl Mdcv {
    /// Reads an SEI payload; it has exactly 24 bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let bytes: &[u8; 24] = payload.try_into().ok()?;
        let short = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
        let long = |at: usize| u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        let point = |at: usize| (short(at), short(at + 2));
        Some(Self {
            primaries_gbr: [point(0), point(4), point(8)],
            white: point(12),
            max_luminance: long(16),
            min_luminance: long(20),
        })
    }

    /// The SEI payload, 24 bytes.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(24);
        for (x, y) in self.primaries_gbr.into_iter().chain([self.white]) {
            out.extend(x.to_be_bytes());
            out.extend(y.to_be_bytes());
        }
        out.extend(self.max_luminance.to_be_bytes());
        out.extend(self.min_luminance.to_be_bytes());
        out
    }

    /// The value of x265's `master-display`: `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`.
    #[must_use]
    pub fn to_x265(&self) -> String {
        let mut text = String::with_capacity(80);
        let points = self.primaries_gbr.into_iter().chain([self.white]);
        for (name, (x, y)) in ["G", "B", "R", "WP"].into_iter().zip(points) {
            let _ = write!(text, "{name}({x},{y})");
        }
        let _ = write!(text, "L({},{})", self.max_luminance, self.min_luminance);
        text
    }
}

/// Content light level (H.265 D.3.35) in cd/m2.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Cll {
    /// Brightest pixel of the film.
    pub max_cll: u16,
    /// Brightest frame average of the film.
    pub max_fall: u16,
}

impl Cll {
    /// Reads an SEI payload; it has exactly 4 bytes.
    #[must_use]
    pub fn parse(payload: &[u8]) -> Option<Self> {
        let bytes: &[u8; 4] = payload.try_into().ok()?;
        Some(Self {
            max_cll: u16::from_be_bytes([bytes[0], bytes[1]]),
            max_fall: u16::from_be_bytes([bytes[2], bytes[3]]),
        })
    }

    /// The SEI payload, 4 bytes.
    #[must_use]
    pub fn to_payload(&self) -> Vec<u8> {
        [self.max_cll.to_be_bytes(), self.max_fall.to_be_bytes()].concat()
    }
}

/// True for the payload of a T.35 message that is HDR10+ (SMPTE ST 2094-40): country B5, provider 003C,
/// provider code 0001, application 4, version 0 or 1.
#[must_use]
pub const fn is_hdr10plus(payload: &[u8]) -> bool {
    matches!(payload, [0xb5, 0x00, 0x3c, 0x00, 0x01, 0x04, 0x00 | 0x01, ..])
}

/// One SEI message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Message<'a> {
    /// `payloadType`.
    pub ty: u32,
    /// `sei_payload`, without emulation prevention.
    pub payload: &'a [u8],
}

/// An SEI NAL, unescaped once so that its messages can be looked at.
#[derive(Debug, Clone, Default)]
pub struct SeiNal {
    rbsp: Vec<u8>,
}

impl SeiNal {
    /// `None` if the NAL is no SEI of layer 0, or above 1 MiB.
    #[must_use]
    pub fn read(nal: &[u8]) -> Option<Self> {
        let header = NalHeader::parse(nal).ok()?;
        let is_sei = matches!(header.ty, NalType::PREFIX_SEI | NalType::SUFFIX_SEI);
        if !is_sei || header.layer_id != 0 || nal.len() > MAX_SEI {
            return None;
        }
        Some(Self { rbsp: unescape(nal.get(2..)?, MAX_SEI) })
    }

    /// Its messages. Damage ends the list: a message that reaches behind the NAL is not given.
    #[must_use]
    pub fn messages(&self) -> Messages<'_> {
        Messages { rest: &self.rbsp }
    }
}

/// Iterator over the messages of an SEI NAL.
#[derive(Debug, Clone)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        // The stop bit byte 80 ends the list; a message of type 128 with at least one byte more is not it.
        if self.rest.len() < 2 {
            return None;
        }
        let mut rest = self.rest;
        self.rest = &[];
        let ty = varied(&mut rest)?;
        let size = usize::try_from(varied(&mut rest)?).ok()?;
        let (payload, rest) = rest.split_at_checked(size)?;
        self.rest = rest;
        Some(Message { ty, payload })
    }
}

/// The FF-chained numbers of H.265 7.3.5.
fn varied(data: &mut &[u8]) -> Option<u32> {
    let mut sum = 0u32;
    loop {
        let (byte, rest) = data.split_first()?;
        *data = rest;
        sum = sum.checked_add(u32::from(*byte))?;
        if *byte != 0xff {
            return Some(sum);
        }
    }
}

/// A complete prefix SEI NAL (header included, escaped, no start code) of these messages.
#[must_use]
pub fn prefix_nal(messages: &[Message<'_>]) -> Vec<u8> {
    let mut rbsp = Vec::with_capacity(64);
    for message in messages {
        chained(&mut rbsp, message.ty as usize);
        chained(&mut rbsp, message.payload.len());
        rbsp.extend_from_slice(message.payload);
    }
    rbsp.push(0x80);
    let mut nal = vec![NalType::PREFIX_SEI.0 << 1, 1];
    nal.extend(escape(&rbsp));
    nal
}

fn chained(out: &mut Vec<u8>, value: usize) {
    out.extend(std::iter::repeat_n(0xff, value / 255));
    out.push((value % 255).to_le_bytes()[0]);
}

/// Prefix SEI NAL with the mastering display.
#[must_use]
pub fn mdcv_nal(mdcv: &Mdcv) -> Vec<u8> {
    prefix_nal(&[Message { ty: MASTERING_DISPLAY, payload: &mdcv.to_payload() }])
}

/// Prefix SEI NAL with the content light level.
#[must_use]
pub fn cll_nal(cll: &Cll) -> Vec<u8> {
    prefix_nal(&[Message { ty: CONTENT_LIGHT, payload: &cll.to_payload() }])
}

/// Prefix SEI NAL around an HDR10+ payload (from its country code on), carried verbatim.
#[must_use]
pub fn hdr10plus_nal(payload: &[u8]) -> Vec<u8> {
    prefix_nal(&[Message { ty: T35, payload }])
}

#[cfg(test)]
mod tests {
    use super::*;

    const MDCV: Mdcv = Mdcv {
        primaries_gbr: [(13250, 34500), (7500, 3000), (34000, 16000)],
        white: (15635, 16450),
        max_luminance: 10_000_000,
        min_luminance: 1,
    };

    #[test]
    fn mastering_display_round_trip() {
        let nal = mdcv_nal(&MDCV);
        let sei = SeiNal::read(&nal).unwrap();
        let all: Vec<_> = sei.messages().collect();
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].ty, Mdcv::parse(all[0].payload)), (MASTERING_DISPLAY, Some(MDCV)));
        assert_eq!(MDCV.to_x265(), "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)");
    }

    #[test]
    fn light_level_long_payloads_and_damage() {
        let cll = Cll { max_cll: 1000, max_fall: 0 };
        let sei = SeiNal::read(&cll_nal(&cll)).unwrap();
        assert_eq!(sei.messages().next().and_then(|m| Cll::parse(m.payload)), Some(cll));
        let mut long = vec![0xb5, 0, 0x3c, 0, 1, 4, 1];
        long.resize(600, 0);
        let nal = prefix_nal(&[Message { ty: T35, payload: &long }, Message { ty: 300, payload: &[7] }]);
        let sei = SeiNal::read(&nal).unwrap();
        let all: Vec<_> = sei.messages().collect();
        assert_eq!(all.len(), 2);
        assert!(is_hdr10plus(all[0].payload) && all[0].payload == long);
        assert_eq!(all[1], Message { ty: 300, payload: &[7] });
        let cut = SeiNal::read(&nal[..100]).unwrap();
        assert_eq!(cut.messages().count(), 0);
        assert!(SeiNal::read(&[0x02, 1, 5]).is_none());
    }
}
