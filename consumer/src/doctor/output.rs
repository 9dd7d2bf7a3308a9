//! Can results be put where they shall go?

use common::config::{Config, OutputMode};
use common::doctor::{Check, Finding, Level, checks};
use common::share::{ResultsFolder, ShareError, ShareState};

use super::machine::Machine;
use crate::pipeline::{Stage, no_results};

pub const CHECK: Check<Machine> = Check {
    name: "output",
    part: "disks",
    about: "results can be written where they go, are named once, and there is room",
    needs: &["settings", "library"],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

/// A folder that other workers know as full of results, and that is empty here.
fn not_mounted(config: &Config) -> Option<Finding> {
    let results = ResultsFolder::new(&config.output.dir);
    let known = results.look(&ShareState::new(&config.share.state_dir));
    let error = known.err().filter(|e| matches!(e, ShareError::NoResults { .. }))?;
    let failure = no_results(Stage::Preflight, &results, error);
    Some(Finding::failed(failure.message.clone(), failure.advice()))
}

async fn look(machine: &Machine) -> Vec<Finding> {
    let config = machine.fleet.config.clone();
    let folders: Vec<_> = match config.output.mode {
        OutputMode::Separate => vec![("output.dir".to_owned(), config.output.dir.clone())],
        OutputMode::Beside | OutputMode::Replace => {
            config.library.roots.iter().map(|(n, d)| (format!("library.roots.{n}"), d.clone())).collect()
        }
    };
    let look = move || {
        if config.output.mode == OutputMode::Separate
            && let Some(finding) = not_mounted(&config)
        {
            return vec![finding];
        }
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
