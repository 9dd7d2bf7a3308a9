//! What people told workers: small files in `control/`, so that an order outlives the restart of a worker and of the broker.
//!
//! A message on the broker carries the same order and only makes it arrive at once; a worker that hears nothing reads the
//! files here with each of its beats.

use std::fs;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::atomic::{random_hex, write_file};
use super::workers::stem;
use super::{FileError, ShareError, ShareState};
use crate::job::JobId;

/// An order has some 300 bytes.
const LIMIT: u64 = 16 << 10;

/// What a worker shall do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Command {
    /// Take films, as far as its own settings let it.
    Run,
    /// Finish the film in hand and take no further one.
    Pause,
    /// Stand still at once, with the film in hand kept as it is.
    Freeze,
    /// Finish the film in hand, then end.
    Drain,
    /// Give the film in hand back and end.
    Leave,
    /// Written by a newer version.
    #[serde(other)]
    Unknown,
}

impl Command {
    /// Whether it holds until another order comes; the others are for one process and end with it.
    pub const fn stands(self) -> bool {
        matches!(self, Self::Run | Self::Pause | Self::Freeze)
    }
}

/// What a person told one worker, or all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Format version: 1.
    pub v: u32,
    /// Random; a worker that heard it says so in its file.
    pub id: String,
    /// What to do.
    pub command: Command,
    /// The worker's name; `None`: all of them.
    #[serde(default)]
    pub worker: Option<String>,
    /// The processes that it is for ([`super::Owner::origin`]), if it is for certain ones only.
    #[serde(default)]
    pub origins: Vec<String>,
    /// When, by the clock of the share's server. The latest order counts, whether for one or for all.
    pub at: jiff::Timestamp,
    /// Who gave it, as `user@host`: for people.
    #[serde(default)]
    pub by: String,
}

/// A person wants this film not to be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cancel {
    /// Format version: 1.
    pub v: u32,
    /// The job.
    pub job: JobId,
    /// When, by the clock of the share's server: for people.
    pub at: jiff::Timestamp,
    /// Who, as `user@host`: for people.
    #[serde(default)]
    pub by: String,
}

/// What one worker finds in `control/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Orders {
    /// The latest of those that stand.
    pub standing: Option<Order>,
    /// To end.
    pub drain: Option<Order>,
}

impl ShareState {
    fn control(&self, name: &str) -> PathBuf {
        self.dir().join("control").join(name)
    }

    fn standing(&self, worker: Option<&str>) -> PathBuf {
        self.control(&worker.map_or_else(|| "all.json".into(), |w| format!("worker.{}.json", stem(w))))
    }

    fn drain(&self, worker: &str) -> PathBuf {
        self.control(&format!("drain.{}.json", stem(worker)))
    }

    fn cancel_file(&self, job: JobId) -> PathBuf {
        self.control(&format!("cancel.{job}.json"))
    }

