//! What happens to the tools when the worker, or one of its threads, dies.
//!
//! This test program starts itself again as the worker that is to die.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio as StdStdio};
use std::time::{Duration, Instant};

use common::process::{Outcome, Stdout, Supervision, ToolCommand, run};

const ROLE: &str = "DOVI_FLEET_TEST_ROLE";

fn wait_until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// No test when run by itself: the worker of the test below.
#[test]
fn helper_worker() {
    if std::env::var_os(ROLE).is_none() {
        return;
    }
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stdout = Stdout::lines(|line| println!("tool {line}"));
    let tool = ToolCommand::new("sh").arg2("-c", "trap '' TERM HUP INT; echo $$; exec sleep 1000");
    runtime.block_on(run(&tool, Supervision { stdout, ..Supervision::default() })).unwrap();
}

#[test]
fn a_worker_killed_with_sigkill_leaves_no_tool() {
    let mut worker = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_worker", "--nocapture"])
        .env(ROLE, "worker")
        .stdout(StdStdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(worker.stdout.take().unwrap()).lines();
    // The test harness writes its own words on the same line.
    let tool = lines.find_map(|l| l.unwrap().split_once("tool ").map(|(_, pid)| pid.to_owned())).unwrap();
    let stat = PathBuf::from(format!("/proc/{tool}/stat"));
    assert!(stat.exists());
    worker.kill().unwrap();
    worker.wait().unwrap();
    wait_until("the tool is gone", || {
        std::fs::read_to_string(&stat).map_or(true, |s| s.rsplit(')').next().unwrap().starts_with(" Z"))
    });
}

#[test]
fn a_tool_survives_the_thread_that_started_it() {
    let dir = tempfile::tempdir().unwrap();
    let (up, go) = (dir.path().join("up"), dir.path().join("go"));
    let script =
        format!("touch {}; while [ ! -e {} ]; do sleep 0.01; done; exit 7", up.display(), go.display());
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let tool = ToolCommand::new("sh").arg2("-c", script);

    let handle = runtime.handle().clone();
    let starter = std::thread::spawn(move || {
        let mut running = Box::pin(async move { run(&tool, Supervision::default()).await });
        handle.block_on(async {
            tokio::select! {
                ended = &mut running => panic!("ended too early: {ended:?}"),
                () = async { while !up.exists() { tokio::time::sleep(Duration::from_millis(5)).await } } => {}
            }
        });
        running
    });
    let running = starter.join().unwrap();
    std::fs::write(go, "").unwrap();
    let report = runtime.block_on(running).unwrap();
    assert_eq!(report.outcome, Outcome::Exited(7), "killed with the thread that started it?");
}

#[test]
fn a_runtime_that_shuts_down_takes_its_tools_along_and_the_next_one_can_start_some() {
    let first = tokio::runtime::Runtime::new().unwrap();
    let (send, pid) = std::sync::mpsc::channel();
    let stdout = Stdout::lines(move |l| send.send(l.to_owned()).unwrap());
    first.spawn(async move {
        let tool = ToolCommand::new("sh").arg2("-c", "echo $$; exec sleep 1000");
        run(&tool, Supervision { stdout, ..Supervision::default() }).await
    });
    let stat = PathBuf::from(format!("/proc/{}/stat", pid.recv().unwrap()));
    drop(first);
    wait_until("the tool is gone", || {
        std::fs::read_to_string(&stat).map_or(true, |s| s.rsplit(')').next().unwrap().starts_with(" Z"))
    });
    let second = tokio::runtime::Runtime::new().unwrap();
    assert!(second.block_on(run(&ToolCommand::new("true"), Supervision::default())).unwrap().success());
}
