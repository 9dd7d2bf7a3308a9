//! The thread that empties the outbox.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use common::job::Notice;
use common::share::{OutboxEntry, ShareError};

use super::notifier::Shared;
use super::target::{Target, Undelivered};

/// The outbox is looked at this often although nothing happened: others may have died.
const LOOK: Duration = Duration::from_secs(30);
/// Longest wait between two tries.
const LONGEST: Duration = Duration::from_secs(1800);
/// Longest time for what can be sent at the end.
const LAST: Duration = Duration::from_secs(5);

/// What came of telling somebody something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sent {
    /// It was taken.
    Ok,
    /// It was not, and will be tried again.
    Failed,
    /// It is not tried any more.
    GivenUp,
}

/// Whoever counts. Calls must not block.
pub trait Tally: Send + Sync {
    /// One try.
    fn tried(&self, target: &str, sent: Sent);

    /// So many wait for this worker to send them.
    fn waiting(&self, entries: usize);
}

/// A target that did not take something is left alone for a while; the others do not wait for it.
#[derive(Debug, Clone, Copy)]
struct Pause {
    until: Instant,
    failures: u32,
}

pub(super) struct Sender {
    shared: Arc<Shared>,
    pauses: HashMap<String, Pause>,
    /// When others last saw that the owner of an entry lives.
    touched: HashMap<String, Instant>,
    /// What the share did not take.
    held: Vec<(String, Notice, Instant)>,
}

impl Sender {
    pub fn new(shared: Arc<Shared>) -> Self {
        Self { shared, pauses: HashMap::new(), touched: HashMap::new(), held: Vec::new() }
    }

    pub fn run(mut self) {
        loop {
            self.round(None);
            let now = Instant::now();
            let next =
                self.pauses.values().map(|p| p.until.saturating_duration_since(now)).filter(|d| !d.is_zero());
            if self.shared.sleep(next.min().unwrap_or(LOOK).min(LOOK)) {
                break;
            }
        }
        self.round(Some(Instant::now() + LAST));
        if let Err(e) = self.shared.outbox.leave() {
            tracing::debug!(error = %e, "others send what is left here after a while");
        }
    }

    /// Tries everything that may be tried now.
    fn round(&mut self, end: Option<Instant>) {
        let fresh: Vec<_> = self.shared.post().fresh.drain(..).collect();
        self.held.extend(fresh.into_iter().map(|(target, notice)| (target, notice, Instant::now())));
        self.send_held(end);
        match self.send_outbox(end) {
            Ok(left) => self.shared.tally.waiting(left + self.held.len()),
            Err(e) => tracing::debug!(error = %e, "the outbox cannot be read"),
        }
    }

    /// What the share did not take: put there now, or told without it.
    fn send_held(&mut self, end: Option<Instant>) {
        for (name, notice, since) in std::mem::take(&mut self.held) {
            let shared = self.shared.clone();
            if shared.outbox.put(&name, &notice).is_ok() {
                continue;
            }
            let Some(target) = shared.targets.iter().find(|t| t.name == name) else { continue };
            if self.may_try(&name, end) {
                match target.tell(&notice) {
                    Ok(()) => {
                        self.went_well(&name);
                        continue;
                    }
                    Err(e) => self.went_wrong(target, &notice, &e),
                }
            }
            if since.elapsed() < shared.give_up {
                self.held.push((name, notice, since));
            } else {
                self.shared.tally.tried(&name, Sent::GivenUp);
            }
        }
    }

    /// How many are left.
    fn send_outbox(&mut self, end: Option<Instant>) -> Result<usize, ShareError> {
        let shared = self.shared.clone();
        let known = |name: &str| shared.targets.iter().any(|t| t.name == name);
        let mut entries = shared.outbox.ours(shared.stale, known)?;
        // One that its target never takes must not stand before all others.
        entries.sort_by_key(|e| (e.tries, e.created_at));
        let mut left = 0;
        for entry in entries {
            let Some(target) = shared.targets.iter().find(|t| t.name == entry.target) else { continue };
            if !self.send(target, entry, end)? {
                left += 1;
            }
        }
        Ok(left)
    }

