//! Judges a result from outside, by ffmpeg's and mkvmerge's word and without the code under test.

mod frames;
mod tracks;
mod video;

pub use frames::{WrongFrames, hdr10plus_numbers, nal_counts, rpus, wrong_frames};
pub use tracks::{TrackReport, tracks_equal};
pub use video::{Light, light, time_shift_ms};
