//! Decoding a file for the sake of what the decoder says about it.

use std::path::PathBuf;

use common::process::ToolCommand;

use super::Capabilities;
use super::input::file_url;

/// Decode one video track of a file and throw the pictures away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The file, absolute.
    pub file: PathBuf,
    /// The track among the video tracks, from 0.
    pub video_position: usize,
}

impl DecodeArgs {
    /// The command line. Progress comes on standard output, complaints on standard error.
    pub fn command(&self, can: &Capabilities) -> ToolCommand {
        ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-progress", "pipe:1"])
            .args(["-err_detect", "crccheck"])
            .arg2("-i", file_url(&self.file))
            .arg2("-map", format!("0:v:{}", self.video_position))
            .args(can.passthrough())
            .args(["-f", "null", "-"])
    }
}

/// Lines that ffmpeg prints on standard error although nothing is wrong with the film.
///
/// Timestamps rounded to milliseconds with a default duration of 42 ms give the first (measured); it goes away with an
/// exact default duration. The second is libgcrypt's, which ffmpeg links, in a container that may not lock memory
/// (measured).
const HARMLESS: &[&str] =
    &["Application provided invalid, non monotonically increasing dts", "Warning: using insecure memory!"];

/// Whether a line of a decode test tells of damage.
pub fn is_complaint(line: &str) -> bool {
    !line.trim().is_empty() && !HARMLESS.iter().any(|h| line.contains(h))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_about_the_machine_is_no_complaint_about_the_film() {
        assert!(!is_complaint("Warning: using insecure memory!") && !is_complaint("  "));
        assert!(is_complaint("[hevc @ 0x55] Could not find ref with POC 12"));
    }

    #[test]
    fn a_decode_prints_progress_only() {
        let args =
            DecodeArgs { ffmpeg: "/usr/bin/ffmpeg".into(), file: "/t/.x.partial".into(), video_position: 0 };
        assert_eq!(
            args.command(&Capabilities { fps_mode: true, ..Default::default() }).to_string(),
            "/usr/bin/ffmpeg -nostdin -hide_banner -nostats -v error -progress pipe:1 -err_detect crccheck \
             -i file:/t/.x.partial -map 0:v:0 -fps_mode passthrough -f null -"
        );
    }
}
