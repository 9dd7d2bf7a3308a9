//! ContentEncodings: how the bytes of a track were packed (RFC 9559 section 5.1.4.1.31).
use std::io::Read;

use super::{
    MatroskaError,
    ebml::{Elements, uint},
    ids,
};

/// Largest frame a zlib-packed block may unpack to. A picture is never larger than the decoder's buffer, which has
/// 22 MB at level 5.1, High tier (H.265 A.4.2). A buffer that doubles takes twice this for a moment.
const MAX_UNPACKED: u64 = 24 << 20;
/// Longest prefix that frames may share; muxers in use strip 2 to 8 bytes.
const MAX_PREFIX: usize = 4096;

/// One packing step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Encoding {
    /// These bytes were taken off the front of every frame.
    HeaderStripping(Vec<u8>),
    /// Every frame is a zlib stream.
    Zlib,
    /// bzlib, lzo, or encryption: named when a frame of the track is asked for.
    Unsupported(&'static str),
}

/// A packing step and what it was applied to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContentEncoding {
    /// Position in the chain; decoding starts at the highest.
    pub order: u64,
    /// Bit 0: frames, bit 1: codec private data.
    pub scope: u64,
    /// The step.
    pub encoding: Encoding,
}

pub(crate) fn parse(payload: &[u8]) -> Vec<ContentEncoding> {
    let mut all: Vec<ContentEncoding> = Elements::new(payload)
        .filter(|(id, _)| *id == ids::CONTENT_ENCODING)
        .map(|(_, entry)| parse_one(entry))
        .collect();
    all.sort_by_key(|e| std::cmp::Reverse(e.order));
    all
}

fn parse_one(entry: &[u8]) -> ContentEncoding {
    let (mut order, mut scope, mut kind) = (0, 1, 0);
    let (mut algorithm, mut settings) = (0, Vec::new());
    for (id, data) in Elements::new(entry) {
        match id {
            ids::CONTENT_ENCODING_ORDER => order = uint(data).unwrap_or(0),
            ids::CONTENT_ENCODING_SCOPE => scope = uint(data).unwrap_or(1),
            ids::CONTENT_ENCODING_TYPE => kind = uint(data).unwrap_or(0),
            ids::CONTENT_COMPRESSION => {
                for (id, data) in Elements::new(data) {
                    match id {
                        ids::CONTENT_COMP_ALGO => algorithm = uint(data).unwrap_or(0),
                        ids::CONTENT_COMP_SETTINGS => settings = data.to_vec(),
                        _ => {}
                    }
                }
            }
            _ => {}
        }
    }
    let encoding = match (kind, algorithm) {
        (0, 0) => Encoding::Zlib,
        (0, 3) if settings.len() <= MAX_PREFIX => Encoding::HeaderStripping(settings),
        (0, 1) => Encoding::Unsupported("bzlib compression"),
        (0, 2) => Encoding::Unsupported("lzo1x compression"),
        (1, _) => Encoding::Unsupported("encryption"),
        _ => Encoding::Unsupported("content encoding"),
    };
    ContentEncoding { order, scope, encoding }
}

/// Undoes all steps of `scope` on `frame`, in place.
pub(crate) fn undo(
    encodings: &[ContentEncoding],
    scope: u64,
    track: u64,
    offset: u64,
    frame: &mut Vec<u8>,
) -> Result<(), MatroskaError> {
    // Nobody packs twice; undoing it would let some bytes become megabytes, and those more of them.
    if encodings.iter().filter(|e| e.encoding == Encoding::Zlib).count() > 1 || encodings.len() > 4 {
        return Err(MatroskaError::Unsupported { track, what: "chain of content encodings" });
    }
    for step in encodings.iter().filter(|e| e.scope & scope != 0) {
        match &step.encoding {
            Encoding::HeaderStripping(prefix) => drop(frame.splice(0..0, prefix.iter().copied())),
            Encoding::Zlib => {
                // The buffer may still have the size of the frame before; two of the largest at once are too many.
                frame.shrink_to(2 * frame.len());
                let mut plain = Vec::new();
                flate2::read::ZlibDecoder::new(frame.as_slice())
                    .take(MAX_UNPACKED + 1)
                    .read_to_end(&mut plain)
                    .map_err(|e| MatroskaError::damaged(offset, format!("zlib frame: {e}")))?;
                if plain.len() as u64 > MAX_UNPACKED {
                    let size = plain.len() as u64;
                    return Err(MatroskaError::TooLarge {
                        what: "unpacked frame",
                        offset,
                        size,
                        limit: MAX_UNPACKED,
                    });
                }
                *frame = plain;
            }
            Encoding::Unsupported(what) => return Err(MatroskaError::Unsupported { track, what }),
        }
    }
    Ok(())
}
