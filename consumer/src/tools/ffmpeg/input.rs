//! What ffmpeg is given to read.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::process::ToolCommand;

/// What is encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// One video track of a film.
    Film {
        /// The film, absolute.
        source: PathBuf,
        /// The film's video track among the video tracks, from 0.
        video_position: usize,
    },
    /// Generated pictures, to see whether the encoder works.
    Test {
        /// Picture width.
        width: u32,
        /// Picture height.
        height: u32,
        /// Frames, 24 in a second.
        frames: u32,
    },
}

impl Input {
    pub(super) fn add_to(&self, command: ToolCommand) -> ToolCommand {
        match self {
            Self::Film { source, video_position } => {
                command.arg2("-i", file_url(source)).arg2("-map", format!("0:v:{video_position}"))
            }
            Self::Test { width, height, frames } => command
                .args(["-f", "lavfi"])
                .arg2("-i", format!("testsrc2=size={width}x{height}:rate=24"))
                .args(["-map", "0:v:0"])
                .arg2("-frames:v", frames.to_string()),
        }
    }
}

/// The `file:` protocol takes every Unix name as it is; a bare name with a colon or a leading dash is read otherwise.
pub(super) fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}
