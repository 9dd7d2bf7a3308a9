//! Where the figures come from: the share's folders, each listed once, and what is in their files.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use common::job::{JobId, JobMessage};
use common::share::{Event, FileIdentity, Folder, JobState, Journal, ShareError, ShareState};
use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use super::crew::{self, Worker};
use super::eta::Eta;
use super::model::{Counts, Failed, Reason, Retrying, Running, Space, Status, Waiting};
use crate::forecast::{self, Amount, Finished, Forecast, Paces, recipe_name};
use crate::ledger::Ledger;
use crate::render::safe;

/// Files that are read at the same time: on a network share each one is a round trip or three.
const AT_ONCE: usize = 16;
/// For fewer files than that no further thread is worth its start.
const WORTH_A_THREAD: usize = 32;
const DAY: SignedDuration = SignedDuration::from_hours(24);
const UNKNOWN: &str = "(not known)";

/// Reads it all, again and again. Certificates are kept from one reading to the next; a file with another size, date or inode
/// number is read anew.
#[derive(Debug)]
pub struct Reader {
    share: ShareState,
    stale: Duration,
    finished: HashMap<JobId, (FileIdentity, Finished)>,
}

/// What the status says of a report.
#[derive(Debug, Deserialize)]
struct Report {
    job: Option<Named>,
    code: String,
    summary: String,
    at: Timestamp,
}

#[derive(Debug, Deserialize)]
struct Named {
    film: String,
}

impl Reader {
    /// Reads nothing yet. A lease that was not renewed for `stale` counts as silent.
    pub fn new(share: ShareState, stale: Duration) -> Self {
        Self { share, stale, finished: HashMap::new() }
    }

    /// Reads the share. What the broker says is not in it yet, see [`Status::with_broker`].
    ///
    /// # Errors
    /// The share is gone or fails. Single files that make no sense are passed over.
    pub fn read(&mut self) -> Result<Status, ShareError> {
        let now = Timestamp::now();
        let ledger = Ledger::open(&self.share)?;
        let (queued, leased) = (ledger.jobs(JobState::Queued), ledger.jobs(JobState::Leased));
        let (done, failed) = (ledger.jobs(JobState::Done), ledger.jobs(JobState::Failed));

        self.learn(&done)?;
        let messages = self.messages(&[queued.as_slice(), &leased].concat())?;
        let retrying = self.retrying(&queued, &messages, now)?;
        let mut running = self.running(&leased, &messages, now)?;
        let (reasons, failed_films) = self.failures(&failed)?;
        let (seen, warnings) = self.share.workers()?;
        warnings.iter().for_each(|w| tracing::debug!("{}", safe(w)));
        let workers: Vec<Worker> = seen.into_iter().map(Into::into).collect();

        crew::mark_frozen(&workers, &mut running);

        let mut space = Space::default();
        let mut done_24h = 0;
        for (_, film) in self.finished.values() {
            space.before = space.before.saturating_add(film.before());
            space.after = space.after.saturating_add(film.after());
            done_24h += u64::from(now.duration_since(film.at) < DAY);
        }
        let saved = i128::from(space.before) - i128::from(space.after);
        let counts = Counts {
            queued: queued.len() as u64,
            retrying: retrying.len() as u64,
            running: leased.len() as u64,
            done: done.len() as u64,
            failed: failed.len() as u64,
        };
        let eta = self.eta(&queued, &messages, &retrying, &running, &workers, now);
        let retries: HashSet<JobId> = retrying.iter().map(|r| r.job).collect();
        let mut waiting: Vec<Waiting> = queued
            .iter()
            .filter(|job| !retries.contains(job))
            .filter_map(|job| messages.get(job))
            .map(|m| Waiting { film: m.film.to_string(), size: m.size, queued_at: m.queued_at })
            .collect();
        waiting.sort_by(|a, b| a.queued_at.cmp(&b.queued_at).then_with(|| a.film.cmp(&b.film)));
        Ok(Status {
            at: now,
            counts,
            done_24h,
            space_saved: saved.clamp(i64::MIN.into(), i64::MAX.into()) as i64,
            space,
            eta,
            running,
            retrying,
            reasons,
            workers,
            queues: None,
            broker: None,
            waiting,
            failed: failed_films,
        })
    }

