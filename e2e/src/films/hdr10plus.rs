//! HDR10+ messages that carry the number of their frame (SMPTE ST 2094-40 in ITU-T T.35, one per picture).

use super::packets::{nal_type, nals};

/// Country, provider, oriented code, application 4, version 1.
const T35: [u8; 7] = [0xB5, 0x00, 0x3C, 0x00, 0x01, 0x04, 0x01];
/// Where the first MaxSCL begins: after the header above, one window, the target luminance and a flag.
const MAX_SCL_BIT: usize = 56 + 2 + 27 + 1;
const MAX_SCL_BITS: usize = 17;
/// User data registered by ITU-T T.35 (H.265 D.2.1).
const PAYLOAD_TYPE: u8 = 4;
/// Header of a prefix SEI NAL unit (type 39).
const PREFIX_SEI: [u8; 2] = [0x4E, 0x01];

/// The prefix SEI NAL unit of the frame shown as number `display`: its MaxSCL counts frames from one.
pub(super) fn sei(display: u64) -> Vec<u8> {
    let mut bits = Bits::default();
    T35.iter().for_each(|byte| bits.put(u64::from(*byte), 8));
    bits.put(1, 2); // one window
    bits.put(400, 27); // target display, cd/m2
    bits.put(0, 1);
    bits.put(display + 1, MAX_SCL_BITS);
    bits.put(20_000, 17);
    bits.put(15_000, 17);
    bits.put(5_000, 17); // average
    bits.put(9, 4);
    for percentage in [1, 5, 10, 25, 50, 75, 90, 95, 99] {
        bits.put(percentage, 7);
        bits.put(200 * percentage, 17);
    }
    bits.put(3, 10); // bright pixels
    bits.put(0, 3); // no peak table, tone mapping or saturation
    let payload = bits.bytes();
    let message =
        [&[PAYLOAD_TYPE, u8::try_from(payload.len()).unwrap_or_default()], &payload[..], &[0x80]].concat();
    [&PREFIX_SEI[..], &escape(&message)].concat()
}

/// The frame number in the HDR10+ message of an access unit, if it has one.
pub(super) fn number(access_unit: &[u8]) -> Option<u64> {
    nals(access_unit).into_iter().filter(|n| nal_type(n) == 39).find_map(|nal| {
        let message = unescape(nal.get(2..)?);
        let payload = message.get(2..).filter(|p| message[0] == PAYLOAD_TYPE && p.starts_with(&T35))?;
        let bit = |at: usize| payload.get(at / 8).map(|byte| u64::from(byte >> (7 - at % 8) & 1));
        let max_scl =
            (MAX_SCL_BIT..MAX_SCL_BIT + MAX_SCL_BITS).try_fold(0, |n, at| Some(n << 1 | bit(at)?))?;
        max_scl.checked_sub(1)
    })
}

/// Inserts emulation prevention bytes (H.265 7.4.2).
fn escape(message: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::new();
    let mut zeros = 0;
    for byte in message {
        if zeros == 2 && *byte <= 3 {
            escaped.push(3);
            zeros = 0;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        escaped.push(*byte);
    }
    escaped
}

fn unescape(bytes: &[u8]) -> Vec<u8> {
    let mut plain: Vec<u8> = Vec::new();
    let mut zeros = 0;
    for byte in bytes {
        if zeros >= 2 && *byte == 3 {
            zeros = 0;
            continue;
        }
        zeros = if *byte == 0 { zeros + 1 } else { 0 };
        plain.push(*byte);
    }
    plain
}

/// Bits, most significant first.
#[derive(Default)]
struct Bits(Vec<bool>);

impl Bits {
    fn put(&mut self, value: u64, width: usize) {
        self.0.extend((0..width).rev().map(|bit| value >> bit & 1 == 1));
    }

    fn bytes(&self) -> Vec<u8> {
        let byte = |bits: &[bool]| {
            (0..8).fold(0, |b, at| b << 1 | u8::from(bits.get(at).copied().unwrap_or_default()))
        };
        self.0.chunks(8).map(byte).collect()
    }
}
