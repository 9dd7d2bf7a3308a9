//! The supervisor against real programs that behave badly.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use std::io::Read;
use std::path::Path;
use std::time::{Duration, Instant};

use common::process::{
    ExitReport, Freeze, Outcome, Progress, SpawnError, StallWatch, Stdout, Supervision, ToolCommand, pipe,
    run,
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

const LONG: Duration = Duration::from_secs(60);

fn sh(script: &str) -> ToolCommand {
    ToolCommand::new("sh").arg2("-c", script)
}

async fn end_of(script: &str) -> ExitReport {
    run(&sh(script), Supervision::default()).await.unwrap()
}

/// Standard output as a channel of lines.
fn lines() -> (Stdout, mpsc::UnboundedReceiver<String>) {
    let (send, receive) = mpsc::unbounded_channel();
    (Stdout::lines(move |l| drop(send.send(l.to_owned()))), receive)
}

/// Neither running nor waiting to be reaped.
fn gone(pid: &str) -> bool {
    match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
        Ok(stat) => stat.rsplit(')').next().unwrap().trim_start().starts_with('Z'),
        Err(_) => true,
    }
}

async fn becomes_gone(pid: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !gone(pid) {
        assert!(Instant::now() < deadline, "process {pid} still runs");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test]
async fn exit_codes_signals_and_last_words_are_reported() {
    let r = end_of("echo fine >&2").await;
    assert!(r.success() && !r.leaked, "{r:?}");
    assert_eq!(r.stderr_tail, "fine\n");

    let r = end_of("echo progress 1; printf 'a\\rb\\rc\\nreason\\n' >&2; exit 3").await;
    assert_eq!(r.outcome, Outcome::Exited(3));
    assert_eq!(r.stderr_tail, "c\nreason\n");
    assert!(
        r.to_string().starts_with("exited with code 3 after ") && r.to_string().ends_with(": reason"),
        "{r}"
    );

    assert_eq!(end_of("kill -SEGV $$").await.outcome, Outcome::Signaled(11));
}

#[tokio::test]
async fn a_tool_that_cannot_start_says_why() {
    let start = |c: ToolCommand| async move { run(&c, Supervision::default()).await.unwrap_err() };
    assert!(matches!(start(ToolCommand::new("no-such-tool")).await, SpawnError::NotFound { .. }));
    let dir = tempfile::tempdir().unwrap();
    let plain = dir.path().join("plain");
    std::fs::write(&plain, "x").unwrap();
    assert!(matches!(start(ToolCommand::new(&plain)).await, SpawnError::Permission { .. }));
    let nowhere = dir.path().join("nowhere");
    assert!(matches!(start(ToolCommand::new("true").cwd(nowhere)).await, SpawnError::Folder { .. }));
}

#[tokio::test]
async fn standard_input_is_empty_and_output_is_captured_up_to_the_limit() {
    let watch = || Supervision { stdout: Stdout::Capture(10), ..Supervision::default() };
    let r = run(&sh("cat; printf 12345678901234; exit 0"), watch()).await.unwrap();
    assert_eq!((r.stdout.as_slice(), r.stdout_cut), (b"1234567890".as_slice(), true));
    let r = run(&sh("printf 1234567890"), watch()).await.unwrap();
    assert_eq!((r.stdout.len(), r.stdout_cut), (10, false));
}

#[tokio::test]
async fn a_polite_tool_ends_within_the_grace_and_still_counts_as_cancelled() {
    let (stdout, mut said) = lines();
    let watch = Supervision { stdout, grace: LONG, ..Supervision::default() };
    let cancel = watch.cancel.clone();
    let tool = sh("trap 'echo bye >&2; exit 0' TERM; echo up; while :; do sleep 0.02; done");
    let running = tokio::spawn(async move { run(&tool, watch).await.unwrap() });
    assert_eq!(said.recv().await.unwrap(), "up");
    cancel.cancel();
    let r = running.await.unwrap();
    assert_eq!(r.outcome, Outcome::Cancelled);
    // The shell may also tell of the `sleep` that the signal ended.
    assert!(r.stderr_tail.ends_with("bye\n"), "{:?}", r.stderr_tail);
    assert!(r.duration < LONG / 4);
}

#[tokio::test]
async fn a_tool_that_ignores_term_is_killed_after_the_grace_with_its_children() {
    let (stdout, mut said) = lines();
    let grace = Duration::from_millis(300);
    let watch = Supervision { stdout, grace, ..Supervision::default() };
    let cancel = watch.cancel.clone();
    let tool = sh("trap '' TERM; sleep 1000 & echo $!; while :; do sleep 0.02; done");
    let running = tokio::spawn(async move { run(&tool, watch).await.unwrap() });
    let child = said.recv().await.unwrap();
    let asked = Instant::now();
    cancel.cancel();
    let r = running.await.unwrap();
    assert_eq!(r.outcome, Outcome::Cancelled);
    assert!(asked.elapsed() >= grace && asked.elapsed() < LONG / 4, "{:?}", asked.elapsed());
    becomes_gone(&child).await;
}

#[tokio::test]
async fn the_second_request_kills_at_once() {
    let (stdout, mut said) = lines();
    let watch = Supervision { stdout, grace: LONG, ..Supervision::default() };
    let (cancel, kill) = (watch.cancel.clone(), watch.kill.clone());
    let tool = sh("trap 'echo asked' TERM; echo up; while :; do sleep 0.02; done");
    let running = tokio::spawn(async move { run(&tool, watch).await.unwrap() });
    said.recv().await.unwrap();
    cancel.cancel();
    assert_eq!(said.recv().await.unwrap(), "asked", "the first request is polite");
    kill.cancel();
    let r = running.await.unwrap();
    assert_eq!(r.outcome, Outcome::Cancelled);
    assert!(r.duration < LONG / 4);
}

#[tokio::test]
async fn a_noisy_tool_without_progress_is_stalled_and_a_silent_one_with_progress_is_not() {
    let watch = |progress: &Progress| Supervision {
        stall: Some(StallWatch { progress: progress.clone(), after: Duration::from_millis(400) }),
        ..Supervision::default()
    };
    let noisy = sh("trap '' TERM; while :; do echo frame=1 >&2; sleep 0.01; done");
    let r = run(&noisy, watch(&Progress::new())).await.unwrap();
    assert_eq!(r.outcome, Outcome::Stalled);
    assert!(r.duration >= Duration::from_millis(400) && r.stderr_tail.contains("frame=1"));

    let progress = Progress::new();
    let mover = tokio::spawn({
        let progress = progress.clone();
        async move {
            loop {
                progress.add(1);
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
    });
    let r = run(&sh("sleep 1.5"), watch(&progress)).await.unwrap();
    mover.abort();
    assert!(r.success(), "{r:?}");
}

#[tokio::test]
async fn what_a_tool_leaves_behind_is_reported_and_killed() {
    let (stdout, mut said) = lines();
    let r = run(&sh("sleep 1000 & echo $!"), Supervision { stdout, ..Supervision::default() }).await.unwrap();
    assert_eq!((r.outcome, r.leaked), (Outcome::Exited(0), true));
    becomes_gone(&said.recv().await.unwrap()).await;

    // Without any of our pipes in hand.
    let (stdout, mut said) = lines();
    let quiet = sh("sleep 1000 >/dev/null 2>&1 & echo $!");
    let r = run(&quiet, Supervision { stdout, ..Supervision::default() }).await.unwrap();
    assert!(r.leaked);
    becomes_gone(&said.recv().await.unwrap()).await;
}

#[tokio::test]
async fn a_runaway_outside_the_group_cannot_hold_the_worker() {
    let (stdout, mut said) = lines();
    let away = sh("setsid sh -c 'echo $$; exec sleep 1000' & wait $! & sleep 0.3; exit 0");
    let r = run(&away, Supervision { stdout, ..Supervision::default() }).await.unwrap();
    let pid = said.recv().await.unwrap();
    assert!(r.leaked && r.duration < LONG / 4, "{r:?}");
    assert!(!gone(&pid), "it left the group, so it is reported but not reached");
    assert!(std::process::Command::new("kill").arg("-9").arg(&pid).status().unwrap().success());
}

#[tokio::test]
async fn dropping_the_future_kills_the_group() {
    let (stdout, mut said) = lines();
    let watch = Supervision { stdout, ..Supervision::default() };
    let running = tokio::spawn(async move { run(&sh("sleep 1000 & echo $!; echo $$; wait"), watch).await });
    let (child, tool) = (said.recv().await.unwrap(), said.recv().await.unwrap());
    running.abort();
    becomes_gone(&child).await;
    becomes_gone(&tool).await;
}

#[tokio::test]
async fn the_log_holds_the_command_the_words_and_the_end() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("tool.log");
    for code in [0, 4] {
        let watch = Supervision { log: Some(log.clone()), ..Supervision::default() };
        run(&sh(&format!("echo one >&2; exit {code}")), watch).await.unwrap();
    }
    let watch = Supervision { log: Some(log.clone()), ..Supervision::default() };
    run(&ToolCommand::new("no-such-tool"), watch).await.unwrap_err();
    let text = std::fs::read_to_string(&log).unwrap();
    assert!(text.starts_with("$ sh -c 'echo one >&2; exit 0'\none\n\n= exited with code 0 after "), "{text}");
    assert!(text.contains("exit 4'\none\n\n= exited with code 4 after "), "{text}");
    assert!(text.contains("= not started: no-such-tool is not installed"), "{text}");
    let watch = Supervision { log: Some(Path::new("/nowhere/log").into()), ..Supervision::default() };
    assert!(run(&sh("exit 0"), watch).await.unwrap().success(), "no log is no reason not to work");
}

#[tokio::test]
async fn a_pipe_carries_bytes_to_a_blocking_reader_and_ends_with_the_tool() {
    let (stdout, mut reader) = pipe().unwrap();
    let counted =
        tokio::task::spawn_blocking(move || std::io::copy(&mut reader, &mut std::io::sink()).unwrap());
    let r = run(&sh("head -c 50000000 /dev/zero"), Supervision { stdout, ..Supervision::default() })
        .await
        .unwrap();
    assert!(r.success());
    assert_eq!(counted.await.unwrap(), 50_000_000);

    // Cancelled: the reader sees an end as well, and only the report says that it is too early.
    let (stdout, mut reader) = pipe().unwrap();
    let watch = Supervision { stdout, ..Supervision::default() };
    let cancel = watch.cancel.clone();
    let counted = tokio::task::spawn_blocking(move || {
        reader.read_exact(&mut [0; 1000]).unwrap();
        cancel.cancel();
        std::io::copy(&mut reader, &mut std::io::sink()).unwrap()
    });
    let r = run(&sh("cat /dev/zero"), watch).await.unwrap();
    assert_eq!(r.outcome, Outcome::Cancelled);
    counted.await.unwrap();

    // A reader that gives up ends the tool.
    let (stdout, reader) = pipe().unwrap();
    drop(reader);
    let r = run(&ToolCommand::new("cat").arg("/dev/zero"), Supervision { stdout, ..Supervision::default() })
        .await;
    assert_eq!(r.unwrap().outcome, Outcome::Signaled(13));
}

#[tokio::test]
async fn a_tool_reads_what_another_writes_and_nobody_holds_its_input_open() {
    let (stdout, between) = pipe().unwrap();
    let writer = sh("printf 'one two'; exec >&-; read never");
    let reader = sh("cat; echo \" read\"");
    let read = Supervision { stdin: Some(between), stdout: Stdout::Capture(100), ..Supervision::default() };
    let (wrote, read) =
        tokio::join!(run(&writer, Supervision { stdout, ..Supervision::default() }), run(&reader, read));
    assert_eq!(wrote.unwrap().outcome, Outcome::Exited(1), "its own standard input is empty");
    assert_eq!(read.unwrap().stdout, b"one two read\n");

    // The reader never starts: the writer sees a broken pipe at once.
    let (stdout, between) = pipe().unwrap();
    let absent = Supervision { stdin: Some(between), ..Supervision::default() };
    run(&ToolCommand::new("no-such-tool"), absent).await.unwrap_err();
    let endless = ToolCommand::new("cat").arg("/dev/zero");
    let wrote = run(&endless, Supervision { stdout, ..Supervision::default() }).await.unwrap();
    assert_eq!(wrote.outcome, Outcome::Signaled(13));
}

/// The state letters of a process and of all it started.
fn states(pid: &str) -> Vec<char> {
    let letter = |pid: &str| -> Option<char> {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        stat.rsplit_once(')')?.1.trim_start().chars().next()
    };
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    std::iter::once(pid).chain(children.split_whitespace()).filter_map(letter).collect()
}

#[tokio::test]
async fn a_frozen_tool_stands_still_without_counting_as_stuck_and_goes_on() {
    let (progress, freeze) = (Progress::new(), Freeze::default());
    let (send, mut count) = mpsc::unbounded_channel();
    let seen = progress.clone();
    let stdout = Stdout::lines(move |line| {
        seen.add(1);
        drop(send.send(line.to_owned()));
    });
    let watch = Supervision {
        freeze: freeze.clone(),
        stall: Some(StallWatch { progress, after: Duration::from_millis(1500) }),
        stdout,
        ..Supervision::default()
    };
    let script = "echo $$; sh -c 'for n in 1 2 3 4 5 6 7 8 9; do echo $n; sleep 0.1; done'; exit 0";
    let command = sh(script);
    let tool = tokio::spawn(async move { run(&command, watch).await });
    let pid = count.recv().await.unwrap();
    count.recv().await.unwrap();
    freeze.set(true);
    let deadline = Instant::now() + LONG;
    // A shell between vfork and the exec of its stopped child cannot be stopped itself; it waits in the kernel ('D').
    while !states(&pid).iter().all(|s| matches!(s, 'T' | 'D')) {
        assert!(Instant::now() < deadline, "{:?}", states(&pid));
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    while count.try_recv().is_ok() {}
    // Longer than the stall time.
    assert!(tokio::time::timeout(Duration::from_secs(2), count.recv()).await.is_err(), "it goes on");
    freeze.set(false);
    let report = tool.await.unwrap().unwrap();
    assert!(report.success() && report.duration > Duration::from_secs(2), "{report}");
    let mut last = None;
    while let Ok(line) = count.try_recv() {
        last = Some(line);
    }
    assert_eq!(last.as_deref(), Some("9"));
}

#[tokio::test]
async fn a_frozen_tool_can_be_asked_to_end() {
    let (freeze, cancel) = (Freeze::default(), CancellationToken::new());
    freeze.set(true);
    let watch = Supervision { freeze, cancel: cancel.clone(), grace: LONG, ..Supervision::default() };
    let command = sh("trap 'exit 7' TERM; sleep 60 & wait");
    let tool = tokio::spawn(async move { run(&command, watch).await });
    tokio::time::sleep(Duration::from_millis(200)).await;
    cancel.cancel();
    let report = tokio::time::timeout(LONG / 2, tool).await.unwrap().unwrap().unwrap();
    assert_eq!(report.outcome, Outcome::Cancelled, "{report}");
}