    /// Reads the certificates that are new or were written anew, and forgets those that are gone.
    fn learn(&mut self, done: &[JobId]) -> Result<(), ShareError> {
        let (share, known) = (&self.share, &self.finished);
        let read = each(done, |job| {
            let Some(now) = share.identity(Folder::Done, job)? else { return Ok(None) };
            if known.get(&job).is_some_and(|(then, _)| *then == now) {
                return Ok(Some((now, None)));
            }
            Ok(share.read::<Finished>(Folder::Done, job)?.map(|film| (now, Some(film))))
        })?;
        let mut before = std::mem::take(&mut self.finished);
        for (job, (identity, film)) in read {
            let film = film.or_else(|| before.remove(&job).map(|(_, film)| film));
            if let Some(film) = film {
                self.finished.insert(job, (identity, film));
            }
        }
        Ok(())
    }

    fn messages(&self, jobs: &[JobId]) -> Result<HashMap<JobId, JobMessage>, ShareError> {
        Ok(each(jobs, |job| self.share.read::<JobMessage>(Folder::Queued, job))?.into_iter().collect())
    }

    /// A film waits for another try if the last line of its journal says so: only films that were begun have a journal.
    fn retrying(
        &self,
        queued: &[JobId],
        messages: &HashMap<JobId, JobMessage>,
        now: Timestamp,
    ) -> Result<Vec<Retrying>, ShareError> {
        let begun: HashSet<JobId> = self.share.begun()?.entries.into_iter().map(|(job, ())| job).collect();
        let tried: Vec<JobId> = queued.iter().copied().filter(|job| begun.contains(job)).collect();
        let latest = each(&tried, |job| Journal::of(&self.share, job).latest())?;
        let mut retrying = Vec::new();
        for (job, entry) in latest {
            let Event::End { outcome, wait_s: Some(wait_s) } = entry.event else { continue };
            let message = messages.get(&job);
            // Queued anew since: that try is history.
            if message.is_some_and(|m| m.queued_at > entry.at) {
                continue;
            }
            let wait = SignedDuration::from_secs(i64::try_from(wait_s).unwrap_or(i64::MAX));
            let Ok(at) = entry.at.checked_add(wait) else { continue };
            let left = at.duration_since(now);
            if left.is_positive() {
                retrying.push(Retrying {
                    job,
                    film: message.map_or_else(|| UNKNOWN.into(), |m| m.film.to_string()),
                    attempt: entry.attempt,
                    code: outcome,
                    worker: entry.worker,
                    at,
                    in_s: left.as_secs().unsigned_abs(),
                });
            }
        }
        retrying.sort_by(|a, b| a.at.cmp(&b.at).then(a.job.cmp(&b.job)));
        Ok(retrying)
    }

    fn running(
        &self,
        leased: &[JobId],
        messages: &HashMap<JobId, JobMessage>,
        now: Timestamp,
    ) -> Result<Vec<Running>, ShareError> {
        let mut running = Vec::new();
        for (job, lease) in each(leased, |job| self.share.read_lease(job))? {
            let message = messages.get(&job);
            let silent = now.duration_since(lease.beat_at).unsigned_abs() > self.stale;
            running.push(Running {
                film: message.map_or_else(|| UNKNOWN.into(), |m| m.film.to_string()),
                recipe: message.map(|m| recipe_name(&m.recipe)),
                silent,
                frozen: false,
                lease,
            });
        }
        running.sort_by(|a, b| a.film.cmp(&b.film).then(a.lease.job.cmp(&b.lease.job)));
        Ok(running)
    }

