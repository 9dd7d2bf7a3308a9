//! Dead letters: looking at them, queueing them again, discarding them, and never losing one.

use lapin::Channel;
use lapin::options::{BasicAckOptions, BasicGetOptions, BasicQosOptions, QueueDeclareOptions};
use lapin::types::FieldTable;

use super::error::within;
use super::message::{Headers, parse};
use super::{BrokerError, BrokerOptions, Link, Outgoing, Publisher, Route, topology};
use crate::job::{FailureReport, JobMessage};

/// An exclusive queue as a lock: gone with its connection, however that ends.
const LOCK: &str = "dovi.tmp.failed";

/// One dead letter.
#[derive(Debug, Clone)]
pub struct FailedEntry {
    /// The job's id; the message's own id where it holds no job; a name made from the body where that id is missing or is
    /// nothing that a person could type.
    pub id: String,
    /// The report of the worker that gave up. None for a letter that the broker itself put here (delivered too often)
    /// and for one that nobody of the fleet wrote.
    pub report: Option<FailureReport>,
    /// The job, if there is one in it.
    pub job: Option<JobMessage>,
    /// When it was published, seconds since 1970.
    pub published: Option<u64>,
    /// The body as it came.
    pub raw: Vec<u8>,
}

impl FailedEntry {
    fn read(message: &lapin::message::Delivery) -> Self {
        let headers = Headers::read(&message.properties);
        let raw = message.data.clone();
        let report = if raw.len() > super::MAX_BODY {
            None
        } else {
            serde_json::from_slice::<FailureReport>(&raw).ok()
        };
        let from_raw = || report.as_ref()?.raw.as_ref().and_then(|text| parse(text.as_bytes()).ok());
        // A message that was too new for its worker may be readable by us: it is in the report as it came.
        let job = report.as_ref().and_then(|r| r.job.clone()).or_else(from_raw).or_else(|| parse(&raw).ok());
        let named = headers.id.filter(|id| !id.is_empty() && id.chars().all(|c| c.is_ascii_graphic()));
        let id = job.as_ref().map(|j| j.id.to_string()).or(named).unwrap_or_else(|| nickname(&raw));
        Self { id, report, job, published: headers.published, raw }
    }
}

/// So that every letter can be named, and so discarded, alone.
fn nickname(raw: &[u8]) -> String {
    let digest = blake3::hash(raw);
    let hex: String = digest.as_bytes()[..6].iter().map(|b| format!("{b:02x}")).collect();
    format!("raw-{hex}")
}

/// Dead letters taken out to look at. They are hidden from everybody else until [`close`](Self::close); then all that
/// were neither queued again nor discarded are back, though not always in their old order.
///
/// One holder at a time: a second one is refused with [`BrokerError::Locked`].
#[derive(Debug)]
pub struct FailedQueue {
    options: BrokerOptions,
    link: Link,
    channel: Channel,
    letters: Vec<(FailedEntry, Option<lapin::message::Delivery>)>,
    total: u32,
}

impl FailedQueue {
    /// Takes out the first `limit` letters, at most as many as there are at this moment.
    ///
    /// # Errors
    /// [`BrokerError::Locked`] where somebody else is at it; as [`Link::connect`]; [`BrokerError::Missing`].
    pub async fn open(options: &BrokerOptions, limit: usize) -> Result<Self, BrokerError> {
        let link = Link::connect(options, "failed").await?;
        let lock = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
        let locking = link.channel().await?;
        let locked = locking.queue_declare(LOCK.into(), lock, FieldTable::default());
        within(options.timeout, "open the dead letters", locked).await?;

        let channel = link.channel().await?;
        let total = topology::look(&channel, topology::FAILED, options.timeout).await?.message_count();
        let mut letters = Vec::new();
        // Bounded by the first count: letters that arrive meanwhile are for the next look.
        while letters.len() < limit.min(total as usize) {
            let get = channel.basic_get(topology::FAILED.into(), BasicGetOptions::default());
            let Some(message) = within(options.timeout, "read a dead letter", get).await? else { break };
            letters.push((FailedEntry::read(&message.delivery), Some(message.delivery)));
        }
        // Letters that were put back after an earlier look may stand behind newer ones.
        letters.sort_by_key(|(entry, _)| entry.published);
        Ok(Self { options: options.clone(), link, channel, letters, total })
    }

    /// How many letters there were when it was opened, also above the limit.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// The letters still in hand, oldest first, each with the number that the other calls take.
    pub fn entries(&self) -> impl Iterator<Item = (usize, &FailedEntry)> {
        self.letters
            .iter()
            .enumerate()
            .filter(|(_, (_, held))| held.is_some())
            .map(|(n, (entry, _))| (n, entry))
    }

    /// The numbers of the letters whose id begins so.
    pub fn find(&self, id: &str) -> Vec<usize> {
        self.entries().filter(|(_, e)| !id.is_empty() && e.id.starts_with(id)).map(|(n, _)| n).collect()
    }

    /// Queues a letter's job again, as a new film without failed attempts, and then removes the letter.
    ///
    /// # Errors
    /// [`BrokerError::NoJob`], [`BrokerError::NoSuchLetter`], or as [`Publisher::publish`]; the letter then stays.
    /// After a failure that came later than the publish the film may be queued and the letter still be there.
    pub async fn retry(&mut self, number: usize, publisher: &Publisher) -> Result<(), BrokerError> {
        let entry = self.entry(number)?;
        let job = entry.job.as_ref().ok_or_else(|| BrokerError::NoJob(entry.id.clone()))?;
        publisher.publish(Route::Film, &Outgoing::job(job)?).await?;
        self.remove(number).await
    }

    /// Removes a letter for good.
    ///
    /// # Errors
    /// [`BrokerError::NoSuchLetter`] or [`BrokerError::Lost`]; the letter may then still be there.
    pub async fn discard(&mut self, number: usize) -> Result<(), BrokerError> {
        self.entry(number)?;
        self.remove(number).await
    }

    fn entry(&self, number: usize) -> Result<&FailedEntry, BrokerError> {
        match self.letters.get(number) {
            Some((entry, Some(_))) => Ok(entry),
            _ => Err(BrokerError::NoSuchLetter(number.to_string())),
        }
    }

    async fn remove(&mut self, number: usize) -> Result<(), BrokerError> {
        let limit = self.options.timeout;
        let held = self.letters.get_mut(number).and_then(|(_, held)| held.take());
        let held = held.ok_or_else(|| BrokerError::NoSuchLetter(number.to_string()))?;
        let what = "remove a dead letter";
        if !within(limit, what, held.acker.ack(BasicAckOptions::default())).await? {
            return Err(BrokerError::Lost { what: what.into(), problem: "the channel ended".into() });
        }
        // Any answer on this channel tells that the ack was handled.
        within(limit, what, self.channel.basic_qos(1, BasicQosOptions::default())).await
    }

    /// Puts back what is still in hand and lets others in.
    pub async fn close(self) {
        self.link.close().await;
    }
}
