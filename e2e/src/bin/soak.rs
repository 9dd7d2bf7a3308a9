//! The fault loop: `make soak FAULTS=1000 SEED=7`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Parser;
use e2e::soak::{Output, Settings, beside_this, run};

/// Kills, freezes, fails and cuts off everything a fleet is made of while it converts films, and checks from outside that none is
/// lost, doubled or unproven. Ends with 0 only if nothing is wrong.
#[derive(Debug, Parser)]
struct Args {
    /// How many faults.
    #[arg(long, default_value_t = 1000)]
    faults: usize,
    /// Which ones: the same seed brings the same faults on the same films in the same order. When they strike is up to the
    /// machine.
    #[arg(long, default_value_t = 7)]
    seed: u64,
    /// Workers; at least two.
    #[arg(long, default_value_t = 4)]
    workers: usize,
    /// Only faults that are over within a few seconds: nothing frozen, no broker killed, no network cut.
    #[arg(long)]
    brief: bool,
    /// Where the fleet puts its results, as `output.mode`.
    #[arg(long, value_enum, default_value_t)]
    output: Output,
    /// An empty or new folder for everything; it stays. Without it a temporary one, which stays only if something is wrong.
    #[arg(long)]
    dir: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.workers < 2 || args.faults == 0 {
        bail!("a loop needs two workers and a fault");
    }
    let temporary = match &args.dir {
        Some(_) => None,
        None => Some(tempfile::Builder::new().prefix("dovi-soak-").tempdir().context("make a folder")?),
    };
    let dir = match (&args.dir, &temporary) {
        (Some(dir), _) => dir.clone(),
        (None, Some(temporary)) => temporary.path().to_owned(),
        (None, None) => bail!("no folder"),
    };
    let settings = Settings {
        faults: args.faults,
        seed: args.seed,
        brief: args.brief,
        output: args.output,
        workers: args.workers,
        dir,
        worker: beside_this("consumer-under-test")?,
        tool: beside_this("faulty-tool")?,
    };
    let report = run(&settings);
    let clean = report.as_ref().is_ok_and(|r| r.verdict.is_clean());
    if !clean && let Some(temporary) = temporary {
        // Logs and books are worth more than the room.
        let kept = temporary.keep();
        eprintln!("everything is kept in {}", kept.display());
    }
    println!("{}", report?);
    Ok(if clean { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
