//! Waiting for the tool's end, or bringing it about.

use std::io;
use std::process::ExitStatus;
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Outcome;
use super::freeze::Freeze;
use super::group::Group;
use super::stall::StallClock;

/// A killed process that is still there after this long waits inside the kernel, for instance for a dead network mount.
/// It cannot be ended, and the worker must not wait for it.
const UNKILLABLE: Duration = Duration::from_secs(20);

/// Who may ask for the end, or that the tool stand still until then.
pub(super) struct Stop {
    pub(super) freeze: Freeze,
    pub(super) cancel: CancellationToken,
    pub(super) kill: CancellationToken,
    pub(super) grace: Duration,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    Running,
    /// TERM was sent; KILL follows at the instant.
    Asked(Instant),
    /// KILL was sent; given up at the instant.
    Killed(Instant),
}

/// The end of the leader.
pub(super) struct Ended {
    status: Option<io::Result<ExitStatus>>,
    ours: Option<Outcome>,
}

impl Ended {
    /// False if it was killed and is still there.
    pub(super) fn is_gone(&self) -> bool {
        self.status.is_some()
    }

    /// What we asked for comes first: a tool that is asked to end may exit with 0 and half a file.
    pub(super) fn outcome(&self, command: &str) -> Outcome {
        match (self.ours, &self.status) {
            (Some(ours), _) => ours,
            (None, Some(Ok(status))) => Outcome::of(*status),
            (None, Some(Err(error))) => {
                tracing::error!(command, %error, "the exit status of a tool could not be read");
                Outcome::Exited(-1)
            }
            // Only what we killed is given up.
            (None, None) => Outcome::Stalled,
        }
    }
}

/// Waits for the leader; asks and kills its whole group when told to, or when it is stuck.
pub(super) async fn watch_leader(
    child: &mut Child,
    group: &Group,
    stop: &Stop,
    stall: Option<StallClock>,
) -> Ended {
    let (mut phase, mut ours, mut stall, mut frozen) = (Phase::Running, None, stall, false);
    let killed = || {
        group.kill();
        Phase::Killed(Instant::now() + UNKILLABLE)
    };
    loop {
        let interval = stall.as_ref().map_or(Duration::MAX, StallClock::interval);
        let until = match phase {
            Phase::Running => Instant::now(),
            Phase::Asked(until) | Phase::Killed(until) => until,
        };
        tokio::select! {
            biased;
            status = child.wait() => return Ended { status: Some(status), ours },
            () = stop.kill.cancelled(), if !matches!(phase, Phase::Killed(_)) => {
                ours.get_or_insert(Outcome::Cancelled);
                phase = killed();
            }
            () = stop.cancel.cancelled(), if phase == Phase::Running => {
                ours = Some(Outcome::Cancelled);
                group.terminate();
                phase = Phase::Asked(Instant::now() + stop.grace);
            }
            () = stop.freeze.until(!frozen), if phase == Phase::Running => {
                frozen = !frozen;
                if frozen {
                    group.freeze();
                } else {
                    group.thaw();
                    stall.iter_mut().for_each(StallClock::skip);
                }
            }
            () = sleep_until(until), if phase != Phase::Running => match phase {
                Phase::Killed(_) => return Ended { status: None, ours },
                _ => phase = killed(),
            },
            () = sleep(interval), if phase == Phase::Running && stall.is_some() && !frozen => {
                // Nothing that a stuck tool would write on SIGTERM is of use: no grace.
                if stall.as_mut().is_some_and(StallClock::look) {
                    ours = Some(Outcome::Stalled);
                    phase = killed();
                }
            }
        }
    }
}
