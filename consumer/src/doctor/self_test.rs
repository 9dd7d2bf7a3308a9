//! Does a whole film come out right?

use std::time::Instant;

use common::doctor::{Check, Finding, Level};

use super::machine::{Machine, failed};
use crate::pipeline::{Stop, self_test};

pub const CHECK: Check<Machine> = Check {
    name: "self-test",
    part: "tools",
    about: "a Profile 7 film of one second becomes a proven Profile 8.1 film through the installed programs",
    needs: &["mkvmerge", "ffmpeg", "dovi_tool", "scratch", "encoder"],
    slow: true,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    let config = &machine.fleet.config;
    let began = Instant::now();
    vec![match self_test(config, &config.recipe, &Stop::default()).await {
        Ok(_) => {
            let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
            let text =
                format!("a film of one second: Profile 7 to 8.1, every frame proven, in {seconds:.1} s");
            Finding::ok(text).measured("seconds", seconds)
        }
        Err(e) => failed(&e),
    }]
}
