//! The proof: what was read from the source against what was read from the result. Pure, one file per check.

mod alignment;
mod attachments;
mod chapters;
mod code;
mod findings;
mod frames;
mod hdr10;
mod levels;
mod pair;
mod pairing;
mod payload;
mod profile;
mod rpus;
mod tags;
mod timing;
mod tracks;
mod words;

pub use code::code_of;
pub use pair::{Expectation, checks, guess};
