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

/// True only if the process behind an origin certainly does not exist any more: it ran in this boot of this machine, in
/// this process namespace, and its id is free or was given to a later process. About any other claimant nothing is known.
///
/// Saves the stale time when a worker is restarted after a crash.
pub(super) fn is_certainly_dead(origin: &str) -> bool {
    let parts: Vec<&str> = origin.split(':').collect();
    let [boot, namespace, pid, start] = parts[..] else { return false };
    if machine().as_deref() != Some(&format!("{boot}:{namespace}")) {
        return false;
    }
    let Some((raw, pid)) = pid.parse::<i32>().ok().and_then(|p| Some((p.unsigned_abs(), Pid::from_raw(p)?)))
    else {
        return false;
    };
    // Asked with a signal first: /proc may hide the processes of other users.
    if test_kill_process(pid) == Err(rustix::io::Errno::SRCH) {
        return true;
    }
    start_time(raw).is_some_and(|now| now != start)
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

/// Field 22 of /proc/PID/stat (proc(5)), counted after the command name, which may hold spaces and brackets.
fn start_time(pid: u32) -> Option<String> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_whitespace().nth(19).map(str::to_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_process_of_this_boot_and_namespace_can_be_called_dead() {
        let me = Owner::here("w");
        assert!(!me.origin.is_empty());
        assert!(!is_certainly_dead(&me.origin));

        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let start = start_time(child.id()).unwrap();
        let origin = format!("{}:{}:{start}", machine().unwrap(), child.id());
        assert!(!is_certainly_dead(&origin), "it runs");
        assert!(is_certainly_dead(&format!("{origin}1")), "same id, another start: a later process");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(is_certainly_dead(&origin), "it is gone");

        assert!(
            !is_certainly_dead(&origin.replacen(|c: char| c.is_ascii_hexdigit(), "z", 1)),
            "another boot"
        );
        for odd in ["", "a:b", "a:b:c:d:e", ":::"] {
            assert!(!is_certainly_dead(odd));
        }
    }
}
