//! Is there an ffmpeg that can be used?

use common::doctor::{Check, Finding, Level};

use super::known;
use super::machine::{Machine, failed};

pub const CHECK: Check<Machine> = Check {
    name: "ffmpeg",
    part: "tools",
    about: "ffmpeg is installed and tells what it can do",
    needs: &[],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    let hint = "install it with `apt-get install -y --no-install-recommends ffmpeg`, or set tools.ffmpeg to its path";
    vec![match machine.tools.ffmpeg().await {
        // Whatever ends well and prints something else.
        Ok(tool) if tool.can.version.is_empty() => {
            Finding::failed(format!("{} is no ffmpeg", tool.path.display()), hint)
        }
        Ok(tool) => known::judge("ffmpeg", &tool.path, &tool.can.version),
        Err(e) => failed(&e).hint(hint),
    }]
}
