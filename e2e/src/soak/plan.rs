//! Which faults, in which order, on which films: all of it from the seed.

use std::fmt;

use common::steps::Step;

use super::output::Output;
use super::random::Random;

/// What happens to a worker at a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Action {
    /// The work of that place fails as on a bad disk.
    Fail,
    /// The worker is killed with SIGKILL.
    Kill,
    /// The worker stands still beyond the stale time and goes on then.
    Freeze,
}

impl Action {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Fail, Self::Kill, Self::Freeze];

    /// Its name in the fault's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Fail => "fail",
            Self::Kill => "kill",
            Self::Freeze => "freeze",
        }
    }
}

/// A call of a tool that can go wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Call {
    /// ffmpeg encodes the film.
    Encode,
    /// ffmpeg decodes pictures for the proof.
    Pictures,
    /// mkvmerge puts the result together.
    Mux,
}

impl Call {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Encode, Self::Pictures, Self::Mux];

    /// Its name in the fault's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Encode => "tool.encode",
            Self::Pictures => "tool.pictures",
            Self::Mux => "tool.mux",
        }
    }
}

/// How a tool goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Misdeed {
    /// It does nothing and ends with an error.
    Exit,
    /// It writes noise and says that all is well.
    Garbage,
    /// It writes half of what it should and says that all is well.
    Cut,
    /// It is killed in the middle.
    Killed,
    /// It does nothing, for ever.
    Hang,
}

impl Misdeed {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Exit, Self::Garbage, Self::Cut, Self::Killed, Self::Hang];

    /// Its name in the fault's file.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exit => "exit",
            Self::Garbage => "garbage",
            Self::Cut => "cut",
            Self::Killed => "killed",
            Self::Hang => "hang",
        }
    }

    /// The tool claims to have worked. A film whose proof fails twice is given up, rightly, so no film gets two of these.
    pub const fn lies(self) -> bool {
        matches!(self, Self::Garbage | Self::Cut)
    }
}

/// A fault that the world around the workers brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum World {
    /// SIGKILL for a worker, at any moment.
    WorkerKilled,
    /// A worker stands still beyond the stale time, from any moment on.
    WorkerFrozen,
    /// SIGTERM: the film in hand is finished.
    WorkerStopped,
    /// SIGTERM twice: the film in hand is given back.
    WorkerDrained,
    /// SIGKILL for an ffmpeg or mkvmerge, at any moment.
    ToolKilled,
    /// A film's message once more.
    Duplicate,
    /// The state folder is away for a moment.
    StateAway,
    /// The library is away for a moment.
    LibraryAway,
    /// The folder of results is away (where they have one of their own), and in its place an empty one, as for a mount of its own.
    ResultsAway,
    /// The whole share is away, and in its place an empty folder, as an unmounted mount point is.
    ShareAway,
    /// The scratch disk of a worker is full for a moment.
    ScratchFull,
    /// The share is full for a moment.
    ShareFull,
    /// SIGKILL for the broker, then a start.
    BrokerKilled,
    /// An orderly end of the broker, then a start.
    BrokerRestarted,
    /// The broker stands still beyond the heartbeat.
    BrokerFrozen,
    /// The broker closes every connection.
    ConnectionsClosed,
    /// A worker's network is cut beyond the heartbeat.
    NetworkCut,
}

impl World {
    /// All, with their weights: costly ones are rare.
    const WEIGHTS: [(Self, u64); 17] = [
        (Self::WorkerKilled, 40),
        (Self::WorkerFrozen, 15),
        (Self::WorkerStopped, 15),
        (Self::WorkerDrained, 20),
        (Self::ToolKilled, 30),
        (Self::Duplicate, 40),
        (Self::StateAway, 12),
        (Self::LibraryAway, 12),
        (Self::ResultsAway, 12),
        (Self::ShareAway, 12),
        (Self::ScratchFull, 12),
        (Self::ShareFull, 8),
        (Self::BrokerKilled, 12),
        (Self::BrokerRestarted, 8),
        (Self::BrokerFrozen, 8),
        (Self::ConnectionsClosed, 20),
        (Self::NetworkCut, 12),
    ];

