//! Is there room for the video on its way?

use common::doctor::{Check, Finding, Level, checks};

use super::machine::Machine;

pub const CHECK: Check<Machine> = Check {
    name: "scratch",
    part: "disks",
    about: "scratch can be written to, and a film fits",
    needs: &[],
    slow: false,
    worst: Level::Failed,
    look: |m| Box::pin(std::future::ready(vec![look(m)])),
};

fn look(machine: &Machine) -> Finding {
    let dir = machine.fleet.config.scratch.path();
    match checks::writable(&dir, "scratch.dir") {
        Ok(()) => checks::room(&dir, "scratch.dir"),
        // A worker makes the folder, if it may.
        Err(f) if !dir.exists() => match dir.parent().map(|above| checks::writable(above, "scratch.dir")) {
            Some(Ok(())) => {
                Finding::ok(format!("{} is made at the first film", common::text::safe_path(&dir)))
            }
            _ => f,
        },
        Err(f) => f,
    }
}
