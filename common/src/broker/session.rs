//! Taking films from the queue, one at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicGetOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::error::within;
use super::{Backoff, BrokerError, BrokerOptions, Delivery, Link, topology};

/// After a cancel the consumer's stream is silent, so the link's state is looked at this often.
const WATCH: Duration = Duration::from_millis(250);

/// While nothing comes, the queue of films that go first is looked into this often.
const LOOK: Duration = Duration::from_secs(5);
/// A film that made way for others so often has its turn. The broker gives it up at its 100th delivery (see the topology).
const PATIENCE: u64 = 20;

/// What a session and its delivery both know.
#[derive(Debug)]
pub(super) struct Held {
    pub channel: Channel,
    pub timeout: Duration,
    life: Arc<Life>,
}

#[derive(Debug, Default)]
struct Life {
    over: CancellationToken,
    reason: OnceLock<String>,
    cancelled: AtomicBool,
}

impl Held {
    /// Ends the session for its holder and its delivery alike. The first reason stays.
    pub fn end(&self, reason: &str) {
        self.life.reason.get_or_init(|| reason.to_owned());
        self.life.over.cancel();
    }

    pub fn is_over(&self) -> bool {
        self.life.over.is_cancelled()
    }

    /// Waits for that.
    pub async fn over(&self) {
        self.life.over.cancelled().await;
    }

    fn error(&self) -> BrokerError {
        let problem = self.life.reason.get().map_or("the session ended", String::as_str);
        BrokerError::Lost { what: "take films".into(), problem: problem.to_owned() }
    }
}

/// Where films are that go before all others.
#[derive(Debug)]
enum First {
    /// Not looked into yet.
    Unknown,
    /// On a channel of its own, since a look at a queue that is missing closes it.
    There(Arc<Held>),
    /// The broker has no such queue, or does not let this user at it.
    Absent,
}

/// One connection, one consumer, at most one delivery.
///
/// The connection is for taking and acknowledging only: publishing goes over a [`Publisher`](super::Publisher). A
/// session that is over stays over, and the broker hands its delivery out again; open a new one when its job is done.
#[derive(Debug)]
pub struct Session {
    link: Arc<Link>,
    held: Arc<Held>,
    deliveries: mpsc::Receiver<Delivery>,
    tag: String,
    pump: AbortHandle,
    /// The consumer's stream has ended, and everything in it was handed on.
    drained: CancellationToken,
    first: First,
    /// The consumer made way for a film that goes first.
    gave_way: bool,
}

impl Session {
    /// Connects and begins to take films.
    ///
    /// # Errors
    /// As [`Link::connect`]; [`BrokerError::Missing`] without the queue, [`BrokerError::Forbidden`] without permission.
    pub async fn open(options: &BrokerOptions) -> Result<Self, BrokerError> {
        let limit = options.timeout;
        let link = Link::connect(options, "consume").await?;
        let channel = link.channel().await?;
        within(limit, "set the prefetch", channel.basic_qos(1, BasicQosOptions::default())).await?;
        let tag = options.name.clone();
        let held = Arc::new(Held { channel, timeout: limit, life: Arc::default() });
        let consumer = consume(&held, &tag).await?;
        let link = Arc::new(link);
        let (deliveries, drained, pump) = start(consumer, &held, &link);
        let (first, gave_way) = (First::Unknown, false);
        Ok(Self { link, held, deliveries, tag, pump, drained, first, gave_way })
    }

