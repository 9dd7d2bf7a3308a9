//! Handing films to the broker, and writing down on the share that it was done.

use std::collections::HashSet;

use common::broker::{BrokerError, BrokerOptions, FailedQueue, Outgoing, Publisher, Route, topology};
use common::config::Config;
use common::job::{JobId, JobMessage};
use common::share::{Folder, JobState, ShareState};
use serde_json::Value;

use crate::exit::Failure;

/// More dead letters than any library has films; a bound all the same, since each one is held in memory.
pub const MOST_LETTERS: usize = 100_000;

/// Publishes films one at a time: confirmed by the broker first, then written into `queued/`.
#[derive(Debug)]
pub struct Submitter {
    options: BrokerOptions,
    publisher: Publisher,
    share: ShareState,
    /// Films that were queued again although they have a dead letter.
    letters: HashSet<JobId>,
}

/// What came of handing a film in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Submitted {
    /// It is queued.
    Queued,
    /// Somebody else was faster: this is known about it by now, and nothing was done.
    Meanwhile(JobState),
}

/// Options for this program's connections.
///
/// # Errors
/// The broker's settings cannot be used.
pub fn broker_options(config: &Config) -> Result<BrokerOptions, Failure> {
    let host = config.worker.display_name();
    Ok(BrokerOptions::from_config(&config.broker)?.name("dovi-producer").property("host", host))
}

impl Submitter {
    /// Sees that the broker is there and has our queues, so that nothing is begun that cannot be finished. With
    /// `first`, missing queues are made.
    ///
    /// # Errors
    /// The broker cannot be used.
    pub async fn connect(config: &Config, share: &ShareState, first: bool) -> Result<Self, Failure> {
        let options = broker_options(config)?;
        let missing = topology::missing(&options).await;
        let needed = |names: Vec<&'static str>| names.into_iter().filter(|name| topology::is_needed(name));
        match missing.map(|names| needed(names).collect::<Vec<_>>()) {
            Ok(missing) if missing.is_empty() => {}
            Ok(_) if first => {
                topology::declare(&options).await?;
            }
            Ok(missing) => {
                let problem = format!("it has no {}", missing.join(", "));
                let what = format!("use the broker at {}", options.address());
                return Err(BrokerError::Missing { what, problem }.into());
            }
            // A user with the least rights may publish, but on 4.3 not even look; then the publish itself will tell.
            Err(BrokerError::Forbidden { .. }) => {}
            Err(e) => return Err(e.into()),
        }
        let publisher = Publisher::new(options.clone());
        Ok(Self { options, publisher, share: share.clone(), letters: HashSet::new() })
    }

    /// The publisher, for moving dead letters.
    pub fn publisher(&self) -> &Publisher {
        &self.publisher
    }

    /// Where the broker is.
    pub fn options(&self) -> &BrokerOptions {
        &self.options
    }

    /// Queues a film. A worker that finds a report or a certificate takes the film for given up or done; so its old report,
    /// and with `again` also its certificate and those of the `old` jobs, are taken away first. They come back if the
    /// broker does not take the film.
    ///
    /// What the caller knows of the share may be an hour old, in which another scan queued the film and a worker made it:
    /// a film that is done by now is left alone unless `again`.
    ///
    /// # Errors
    /// The broker or the share failed. If the share failed after the broker's confirm, the film is queued but not
    /// written down; the next scan queues it once more, which is harmless.
    pub async fn submit(
        &mut self,
        job: &JobMessage,
        old: &[JobId],
        again: bool,
    ) -> Result<Submitted, Failure> {
        if !again && self.share.state_of(job.id)? == JobState::Done {
            return Ok(Submitted::Meanwhile(JobState::Done));
        }
        let own = again.then_some(job.id);
        let done: Vec<JobId> = old.iter().copied().chain(own).collect();
        let cleared = Cleared::take(&self.share, job.id, &done)?;
        if cleared.had_failed {
            self.letters.insert(job.id);
        }
        let published = self.publisher.publish(Route::Film, &Outgoing::job(job)?).await;
        cleared.settle(&self.share, published, job)?;
        Ok(Submitted::Queued)
    }

    /// Publishes a film that is written down already.
    ///
    /// # Errors
    /// The broker does not take it.
    pub async fn publish_again(&self, job: &JobMessage) -> Result<(), Failure> {
        Ok(self.publisher.publish(Route::Film, &Outgoing::job(job)?).await?)
    }

    /// Removes the dead letters of the films that were queued again, and closes the connections.
    ///
    /// Returns what went wrong with that, in words: the films themselves are queued, so it is no failure.
    pub async fn close(self) -> Option<String> {
        let removed = if self.letters.is_empty() { Ok(()) } else { self.remove_letters().await };
        self.publisher.close().await;
        removed.err().map(|e| {
            format!("films were queued again, but their dead letters are still there: {e}; `dovi-producer failed discard` removes them")
        })
    }

    async fn remove_letters(&self) -> Result<(), BrokerError> {
        let mut queue = FailedQueue::open(&self.options, MOST_LETTERS).await?;
        let ours = |id: &str| id.parse().is_ok_and(|id: JobId| self.letters.contains(&id));
        let numbers: Vec<usize> = queue.entries().filter(|(_, e)| ours(&e.id)).map(|(n, _)| n).collect();
        let mut result = Ok(());
        for number in numbers {
            result = result.and(queue.discard(number).await);
        }
        queue.close().await;
        result
    }
}

/// Reports and certificates that were taken away while a film is queued again.
#[derive(Debug)]
pub struct Cleared {
    files: Vec<(Folder, JobId, Value)>,
    had_failed: bool,
}

impl Cleared {
    /// Takes away the report of `job`, and the certificates of the jobs `done`.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn take(share: &ShareState, job: JobId, done: &[JobId]) -> Result<Self, Failure> {
        let mut cleared = Self { files: Vec::new(), had_failed: false };
        // Whoever queues a film wants it: an old cancel must not stop it.
        share.forget_cancel(job)?;
        let own = [(Folder::Failed, job)];
        for (folder, id) in own.into_iter().chain(done.iter().map(|id| (Folder::Done, *id))) {
            // A file that holds nonsense is not worth restoring, but must go all the same.
            let value = share.read::<Value>(folder, id).unwrap_or_default();
            if share.remove(folder, id)? {
                cleared.had_failed |= folder == Folder::Failed;
                cleared.files.extend(value.map(|v| (folder, id, v)));
            }
        }
        Ok(cleared)
    }

    /// After the publish: writes the film down, or puts everything back.
    ///
    /// # Errors
    /// The publish's own error, or that the share failed.
    pub fn settle(
        self,
        share: &ShareState,
        published: Result<(), BrokerError>,
        job: &JobMessage,
    ) -> Result<(), Failure> {
        match published {
            Ok(()) => {
                share.write(Folder::Queued, job.id, job)?;
                // A worker may have settled it between the confirm and this line. Whoever comes second tidies up.
                if matches!(share.state_of(job.id)?, JobState::Done | JobState::Failed) {
                    share.remove(Folder::Queued, job.id)?;
                }
                Ok(())
            }
            Err(e) => {
                for (folder, id, value) in &self.files {
                    if let Err(e) = share.write(*folder, *id, value) {
                        tracing::warn!(error = %e, "a file of the share state could not be put back");
                    }
                }
                Err(e.into())
            }
        }
    }
}
