//! Who claims a film, and proof of a claimant's death.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rustix::process::{Pid, test_kill_process};

/// The claimant of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Owner {
    /// The worker's configured name.
    pub worker: String,
    /// The machine's name, for people.
    pub host: String,
    /// Process id in its own namespace, for people.
    pub pid: u32,
    /// Boot, process namespace, process and its start time: one process of one boot of one machine, for ever.
    pub origin: String,
}

impl Owner {
    /// This process, under a worker's name.
    pub fn here(worker: impl Into<String>) -> Self {
        let pid = std::process::id();
        let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
        let origin = machine()
            .zip(start_time(pid))
            .map(|(machine, start)| format!("{machine}:{pid}:{start}"))
            .unwrap_or_default();
        Self { worker: worker.into(), host, pid, origin }
    }
}

/// What became of the process behind an [`Owner::origin`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It runs.
    Lives,
    /// It certainly does not exist any more: it ran in this boot of this machine, in this process namespace, and its id is
    /// free, was given to a later process, or stands for one that ended and was not waited for.
    Dead,
    /// It ran elsewhere, or before a restart, or cannot be looked at.
    Unknown,
}

/// Looks for the process behind an origin. Saves the stale time when a worker is restarted after a crash.
pub fn fate(origin: &str) -> Fate {
    let parts: Vec<&str> = origin.split(':').collect();
    let [boot, namespace, pid, start] = parts[..] else { return Fate::Unknown };
    if machine().as_deref() != Some(&format!("{boot}:{namespace}")) {
        return Fate::Unknown;
    }
    let Some((raw, pid)) = pid.parse::<i32>().ok().and_then(|p| Some((p.unsigned_abs(), Pid::from_raw(p)?)))
    else {
        return Fate::Unknown;
    };
    // Asked with a signal first: /proc may hide the processes of other users.
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return Fate::Dead;
    }
    match stat(raw) {
        Some(now) if now.start == start && !now.ended => Fate::Lives,
        Some(_) => Fate::Dead,
        None => Fate::Unknown,
    }
}

pub(super) fn is_certainly_dead(origin: &str) -> bool {
    fate(origin) == Fate::Dead
}

/// This boot (a random number of the kernel) and this process namespace; `None` if /proc is mounted from another namespace
/// and so speaks of other processes.
fn machine() -> Option<String> {
    if fs::read_link("/proc/self").ok()?.to_str()? != std::process::id().to_string() {
        return None;
    }
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let namespace = fs::metadata("/proc/self/ns/pid").ok()?.ino();
    Some(format!("{}:{namespace}", boot.trim()))
}

fn start_time(pid: u32) -> Option<String> {
    stat(pid).map(|stat| stat.start)
}

struct Stat {
    start: String,
    ended: bool,
}

/// Fields 3, 20 and 22 of /proc/PID/stat (proc(5)), counted after the command name, which may hold spaces and brackets. A
/// killed process shows as ended while other threads of it may still be in a system call: only the last one counts.
fn stat(pid: u32) -> Option<Stat> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    let (state, threads, start) = (fields.first()?, fields.get(17)?, fields.get(19)?);
    let ended = matches!(*state, "Z" | "X") && matches!(*threads, "0" | "1");
    Some(Stat { start: (*start).to_owned(), ended })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_boot_and_namespace_can_be_called_dead() {
        let me = Owner::here("w");
        assert!(!me.origin.is_empty());
        assert_eq!(fate(&me.origin), Fate::Lives);

        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_time(child.id()).unwrap();
        let origin = format!("{}:{}:{start}", machine().unwrap(), child.id());
        assert!(!is_certainly_dead(&origin), "it runs");
        assert!(is_certainly_dead(&format!("{origin}1")), "same id, another start: a later process");
        child.kill().unwrap();
        let began = std::time::Instant::now();
        while fate(&origin) != Fate::Dead {
            assert!(began.elapsed().as_secs() < 60, "it ended, and nobody waited for it yet");
            std::thread::yield_now();
        }
        child.wait().unwrap();
        assert!(is_certainly_dead(&origin), "it is gone");

        assert!(
            !is_certainly_dead(&origin.replacen(|c: char| c.is_ascii_hexdigit(), "z", 1)),
            "another boot"
        );
        for odd in ["", "a:b", "a:b:c:d:e", ":::"] {
            assert_eq!(fate(odd), Fate::Unknown);
        }
    }
}
