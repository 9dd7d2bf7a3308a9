//! Byte work of dovi-fleet: HEVC streams, Dolby Vision RPUs and Matroska, frame-exact and in bounded memory.
//!
//! Bytes come in through `Read` (and `Seek`), go out through `Write`, answers are typed values. Nothing here
//! knows files, processes, configuration or jobs, and nothing panics or allocates without bound on hostile
//! input.
//!
//! From bytes to frames: [`annexb`] or [`nal::split_length_prefixed`] cut NAL units; [`params`],
//! [`mod@slice`] and [`poc`] say which picture a slice belongs to; [`au`] groups the NAL units of a picture;
//! [`order`] gives each its place on the screen, and [`output`] knows which are never shown; [`inject`] writes
//! metadata to the pictures it was made for.

pub mod annexb;
pub mod au;
pub mod bits;
pub mod copy;
pub mod expect;
pub mod film;
pub mod hash;
pub mod inject;
pub mod matroska;
pub mod nal;
pub mod order;
pub mod output;
pub mod params;
pub mod poc;
pub mod rpu;
pub mod sei;
pub mod slice;
