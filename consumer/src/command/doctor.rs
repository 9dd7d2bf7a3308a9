//! `doctor`: can this machine do the work?

use std::path::Path;

use common::broker::{BrokerError, BrokerOptions, topology};
use common::config::{Config, OutputMode};
use common::process::{Stdout, Supervision, run as run_tool};
use common::share::{ShareState, free_bytes};
use dovi::au::AuReader;
use dovi::expect::StreamExpectation;
use serde::Serialize;

use super::{load_config, quiet_log};
use crate::cli::{DoctorArgs, Global};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Ffmpeg, StageError, Toolbox};
use crate::tools::ffmpeg::TestEncodeArgs;

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
    let tools = Toolbox::new(config.tools.clone());
    show(of_tool("mkvmerge", tools.mkvmerge().await.map(|t| format!("{} {}", t.path.display(), t.version))));
    match tools.encoder().await {
        Ok(ffmpeg) => {
            show(good("ffmpeg", format!("{} {}", ffmpeg.path.display(), ffmpeg.can.version)));
            show(test_encode(ffmpeg).await);
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

/// A dozen generated frames through the production settings, and a look at what comes out.
async fn test_encode(ffmpeg: &Ffmpeg) -> Finding {
    const FRAMES: u32 = 12;
    const HINT: &str = "this build of ffmpeg or x265 cannot be used; Debian's packages can";
    let (width, height) = (320, 180);
    let args = TestEncodeArgs { ffmpeg: ffmpeg.path.clone(), width, height, frames: FRAMES };
    let watch = Supervision { stdout: Stdout::Capture(8 << 20), ..Supervision::default() };
    let exit = match run_tool(&args.command(&ffmpeg.can), watch).await {
        Ok(exit) if exit.success() => exit,
        Ok(exit) => return bad("encoder", format!("libx265 failed: ffmpeg {exit}"), HINT),
        Err(e) => return bad("encoder", e.to_string(), HINT),
    };
    let expect = StreamExpectation {
        width,
        height,
        bit_depth: 10,
        primaries: 9,
        transfer: 16,
        matrix: 9,
        full_range: false,
        chroma_loc: Some(2),
    };
    let mut reader = AuReader::new(exit.stdout.as_slice());
    let mut frames = 0;
    loop {
        match reader.next_au() {
            Ok(Some(unit)) => {
                frames += 1;
                if let Err(e) = expect.check(&unit.sps) {
                    return bad("encoder", format!("libx265 gave another stream than asked for: {e}"), HINT);
                }
            }
            Ok(None) => break,
            Err(e) => return bad("encoder", format!("libx265 gave a stream that cannot be read: {e}"), HINT),
        }
    }
    if frames != FRAMES {
        return bad("encoder", format!("libx265 gave {frames} frames of {FRAMES}"), HINT);
    }
    good(
        "encoder",
        format!("libx265, {frames} frames in {:.1} s, 10 bit PQ BT.2020", exit.duration.as_secs_f64()),
    )
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
        Ok((missing, options)) => {
            bad("broker", format!("{options} lacks {}", missing.join(", ")), "run `dovi-producer setup` once")
        }
        Err(e) => bad("broker", e.to_string(), e.hint()),
    }
}
