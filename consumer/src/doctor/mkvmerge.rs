//! Is there a mkvmerge that can be used?

use common::doctor::{Check, Finding, Level};

use super::known;
use super::machine::{Machine, failed};

pub const CHECK: Check<Machine> = Check {
    name: "mkvmerge",
    part: "tools",
    about: "mkvmerge is installed, and in a version that does not damage Dolby Vision",
    needs: &[],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    vec![match machine.tools.mkvmerge().await {
        Ok(tool) => known::judge("mkvmerge", &tool.path, &tool.version),
        Err(e) => failed(&e).hint(
            "install it with `apt-get install -y --no-install-recommends mkvtoolnix` (older than 57: from \
             https://mkvtoolnix.download), or set tools.mkvmerge to its path",
        ),
    }]
}
