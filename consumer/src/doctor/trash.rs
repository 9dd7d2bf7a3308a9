//! In replace mode: can originals go to the trash?

use common::config::OutputMode;
use common::doctor::{Check, Finding, Level};

use super::machine::{Machine, failed};
use crate::pipeline::trash_ready;

pub const CHECK: Check<Machine> = Check {
    name: "trash",
    part: "disks",
    about: "originals can go to the trash in one step, where results take their place",
    needs: &["settings", "output"],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    if machine.fleet.config.output.mode != OutputMode::Replace {
        return vec![Finding::skipped("not needed: output.mode is not \"replace\"")];
    }
    let config = machine.fleet.config.clone();
    match tokio::task::spawn_blocking(move || trash_ready(&config)).await {
        Ok(Ok(())) => vec![Finding::ok("originals can go there in one step")],
        Ok(Err(e)) => vec![failed(&e)],
        Err(e) => vec![Finding::failed(format!("the check itself failed: {e}"), "please report it")],
    }
}
