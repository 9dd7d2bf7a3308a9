//! What this machine's ffmpeg can do, by asking it; version numbers of distributions and nightly builds tell less.

use std::collections::BTreeSet;
use std::path::Path;

use common::process::ToolCommand;

use super::OptionList;

/// What was found out about the program.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// The version as ffmpeg prints it, for reports.
    pub version: String,
    /// It knows `-fps_mode` (5.1 and later); older ones have `-vsync`.
    pub fps_mode: bool,
    /// It knows `-vaapi_device`: built with VA-API.
    pub vaapi_device: bool,
    /// The encoders it was built with, by ffmpeg's names.
    pub encoders: BTreeSet<String>,
    /// The options that all encoders share.
    pub generic: OptionList,
}

/// What was found out about one of its encoders.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EncoderOptions {
    /// The encoder's own options.
    pub own: OptionList,
    /// Those of the bitstream filter `hevc_metadata`.
    pub metadata: OptionList,
}

/// Asks for the version.
pub fn version(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).arg("-version")
}

/// Asks for all options; what is needed stands in the first 100 kB of the megabyte.
pub fn full_help(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-h", "full"])
}

/// Asks for the list of encoders.
pub fn encoders(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-encoders"])
}

/// Asks for an encoder's options; an absent encoder is one line and exit code 0 (measured).
pub fn encoder_help(ffmpeg: &Path, encoder: &str) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-h"]).arg(format!("encoder={encoder}"))
}

/// Asks for the options of the filter that writes colour tags into a finished stream.
pub fn metadata_help(ffmpeg: &Path) -> ToolCommand {
    ToolCommand::new(ffmpeg).args(["-hide_banner", "-h", "bsf=hevc_metadata"])
}

impl Capabilities {
    /// Reads the standard output of [`version`], [`full_help`] and [`encoders`].
    pub fn read(version: &str, full_help: &str, encoders: &str) -> Self {
        // `-fps_mode` alone, or with a stream specifier behind it as in `-fps_mode[:<stream_spec>]`.
        let option = |name: &str| {
            let words = full_help.lines().filter_map(|l| l.split_whitespace().next());
            words.filter_map(|w| w.strip_prefix('-')).any(|w| w.split(['[', ':']).next() == Some(name))
        };
        Self {
            version: version
                .lines()
                .next()
                .and_then(|l| l.strip_prefix("ffmpeg version "))
                .and_then(|l| l.split_whitespace().next())
                .unwrap_or_default()
                .to_owned(),
            fps_mode: option("fps_mode"),
            vaapi_device: option("vaapi_device"),
            encoders: names(encoders),
            generic: OptionList::generic(full_help),
        }
    }

    /// The options that pass every frame through, untouched in number.
    pub fn passthrough(&self) -> [&'static str; 2] {
        if self.fps_mode { ["-fps_mode", "passthrough"] } else { ["-vsync", "passthrough"] }
    }
}

/// The second words of the lines behind the legend, whose lines have `=` there.
fn names(encoders: &str) -> BTreeSet<String> {
    let lines = encoders.lines().filter(|l| l.starts_with(" V"));
    lines.filter_map(|l| l.split_whitespace().nth(1)).filter(|n| *n != "=").map(Into::into).collect()
}

impl EncoderOptions {
    /// Reads the standard output of [`encoder_help`] and [`metadata_help`].
    pub fn read(encoder_help: &str, metadata_help: &str) -> Self {
        Self { own: OptionList::read(encoder_help), metadata: OptionList::read(metadata_help) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debian_12_has_fps_mode_and_all_four_encoders() {
        let found = Capabilities::read(
            "ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026 the FFmpeg developers\nbuilt with gcc 12",
            include_str!("testdata/help-full-5.1.txt"),
            include_str!("testdata/encoders-5.1.txt"),
        );
        assert_eq!(found.version, "5.1.9-0+deb12u1");
        assert!(found.fps_mode && found.vaapi_device);
        assert!(found.generic.has("chroma_sample_location"));
        for encoder in ["libx265", "hevc_nvenc", "hevc_qsv", "hevc_vaapi"] {
            assert!(found.encoders.contains(encoder), "{encoder}");
        }
        assert!(!found.encoders.contains("="), "the legend is no encoder");
        assert!(!found.encoders.contains("aac"), "only pictures");
    }

    #[test]
    fn older_and_later_static_builds_are_told_apart() {
        let old = Capabilities::read(
            "ffmpeg version 4.2.2-static https://johnvansickle.com/ffmpeg/",
            include_str!("testdata/help-full-4.2.txt"),
            "Encoders:\n V..... = Video\n ------\n V..... libx265  libx265 H.265 / HEVC (codec hevc)\n",
        );
        assert_eq!((old.fps_mode, old.vaapi_device), (false, false));
        assert_eq!(old.passthrough(), ["-vsync", "passthrough"]);
        assert_eq!(old.encoders.iter().collect::<Vec<_>>(), ["libx265"]);
        // There it is `-fps_mode[:<stream_spec>]`.
        let new = Capabilities::read("", include_str!("testdata/help-full-7.0.txt"), "");
        assert_eq!(new.passthrough(), ["-fps_mode", "passthrough"]);
    }

    #[test]
    fn a_crippled_build_has_nothing() {
        let found = Capabilities::read("no ffmpeg at all", "", "");
        assert_eq!(found, Capabilities::default());
    }
}
