//! What it costs to run programs, and two ways of doing the same work compared.

use std::fs::{self, File};
use std::io::Read;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

/// How often running programs are looked at; also the grain of all times.
const STEP: Duration = Duration::from_millis(4);
/// Looks between two looks at the memory.
const MEMORY_EVERY: u32 = 5;
/// Clock ticks of `/proc/PID/stat` in a second; 100 on every Linux in use (`getconf CLK_TCK`).
const TICKS: f64 = 100.0;

/// What running some programs cost, with everything they started.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Cost {
    /// From the start of the first to the end of the last, seconds.
    pub seconds: f64,
    /// Processor time, user and system, seconds.
    pub cpu: f64,
    /// Bytes that went towards a disk; `None` where the kernel does not count.
    pub written: Option<u64>,
    /// Largest resident set of any process, bytes.
    pub peak_rss: u64,
    /// What the last one printed, if it was to be kept.
    pub printed: String,
}

/// Runs programs as a pipeline, each reading what the one before writes, and waits for all of them.
///
/// # Errors
/// One could not be started or ended other than with one of the exit codes `good`; with its last words.
pub fn measure(mut commands: Vec<Command>, keep: bool, good: &[i32]) -> Result<Cost> {
    let mut words = tempfile::tempfile().context("make a temporary file")?;
    let begun = Instant::now();
    let last = commands.len().saturating_sub(1);
    let mut before = None;
    let mut running = Vec::new();
    for (i, command) in commands.iter_mut().enumerate() {
        let stdout = if i < last || keep { Stdio::piped() } else { Stdio::null() };
        command.stdin(before.take().map_or_else(Stdio::null, Stdio::from)).stdout(stdout);
        command.stderr(words.try_clone()?);
        let mut child = command.spawn().with_context(|| format!("start {command:?}"))?;
        if i < last {
            before = child.stdout.take();
        }
        running.push(child);
    }
    let printing = running.last_mut().and_then(|c| c.stdout.take()).map(|mut out| {
        thread::spawn(move || {
            let mut text = String::new();
            out.read_to_string(&mut text).map(|_| text)
        })
    });
    let mut cost = Cost { written: Some(0), ..Cost::default() };
    let mut failed = None;
    let mut looks = 0;
    while !running.is_empty() {
        looks += 1;
        if looks % MEMORY_EVERY == 1 {
            running.iter().for_each(|c| cost.peak_rss = cost.peak_rss.max(peak_rss_of_tree(c.id())));
        }
        let mut still = Vec::new();
        for mut child in running {
            if !has_ended(&child)? {
                still.push(child);
                continue;
            }
            // It has ended but nobody asked for its exit code yet, so the kernel still knows what it and all its
            // children did.
            cost.add(child.id());
            let status = child.wait()?;
            if status.code().is_none_or(|code| !good.contains(&code)) {
                failed.get_or_insert(status);
            }
        }
        running = still;
        if !running.is_empty() {
            thread::sleep(STEP);
        }
    }
    cost.seconds = begun.elapsed().as_secs_f64();
    if let Some(printing) = printing {
        cost.printed = printing.join().unwrap_or_else(|_| Ok(String::new()))?;
    }
    if let Some(status) = failed {
        use std::io::Seek;
        let mut said = String::new();
        words.rewind()?;
        words.read_to_string(&mut said)?;
        bail!("{status} from one of {commands:?}: {}{}", said.trim(), cost.printed.trim());
    }
    Ok(cost)
}

fn has_ended(child: &Child) -> Result<bool> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
    let look = WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    Ok(waitid(WaitId::Pid(pid), look)?.is_some())
}

impl Cost {
    fn add(&mut self, pid: u32) {
        // proc(5): fields 14 to 17 are user and system time, of itself and of its waited-for children; counted behind the
        // name, which may hold spaces.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
        self.cpu += fields.skip(11).take(4).filter_map(|f| f.parse::<f64>().ok()).sum::<f64>() / TICKS;
        let io = fs::read_to_string(format!("/proc/{pid}/io")).ok();
        let written = io.as_deref().and_then(|io| field(io, "write_bytes:"));
        self.written = self.written.zip(written).map(|(a, b)| a + b);
    }
}

