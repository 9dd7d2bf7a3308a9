//! Taking one track's stream out of a film, untouched.

use std::path::PathBuf;

use common::process::ToolCommand;

use super::input::file_url;

/// Write one HEVC track of a film as a raw stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DemuxArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The film, absolute.
    pub source: PathBuf,
    /// The track among the video tracks, from 0.
    pub video_position: usize,
    /// The new file, absolute, or standard output.
    pub output: Option<PathBuf>,
}

impl DemuxArgs {
    /// The command line. Every packet is kept, also in front of the first key frame. The filter writes the parameter
    /// sets of the track's header once more before the first picture, which changes nothing.
    pub fn command(&self) -> ToolCommand {
        ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "error"])
            .arg2("-i", file_url(&self.source))
            .arg2("-map", format!("0:v:{}", self.video_position))
            .args(["-c", "copy", "-copyinkf", "-bsf:v", "hevc_mp4toannexb", "-f", "hevc"])
            .arg(self.output.as_deref().map_or_else(|| "pipe:1".into(), file_url))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_exactly_this() {
        let mut args = DemuxArgs {
            ffmpeg: "ffmpeg".into(),
            source: "/films/a: b.mkv".into(),
            video_position: 1,
            output: None,
        };
        assert_eq!(
            args.command().to_string(),
            "ffmpeg -nostdin -hide_banner -nostats -v error -i 'file:/films/a: b.mkv' -map 0:v:1 -c copy \
             -copyinkf -bsf:v hevc_mp4toannexb -f hevc pipe:1"
        );
        args.output = Some("/scratch/el.hevc".into());
        assert!(args.command().to_string().ends_with(" -f hevc file:/scratch/el.hevc"));
    }
}
