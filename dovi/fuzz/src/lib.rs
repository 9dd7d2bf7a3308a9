//! What all targets share: an exact limit on live memory, panics that end the run, and input in pieces.

mod heap;
mod panics;
mod pieces;

pub use heap::bounded;
pub use panics::watch_panics;
pub use pieces::{Pieces, crc32_mpeg2};
