//! The way people convert films today, to compare with.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::measure::{Cost, measure};
use crate::tool;

/// Who converts the RPUs.
#[derive(Debug, Clone)]
pub(super) enum Converter {
    /// The real one.
    DoviTool(PathBuf),
    /// This program, as a process of its own that does the same.
    StandIn(PathBuf),
}

impl Converter {
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::DoviTool(_) => "dovi_tool",
            Self::StandIn(_) => "a stand-in for dovi_tool (this project's converter as a process of its own)",
        }
    }

    fn command(&self, out: &Path) -> Command {
        let mut command = match self {
            Self::DoviTool(path) => {
                let mut command = Command::new(path);
                command.args(["-m", "2", "convert", "--discard", "-", "-o"]);
                command
            }
            Self::StandIn(path) => {
                let mut command = Command::new(path);
                command.args(["work", "convert"]);
                command
            }
        };
        command.arg(out);
        command
    }
}

/// Copy mode by hand: ffmpeg takes the video out of the film, the converter writes it as Profile 8.1 to a file, mkvmerge
/// puts it together with the film's other tracks; `sync` brings the result to the disk, as we do. Nothing is checked.
pub(super) fn copy(converter: &Converter, film: &Path, result: &Path, scratch: &Path) -> Result<Cost> {
    let stream = scratch.join("p81.hevc");
    let mut demux = tool::ffmpeg();
    demux.arg("-i").arg(tool::file_url(film));
    demux.args(["-map", "0:v:0", "-c", "copy", "-bsf:v", "hevc_mp4toannexb", "-f", "hevc", "-"]);
    let mut cost = measure(vec![demux, converter.command(&stream)], false, &[0])?;
    let mut mux = tool::command("mkvmerge");
    mux.args(["--quiet", "--output"]).arg(result);
    mux.args(["--default-duration", "0:24000/1001p", "--language", "0:en"]).arg(&stream);
    mux.arg("--no-video").arg(film);
    cost.then(&measure(vec![mux], false, &[0, 1])?);
    std::fs::remove_file(&stream)?;
    let mut sync = tool::command("sync");
    sync.arg(result);
    cost.then(&measure(vec![sync], false, &[0])?);
    Ok(cost)
}

impl Cost {
    /// Another piece of work after this one.
    pub(super) fn then(&mut self, next: &Self) {
        self.seconds += next.seconds;
        self.cpu += next.cpu;
        self.written = self.written.zip(next.written).map(|(a, b)| a + b);
        self.peak_rss = self.peak_rss.max(next.peak_rss);
    }
}
