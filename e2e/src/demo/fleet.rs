//! What the share says about every film that was queued.

use anyhow::Result;
use common::job::{Certificate, FailureReport, JobId, JobMessage};
use common::share::{Folder, LeaseInfo, ShareState};

/// How a film stands.
#[derive(Debug, Clone)]
pub enum State {
    /// Nobody works on it yet, or it waits for another try.
    Waiting,
    /// A worker has it.
    Working(Box<LeaseInfo>),
    /// It is published and proven.
    Done(Box<Certificate>),
    /// It was given up.
    Failed(Box<FailureReport>),
}

impl State {
    /// True if nothing more will happen to it.
    pub fn is_settled(&self) -> bool {
        matches!(self, Self::Done(_) | Self::Failed(_))
    }
}

/// One film.
#[derive(Debug, Clone)]
pub struct FilmState {
    /// What was queued.
    pub job: JobMessage,
    /// How it stands.
    pub state: State,
}

/// All films that were queued when it was made.
#[derive(Debug)]
pub struct Fleet {
    share: ShareState,
    /// In the order of their names.
    pub films: Vec<FilmState>,
}

impl Fleet {
    /// Reads the ledger.
    ///
    /// # Errors
    /// The share is gone.
    pub fn queued(share: ShareState) -> Result<Self> {
        let listing = share.list::<JobMessage>(Folder::Queued)?;
        let films = listing.entries.into_iter().map(|(_, job)| FilmState { job, state: State::Waiting });
        let mut films: Vec<FilmState> = films.collect();
        films.sort_by(|a, b| a.job.film.cmp(&b.job.film));
        Ok(Self { share, films })
    }

    /// Looks again. What is settled stays so.
    ///
    /// # Errors
    /// The share is gone.
    pub fn refresh(&mut self) -> Result<()> {
        for film in self.films.iter_mut().filter(|f| !f.state.is_settled()) {
            film.state = look(&self.share, film.job.id)?;
        }
        Ok(())
    }

    /// True if every film is done or given up.
    pub fn is_settled(&self) -> bool {
        self.films.iter().all(|f| f.state.is_settled())
    }
}

fn look(share: &ShareState, job: JobId) -> Result<State> {
    if let Some(certificate) = share.read(Folder::Done, job)? {
        return Ok(State::Done(Box::new(certificate)));
    }
    if let Some(report) = share.read(Folder::Failed, job)? {
        return Ok(State::Failed(Box::new(report)));
    }
    // A lease that is being written at this moment is unreadable for a moment.
    Ok(share.read_lease(job).ok().flatten().map_or(State::Waiting, |lease| State::Working(Box::new(lease))))
}