    /// False: it is still there.
    fn send(
        &mut self,
        target: &Target,
        mut entry: OutboxEntry,
        end: Option<Instant>,
    ) -> Result<bool, ShareError> {
        let shared = self.shared.clone();
        let age = jiff::Timestamp::now().duration_since(entry.created_at);
        if age.unsigned_abs() > shared.give_up && age.is_positive() {
            let why = entry.problem.clone().unwrap_or_else(|| "nobody could send it in time".into());
            return self.give_up(entry, why).map(|()| true);
        }
        if !self.may_try(&target.name, end) {
            let touched = self.touched.entry(entry.id.clone()).or_insert_with(Instant::now);
            if touched.elapsed() > shared.stale / 4 {
                *touched = Instant::now();
                shared.outbox.update(&entry)?;
            }
            return Ok(false);
        }
        if !shared.outbox.still_ours(&entry)? {
            return Ok(true);
        }
        match target.tell(&entry.notice) {
            Ok(()) => {
                tracing::info!(target = target.name, "told: {}", entry.notice.title);
                self.went_well(&target.name);
                self.touched.remove(&entry.id);
                shared.outbox.sent(&entry)?;
                Ok(true)
            }
            Err(e) if e.is_final => {
                self.pauses.remove(&target.name);
                self.give_up(entry, e.problem).map(|()| true)
            }
            Err(e) => {
                self.went_wrong(target, &entry.notice, &e);
                entry.tries = entry.tries.saturating_add(1);
                entry.problem = Some(e.problem);
                self.touched.insert(entry.id.clone(), Instant::now());
                shared.outbox.update(&entry)?;
                Ok(false)
            }
        }
    }

    fn give_up(&mut self, mut entry: OutboxEntry, problem: String) -> Result<(), ShareError> {
        tracing::error!(
            target = entry.target,
            tries = entry.tries + 1,
            "not told: {}; {problem}; it lies in outbox/given-up on the share",
            entry.notice.title
        );
        entry.problem = Some(problem);
        self.shared.tally.tried(&entry.target, Sent::GivenUp);
        self.touched.remove(&entry.id);
        self.shared.outbox.give_up(&entry)
    }

    fn may_try(&self, target: &str, end: Option<Instant>) -> bool {
        let now = Instant::now();
        end.is_none_or(|end| now < end) && self.pauses.get(target).is_none_or(|p| p.until <= now)
    }

    fn went_well(&mut self, target: &str) {
        self.pauses.remove(target);
        self.shared.tally.tried(target, Sent::Ok);
    }

    fn went_wrong(&mut self, target: &Target, notice: &Notice, e: &Undelivered) {
        let failures = self.pauses.get(&target.name).map_or(0, |p| p.failures);
        let wait = e.wait.unwrap_or_else(|| pause(self.shared.retry, failures));
        if failures == 0 {
            tracing::warn!(
                target = target.name,
                again_s = wait.as_secs_f64(),
                "not told yet: {}; {}",
                notice.title,
                e.problem
            );
        } else {
            tracing::debug!(
                target = target.name,
                again_s = wait.as_secs_f64(),
                "still not told: {}",
                e.problem
            );
        }
        let pause = Pause { until: Instant::now() + wait, failures: failures.saturating_add(1) };
        self.pauses.insert(target.name.clone(), pause);
        self.shared.tally.tried(&target.name, Sent::Failed);
    }
}

/// Doubles with each failure, up to half an hour.
fn pause(first: Duration, failures: u32) -> Duration {
    first.saturating_mul(1 << failures.min(20)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_half_an_hour() {
        let first = Duration::from_secs(10);
        assert_eq!(pause(first, 0), first);
        assert_eq!(pause(first, 3), Duration::from_secs(80));
        assert_eq!(pause(first, 40), LONGEST);
    }
}
