//! What this machine's ffmpeg can do, by asking it; version numbers of distributions and nightly builds tell less.

use std::path::Path;

use common::process::ToolCommand;

/// What was found out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The version as ffmpeg prints it, for reports.
    pub version: String,
    /// It knows `-fps_mode` (5.1 and later); older ones have `-vsync`.
    pub fps_mode: bool,
    /// It has the encoder libx265.
    pub libx265: bool,
    /// Its libx265 knows `-dolbyvision` (7.1 and later).
    pub dolbyvision: bool,
}

/// Asks for the version.
pub fn version(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).arg("-version")
}

/// Asks for all general options.
pub fn full_help(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-h", "long"])
}

/// Asks for the encoder's options; an absent encoder is one line and exit code 0 (measured).
pub fn encoder_help(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-h", "encoder=libx265"])
}

impl Capabilities {
    /// Reads the standard output of [`version`], [`full_help`] and [`encoder_help`].
    pub fn read(version: &str, full_help: &str, encoder_help: &str) -> Self {
        let word = |line: &str, word: &str| line.split_whitespace().next() == Some(word);
        Self {
            version: version
                .lines()
                .next()
                .and_then(|l| l.strip_prefix("ffmpeg version "))
                .and_then(|l| l.split_whitespace().next())
                .unwrap_or_default()
                .to_owned(),
            fps_mode: full_help.lines().any(|l| word(l, "-fps_mode") || l.starts_with("-fps_mode[")),
            libx265: encoder_help.lines().any(|l| l.trim_start().starts_with("Encoder libx265")),
            dolbyvision: encoder_help.lines().any(|l| word(l, "-dolbyvision")),
        }
    }

    /// The options that pass every frame through, untouched in number.
    pub fn passthrough(&self) -> [&'static str; 2] {
        if self.fps_mode { ["-fps_mode", "passthrough"] } else { ["-vsync", "passthrough"] }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_12_has_fps_mode_and_no_dolby_vision_of_its_own() {
        let found = Capabilities::read(
            "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\nbuilt with gcc 12",
            "-vsync              set video sync method globally; deprecated, use -fps_mode\n\
             -fps_mode           set framerate mode for matching video streams; overrides vsync\n",
            include_str!("testdata/encoder-libx265-5.1.txt"),
        );
        let want = Capabilities {
            version: "5.1.9-0+deb12u1".into(),
            fps_mode: true,
            libx265: true,
            dolbyvision: false,
        };
        assert_eq!(found, want);
    }

    #[test]
    fn an_old_or_crippled_build_is_told() {
        let found = Capabilities::read(
            "ffmpeg version 4.4.2-0ubuntu0.22.04.1 Copyright",
            "-vsync              video sync method\n",
            "Codec 'libx265' is not recognized by FFmpeg.\n",
        );
        assert_eq!((found.fps_mode, found.libx265), (false, false));
        assert_eq!(found.passthrough(), ["-vsync", "passthrough"]);
    }

    #[test]
    fn later_builds_show_the_option_of_the_encoder_or_a_stream_specifier() {
        let found = Capabilities::read(
            "ffmpeg version n7.1",
            "-fps_mode[:<stream_spec>]  set framerate mode\n",
            "Encoder libx265 [x]:\n  -dolbyvision       <boolean>    E..V....... Enable Dolby Vision RPU coding\n",
        );
        assert!(found.fps_mode && found.dolbyvision);
    }
}