    /// For the table.
    pub const fn words(self) -> &'static str {
        match self {
            Self::WorkerKilled => "worker killed at any moment",
            Self::WorkerFrozen => "worker frozen at any moment",
            Self::WorkerStopped => "worker told to stop after its film",
            Self::WorkerDrained => "worker told to stop now",
            Self::ToolKilled => "ffmpeg or mkvmerge killed at any moment",
            Self::Duplicate => "message published twice",
            Self::StateAway => "state folder away",
            Self::LibraryAway => "library away",
            Self::ResultsAway => "results away, an empty mount point left",
            Self::ShareAway => "whole share away, an empty mount point left",
            Self::ScratchFull => "scratch disk full",
            Self::ShareFull => "share full",
            Self::BrokerKilled => "broker killed and started",
            Self::BrokerRestarted => "broker restarted in order",
            Self::BrokerFrozen => "broker frozen beyond the heartbeat",
            Self::ConnectionsClosed => "all connections closed by the broker",
            Self::NetworkCut => "a worker's network cut beyond the heartbeat",
        }
    }

    /// It takes away what all workers work on.
    pub const fn is_shares(self) -> bool {
        matches!(
            self,
            Self::StateAway | Self::LibraryAway | Self::ResultsAway | Self::ShareAway | Self::ShareFull
        )
    }
}

/// One fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Fault {
    /// Something happens to a worker at a step.
    Worker(Step, Action),
    /// A tool goes wrong.
    Tool(Call, Misdeed),
    /// The world around.
    World(World),
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Worker(step, action) => write!(f, "{step} {}", action.name()),
            Self::Tool(call, misdeed) => write!(f, "{} {}", call.name(), misdeed.name()),
            Self::World(world) => f.write_str(world.words()),
        }
    }
}

impl Fault {
    /// So many more times than there are films may work on a film be begun because of it; `workers` run.
    ///
    /// Nothing that happens to the broker, to the network or to messages may cost work. What takes the share away may cost
    /// every worker the film in its hands.
    pub const fn may_restart(self, workers: u64) -> u64 {
        match self {
            Self::Worker(..) | Self::Tool(..) => 1,
            Self::World(world) => match world {
                World::WorkerKilled
                | World::WorkerFrozen
                | World::WorkerDrained
                | World::ToolKilled
                | World::ScratchFull => 1,
                World::StateAway
                | World::LibraryAway
                | World::ResultsAway
                | World::ShareAway
                | World::ShareFull => workers,
                World::WorkerStopped
                | World::Duplicate
                | World::BrokerKilled
                | World::BrokerRestarted
                | World::BrokerFrozen
                | World::ConnectionsClosed
                | World::NetworkCut => 0,
            },
        }
    }

    /// The kind of film that passes the place.
    pub(super) fn wants(self) -> Option<Kind> {
        match self {
            Self::Worker(Step::Prescan | Step::Encode | Step::Encoding, _)
            | Self::Tool(Call::Encode | Call::Pictures, _) => Some(Kind::Encode),
            Self::Worker(Step::Copy, _) => Some(Kind::Copy),
            Self::Worker(Step::Reported | Step::Moving | Step::Moved, _) => Some(Kind::Truncated),
            Self::Worker(
                Step::Mux
                | Step::Verify
                | Step::Publish
                | Step::Dressed
                | Step::Announced
                | Step::Fenced
                | Step::Recorded
                | Step::Trashed
                | Step::Renamed
                | Step::Certified
                | Step::Concluded,
                _,
            )
            | Self::Tool(Call::Mux, _) => Some(Kind::Healthy),
            _ => None,
        }
    }
}

/// What kind of film a fault is accompanied by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// To be copied.
    Copy,
    /// To be encoded.
    Encode,
    /// Cut off: must be given up.
    Truncated,
    /// To be copied or encoded.
    Healthy,
}

/// A fault and the film that is queued with it.
#[derive(Debug, Clone, Copy)]
pub struct Planned {
    /// What happens.
    pub fault: Fault,
    /// The film.
    pub film: Kind,
    /// Where the fault has a choice: whom it meets, how long it waits.
    pub chance: u64,
}

/// Which faults are possible, or wanted.
#[derive(Debug, Clone, Copy)]
pub struct Means {
    /// Only faults that are over within a few seconds.
    pub brief: bool,
    /// Disks can be made full: small file systems can be mounted.
    pub full_disks: bool,
    /// Where results go.
    pub output: Output,
}

/// Of a hundred faults so many meet a worker at a step, and so many are a tool's; the rest is the world's.
const AT_STEPS: u64 = 56;
const OF_TOOLS: u64 = 16;
/// Of the faults at steps, a frozen worker is one in so many: it keeps a worker for twenty seconds.
const FREEZES: u64 = 12;
const HANGS: u64 = 12;

/// The faults of a seed, in their order.
pub fn plan(seed: u64, faults: usize, means: Means) -> Vec<Planned> {
    let mut random = Random::new(seed);
    let mut decks = Decks::default();
    (0..faults)
        .map(|_| {
            let fault = match random.below(100) {
                n if n < AT_STEPS => decks.at_step(&mut random, means),
                n if n < AT_STEPS + OF_TOOLS => decks.of_tool(&mut random, means),
                _ => Fault::World(world(&mut random, means)),
            };
            let film = fault.wants().unwrap_or(Kind::Healthy);
            let any = random.below(12);
            let film = match film {
                Kind::Healthy if fault.wants().is_none() && any == 0 => Kind::Truncated,
                Kind::Healthy if any == 1 => Kind::Encode,
                Kind::Healthy => Kind::Copy,
                film => film,
            };
            Planned { fault, film, chance: random.next() }
        })
        .collect()
}

