//! Faults of the world around the workers, and the end of each.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::conductor::Conductor;
use super::ground::{FROZEN, Ground, HEARTBEAT};
use super::inbox::VARIABLE;
use super::plan::World;

/// Twice the heartbeat is when a client gives a silent broker up (measured).
const BROKER_FROZEN: Duration = Duration::from_secs(2 * HEARTBEAT as u64 + 3);
/// Three heartbeats are when the broker gives a silent client up.
const NETWORK_CUT: Duration = Duration::from_secs(3 * HEARTBEAT as u64 + 2);
const DISK_FULL: Duration = Duration::from_millis(1800);

/// A fault that lasts.
#[derive(Debug)]
pub enum Ongoing {
    /// A worker stands still.
    Frozen {
        /// Its process.
        pid: i32,
        /// For so long.
        until: Instant,
    },
    /// A folder is away.
    Away {
        /// Which fault that is.
        world: World,
        /// The folder's name.
        name: PathBuf,
        /// For so long.
        until: Instant,
    },
    /// A disk is full.
    Full {
        /// Which fault that is.
        world: World,
        /// Which disk.
        place: &'static str,
        /// For so long.
        until: Instant,
    },
    /// The broker stands still.
    Broker {
        /// For so long.
        until: Instant,
    },
    /// The cable is pulled.
    Cut {
        /// For so long.
        until: Instant,
    },
}

impl Ongoing {
    fn until(&self) -> Instant {
        match self {
            Self::Frozen { until, .. }
            | Self::Away { until, .. }
            | Self::Full { until, .. }
            | Self::Broker { until }
            | Self::Cut { until } => *until,
        }
    }

    /// Nothing can be written on the share meanwhile.
    pub(super) fn takes_the_share(&self) -> bool {
        matches!(self, Self::Away { world, .. } | Self::Full { world, .. } if world.is_shares())
    }

    /// For the status line.
    pub(super) fn words(&self) -> &'static str {
        match self {
            Self::Frozen { .. } => "a worker frozen",
            Self::Away { world, .. } | Self::Full { world, .. } => world.words(),
            Self::Broker { .. } => "broker frozen",
            Self::Cut { .. } => "network cut",
        }
    }
}

