//! Where faults are laid out, and where whoever meets one says so.
//!
//! A fault is an empty file `faults/<number>@<place>@<action>`. The first process that comes to the place takes it by renaming it to
//! `fired/…@<pid>`, and only then does what it says: so every fault that is counted happened, once. None of this lies on the
//! share, and the programs that are shipped know nothing of it.

use std::fmt::Display;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::steps::{self, Step};
use rustix::process::{Signal, getpid, kill_process};

use super::plan::Action;

/// The environment variable that names the inbox. It also marks every process of a run.
pub const VARIABLE: &str = "DOVI_SOAK_FAULTS";

/// The folder of faults.
#[derive(Debug, Clone)]
pub struct Inbox {
    dir: PathBuf,
}

/// A fault that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fired {
    /// Its number.
    pub number: usize,
    /// The process that it happened to.
    pub pid: i32,
}

impl Inbox {
    /// The inbox at `dir`; touches nothing.
    pub fn at(dir: &Path) -> Self {
        Self { dir: dir.to_owned() }
    }

    /// The inbox that the environment names.
    pub fn of_environment() -> Option<Self> {
        std::env::var_os(VARIABLE).map(|dir| Self { dir: dir.into() })
    }

    /// Its folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// Makes its folders.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn init(&self) -> io::Result<()> {
        ["faults", "fired", "counted"].iter().try_for_each(|name| fs::create_dir_all(self.dir.join(name)))
    }

    /// Lays a fault out.
    ///
    /// # Errors
    /// The file cannot be made.
    pub fn arm(&self, number: usize, place: &str, action: &str) -> io::Result<()> {
        File::create(self.dir.join("faults").join(format!("{number:05}@{place}@{action}"))).map(drop)
    }

    /// Takes the first fault of this place that `fits`, if there is one, and gives its action.
    pub fn take(&self, place: &str, mut fits: impl FnMut(&str) -> bool) -> Option<String> {
        let entries = fs::read_dir(self.dir.join("faults")).ok()?;
        let mut names: Vec<String> =
            entries.flatten().filter_map(|e| e.file_name().into_string().ok()).collect();
        names.sort_unstable();
        names.into_iter().find_map(|name| {
            let mut parts = name.split('@').skip(1);
            let action = parts.next().filter(|p| *p == place).and_then(|_| parts.next())?.to_owned();
            let fired = self.dir.join("fired").join(format!("{name}@{}", std::process::id()));
            (fits(&action) && fs::rename(self.dir.join("faults").join(&name), fired).is_ok())
                .then_some(action)
        })
    }

    /// What happened since the last call.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn collect(&self) -> io::Result<Vec<Fired>> {
        let mut all = Vec::new();
        for entry in fs::read_dir(self.dir.join("fired"))? {
            let name = entry?.file_name().to_string_lossy().into_owned();
            let parts: Vec<&str> = name.split('@').collect();
            let [number, _, _, pid] = parts[..] else { continue };
            let (Ok(number), Ok(pid)) = (number.parse(), pid.parse()) else { continue };
            fs::rename(self.dir.join("fired").join(&name), self.dir.join("counted").join(&name))?;
            all.push(Fired { number, pid });
        }
        Ok(all)
    }

    /// Adds a line to the record of steps. One write of one line each, so that processes do not mix theirs.
    pub fn note(&self, step: Step, about: &dyn Display) {
        let line = format!("{} {step} {about}\n", std::process::id());
        let written = File::options()
            .append(true)
            .create(true)
            .open(self.record())
            .and_then(|mut record| record.write_all(line.as_bytes()));
        if let Err(e) = written {
            // A record with a hole proves nothing: better no worker than one that is not counted.
            eprintln!("the record of steps cannot be written: {e}");
            std::process::abort();
        }
    }

    /// The record of steps, `<pid> <step> <about>` in each line. Only the workers' hook writes it; their own books are others.
    pub fn record(&self) -> PathBuf {
        self.dir.join("steps.log")
    }
}

/// Has this process meet the faults of the inbox that the environment names, if any.
pub fn install() {
    let Some(inbox) = Inbox::of_environment() else { return };
    steps::install(Box::new(move |step, about| {
        inbox.note(step, about);
        let Some(action) = inbox.take(step.name(), |_| true) else { return Ok(()) };
        match Action::ALL.into_iter().find(|a| a.name() == action) {
            Some(Action::Kill) => kill_self(),
            Some(Action::Freeze) => {
                freeze_self();
                Ok(())
            }
            // EIO: what a dying disk says.
            Some(Action::Fail) | None => Err(io::Error::from_raw_os_error(5)),
        }
    }));
}

/// Never comes back.
pub fn kill_self() -> ! {
    // A process may always signal itself.
    let _ = kill_process(getpid(), Signal::KILL);
    loop {
        std::thread::park();
    }
}

/// Comes back after somebody sent SIGCONT.
fn freeze_self() {
    let _ = kill_process(getpid(), Signal::STOP);
    // Another thread may take the signal, and this one then runs on for some microseconds.
    std::thread::sleep(Duration::from_millis(50));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_happens_once_and_only_at_its_place() {
        let dir = tempfile::tempdir().unwrap();
        let inbox = Inbox::at(dir.path());
        inbox.init().unwrap();
        inbox.arm(3, "stage.mux", "kill").unwrap();
        inbox.arm(12, "stage.mux", "fail").unwrap();
        assert_eq!(inbox.take("stage.verify", |_| true), None);
        assert_eq!(inbox.take("stage.mux", |action| action == "fail").as_deref(), Some("fail"));
        assert_eq!(inbox.take("stage.mux", |action| action == "fail"), None);
        let pid = std::process::id() as i32;
        assert_eq!(inbox.collect().unwrap(), [Fired { number: 12, pid }]);
        assert_eq!(inbox.collect().unwrap(), []);
        assert_eq!(inbox.take("stage.mux", |_| true).as_deref(), Some("kill"));
        assert_eq!(inbox.collect().unwrap(), [Fired { number: 3, pid }]);
    }
}
