//! Is the place for results a sensible one? The producer writes none, so only what every machine can see is looked at.

use std::path::Path;

use common::config::OutputMode;
use common::doctor::{Check, Finding, Fleet, Level};

use crate::render::safe_path;

pub const CHECK: Check<Fleet> = Check {
    name: "output",
    part: "disks",
    about: "results do not lie where films are looked for, and their folder is there",
    needs: &["settings"],
    slow: false,
    worst: Level::Failed,
    look: |f| Box::pin(std::future::ready(vec![look(f)])),
};

fn look(fleet: &Fleet) -> Finding {
    let config = &fleet.config;
    match config.output.mode {
        OutputMode::Separate => separate(fleet, &config.output.dir),
        OutputMode::Beside => {
            Finding::ok(format!("beside the originals, with {:?} in the name", config.output.suffix))
        }
        OutputMode::Replace => Finding::ok("in the originals' place; the originals go to the trash"),
    }
}

fn separate(fleet: &Fleet, dir: &Path) -> Finding {
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
    let inside = fleet.config.library.roots.iter().find(|(_, root)| real(root).starts_with(real(dir)));
    let shown = safe_path(dir);
    if let Some((name, _)) = inside {
        let text = format!("the library root {name} lies inside output.dir {shown}");
        return Finding::failed(
            text,
            "give the results a folder of their own, or set `output.mode = \"beside\"`",
        );
    }
    if dir.is_dir() {
        return Finding::ok(shown);
    }
    if dir.parent().is_some_and(Path::is_dir) {
        return Finding::ok(format!("{shown} will be made by the workers"));
    }
    Finding::warning(
        format!("{shown} is not there on this machine, nor is its parent folder"),
        "fine if only the workers mount it; else mount it, or correct output.dir",
    )
}