    /// Writes an order down. It is later than every order that is there, also if the server's clock was set back.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn give_order(
        &self,
        command: Command,
        worker: Option<&str>,
        origins: Vec<String>,
        by: &str,
    ) -> Result<Order, ShareError> {
        let mut at = self.order_time()?;
        for earlier in [self.standing(None), self.standing(worker)] {
            if let Some(earlier) = self.lenient::<Order>(&earlier)?
                && earlier.at >= at
            {
                at = earlier.at.checked_add(jiff::SignedDuration::from_nanos(1)).unwrap_or(earlier.at);
            }
        }
        let (id, worker) = (random_hex(8)?, worker.map(str::to_owned));
        let order = Order { v: 1, id, command, worker, origins, at, by: by.into() };
        let path = match (&order.worker, command.stands()) {
            (Some(worker), false) => self.drain(worker),
            (worker, _) => self.standing(worker.as_deref()),
        };
        self.put(&path, &order)?;
        Ok(order)
    }

    /// What there is for this worker. A file that holds nonsense is no order.
    ///
    /// # Errors
    /// The share is gone or fails: then nothing is known, which is not the same as no order.
    pub fn orders(&self, worker: &str) -> Result<Orders, ShareError> {
        let all = self.lenient::<Order>(&self.standing(None))?;
        let own = self.lenient::<Order>(&self.standing(Some(worker)))?;
        let standing = all.into_iter().chain(own).filter(|o| o.command.stands()).max_by_key(|o| o.at);
        let drain = self.lenient::<Order>(&self.drain(worker))?.filter(|o| !o.command.stands());
        Ok(Orders { standing, drain })
    }

    /// Takes the order to end away that this process obeyed, so that nobody reads it again.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn obeyed(&self, worker: &str, origin: &str) -> Result<(), ShareError> {
        let path = self.drain(worker);
        match self.lenient::<Order>(&path)? {
            Some(order) if order.origins.iter().any(|o| o == origin) => self.remove_file(&path).map(drop),
            _ => Ok(()),
        }
    }

    /// Writes down that a film shall not be made.
    ///
    /// # Errors
    /// The share is gone, full, or fails.
    pub fn cancel(&self, job: JobId, by: &str) -> Result<Cancel, ShareError> {
        let cancel = Cancel { v: 1, job, at: self.order_time()?, by: by.into() };
        self.put(&self.cancel_file(job), &cancel)?;
        Ok(cancel)
    }

    /// Whether a person wants this film not to be made.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn cancelled(&self, job: JobId) -> Result<Option<Cancel>, ShareError> {
        self.lenient(&self.cancel_file(job))
    }

    /// The film has ended, or is wanted after all.
    ///
    /// # Errors
    /// The share is gone or fails.
    pub fn forget_cancel(&self, job: JobId) -> Result<(), ShareError> {
        self.remove_file(&self.cancel_file(job)).map(drop)
    }

    fn order_time(&self) -> Result<jiff::Timestamp, ShareError> {
        Ok(jiff::Timestamp::try_from(self.now()?).unwrap_or_else(|_| jiff::Timestamp::now()))
    }

    fn put<T: Serialize>(&self, path: &Path, value: &T) -> Result<(), ShareError> {
        let json = serde_json::to_vec_pretty(value)
            .map_err(|e| ShareError::Malformed { path: path.to_owned(), reason: e.to_string() })?;
        self.check()?;
        let dir = self.dir().join("control");
        self.explained(fs::create_dir_all(&dir).map_err(|e| FileError::new("create", &dir, e)))?;
        self.explained(write_file(path, &json))
    }

    fn lenient<T: DeserializeOwned>(&self, path: &Path) -> Result<Option<T>, ShareError> {
        match self.read_bytes(path, LIMIT) {
            Ok(bytes) => Ok(bytes.and_then(|b| {
                serde_json::from_slice(&b)
                    .inspect_err(
                        |e| tracing::warn!(path = %path.display(), error = %e, "this is no order of a known kind"),
                    )
                    .ok()
            })),
            Err(ShareError::TooLarge { .. }) => Ok(None),
            Err(e) => Err(e),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn share() -> (tempfile::TempDir, ShareState) {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        (dir, share)
    }

    fn standing(share: &ShareState, worker: &str) -> Option<Command> {
        share.orders(worker).unwrap().standing.map(|o| o.command)
    }

    #[test]
    fn the_latest_order_counts_whether_for_one_or_for_all() {
        let (_dir, share) = share();
        let give = |command, worker| share.give_order(command, worker, Vec::new(), "me@here").unwrap();
        assert_eq!(standing(&share, "a"), None);
        give(Command::Pause, None);
        assert_eq!(standing(&share, "a"), Some(Command::Pause));
        give(Command::Run, Some("a"));
        assert_eq!(
            [standing(&share, "a"), standing(&share, "b")],
            [Some(Command::Run), Some(Command::Pause)]
        );
        give(Command::Freeze, None);
        assert_eq!(standing(&share, "a"), Some(Command::Freeze));
        give(Command::Run, None);
        assert_eq!([standing(&share, "a"), standing(&share, "b")], [Some(Command::Run); 2]);
    }

    #[test]
    fn an_order_is_later_than_all_before_it_whatever_the_clock_says() {
        let (_dir, share) = share();
        let mut ahead = share.give_order(Command::Pause, None, Vec::new(), "").unwrap();
        ahead.at = ahead.at.checked_add(jiff::SignedDuration::from_hours(5)).unwrap();
        share.put(&share.standing(None), &ahead).unwrap();
        share.give_order(Command::Run, Some("a"), Vec::new(), "").unwrap();
        assert_eq!(standing(&share, "a"), Some(Command::Run));
    }

    #[test]
    fn an_order_to_end_is_for_one_process_and_goes_with_it() {
        let (_dir, share) = share();
        share.give_order(Command::Drain, Some("a"), vec!["p1".into()], "").unwrap();
        assert_eq!(standing(&share, "a"), None, "it pauses nobody");
        assert_eq!(share.orders("a").unwrap().drain.unwrap().origins, ["p1"]);
        share.obeyed("a", "p2").unwrap();
        assert!(share.orders("a").unwrap().drain.is_some());
        share.obeyed("a", "p1").unwrap();
        assert!(share.orders("a").unwrap().drain.is_none());
    }

    #[test]
    fn nonsense_is_no_order_and_a_share_that_is_gone_is_an_error() {
        let (_dir, share) = share();
        let job: JobId = format!("{:032x}", 1).parse().unwrap();
        share.cancel(job, "me@here").unwrap();
        assert_eq!(share.cancelled(job).unwrap().unwrap().by, "me@here");
        for path in [share.standing(None), share.cancel_file(job)] {
            fs::write(&path, "{\"v\": 1, \"command\": ").unwrap();
        }
        fs::write(share.standing(Some("a")), " ".repeat(LIMIT as usize + 1)).unwrap();
        assert_eq!(share.orders("a").unwrap(), Orders::default());
        assert_eq!(share.cancelled(job).unwrap(), None);
        share.forget_cancel(job).unwrap();
        fs::remove_file(share.dir().join("sentinel")).unwrap();
        assert!(matches!(share.orders("b"), Err(ShareError::Gone { .. })));
        assert!(matches!(share.cancelled(job), Err(_) | Ok(None)));
        assert!(matches!(share.cancel(job, ""), Err(ShareError::Gone { .. })));
    }
}
