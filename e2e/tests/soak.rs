//! Short runs of the fault loop; `make soak` is the long one.

use std::sync::Mutex;

use anyhow::{Result, ensure};
use e2e::soak::{Output, Settings, run};

/// One run at a time: each has all workers that two cores can do with.
static TURN: Mutex<()> = Mutex::new(());

fn short(output: Output, faults: usize, seed: u64) -> Result<()> {
    // A run that failed before says nothing about this one.
    let _turn = TURN.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let dir = tempfile::tempdir()?;
    let settings = Settings {
        faults,
        seed,
        brief: true,
        output,
        workers: 3,
        dir: dir.path().to_owned(),
        worker: env!("CARGO_BIN_EXE_consumer-under-test").into(),
        tool: env!("CARGO_BIN_EXE_faulty-tool").into(),
    };
    let report = run(&settings)?;
    // The books and logs of a run that is not clean are worth more than the room.
    ensure!(report.verdict.is_clean(), "{report}\nkept in {}", dir.keep().display());
    ensure!(report.fired.len() == faults, "{report}");
    ensure!(report.verdict.proven > 0 && report.verdict.starts >= report.verdict.proven, "{report}");
    Ok(())
}

#[test]
fn a_few_faults_lose_double_and_spoil_nothing() {
    short(Output::Separate, 24, 11).unwrap();
}

#[test]
fn nor_where_results_take_their_originals_places() {
    // Of this seed the first six are: between record and exchange a failure and a death, a death between the exchange and the
    // certificate and one before a message is moved, a share that is away, and a tool that is killed.
    short(Output::Replace, 6, 2177).unwrap();
}
