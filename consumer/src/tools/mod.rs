//! One external program per folder: its command line as typed values, and a parser of what it prints.
//!
//! Nothing here decides anything, and nothing here starts anything.

pub mod dovi_tool;
pub mod ffmpeg;
pub mod mkvmerge;
