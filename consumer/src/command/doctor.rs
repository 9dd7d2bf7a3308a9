//! `doctor`: can this machine do the work?

use std::path::Path;
use std::sync::Arc;

use common::broker::{BrokerError, BrokerOptions, topology};
use common::config::{Config, OutputMode};
use common::job::{Encoder, Mode, Recipe};
use common::share::{ShareState, free_bytes};
use serde::Serialize;

use super::{load_config, quiet_log};
use crate::cli::{DoctorArgs, Global};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Features, Proof, StageError, Toolbox, trash_ready, try_encoder};

/// Below this much free space most films do not fit.
const ROOMY: u64 = 60_000_000_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ok,
    Warning,
    Failed,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: String,
    state: State,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

fn finding(check: &str, state: State, found: impl Into<String>, hint: Option<&str>) -> Finding {
    Finding { check: check.into(), state, found: found.into(), hint: hint.map(Into::into) }
}

fn good(check: &str, found: impl Into<String>) -> Finding {
    finding(check, State::Ok, found, None)
}

fn bad(check: &str, found: impl Into<String>, hint: &str) -> Finding {
    finding(check, State::Failed, found, Some(hint))
}

pub(super) async fn run(global: &Global, args: &DoctorArgs) -> Result<Exit, Failure> {
    let config = load_config(global, &[])?;
    quiet_log(&config, global);
    let mut worst = State::Ok;
    let mut show = |f: Finding| {
        if f.state == State::Failed || worst == State::Ok {
            worst = f.state;
        }
        if args.json {
            println!("{}", serde_json::to_string(&f).unwrap_or_default());
            return;
        }
        let word = match f.state {
            State::Ok => "ok",
            State::Warning => "warning",
            State::Failed => "FAILED",
        };
        println!("{word:8}{:16}{}", f.check, f.found);
        if let Some(hint) = f.hint {
            println!("{:8}{:16}hint: {hint}", "", "");
        }
    };
    let tools = Arc::new(Toolbox::new(config.tools.clone()).with_backend(config.dovi.backend));
    show(of_tool("mkvmerge", tools.mkvmerge().await.map(|t| format!("{} {}", t.path.display(), t.version))));
    if let Some(found) = tools.external().await.transpose() {
        show(of_tool("dovi_tool", found.map(|t| format!("{} {}", t.path.display(), t.version))));
    }
    match tools.ffmpeg().await {
        Ok(ffmpeg) => {
            show(good("ffmpeg", format!("{} {}", ffmpeg.path.display(), ffmpeg.can.version)));
            encoders(&tools, &config).await.into_iter().for_each(&mut show);
        }
        Err(e) => show(of_tool("ffmpeg", Err(e))),
    }
    show(scratch(&config));
    let fleet = config.require_fleet();
    match fleet {
        Err(e) => show(finding(
            "configuration",
            State::Warning,
            e.to_string(),
            Some("`convert` and `verify` work without; `run` needs it"),
        )),
        Ok(()) => {
            folders(&config).into_iter().for_each(&mut show);
            show(broker(&config).await);
        }
    }
    Ok(if worst == State::Failed { Exit::Environment } else { Exit::Ok })
}

fn of_tool(name: &str, found: Result<String, StageError>) -> Finding {
    match found {
        Ok(text) => good(name, text),
        Err(e) => bad(name, format!("{} ({})", e.message, e.code), e.advice()),
    }
}

/// A test encode with the configured recipe, and one with every other encoder as far as it has any.
async fn encoders(tools: &Arc<Toolbox>, config: &Config) -> Vec<Finding> {
    let (mut all, mut works, mut not) = (Vec::new(), Vec::new(), Vec::new());
    for encoder in Encoder::ALL {
        let chosen = encoder == config.recipe.encoder && config.recipe.mode == Mode::Encode;
        let recipe = if chosen { config.recipe.clone() } else { like(&config.recipe, encoder) };
        let proof = try_encoder(tools, &config.scratch.path(), "doctor", &recipe).await;
        match &proof {
            Ok(_) => works.push(encoder.name().to_owned()),
            Err(e) => not.push(format!("{} ({})", encoder.name(), brief(encoder, e))),
        }
        if chosen {
            all.push(of_tool("encoder", proof.map(|p| shown(&recipe, &p))));
        }
    }
    let text = |list: &[String]| if list.is_empty() { "none".into() } else { list.join(", ") };
    let state = if works.is_empty() { State::Warning } else { State::Ok };
    let found = format!("work here: {}; not: {}", text(&works), text(&not));
    all.push(finding("encoders", state, found, None));
    all
}

