//! Does the recipe's encoder work here?

use common::doctor::{Check, Finding, Level};
use common::job::{Mode, Recipe};

use super::machine::{Machine, failed};
use crate::pipeline::{Features, Proof, try_encoder};

pub const CHECK: Check<Machine> = Check {
    name: "encoder",
    part: "tools",
    about: "the recipe's encoder makes a second of pictures that pass the checks of a film",
    needs: &["ffmpeg", "scratch"],
    slow: true,
    worst: Level::Failed,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    let (recipe, scratch) = (&machine.fleet.config.recipe, machine.fleet.config.scratch.path());
    if recipe.mode == Mode::Copy {
        return vec![Finding::skipped("not needed: recipe.mode is \"copy\"")];
    }
    vec![match try_encoder(&machine.tools, &scratch, "doctor", recipe).await {
        Ok(proof) => {
            Finding::ok(shown(recipe, &proof)).measured("seconds", (proof.seconds * 10.0).round() / 10.0)
        }
        Err(e) => failed(&e),
    }]
}

/// `libx265 (x265 slow crf 18): 40 frames of 10 bit PQ BT.2020 in 3.4 s`
fn shown(recipe: &Recipe, proof: &Proof) -> String {
    let features = match proof.features {
        Features::All => "",
        Features::Plain => ", without B-frames",
    };
    let Proof { encoder, frames, seconds, .. } = proof;
    format!(
        "{encoder} ({}): {frames} frames of 10 bit PQ BT.2020 in {seconds:.1} s{features}",
        recipe.summary()
    )
}
