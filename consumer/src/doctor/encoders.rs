//! Which encoders work here, whatever the recipe asks for?

use common::doctor::{Check, Finding, Level};
use common::job::{Encoder, Mode, Recipe};

use super::machine::Machine;
use crate::pipeline::{StageError, try_encoder};

pub const CHECK: Check<Machine> = Check {
    name: "encoders",
    part: "tools",
    about: "which of the four encoders work on this machine, and why the others do not",
    needs: &["ffmpeg", "scratch"],
    slow: true,
    worst: Level::Warning,
    look: |m| Box::pin(look(m)),
};

async fn look(machine: &Machine) -> Vec<Finding> {
    let (chosen, scratch) = (&machine.fleet.config.recipe, machine.fleet.config.scratch.path());
    let (mut works, mut not) = (Vec::new(), Vec::new());
    for encoder in Encoder::ALL {
        let own = encoder == chosen.encoder && chosen.mode == Mode::Encode;
        let recipe = if own { chosen.clone() } else { like(chosen, encoder) };
        match try_encoder(&machine.tools, &scratch, "doctor", &recipe).await {
            Ok(_) => works.push(encoder.name()),
            Err(e) => not.push(format!("{} ({})", encoder.name(), brief(encoder, &e))),
        }
    }
    let names = if works.is_empty() { "none".to_owned() } else { works.join(", ") };
    let text =
        format!("work here: {names}; not: {}", if not.is_empty() { "none".into() } else { not.join(", ") });
    let finding = if works.is_empty() {
        let hint = "only films with recipe.mode = \"copy\" can be made here; Debian's and Ubuntu's ffmpeg have libx265: \
                    `apt-get install -y --no-install-recommends ffmpeg`";
        Finding::warning(text, hint)
    } else {
        Finding::ok(text)
    };
    vec![finding.measured("work", works)]
}

/// The recipe for another encoder, without what only its own encoder takes.
fn like(recipe: &Recipe, encoder: Encoder) -> Recipe {
    let crf = recipe.crf.round().max(1.0);
    Recipe { encoder, crf, x265_params: Vec::new(), encoder_args: Vec::new(), ..recipe.clone() }
}

/// Without what the list says anyway.
fn brief(encoder: Encoder, e: &StageError) -> String {
    let start = format!("the encoder {} does not work here: ", encoder.name());
    e.message.strip_prefix(&start).unwrap_or(&e.message).to_owned()
}
