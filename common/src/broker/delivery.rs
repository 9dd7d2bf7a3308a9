//! One film in hand.

use std::sync::Arc;

use lapin::options::{BasicAckOptions, BasicNackOptions, BasicQosOptions};

use super::error::within;
use super::message::{Headers, parse};
use super::session::Held;
use super::{BrokerError, MalformedBody, Outgoing, Publisher, Route, Tier};
use crate::job::{FailureCode, FailureReport, JobMessage};
use crate::share::FileError;
use crate::steps::{self, Step};

/// A film that the broker handed out. Settled once, by value: [`ack`](Self::ack), [`retry`](Self::retry),
/// [`give_back`](Self::give_back) or [`fail`](Self::fail).
///
/// Where settling fails, or a delivery is dropped unsettled, its session ends, since the broker would otherwise wait
/// for that film forever; it then hands the film out again. So a film can come twice, but never gets lost.
#[derive(Debug)]
pub struct Delivery {
    inner: lapin::message::Delivery,
    headers: Headers,
    held: Arc<Held>,
    /// From the queue of films that go first.
    first: bool,
    settled: bool,
}

impl Delivery {
    pub(super) fn new(inner: lapin::message::Delivery, held: Arc<Held>) -> Self {
        let headers = Headers::read(&inner.properties);
        Self { inner, headers, held, first: false, settled: false }
    }

    /// One of those that go first.
    pub(super) fn first(inner: lapin::message::Delivery, held: Arc<Held>) -> Self {
        let mut first = Self::new(inner, held);
        first.first = true;
        first
    }

    /// The job in the body, which is untrusted.
    ///
    /// # Errors
    /// [`MalformedBody`]: dead-letter it under its [`code`](MalformedBody::code).
    pub fn body(&self) -> Result<JobMessage, MalformedBody> {
        parse(&self.inner.data)
    }

    /// The body as it came.
    pub fn raw(&self) -> &[u8] {
        &self.inner.data
    }

    /// The message id, which for our own messages is the job id. Untrusted.
    pub fn id(&self) -> Option<&str> {
        self.headers.id.as_deref()
    }

    /// Failed attempts so far, 0 for a new film.
    pub fn attempt(&self) -> u32 {
        self.headers.attempt
    }

    /// Code of the failure that led to this attempt.
    pub fn last_code(&self) -> Option<FailureCode> {
        self.headers.code
    }

    /// True if the broker handed this film out before.
    pub fn redelivered(&self) -> bool {
        self.inner.redelivered || self.headers.again
    }

    /// How often the broker thinks it was handed out before. It also counts broker restarts and starts anew with every
    /// retry, so it is a hint for logs and nothing to decide on.
    pub fn broker_deliveries(&self) -> u64 {
        self.headers.deliveries
    }

    /// False once the session is over: the film is somebody else's then, and nothing can be settled.
    pub fn usable(&self) -> bool {
        !self.held.is_over() && self.inner.acker.usable()
    }

    /// Done with this film.
    ///
    /// # Errors
    /// [`BrokerError`]: the ack did not or may not have arrived; the film may come again.
    pub async fn ack(mut self) -> Result<(), BrokerError> {
        self.acknowledge().await
    }

    /// Tried and failed: queues it again behind a delay with `attempt` failed attempts, then acks.
    ///
    /// # Errors
    /// As [`ack`](Self::ack), and as [`Publisher::publish`].
    pub async fn retry(
        mut self,
        publisher: &Publisher,
        tier: Tier,
        attempt: u32,
        code: FailureCode,
    ) -> Result<(), BrokerError> {
        let message = self
            .headers
            .again(self.inner.data.clone())?
            .handed_out_before(self.redelivered())
            .attempt(attempt)
            .code(code);
        self.move_to(publisher, Route::Retry(tier), &message).await
    }

    /// Not tried, or not to be counted: queues the same message again, behind a delay if one is named, then acks.
    ///
    /// # Errors
    /// As [`retry`](Self::retry).
    pub async fn give_back(mut self, publisher: &Publisher, delay: Option<Tier>) -> Result<(), BrokerError> {
        let message = self.headers.again(self.inner.data.clone())?.handed_out_before(self.redelivered());
        let at_once = if self.first { Route::First } else { Route::Film };
        self.move_to(publisher, delay.map_or(at_once, Route::Retry), &message).await
    }

    /// Makes way for another film, and keeps its place in the queue. The broker counts that as a delivery.
    pub(super) async fn put_back(mut self) -> Result<(), BrokerError> {
        const WHAT: &str = "put the film back";
        self.check(WHAT)?;
        let limit = self.held.timeout;
        let options = BasicNackOptions { requeue: true, ..Default::default() };
        if !within(limit, WHAT, self.inner.acker.nack(options)).await? {
            return Err(BrokerError::SessionOver { what: WHAT });
        }
        // As after an ack: any answer tells that it was handled.
        within(limit, WHAT, self.held.channel.basic_qos(1, BasicQosOptions::default())).await?;
        self.settled = true;
        Ok(())
    }

    /// Given up: puts the report among the dead letters, then acks.
    ///
    /// # Errors
    /// As [`retry`](Self::retry).
    pub async fn fail(mut self, publisher: &Publisher, report: &FailureReport) -> Result<(), BrokerError> {
        let message = Outgoing::report(report, self.id())?;
        self.move_to(publisher, Route::Failed, &message).await
    }

    async fn move_to(
        &mut self,
        publisher: &Publisher,
        route: Route,
        message: &Outgoing,
    ) -> Result<(), BrokerError> {
        // With the session gone the broker has queued the film again already: a copy would double it.
        self.check("move the film")?;
        self.step(Step::Moving)?;
        tokio::select! {
            published = publisher.publish(route, message) => published?,
            // Publishing may wait for the end of an alarm.
            () = self.held.over() => self.check("move the film")?,
        }
        self.step(Step::Moved)?;
        self.acknowledge().await
    }

    fn check(&self, what: &'static str) -> Result<(), BrokerError> {
        if self.usable() { Ok(()) } else { Err(BrokerError::SessionOver { what }) }
    }

    async fn acknowledge(&mut self) -> Result<(), BrokerError> {
        self.check("acknowledge the film")?;
        let limit = self.held.timeout;
        let sent =
            within(limit, "acknowledge the film", self.inner.acker.ack(BasicAckOptions::default())).await?;
        if !sent {
            return Err(BrokerError::SessionOver { what: "acknowledge the film" });
        }
        // An ack has no answer. The broker handles a channel's requests in order, so the answer to this one tells that
        // the ack was handled too.
        let barrier = self.held.channel.basic_qos(1, BasicQosOptions::default());
        within(limit, "have the ack confirmed", barrier).await?;
        self.settled = true;
        self.step(Step::Acked)
    }

    /// Where a fault test steps in.
    fn step(&self, step: Step) -> Result<(), BrokerError> {
        let failed =
            |e: FileError| BrokerError::Lost { what: "settle the film".into(), problem: e.to_string() };
        steps::reached(step, self.id().unwrap_or_default()).map_err(failed)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if !self.settled {
            self.held.end("a film was not settled");
        }
    }
}
