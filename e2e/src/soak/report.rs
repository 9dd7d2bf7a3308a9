//! What a run is worth, for people and for docs/RELIABILITY.md.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use super::checker::Verdict;
use super::plan::{Action, Call, Fault, Misdeed, World};
use super::run::Settings;

/// A run that is over.
#[derive(Debug)]
pub struct Report {
    /// What it was told.
    pub settings: Settings,
    /// Every fault that happened.
    pub fired: Vec<Fault>,
    /// How many films were queued.
    pub films: usize,
    /// How many worker processes were started.
    pub programs: u64,
    /// What was found.
    pub verdict: Verdict,
    /// From the first fault to the end of the workers.
    pub took: Duration,
    /// With the checks.
    pub total: Duration,
    /// RabbitMQ's.
    pub version: String,
}

impl Report {
    /// One line that says it all.
    pub fn line(&self) -> String {
        let v = &self.verdict;
        format!(
            "faults {} films {} lost {} doubled {} unproven {} originals-changed {} starts {}",
            self.fired.len(),
            self.films,
            v.lost.len(),
            v.doubled.len(),
            v.unproven.len(),
            v.changed.len(),
            v.starts
        )
    }

    fn rows(&self) -> Vec<(&'static str, usize)> {
        let mut counts: BTreeMap<usize, (&'static str, usize)> = BTreeMap::new();
        for fault in &self.fired {
            let (order, words) = row(*fault);
            counts.entry(order).or_insert((words, 0)).1 += 1;
        }
        counts.into_values().collect()
    }
}

/// The row of the table that a fault belongs to.
fn row(fault: Fault) -> (usize, &'static str) {
    match fault {
        Fault::Worker(_, action) => (
            action as usize,
            match action {
                Action::Fail => "a step's own work fails",
                Action::Kill => "worker killed at a step",
                Action::Freeze => "worker frozen at a step",
            },
        ),
        Fault::Tool(_, misdeed) => (
            10 + misdeed as usize,
            match misdeed {
                Misdeed::Exit => "tool ends with an error",
                Misdeed::Garbage => "tool writes noise and ends well",
                Misdeed::Cut => "tool writes half and ends well",
                Misdeed::Killed => "tool killed in the middle of its work",
                Misdeed::Hang => "tool hangs",
            },
        ),
        Fault::World(world) => (20 + world as usize, World::words(world)),
    }
}

impl fmt::Display for Report {
    /// Tables in Markdown, what is wrong, and the closing line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| fault | count |\n|---|---:|")?;
        for (words, count) in self.rows() {
            writeln!(f, "| {words} | {count} |")?;
        }
        writeln!(f, "\n| step | failed | killed | frozen |\n|---|---:|---:|---:|")?;
        let count = |fault: Fault| self.fired.iter().filter(|f| **f == fault).count();
        for step in self.settings.output.steps() {
            let [failed, killed, frozen] = Action::ALL.map(|action| count(Fault::Worker(step, action)));
            writeln!(f, "| `{step}` | {failed} | {killed} | {frozen} |")?;
        }
        writeln!(f, "\n| call | error | noise | half | killed | hangs |\n|---|---:|---:|---:|---:|---:|")?;
        for call in Call::ALL {
            let counts = Misdeed::ALL.map(|misdeed| count(Fault::Tool(call, misdeed)).to_string());
            writeln!(f, "| `{}` | {} |", call.name(), counts.join(" | "))?;
        }
        let v = &self.verdict;
        writeln!(
            f,
            "\nRabbitMQ {}, output {}, seed {}, {} workers ({} processes), {} s with {} s of checks: {} results proven ({} decoded), \
             {} films rightly given up; at most {} starts allowed",
            self.version,
            self.settings.output,
            self.settings.seed,
            self.settings.workers,
            self.programs,
            self.total.as_secs(),
            (self.total - self.took).as_secs(),
            v.proven,
            v.decoded,
            v.given_up,
            v.allowed
        )?;
        for violation in &v.violations {
            writeln!(f, "WRONG: {violation}")?;
        }
        write!(f, "{}", self.line())
    }
}