/// The recipe for another encoder, without what only its own encoder takes.
fn like(recipe: &Recipe, encoder: Encoder) -> Recipe {
    let crf = recipe.crf.round().max(1.0);
    Recipe { encoder, crf, x265_params: Vec::new(), encoder_args: Vec::new(), ..recipe.clone() }
}

/// `libx265 (x265 slow crf 18): 40 frames of 10 bit PQ BT.2020 in 3.4 s`
fn shown(recipe: &Recipe, proof: &Proof) -> String {
    let features = match proof.features {
        Features::All => "",
        Features::Plain => ", without B-frames",
    };
    format!(
        "{} ({}): {} frames of 10 bit PQ BT.2020 in {:.1} s{features}",
        proof.encoder,
        recipe.summary(),
        proof.frames,
        proof.seconds
    )
}

/// Without what the list says anyway.
fn brief(encoder: Encoder, e: &StageError) -> String {
    let start = format!("the encoder {} does not work here: ", encoder.name());
    e.message.strip_prefix(&start).unwrap_or(&e.message).to_owned()
}

fn scratch(config: &Config) -> Finding {
    let dir = config.scratch.path();
    if let Err(e) = writable(&dir) {
        return bad("scratch", e, "set scratch.dir to a folder this user may write to");
    }
    match free_bytes(&dir) {
        Ok(free) if free < ROOMY => finding(
            "scratch",
            State::Warning,
            format!("{} has {:.1} GB free", dir.display(), free as f64 / 1e9),
            Some("a film may need 60 GB and more; films that do not fit go to other workers"),
        ),
        Ok(free) => good("scratch", format!("{}, {:.0} GB free", dir.display(), free as f64 / 1e9)),
        Err(e) => bad("scratch", e.to_string(), "set scratch.dir to a local disk"),
    }
}

fn writable(dir: &Path) -> Result<(), String> {
    let probe = dir.join(format!(".dovi-fleet-probe.{}", std::process::id()));
    let failed = |e: std::io::Error| format!("{} cannot be written to: {e}", dir.display());
    std::fs::create_dir_all(dir).map_err(failed)?;
    std::fs::File::create_new(&probe).map_err(failed)?;
    std::fs::remove_file(&probe).map_err(failed)
}

fn folders(config: &Config) -> Vec<Finding> {
    let mut all = Vec::new();
    for (name, root) in &config.library.roots {
        let check = format!("library {name}");
        all.push(match std::fs::read_dir(root).map(|mut entries| entries.next().is_some()) {
            Ok(true) => good(&check, root.display().to_string()),
            Ok(false) => finding(
                &check,
                State::Warning,
                format!("{} is empty", root.display()),
                Some("is it mounted?"),
            ),
            Err(e) => bad(&check, format!("{}: {e}", root.display()), "mount it, or correct library.roots"),
        });
        if config.output.mode == OutputMode::Beside {
            all.push(output(root));
        }
    }
    if config.output.mode == OutputMode::Replace {
        all.push(match trash_ready(config) {
            Ok(()) => good("trash", "originals can go there in one step"),
            Err(e) => bad("trash", e.message.clone(), e.advice()),
        });
    }
    if config.output.mode == OutputMode::Separate {
        all.push(output(&config.output.dir));
    }
    let share = ShareState::new(&config.share.state_dir);
    all.push(match share.check() {
        Ok(()) => match writable(&share.dir().join("leases")) {
            Ok(()) => good("share", share.dir().display().to_string()),
            Err(e) => bad("share", e, "give the worker's user write permission there"),
        },
        Err(e) => bad(
            "share",
            e.to_string(),
            "mount the share; if this is the first start, run `dovi-producer setup` once",
        ),
    });
    all
}

fn output(dir: &Path) -> Finding {
    if !dir.is_dir() {
        return bad(
            "output",
            format!("{} does not exist", dir.display()),
            "create it, or mount what should be there",
        );
    }
    match writable(dir) {
        Ok(()) => good("output", dir.display().to_string()),
        Err(e) => bad("output", e, "give the worker's user write permission there"),
    }
}

async fn broker(config: &Config) -> Finding {
    let looked = async {
        let options = BrokerOptions::from_config(&config.broker)?;
        Ok::<_, BrokerError>((topology::missing(&options).await?, options))
    };
    match looked.await {
        Ok((missing, options)) if missing.is_empty() => good("broker", options.to_string()),
        Ok((missing, options)) if !missing.iter().any(|name| topology::is_needed(name)) => finding(
            "broker",
            State::Warning,
            format!("{options} lacks {}: `dovi-producer priority` has no effect", missing.join(", ")),
            Some("run `dovi-producer setup` once"),
        ),
        Ok((missing, options)) => {
            bad("broker", format!("{options} lacks {}", missing.join(", ")), "run `dovi-producer setup` once")
        }
        Err(e) => bad("broker", e.to_string(), e.hint()),
    }
}
