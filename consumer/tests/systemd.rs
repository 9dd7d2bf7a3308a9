//! What `dovi-consumer run` tells systemd, heard at a socket of the test's own.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

/// systemd's patience in this test, in milliseconds; told every third of it.
const PATIENCE: u64 = 900;

/// A worker whose share and broker are not there.
fn worker(dir: &Path, socket: &Path) -> Child {
    let config = dir.join("config.toml");
    let lines = format!(
        "[broker]\nurl = \"amqp://127.0.0.1:1/dovi\"\n[library.roots]\nfilms = \"{0}/films\"\n[share]\nstate_dir = \"{0}/state\"\n\
         [output]\ndir = \"{0}/results\"\n[scratch]\ndir = \"{0}\"\n[worker]\npause_s = 1\n",
        dir.display()
    );
    std::fs::write(&config, lines).unwrap();
    Command::new(env!("CARGO_BIN_EXE_dovi-consumer"))
        .args(["run", "--config"])
        .arg(config)
        .env("NOTIFY_SOCKET", socket)
        .env("WATCHDOG_USEC", (PATIENCE * 1000).to_string())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn next(socket: &UnixDatagram, patience: Duration) -> Option<String> {
    let mut text = [0; 4096];
    socket.set_read_timeout(Some(patience)).unwrap();
    let read = socket.recv(&mut text).ok()?;
    Some(String::from_utf8_lossy(&text[..read]).into_owned())
}

#[test]
fn systemd_hears_that_it_lives_and_what_it_waits_for_and_silence_if_it_hangs() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).unwrap();
    let mut child = worker(dir.path(), &path);
    let pid = Pid::from_child(&child);
    assert_eq!(next(&socket, Duration::from_secs(60)).as_deref(), Some("READY=1\n"), "share or no share");

    let begun = Instant::now();
    let told = loop {
        let told = next(&socket, Duration::from_secs(10)).unwrap();
        assert!(told.starts_with("WATCHDOG=1\nSTATUS="), "{told}");
        if told.contains("STATUS=ill: ") || begun.elapsed() > Duration::from_secs(30) {
            break told;
        }
    };
    assert!(told.contains("STATUS=ill: ") && told.contains("state"), "{told}");
    assert!(told.ends_with("; 0 done, 0 failed since the start\n"), "{told}");

    kill_process(pid, Signal::STOP).unwrap();
    while next(&socket, Duration::from_millis(PATIENCE * 2)).is_some() {}
    kill_process(pid, Signal::CONT).unwrap();
    assert!(next(&socket, Duration::from_secs(10)).is_some(), "alive again");

    kill_process(pid, Signal::TERM).unwrap();
    assert!(child.wait().unwrap().success());
}
