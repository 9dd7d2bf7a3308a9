//! Where dovi_tool shall put the metadata in: is it there?

use common::doctor::{Check, Finding, Level};

use super::known;
use super::machine::{Machine, failed};

pub const CHECK: Check<Machine> = Check {
    name: "dovi_tool",
    part: "tools",
    about: "dovi_tool is installed, where dovi.backend asks for it",
    needs: &[],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    vec![match machine.tools.external().await {
        Ok(Some(tool)) => known::judge("dovi_tool", &tool.path, &tool.version),
        Ok(None) => Finding::skipped("not needed: dovi.backend is \"internal\""),
        Err(e) => failed(&e),
    }]
}
