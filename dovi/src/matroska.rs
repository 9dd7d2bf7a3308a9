//! A sequential Matroska reader that believes no size it has not checked against the file.
//!
//! It reads what the conversion needs and nothing else: the header, every block in file order with lacing and
//! content encodings undone, and enough of the index to sample a film. Truncation and damage have names.
mod attachments;
mod block;
mod chapters;
mod cues;
mod ebml;
mod encoding;
mod entries;
mod error;
mod header;
mod ids;
mod input;
mod lacing;
mod reader;
mod seek;
mod tags;
mod write;

pub use chapters::{Chapter, ChapterTitle, Edition};
pub use encoding::{ContentEncoding, Encoding};
pub use error::MatroskaError;
pub use header::{Attachment, Audio, Colour, DoviConfig, Header, Mastering, Track, TrackKind, Video};
pub use reader::{Block, Integrity, MatroskaReader};
pub use tags::{SimpleTag, Tag, TagValue, Targets};
pub(crate) use write::{OneTrack, OneTrackWriter};
