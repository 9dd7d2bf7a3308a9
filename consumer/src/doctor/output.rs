//! Can results be put where they shall go?

use common::config::OutputMode;
use common::doctor::{Check, Finding, Level, checks};

use super::machine::Machine;

pub const CHECK: Check<Machine> = Check {
    name: "output",
    part: "disks",
    about: "results can be written where they go, are named once, and there is room",
    needs: &["settings", "library"],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    let config = &machine.fleet.config;
    let folders: Vec<_> = match config.output.mode {
        OutputMode::Separate => vec![("output.dir".to_owned(), config.output.dir.clone())],
        OutputMode::Beside | OutputMode::Replace => {
            config.library.roots.iter().map(|(n, d)| (format!("library.roots.{n}"), d.clone())).collect()
        }
    };
    let look = move || {
        folders
            .iter()
            .map(|(setting, dir)| {
                let tried = checks::writable(dir, setting)
                    .map(|()| (checks::room(dir, setting), checks::files_of(dir)));
                match tried {
                    Err(finding) => finding,
                    // The worse of the two.
                    Ok((room, files)) if room.level >= files.level => room,
                    Ok((_, files)) => files,
                }
            })
            .collect()
    };
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|e| {
        vec![Finding::failed(format!("the check itself failed: {e}"), "please report it")]
    })
}
