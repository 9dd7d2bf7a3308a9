//! The workers: real programs, started again whenever they end.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::ground::Ground;
use super::inbox::VARIABLE;
use super::link::Link;
use crate::{tool, wait};

/// Longest orderly end of a worker: its film, and closing its connections to a broker that may not answer.
const STOP: Duration = Duration::from_secs(90);

/// A worker's place.
#[derive(Debug)]
struct Seat {
    name: String,
    child: Option<Child>,
    begun: Instant,
    /// Frozen by us or by itself: it hears nothing.
    frozen: bool,
    /// Told to end, or killed; what it ends with is of no concern.
    expected: bool,
}

/// All workers.
#[derive(Debug)]
pub struct Crew {
    program: PathBuf,
    seats: Vec<Seat>,
    /// Pids of all that were killed at a step: they end by a signal that nobody here sent.
    met: BTreeSet<i32>,
    /// Processes that ended as none should, unless a fault had met them.
    odd: Vec<(i32, String)>,
    /// Programs started.
    pub started: u64,
}

impl Crew {
    /// So many places, all empty.
    pub fn new(program: PathBuf, workers: usize) -> Self {
        let seat = |n| Seat {
            name: format!("w{n}"),
            child: None,
            begun: Instant::now(),
            frozen: false,
            expected: false,
        };
        let seats = (1..=workers).map(seat).collect();
        Self { program, seats, met: BTreeSet::new(), odd: Vec::new(), started: 0 }
    }

    /// How many places there are.
    pub fn size(&self) -> usize {
        self.seats.len()
    }

    /// How many workers stand still.
    pub fn frozen(&self) -> usize {
        self.seats.iter().filter(|s| s.frozen).count()
    }

    /// A fault happened in this process: it may be gone now, or stand still.
    pub fn note_fault(&mut self, pid: i32, frozen: bool) {
        self.met.insert(pid);
        if let Some(seat) = self.seats.iter_mut().find(|s| s.pid() == Some(pid)) {
            seat.frozen |= frozen;
        }
    }

    /// Starts whoever is not there. The last one reaches the broker over `link`.
    ///
    /// # Errors
    /// A program cannot be started.
    pub fn fill(
        &mut self,
        ground: &Ground,
        broker: &str,
        link: &Link,
        relayed: &dyn Fn(SocketAddr) -> String,
    ) -> Result<()> {
        let last = self.seats.len() - 1;
        for (n, seat) in self.seats.iter_mut().enumerate() {
            if let Some(child) = &mut seat.child {
                let Some(status) = child.try_wait()? else { continue };
                let pid = child.id() as i32;
                // 70 is the exit code of a state that should be impossible.
                let odd = match status.code() {
                    Some(code) => code == 70 || code == 101,
                    None => !seat.expected,
                };
                if odd {
                    self.odd.push((pid, format!("worker {} (process {pid}) ended with {status}", seat.name)));
                }
            }
            let url = if n == last { relayed(link.address()) } else { broker.to_owned() };
            let wrap = if n == last { link.command() } else { None };
            let log = File::options()
                .create(true)
                .append(true)
                .open(ground.path(&format!("logs/{}.log", seat.name)))?;
            // It dies with this program, whatever ends that.
            let mut command = match wrap {
                Some(mut wrap) => {
                    wrap.arg("setpriv");
                    wrap
                }
                None => tool::command("setpriv"),
            };
            command
                .args(["--pdeathsig", "KILL", "--"])
                .arg(&self.program)
                .arg("run")
                .arg("--config")
                .arg(ground.config())
                .env("DOVI_FLEET__WORKER__NAME", &seat.name)
                .env("DOVI_FLEET__SCRATCH__DIR", ground.scratch(&seat.name))
                .env("DOVI_FLEET__BROKER__URL", url)
                // Decoding for the proof takes most of an encode's time here; half of the crew sees what may go wrong in it.
                .env("DOVI_FLEET__VERIFY__DECODE", if n % 2 == 0 { "sample" } else { "off" })
                .env(VARIABLE, ground.inbox().dir())
                .current_dir(ground.path("logs"))
                .stdout(Stdio::null())
                .stderr(log);
            own_group(&mut command);
            seat.child = Some(command.spawn().with_context(|| format!("start worker {}", seat.name))?);
            (seat.begun, seat.frozen, seat.expected) = (Instant::now(), false, false);
            self.started += 1;
        }
        Ok(())
    }

    /// A worker that is there, awake, and has been for a second; the choice is by `chance`. Gives its process.
    pub fn any(&self, chance: u64) -> Option<i32> {
        let fit = |s: &&Seat| !s.frozen && !s.expected && s.begun.elapsed() > Duration::from_secs(1);
        let fitting: Vec<i32> = self.seats.iter().filter(fit).filter_map(Seat::pid).collect();
        fitting.get(chance as usize % fitting.len().max(1)).copied()
    }

    /// Sends a signal to one of the workers.
    pub fn signal(&mut self, pid: i32, signal: Signal) {
        let Some(seat) = self.seats.iter_mut().find(|s| s.pid() == Some(pid)) else { return };
        match signal {
            Signal::STOP => seat.frozen = true,
            Signal::CONT => seat.frozen = false,
            _ => seat.expected = true,
        }
        if let Some(pid) = Pid::from_raw(pid) {
            // It may have ended in this very moment.
            let _ = kill_process(pid, signal);
        }
    }

    /// What workers did that no fault made them do.
    pub fn complaints(&self) -> Vec<String> {
        self.odd.iter().filter(|(pid, _)| !self.met.contains(pid)).map(|(_, what)| what.clone()).collect()
    }

    /// Asks all to end, and waits until they have.
    ///
    /// # Errors
    /// One does not end.
    pub fn stop(&mut self) -> Result<()> {
        let pids: Vec<i32> = self.seats.iter().filter_map(Seat::pid).collect();
        pids.into_iter().for_each(|pid| self.signal(pid, Signal::TERM));
        for seat in &mut self.seats {
            let Some(child) = &mut seat.child else { continue };
            wait::until(STOP, &format!("worker {} to end", seat.name), || {
                child.try_wait().is_ok_and(|status| status.is_some())
            })?;
            seat.child = None;
        }
        Ok(())
    }
}

impl Seat {
    fn pid(&self) -> Option<i32> {
        self.child.as_ref().map(|c| c.id() as i32)
    }
}

impl Drop for Crew {
    fn drop(&mut self) {
        for child in self.seats.iter_mut().filter_map(|s| s.child.as_mut()) {
            // Fails only for a process that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// An interrupt from the keyboard reaches the conductor alone.
fn own_group(command: &mut Command) {
    use std::os::unix::process::CommandExt;
    command.process_group(0);
}
