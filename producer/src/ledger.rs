//! What the share knows about films already.

use std::cell::OnceCell;
use std::collections::{HashMap, HashSet};

use common::job::{Certificate, FailureReport, JobId, JobMessage, LibraryPath};
use common::share::{Folder, JobState, ShareError, ShareState};

use crate::library::Found;
use crate::render::{duration, safe};

/// What is known about one film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The job it is known by: that of the file as it lies there now, or an older one.
    pub job: JobId,
    /// How far that job is.
    pub state: JobState,
    /// What the film is, as far as it was written down.
    pub verdict: Option<String>,
    /// For people: since when, by whom, why.
    pub reason: String,
}

/// The share's folders, listed once: four directory listings. Files are read only for films that are asked about.
#[derive(Debug)]
pub struct Ledger {
    share: Option<ShareState>,
    ids: HashMap<JobState, HashSet<JobId>>,
    by_film: OnceCell<HashMap<String, Vec<Past>>>,
}

/// One job that a film had.
#[derive(Debug, Clone)]
struct Past {
    job: JobId,
    state: JobState,
    recipe: Option<String>,
    recipe_words: String,
    size: u64,
    mtime_ns: i64,
    verdict: String,
}

impl Ledger {
    /// Lists the share's folders.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn open(share: &ShareState) -> Result<Self, ShareError> {
        let set =
            |folder| Ok::<_, ShareError>(share.ids(folder)?.entries.into_iter().map(|(id, ())| id).collect());
        let leased = share.leases()?.entries.into_iter().map(|(id, _)| id).collect();
        let ids = HashMap::from([
            (JobState::Queued, set(Folder::Queued)?),
            (JobState::Leased, leased),
            (JobState::Failed, set(Folder::Failed)?),
            (JobState::Done, set(Folder::Done)?),
        ]);
        Ok(Self { share: Some(share.clone()), ids, by_film: OnceCell::new() })
    }

    /// Before the first run nothing is known.
    pub fn blank() -> Self {
        Self { share: None, ids: HashMap::new(), by_film: OnceCell::new() }
    }

    /// What is known about this very job: done wins over everything.
    pub fn state(&self, job: JobId) -> JobState {
        let order = [JobState::Done, JobState::Failed, JobState::Leased, JobState::Queued];
        let has = |state: &JobState| self.ids.get(state).is_some_and(|ids| ids.contains(&job));
        order.into_iter().find(has).unwrap_or(JobState::Unknown)
    }

    /// The jobs in this state, each counted in the strongest state that it has.
    pub fn jobs(&self, state: JobState) -> Vec<JobId> {
        let ids = self.ids.get(&state).into_iter().flatten().copied();
        ids.filter(|id| self.state(*id) == state).collect()
    }

    /// Remembers that a job was queued just now.
    pub fn queued(&mut self, job: JobId) {
        self.ids.entry(JobState::Queued).or_default().insert(job);
        for gone in [JobState::Failed, JobState::Done] {
            self.ids.entry(gone).or_default().remove(&job);
        }
    }

    /// Takes note of what somebody else did to a job meanwhile.
    pub fn learn(&mut self, job: JobId, state: JobState) {
        self.ids.entry(state).or_default().insert(job);
    }

    /// What is known about the file as it lies there now, with these settings.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn know(&self, job: JobId) -> Result<Option<Known>, ShareError> {
        let state = self.state(job);
        let Some(share) = self.share.as_ref().filter(|_| state != JobState::Unknown) else { return Ok(None) };
        let queued = || lenient(share.read::<JobMessage>(Folder::Queued, job));
        let (verdict, reason) = match state {
            JobState::Done => match lenient(share.read::<Certificate>(Folder::Done, job))? {
                Some(c) => (Some(c.verdict), format!("since {}: {}", day(c.at), safe(&c.result.path))),
                None => (None, "its certificate cannot be read".into()),
            },
            JobState::Failed => match lenient(share.read::<FailureReport>(Folder::Failed, job))? {
                Some(r) => (r.job.map(|j| j.verdict), format!("{}: {}", r.code, safe(&r.summary))),
                None => (None, "its report cannot be read".into()),
            },
            JobState::Leased => {
                let verdict = queued()?.map(|j| j.verdict);
                match lenient(share.read_lease(job))? {
                    Some(l) => (
                        verdict,
                        format!("{} on {}, {:.0} %", l.progress.stage, safe(&l.worker), l.progress.percent),
                    ),
                    None => (verdict, "a worker has it".into()),
                }
            }
            JobState::Queued | JobState::Unknown => match queued()? {
                Some(j) => (Some(j.verdict), format!("since {}", ago(j.queued_at))),
                None => (None, "its entry cannot be read".into()),
            },
        };
        Ok(Some(Known { job, state, verdict, reason }))
    }

    /// Whether the film is queued or done under another id: it was changed since, or the recipe was. Films that failed
    /// that way are no reason to leave the new file alone.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn know_otherwise(
        &self,
        found: &Found,
        job: JobId,
        recipe: &str,
    ) -> Result<Option<Known>, ShareError> {
        let past = self.past(&found.film)?;
        let mut others = past.iter().filter(|p| p.job != job && self.state(p.job) == p.state);
        Ok(others.next().map(|p| {
            let file_changed = (p.size, p.mtime_ns) != (found.size, found.mtime_ns);
            let why = match p.recipe.as_deref() {
                _ if file_changed => "and the file has changed since".to_owned(),
                Some(other) if other != recipe => format!("with another recipe ({})", safe(&p.recipe_words)),
                _ => "as another job".to_owned(),
            };
            let reason = format!("{why}; `rescan --force` queues it again");
            Known { job: p.job, state: p.state, verdict: Some(p.verdict.clone()), reason }
        }))
    }

    /// The jobs of a film that are done or queued, whatever file or recipe they were for.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn jobs_of(&self, film: &LibraryPath) -> Result<Vec<(JobId, JobState)>, ShareError> {
        Ok(self.past(film)?.iter().map(|p| (p.job, self.state(p.job))).collect())
    }

    fn past(&self, film: &LibraryPath) -> Result<&[Past], ShareError> {
        let map = match self.by_film.get() {
            Some(map) => map,
            None => {
                let read = self.read_past()?;
                self.by_film.get_or_init(|| read)
            }
        };
        Ok(map.get(&film.to_string()).map(Vec::as_slice).unwrap_or_default())
    }

    /// Done before queued, so that the stronger fact is met first.
    fn read_past(&self) -> Result<HashMap<String, Vec<Past>>, ShareError> {
        let mut map: HashMap<String, Vec<Past>> = HashMap::new();
        let Some(share) = &self.share else { return Ok(map) };
        for (job, c) in share.list::<Certificate>(Folder::Done)?.entries {
            let Some(film) = c.film else { continue };
            map.entry(film).or_default().push(Past {
                job,
                state: JobState::Done,
                recipe: c.recipe.as_ref().map(|r| r.digest()),
                recipe_words: c.recipe.map(|r| r.summary()).unwrap_or_default(),
                size: c.source.size,
                mtime_ns: c.source.mtime_ns,
                verdict: c.verdict,
            });
        }
        for (job, m) in share.list::<JobMessage>(Folder::Queued)?.entries {
            map.entry(m.film.to_string()).or_default().push(Past {
                job,
                state: JobState::Queued,
                recipe: Some(m.recipe.digest()),
                recipe_words: m.recipe.summary(),
                size: m.size,
                mtime_ns: m.mtime_ns,
                verdict: m.verdict,
            });
        }
        Ok(map)
    }
}

/// A file that holds nonsense must not stop a scan of thousands of films; a share that is gone must.
fn lenient<T>(read: Result<Option<T>, ShareError>) -> Result<Option<T>, ShareError> {
    match read {
        Err(e @ ShareError::Gone { .. }) => Err(e),
        Err(e) => {
            tracing::warn!(error = %e, "a file of the share state cannot be read");
            Ok(None)
        }
        ok => ok,
    }
}

fn day(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%d").to_string()
}

/// Time since then by this machine's clock: for people only.
pub fn ago(at: jiff::Timestamp) -> String {
    let past = jiff::Timestamp::now().duration_since(at).unsigned_abs();
    format!("{} ago", duration(past))
}