impl Conductor<'_> {
    /// Whether it makes sense now: somebody is at work, and nothing else goes on that it would hide.
    pub(super) fn may_happen(&self, world: World) -> bool {
        let going_on = |what: fn(&Ongoing) -> bool| self.ongoing.iter().any(what);
        if world == World::Duplicate {
            return true;
        }
        let at_work = self.ground.state().counts().is_ok_and(|c| c.leased > 0);
        at_work
            && match world {
                World::WorkerFrozen => self.crew.frozen() + self.armed_freezes() < 2,
                World::BrokerKilled
                | World::BrokerRestarted
                | World::BrokerFrozen
                | World::ConnectionsClosed => {
                    !going_on(|o| matches!(o, Ongoing::Broker { .. } | Ongoing::Full { .. }))
                }
                World::NetworkCut => !going_on(|o| matches!(o, Ongoing::Cut { .. })),
                World::ScratchFull => !going_on(|o| matches!(o, Ongoing::Full { .. })),
                _ => true,
            }
    }

    /// Does it; false where nobody is there whom it could meet.
    pub(super) fn happen(&mut self, world: World, chance: u64) -> Result<bool> {
        // The moment within whatever runs is by chance, too; another one each time that nobody was there any more.
        std::thread::sleep(Duration::from_millis(chance.wrapping_add(97 * self.misses) % 400));
        let now = Instant::now();
        match world {
            World::WorkerKilled | World::WorkerFrozen | World::WorkerStopped | World::WorkerDrained => {
                let Some(pid) = self.crew.any(chance >> 16) else { return Ok(false) };
                match world {
                    World::WorkerKilled => self.crew.signal(pid, Signal::KILL),
                    World::WorkerFrozen => {
                        self.crew.signal(pid, Signal::STOP);
                        self.ongoing.push(Ongoing::Frozen { pid, until: now + FROZEN });
                    }
                    _ => {
                        self.crew.signal(pid, Signal::TERM);
                        if world == World::WorkerDrained {
                            // Two signals at once would be one.
                            std::thread::sleep(Duration::from_millis(150));
                            self.crew.signal(pid, Signal::TERM);
                        }
                    }
                }
            }
            World::ToolKilled => {
                let tools = tools(self.ground);
                let Some(pid) = tools.get(chance as usize % tools.len().max(1)) else { return Ok(false) };
                let pid = Pid::from_raw(*pid).context("a process id")?;
                return Ok(kill_process(pid, Signal::KILL).is_ok());
            }
            // The conductor itself publishes.
            World::Duplicate => {}
            World::StateAway | World::LibraryAway | World::ResultsAway | World::ShareAway => {
                let name = match world {
                    World::StateAway => self.ground.state().dir().to_owned(),
                    World::LibraryAway => self.ground.library(),
                    World::ResultsAway => self.ground.output(),
                    _ => self.ground.share(),
                };
                fs::rename(&name, away(&name)).with_context(|| format!("take {} away", name.display()))?;
                if leaves_mount_point(world) {
                    fs::create_dir(&name)?;
                }
                let until = now + Duration::from_millis(1000 + (chance >> 20) % 1500);
                self.ongoing.push(Ongoing::Away { world, name, until });
            }
            World::ScratchFull | World::ShareFull => {
                let place = if world == World::ShareFull { "disk" } else { "scratch/w1" };
                self.ground.fill(place)?;
                self.ongoing.push(Ongoing::Full { world, place, until: now + DISK_FULL });
            }
            World::BrokerKilled => {
                self.broker.kill9()?;
                self.broker.restart()?;
            }
            World::BrokerRestarted => self.broker.restart()?,
            World::BrokerFrozen => {
                self.broker.sigstop()?;
                self.broker_answers = false;
                self.ongoing.push(Ongoing::Broker { until: now + BROKER_FROZEN });
            }
            World::ConnectionsClosed => self.broker.close_all_connections()?,
            World::NetworkCut => {
                self.link.cut()?;
                self.ongoing.push(Ongoing::Cut { until: now + NETWORK_CUT });
            }
        }
        Ok(true)
    }

    /// Ends what lasted long enough, or everything.
    pub(super) fn heal(&mut self, everything: bool) -> Result<()> {
        let now = Instant::now();
        let (over, rest) =
            std::mem::take(&mut self.ongoing).into_iter().partition(|o| everything || o.until() <= now);
        self.ongoing = rest;
        for ongoing in over {
            match ongoing {
                Ongoing::Frozen { pid, .. } => self.crew.signal(pid, Signal::CONT),
                Ongoing::Away { world, name, .. } => self.bring_back(world, &name)?,
                Ongoing::Full { place, .. } => self.ground.free(place)?,
                Ongoing::Broker { .. } => {
                    self.broker.sigcont()?;
                    self.broker_answers = true;
                }
                Ongoing::Cut { .. } => self.link.mend()?,
            }
        }
        Ok(())
    }

    fn bring_back(&mut self, world: World, name: &PathBuf) -> Result<()> {
        if leaves_mount_point(world) {
            let written: Vec<String> = walk(name);
            if !written.is_empty() {
                let what = written.join(", ");
                self.complaints.push(format!("written into an empty mount point: {what}"));
                fs::remove_dir_all(name)?;
            } else {
                fs::remove_dir(name)?;
            }
        } else if name.exists() {
            self.complaints.push(format!("{} was made anew while it was away", name.display()));
            fs::remove_dir_all(name)?;
        }
        fs::rename(away(name), name).with_context(|| format!("bring {} back", name.display()))
    }
}

/// Whether an empty folder is in the place of what is away.
fn leaves_mount_point(world: World) -> bool {
    matches!(world, World::ResultsAway | World::ShareAway)
}

fn away(name: &std::path::Path) -> PathBuf {
    name.with_extension("away")
}

/// Names of everything below a folder.
fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut names = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        names.push(entry.path().display().to_string());
        names.extend(walk(&entry.path()));
    }
    names
}

/// The ffmpeg and mkvmerge processes of this run.
pub(super) fn tools(ground: &Ground) -> Vec<i32> {
    let mark = format!("{VARIABLE}={}\0", ground.inbox().dir().display());
    let of_run = |pid: &i32| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        // What the environment says is asked last: it costs most.
        ["ffmpeg", "mkvmerge"].contains(&name.trim())
            && fs::read(format!("/proc/{pid}/environ"))
                .is_ok_and(|e| e.windows(mark.len()).any(|w| w == mark.as_bytes()))
    };
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let mut all: Vec<i32> =
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(of_run).collect();
    all.sort_unstable();
    all
}