fn world(random: &mut Random, means: Means) -> World {
    let usable = |world: World| match world {
        World::ScratchFull | World::ShareFull => means.full_disks,
        World::WorkerFrozen
        | World::BrokerKilled
        | World::BrokerRestarted
        | World::BrokerFrozen
        | World::NetworkCut => !means.brief,
        _ => true,
    };
    let usable = |world| usable(world) && means.output.knows(world);
    let all: Vec<_> = World::WEIGHTS.into_iter().filter(|(world, _)| usable(*world)).collect();
    let mut at = random.below(all.iter().map(|(_, weight)| weight).sum());
    for (world, weight) in &all {
        match at.checked_sub(*weight) {
            Some(rest) => at = rest,
            None => return *world,
        }
    }
    World::Duplicate
}

/// Dealt like cards, so that every combination comes before any comes again.
#[derive(Default)]
struct Decks {
    steps: [Vec<Step>; 3],
    calls: [Vec<(Call, Misdeed)>; 2],
}

impl Decks {
    fn at_step(&mut self, random: &mut Random, means: Means) -> Fault {
        let action = match random.below(FREEZES) {
            0 if !means.brief => Action::Freeze,
            n if n % 2 == 0 => Action::Fail,
            _ => Action::Kill,
        };
        let step = deal(&mut self.steps[action as usize], random, || means.output.steps());
        Fault::Worker(step, action)
    }

    fn of_tool(&mut self, random: &mut Random, means: Means) -> Fault {
        let hang = random.below(HANGS) == 0 && !means.brief;
        let all = || {
            // An encode costs ten times what a copy does: mkvmerge, which both need, goes wrong as often as ffmpeg does.
            let calls = Call::ALL.into_iter().chain([Call::Mux]);
            let pairs = calls.flat_map(|call| Misdeed::ALL.map(|misdeed| (call, misdeed)));
            pairs.filter(|(_, misdeed)| (*misdeed == Misdeed::Hang) == hang).collect()
        };
        let (call, misdeed) = deal(&mut self.calls[usize::from(hang)], random, all);
        Fault::Tool(call, misdeed)
    }
}

fn deal<T>(deck: &mut Vec<T>, random: &mut Random, all: impl FnOnce() -> Vec<T>) -> T {
    if deck.is_empty() {
        *deck = all();
        random.shuffle(deck);
    }
    deck.swap_remove(deck.len() - 1)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_thousand_faults_are_of_every_kind_and_a_seed_repeats_them() {
        let of = |seed, output| -> Vec<Fault> {
            let means = Means { full_disks: true, brief: false, output };
            plan(seed, 1000, means).into_iter().map(|p| p.fault).collect()
        };
        assert_eq!(of(7, Output::Separate), of(7, Output::Separate));
        assert_ne!(of(7, Output::Separate), of(8, Output::Separate));
        for (seed, output) in [(1, Output::Separate), (7, Output::Separate), (7, Output::Replace)] {
            let met: BTreeSet<Fault> = of(seed, output).into_iter().collect();
            let steps = output.steps().into_iter().flat_map(|s| Action::ALL.map(|a| Fault::Worker(s, a)));
            let calls = Call::ALL.into_iter().flat_map(|c| Misdeed::ALL.map(|m| Fault::Tool(c, m)));
            let worlds = World::WEIGHTS.map(|(w, _)| w).into_iter().filter(|w| output.knows(*w));
            for fault in steps.chain(calls).chain(worlds.map(Fault::World)) {
                assert!(met.contains(&fault), "seed {seed} has no {fault}");
            }
        }
    }

    #[test]
    fn where_no_disk_can_be_filled_none_is_and_a_brief_run_waits_for_nothing() {
        let long = |p: &Planned| {
            matches!(
                p.fault,
                Fault::World(World::ScratchFull | World::ShareFull | World::NetworkCut | World::ResultsAway)
                    | Fault::Worker(_, Action::Freeze)
                    | Fault::Tool(_, Misdeed::Hang)
            )
        };
        assert!(
            !plan(3, 1000, Means { full_disks: false, brief: true, output: Output::Beside }).iter().any(long)
        );
    }

    #[test]
    fn faults_of_the_broker_may_cost_no_work() {
        for world in [World::BrokerKilled, World::BrokerFrozen, World::NetworkCut, World::Duplicate] {
            assert_eq!(Fault::World(world).may_restart(4), 0);
        }
    }
}
