//! A tool that floods standard error. Alone in its program, because it measures the memory of the whole process.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use common::process::{Supervision, ToolCommand, run};

fn peak_memory_kb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_megabytes_on_standard_error_cost_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let log = dir.path().join("tool.log");
    for flood in
        ["yes some line of text | head -c 100000000 >&2; echo last >&2", "head -c 100000000 /dev/zero >&2"]
    {
        let before = peak_memory_kb();
        let watch = Supervision { log: Some(log.clone()), ..Supervision::default() };
        let r = run(&ToolCommand::new("sh").arg2("-c", flood), watch).await.unwrap();
        assert!(r.success());
        assert!(r.stderr_tail.len() <= 32 << 10);
        let grown = peak_memory_kb() - before;
        assert!(grown < 40_000, "memory grew by {grown} kB");
    }
    let kept = std::fs::metadata(&log).unwrap().len();
    assert!(kept <= 2 * (64 << 20) + 10_000, "the log has {kept} bytes");
}