    /// As [`open`](Self::open), and tries again with growing waits until it works. `failed` hears of each failure and
    /// of the wait before the next try. Never gives up: the caller decides by dropping the future.
    pub async fn open_patiently(
        options: &BrokerOptions,
        mut failed: impl FnMut(&BrokerError, Duration),
    ) -> Self {
        let mut backoff = Backoff::default();
        loop {
            match Self::open(options).await {
                Ok(session) => return session,
                Err(e) => {
                    let wait = backoff.wait();
                    failed(&e, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Waits for the next film; one that goes first comes before the others. The one before must be settled, or none ever
    /// comes. May be dropped at any point, but then the session must be closed or dropped too: a film may have come already.
    ///
    /// # Errors
    /// [`BrokerError::Lost`]: the session is over.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        loop {
            let waiting = self.deliveries.try_recv().ok();
            let handed = match waiting {
                Some(handed) => Some(handed),
                None => {
                    if let Some(first) = self.look_first().await? {
                        self.give_way(None).await?;
                        return Ok(first);
                    }
                    if self.gave_way {
                        self.take_again().await?;
                    }
                    tokio::select! {
                        biased;
                        () = self.held.life.over.cancelled() => return Err(self.held.error()),
                        delivery = self.deliveries.recv() => Some(delivery.ok_or_else(|| self.held.error())?),
                        () = tokio::time::sleep(LOOK) => None,
                    }
                }
            };
            let Some(handed) = handed else { continue };
            if handed.broker_deliveries() >= PATIENCE {
                return Ok(handed);
            }
            return match self.look_first().await? {
                Some(first) => {
                    self.give_way(Some(handed)).await?;
                    Ok(first)
                }
                None => Ok(handed),
            };
        }
    }

    /// Takes a film that goes before all others, if there is one.
    async fn look_first(&mut self) -> Result<Option<Delivery>, BrokerError> {
        const WHAT: &str = "look for films that go first";
        let held = match &self.first {
            First::Absent => return Ok(None),
            First::There(held) => held.clone(),
            First::Unknown => {
                let channel = self.link.channel().await?;
                Arc::new(Held { channel, timeout: self.held.timeout, life: self.held.life.clone() })
            }
        };
        let get = held.channel.basic_get(topology::FIRST.into(), BasicGetOptions::default());
        match within(held.timeout, WHAT, get).await {
            Ok(got) => {
                self.first = First::There(held.clone());
                Ok(got.map(|message| Delivery::first(message.delivery, held)))
            }
            Err(e @ (BrokerError::Missing { .. } | BrokerError::Forbidden { .. })) => {
                static TOLD: Once = Once::new();
                TOLD.call_once(|| {
                    tracing::warn!(
                        "`dovi-producer priority` has no effect on this worker: {e}; run `dovi-producer setup` once (with \
                         --admin, where each program has a user of its own)"
                    );
                });
                self.first = First::Absent;
                Ok(None)
            }
            Err(e) => {
                self.held.end(&e.to_string());
                Err(e)
            }
        }
    }

    /// With a film that goes first in hand: stops the consumer, and puts back what it brought. Otherwise it would hold the next
    /// film for as long as this one takes, while others have nothing to do.
    async fn give_way(&mut self, handed: Option<Delivery>) -> Result<(), BrokerError> {
        if self.gave_way {
            return Ok(());
        }
        self.cancel().await?;
        self.gave_way = true;
        if tokio::time::timeout(self.held.timeout, self.drained.cancelled()).await.is_err() {
            self.held.end("the consumer did not end");
            return Err(self.held.error());
        }
        for film in handed.into_iter().chain(self.deliveries.try_recv().ok()) {
            film.put_back().await?;
        }
        Ok(())
    }

    async fn take_again(&mut self) -> Result<(), BrokerError> {
        self.pump.abort();
        self.held.life.cancelled.store(false, Ordering::SeqCst);
        let consumer = consume(&self.held, &self.tag).await.inspect_err(|e| self.held.end(&e.to_string()))?;
        (self.deliveries, self.drained, self.pump) = start(consumer, &self.held, &self.link);
        self.gave_way = false;
        Ok(())
    }

    /// Waits until the session is over, for `select!` beside the running job. Costs nothing and may be dropped at any
    /// point. It does not look at the delivery, so it can run while one is held.
    pub async fn lost(&self) -> BrokerError {
        self.held.life.over.cancelled().await;
        self.held.error()
    }

    /// True once the session is over.
    pub fn is_over(&self) -> bool {
        self.held.is_over()
    }

    /// Takes no more films. A held delivery can still be settled; one that came at the same moment goes back when the
    /// session closes.
    ///
    /// # Errors
    /// [`BrokerError::Lost`] or [`BrokerError::Timeout`]: the session is over.
    pub async fn cancel(&self) -> Result<(), BrokerError> {
        self.held.life.cancelled.store(true, Ordering::SeqCst);
        let cancel = self.held.channel.basic_cancel(self.tag.as_str().into(), BasicCancelOptions::default());
        let cancelled = within(self.held.timeout, "stop taking films", cancel).await;
        if let Err(e) = &cancelled {
            self.held.end(&e.to_string());
        }
        cancelled
    }

    /// Ends the session; an unsettled delivery goes back to the queue.
    pub async fn close(self) {
        self.held.end("closed");
        self.link.shut().await;
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.held.end("closed");
        self.pump.abort();
        if self.link.usable() {
            Link::abandon(self.link.clone());
        }
    }
}

async fn consume(held: &Held, tag: &str) -> Result<Consumer, BrokerError> {
    let (opts, none) = (BasicConsumeOptions::default(), FieldTable::default());
    let consume = held.channel.basic_consume(topology::FILMS.into(), tag.into(), opts, none);
    within(held.timeout, "take films", consume).await
}

fn start(
    consumer: Consumer,
    held: &Arc<Held>,
    link: &Arc<Link>,
) -> (mpsc::Receiver<Delivery>, CancellationToken, AbortHandle) {
    let (into, deliveries) = mpsc::channel(1);
    let drained = CancellationToken::new();
    let pump = tokio::spawn(pump(consumer, held.clone(), link.clone(), into, drained.clone()));
    (deliveries, drained, pump.abort_handle())
}

/// Reads the consumer's stream whether or not anybody waits for it, so that a loss is known the moment it happens.
async fn pump(
    mut consumer: Consumer,
    held: Arc<Held>,
    link: Arc<Link>,
    into: mpsc::Sender<Delivery>,
    drained: CancellationToken,
) {
    let reason = loop {
        let next = tokio::select! {
            () = held.life.over.cancelled() => break "closed".to_owned(),
            next = consumer.next() => next,
        };
        match next {
            Some(Ok(inner)) => {
                let delivery = Delivery::new(inner, held.clone());
                // The broker sends one at a time, so there is room unless nobody listens any more.
                if into.try_send(delivery).is_err() {
                    break "a film came that nobody waited for".to_owned();
                }
            }
            Some(Err(e)) => break e.to_string(),
            None if held.life.cancelled.load(Ordering::SeqCst) => {
                drained.cancel();
                break watch(&held, &link).await;
            }
            // Never acknowledge after this: 4.3 sends it at its ack timeout and leaves the channel open; an ack is
            // then swallowed, and the next film goes to a consumer that does not exist any more (measured).
            None => break "the broker ended the consumer (queue deleted, or its ack timeout)".to_owned(),
        }
    };
    held.end(&reason);
    link.shut().await;
}

/// After a cancel: returns when the link is gone or the session closed.
async fn watch(held: &Held, link: &Link) -> String {
    while link.usable() && held.channel.status().connected() {
        tokio::select! {
            () = held.life.over.cancelled() => return "closed".to_owned(),
            () = tokio::time::sleep(WATCH) => {}
        }
    }
    "the connection ended".to_owned()
}
