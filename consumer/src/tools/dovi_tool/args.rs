//! Command lines for dovi_tool.
//!
//! Raw streams only: `convert` and `mux` take no Matroska file, and where `extract-rpu` does, it takes the first HEVC
//! track, whichever that is (measured).

use std::path::{Path, PathBuf};

use common::process::ToolCommand;

/// Profile 8.1; the mapping of a full enhancement layer is replaced by identity.
const TO_PROFILE_81: [&str; 2] = ["-m", "2"];

/// Without a backtrace its last words are the error itself.
fn command(dovi_tool: &Path) -> ToolCommand {
    ToolCommand::new(dovi_tool).env("RUST_BACKTRACE", "0")
}

/// Rewrite the metadata of a raw stream on standard input to Profile 8.1, and leave the enhancement layer out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Convert {
    /// The dovi_tool to run.
    pub dovi_tool: PathBuf,
    /// The new stream, absolute.
    pub output: PathBuf,
}

impl Convert {
    /// The command line.
    pub fn command(&self) -> ToolCommand {
        command(&self.dovi_tool)
            .args(TO_PROFILE_81)
            .args(["convert", "--discard", "-"])
            .arg2("-o", &self.output)
    }
}

/// Join a base layer on standard input and a stream of enhancement layer and metadata, which becomes Profile 8.1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mux {
    /// The dovi_tool to run.
    pub dovi_tool: PathBuf,
    /// The enhancement layer's raw stream, absolute. It is only read for its metadata.
    pub el: PathBuf,
    /// The new stream, absolute.
    pub output: PathBuf,
}

impl Mux {
    /// The command line.
    pub fn command(&self) -> ToolCommand {
        command(&self.dovi_tool)
            .args(TO_PROFILE_81)
            .args(["mux", "--discard", "--no-add-aud", "--bl", "-"])
            .arg2("--el", &self.el)
            .arg2("-o", &self.output)
    }
}

/// Write the metadata of a raw stream on standard input to a file, converted to Profile 8.1, in display order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExtractRpu {
    /// The dovi_tool to run.
    pub dovi_tool: PathBuf,
    /// The file, absolute.
    pub output: PathBuf,
}

impl ExtractRpu {
    /// The command line.
    pub fn command(&self) -> ToolCommand {
        command(&self.dovi_tool).args(TO_PROFILE_81).args(["extract-rpu", "-"]).arg2("-o", &self.output)
    }
}

/// Put the metadata of a file into an encoded stream, as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InjectRpu {
    /// The dovi_tool to run.
    pub dovi_tool: PathBuf,
    /// The encoded raw stream, absolute: read twice, so never a pipe.
    pub encoded: PathBuf,
    /// The metadata, absolute.
    pub rpus: PathBuf,
    /// The new stream, absolute.
    pub output: PathBuf,
}

impl InjectRpu {
    /// The command line. The encoder's own access unit delimiters stay.
    pub fn command(&self) -> ToolCommand {
        command(&self.dovi_tool)
            .args(["inject-rpu", "--no-add-aud"])
            .arg2("-i", &self.encoded)
            .arg2("--rpu-in", &self.rpus)
            .arg2("-o", &self.output)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_lines_are_exactly_these() {
        let (dovi_tool, output) = (PathBuf::from("/opt/dovi_tool"), PathBuf::from("/s/video.hevc"));
        let convert = Convert { dovi_tool: dovi_tool.clone(), output: output.clone() };
        assert_eq!(
            convert.command().to_string(),
            "RUST_BACKTRACE=0 /opt/dovi_tool -m 2 convert --discard - -o /s/video.hevc"
        );
        let mux = Mux { dovi_tool: dovi_tool.clone(), el: "/s/el.hevc".into(), output: output.clone() };
        assert_eq!(
            mux.command().to_string(),
            "RUST_BACKTRACE=0 /opt/dovi_tool -m 2 mux --discard --no-add-aud --bl - --el /s/el.hevc -o /s/video.hevc"
        );
        let extract = ExtractRpu { dovi_tool: dovi_tool.clone(), output: "/s/rpu.bin".into() };
        assert_eq!(
            extract.command().to_string(),
            "RUST_BACKTRACE=0 /opt/dovi_tool -m 2 extract-rpu - -o /s/rpu.bin"
        );
        let encoded = "/s/encoded.hevc".into();
        let inject = InjectRpu { dovi_tool, encoded, rpus: "/s/rpu.bin".into(), output };
        assert_eq!(
            inject.command().to_string(),
            "RUST_BACKTRACE=0 /opt/dovi_tool inject-rpu --no-add-aud -i /s/encoded.hevc --rpu-in /s/rpu.bin \
             -o /s/video.hevc"
        );
    }
}
