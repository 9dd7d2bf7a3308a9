//! Somebody at a terminal.

use std::process::Command;
use std::time::Duration;

use common::share::WorkerInfo;
use e2e::wait;

use super::fleet::{Fleet, SOON};

/// What a command printed, and its exit code.
pub fn says(fleet: &Fleet, args: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer-under-test"));
    command.args(args).arg("--config").arg(fleet.path("config.toml")).current_dir(fleet.path(""));
    let output = command.env("USER", "anna").output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    (output.status.code().unwrap(), text)
}

/// Waits until a worker says so of itself.
pub fn until_seen(
    fleet: &Fleet,
    worker: &str,
    what: &str,
    holds: impl Fn(&WorkerInfo) -> bool,
) -> WorkerInfo {
    wait::until_some(SOON, what, || fleet.seen(worker).filter(&holds))
        .unwrap_or_else(|e| panic!("{e}: {:?}", fleet.seen(worker)))
}

/// A process: its state letter, and its processor time in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Process {
    pub state: char,
    pub ticks: u64,
}

impl Process {
    pub fn of(pid: u32) -> Option<Self> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |n: usize| fields.get(n)?.parse::<u64>().ok();
        Some(Self { state: fields.first()?.chars().next()?, ticks: number(11)? + number(12)? })
    }
}

/// The encoder that a worker runs.
pub fn encoder_of(worker: u32) -> u32 {
    let is_child = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (name, rest) = stat.rsplit_once(')')?;
        let parent: u32 = rest.split_whitespace().nth(1)?.parse().ok()?;
        (parent == worker && name.ends_with("(ffmpeg")).then_some(pid)
    };
    let found = wait::until_some(Duration::from_secs(10), "the encoder", || {
        let pids = std::fs::read_dir("/proc").unwrap();
        pids.filter_map(|e| e.ok()?.file_name().to_str()?.parse().ok()).find_map(is_child)
    });
    found.unwrap()
}