/// The number behind a label of a file below `/proc`.
fn field(text: &str, label: &str) -> Option<u64> {
    text.lines().find_map(|l| l.strip_prefix(label))?.split_whitespace().next()?.parse().ok()
}

/// `VmHWM` of a process in bytes.
pub(super) fn peak_rss(pid: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    field(&status, "VmHWM:").unwrap_or_default() * 1024
}

/// Memory of this process now, bytes.
pub(super) fn resident() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    field(&status, "VmRSS:").unwrap_or_default() * 1024
}

fn peak_rss_of_tree(pid: u32) -> u64 {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let below = children.split_whitespace().filter_map(|c| c.parse().ok()).map(peak_rss_of_tree);
    below.max().unwrap_or_default().max(peak_rss(&pid.to_string()))
}

/// Two ways of doing the same work, run by turns.
#[derive(Debug, Clone, Default)]
pub struct Pairs {
    /// Ours.
    pub ours: Vec<Cost>,
    /// What it is compared with.
    pub theirs: Vec<Cost>,
}

/// Runs both `count` times, in pairs whose order alternates. Before each run what was written earlier is given time to
/// reach the disk, so that nobody pays for another's work.
///
/// # Errors
/// A run failed.
pub fn paired(
    count: usize,
    mut ours: impl FnMut() -> Result<Cost>,
    mut theirs: impl FnMut() -> Result<Cost>,
) -> Result<Pairs> {
    let mut pairs = Pairs::default();
    for pair in 0..count {
        for turn in 0..2 {
            rustix::fs::sync();
            if (pair + turn) % 2 == 0 { pairs.theirs.push(theirs()?) } else { pairs.ours.push(ours()?) }
        }
    }
    Ok(pairs)
}

impl Pairs {
    /// Ours divided by theirs, pair by pair.
    pub fn ratios(&self, of: impl Fn(&Cost) -> f64) -> Vec<f64> {
        self.ours.iter().zip(&self.theirs).map(|(a, b)| of(a) / of(b).max(1e-9)).collect()
    }
}

/// The middle one.
pub(super) fn median(values: impl IntoIterator<Item = f64>) -> f64 {
    let mut values: Vec<f64> = values.into_iter().collect();
    values.sort_by(f64::total_cmp);
    match values.len() {
        0 => f64::NAN,
        n if n % 2 == 1 => values[n / 2],
        n => f64::midpoint(values[n / 2 - 1], values[n / 2]),
    }
}

/// Reads a file once, so that all who follow find it in memory.
pub(super) fn warm(path: &std::path::Path) -> Result<u64> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let mut buffer = vec![0; 1 << 20];
    let mut bytes = 0;
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(bytes),
            n => bytes += n as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn costs_are_those_of_the_whole_tree() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        let write =
            format!("sh -c 'head -c 9000000 /dev/zero > {0}; sync {0}'; cat {0} | wc -c", file.display());
        let cost = measure(vec![sh(&write), sh("cat")], true, &[0]).unwrap();
        assert_eq!(cost.printed.trim(), "9000000");
        assert!(cost.seconds > 0.0 && cost.peak_rss > 100_000, "{cost:?}");
        // Temporary folders in memory write nothing to a disk, and some kernels do not count at all.
        assert!(cost.written.is_none_or(|w| w == 0 || (9_000_000..12_000_000).contains(&w)), "{cost:?}");
        let error = measure(vec![sh("echo out of cheese >&2; exit 3"), sh("cat")], false, &[0]).unwrap_err();
        assert!(error.to_string().contains("out of cheese"), "{error}");
    }

    #[test]
    fn pairs_alternate_and_the_median_is_the_middle() {
        let order = std::cell::RefCell::new(String::new());
        let run = |name: char, seconds: f64| {
            order.borrow_mut().push(name);
            Ok(Cost { seconds, ..Cost::default() })
        };
        let pairs = paired(3, || run('o', 1.0), || run('t', 2.0)).unwrap();
        assert_eq!(*order.borrow(), "tootto");
        assert_eq!(pairs.ratios(|c| c.seconds), [0.5; 3]);
        assert_eq!(median([3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median([4.0, 1.0]), 2.5);
    }
}