    fn failures(&self, failed: &[JobId]) -> Result<(Vec<Reason>, Vec<Failed>), ShareError> {
        let mut counts: BTreeMap<String, u64> = BTreeMap::new();
        let mut films = Vec::new();
        for (job, report) in each(failed, |job| self.share.read::<Report>(Folder::Failed, job))? {
            *counts.entry(report.code.clone()).or_default() += 1;
            let film = report.job.map_or_else(|| UNKNOWN.into(), |j| j.film);
            films.push(Failed { job, film, code: report.code, summary: report.summary, at: report.at });
        }
        films.sort_by(|a, b| b.at.cmp(&a.at).then(a.job.cmp(&b.job)));
        let mut reasons: Vec<Reason> = counts.iter().map(|(code, count)| Reason::new(code, *count)).collect();
        reasons.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.code.cmp(&b.code)));
        Ok((reasons, films))
    }

    fn eta(
        &self,
        queued: &[JobId],
        messages: &HashMap<JobId, JobMessage>,
        retrying: &[Retrying],
        running: &[Running],
        workers: &[Worker],
        now: Timestamp,
    ) -> Eta {
        let waits: HashMap<JobId, u64> = retrying.iter().map(|r| (r.job, r.in_s)).collect();
        let of = |job: &JobId| messages.get(job).map(Amount::of);
        let film = |job: &JobId| {
            let not_before = Duration::from_secs(waits.get(job).copied().unwrap_or_default());
            Some(forecast::Waiting { amount: of(job)?, not_before })
        };
        let mut waiting: Vec<forecast::Waiting> = queued.iter().filter_map(film).collect();
        // Whoever had these is dead, as it seems; another worker will begin anew.
        waiting.extend(running.iter().filter(|r| r.silent).filter_map(|r| film(&r.lease.job)));
        let hands: Vec<_> = running.iter().map(|r| (r, of(&r.lease.job))).collect();
        let (slots, absent) = crew::slots(workers, &hands, now);
        let held = crew::held(workers, running) > 0;
        let finished: Vec<_> = self.finished.values().filter_map(|(_, film)| film.finish()).collect();
        let forecast = match forecast::forecast(&Paces::learn(&finished), &waiting, &slots) {
            Forecast::Empty if held => Forecast::NoWorker,
            forecast => forecast,
        };
        Eta::new(forecast, now, slots.len() as u64, absent)
    }
}

/// Reads a file for each job, some at a time. Files that are gone by now or make no sense are left out.
fn each<T: Send>(
    jobs: &[JobId],
    read: impl Fn(JobId) -> Result<Option<T>, ShareError> + Sync,
) -> Result<Vec<(JobId, T)>, ShareError> {
    let next = AtomicUsize::new(0);
    let all: Mutex<Result<Vec<(JobId, T)>, ShareError>> = Mutex::new(Ok(Vec::with_capacity(jobs.len())));
    let work = || {
        let mut mine = Vec::new();
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            match read(*job) {
                Ok(Some(value)) => mine.push((*job, value)),
                Ok(None) => {}
                Err(e @ ShareError::Gone { .. }) => {
                    next.store(jobs.len(), Ordering::Relaxed);
                    *all.lock().unwrap_or_else(PoisonError::into_inner) = Err(e);
                    return;
                }
                Err(e) => tracing::debug!(%job, error = %e, "a file of the share state cannot be read"),
            }
        }
        if let Ok(all) = &mut *all.lock().unwrap_or_else(PoisonError::into_inner) {
            all.append(&mut mine);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..(jobs.len() / WORTH_A_THREAD).min(AT_ONCE - 1) {
            scope.spawn(work);
        }
        work();
    });
    let mut all = all.into_inner().unwrap_or_else(PoisonError::into_inner)?;
    all.sort_unstable_by_key(|(job, _)| *job);
    Ok(all)
}

#[cfg(test)]
#[path = "read_tests.rs"]
mod tests;
