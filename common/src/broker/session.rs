//! Taking films from the queue, one at a time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use futures::StreamExt;
use lapin::options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Consumer};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio_util::sync::CancellationToken;

use super::error::within;
use super::{Backoff, BrokerError, BrokerOptions, Delivery, Link, topology};

/// After a cancel the consumer's stream is silent, so the link's state is looked at this often.
const WATCH: Duration = Duration::from_millis(250);

/// What a session and its delivery both know.
#[derive(Debug)]
pub(super) struct Held {
    pub channel: Channel,
    pub timeout: Duration,
    over: CancellationToken,
    reason: OnceLock<String>,
    cancelled: AtomicBool,
}

impl Held {
    /// Ends the session for its holder and its delivery alike. The first reason stays.
    pub fn end(&self, reason: &str) {
        self.reason.get_or_init(|| reason.to_owned());
        self.over.cancel();
    }

    pub fn is_over(&self) -> bool {
        self.over.is_cancelled()
    }

    fn error(&self) -> BrokerError {
        let problem = self.reason.get().map_or("the session ended", String::as_str);
        BrokerError::Lost { what: "take films".into(), problem: problem.to_owned() }
    }
}

/// One connection, one channel, one consumer, at most one delivery.
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
        let opts = BasicConsumeOptions::default();
        let consume =
            channel.basic_consume(topology::FILMS.into(), tag.as_str().into(), opts, FieldTable::default());
        let consumer = within(limit, "take films", consume).await?;
        let held = Arc::new(Held {
            channel,
            timeout: limit,
            over: CancellationToken::new(),
            reason: OnceLock::new(),
            cancelled: AtomicBool::new(false),
        });
        let link = Arc::new(link);
        let (into, deliveries) = mpsc::channel(1);
        let pump = tokio::spawn(pump(consumer, held.clone(), link.clone(), into)).abort_handle();
        Ok(Self { link, held, deliveries, tag, pump })
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

    /// Waits for the next film. The one before must be settled first, or none ever comes. May be dropped at any point.
    ///
    /// # Errors
    /// [`BrokerError::Lost`]: the session is over.
    pub async fn next(&mut self) -> Result<Delivery, BrokerError> {
        tokio::select! {
            biased;
            () = self.held.over.cancelled() => Err(self.held.error()),
            delivery = self.deliveries.recv() => delivery.ok_or_else(|| self.held.error()),
        }
    }

    /// Waits until the session is over, for `select!` beside the running job. Costs nothing and may be dropped at any
    /// point. It does not look at the delivery, so it can run while one is held.
    pub async fn lost(&self) -> BrokerError {
        self.held.over.cancelled().await;
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
        self.held.cancelled.store(true, Ordering::SeqCst);
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

/// Reads the consumer's stream whether or not anybody waits for it, so that a loss is known the moment it happens.
async fn pump(mut consumer: Consumer, held: Arc<Held>, link: Arc<Link>, into: mpsc::Sender<Delivery>) {
    let reason = loop {
        let next = tokio::select! {
            () = held.over.cancelled() => break "closed".to_owned(),
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
            None if held.cancelled.load(Ordering::SeqCst) => break watch(&held, &link).await,
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
            () = held.over.cancelled() => return "closed".to_owned(),
            () = tokio::time::sleep(WATCH) => {}
        }
    }
    "the connection ended".to_owned()
}
