//! Orders to workers, at once. The share has them too (see `share::orders`): a message only saves the wait for the next look.

use std::time::Duration;

use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Confirmation, Consumer};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::error::within;
use super::{Backoff, BrokerError, BrokerOptions, Link, topology};
use crate::job::JobId;
use crate::share::{Cancel, Order, worker_stem};

/// An order that nobody took within so many milliseconds is read from the share.
const EXPIRATION: &str = "60000";
/// Orders that may wait for a worker that is busy with its share; of more, the share tells.
const WAITING: usize = 64;
/// An order has some 300 bytes.
const LIMIT: usize = 16 << 10;
/// Where only a person can help, it is tried again after this.
const PATIENCE: Duration = Duration::from_secs(60);

/// What goes over the control exchange.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub enum Notice {
    /// To one worker, or to all.
    Order(Order),
    /// To whoever works on that film.
    Cancel(Cancel),
}

impl Notice {
    /// `all`, `worker.<name>` or `job.<id>`.
    fn key(&self) -> String {
        match self {
            Self::Order(Order { worker: Some(worker), .. }) => worker_key(worker),
            Self::Order(_) => "all".into(),
            Self::Cancel(cancel) => job_key(cancel.job),
        }
    }
}

fn worker_key(worker: &str) -> String {
    format!("worker.{}", worker_stem(worker))
}

fn job_key(job: JobId) -> String {
    format!("job.{job}")
}

/// Sends a notice. False: the broker had nobody to give it to.
///
/// # Errors
/// As [`Link::connect`]; [`BrokerError::Missing`] without the exchange, [`BrokerError::Forbidden`] without permission.
pub async fn send_notice(options: &BrokerOptions, notice: &Notice) -> Result<bool, BrokerError> {
    const WHAT: &str = "send an order";
    let body = serde_json::to_vec(notice).map_err(|e| BrokerError::Body(e.to_string()))?;
    let link = Link::connect(options, "control").await?;
    let channel = link.channel().await?;
    within(options.timeout, WHAT, channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let properties = BasicProperties::default()
        .with_delivery_mode(1)
        .with_expiration(EXPIRATION.into())
        .with_content_type("application/json".into())
        .with_app_id("dovi-fleet".into());
    let mandatory = BasicPublishOptions { mandatory: true, ..Default::default() };
    let sent = async {
        let key = notice.key();
        let (exchange, key) = (topology::CONTROL.into(), key.as_str().into());
        channel.basic_publish(exchange, key, mandatory, &body, properties).await?.await
    };
    // lapin waits without end on a blocked connection.
    let confirmed = if link.blocked() {
        Err(BrokerError::Blocked { what: WHAT.into() })
    } else {
        within(options.timeout, WHAT, sent).await
    };
    link.close().await;
    match confirmed? {
        Confirmation::Ack(None) => Ok(true),
        Confirmation::Ack(Some(_)) => Ok(false),
        Confirmation::Nack(_) => Err(BrokerError::Nacked { key: "control" }),
        Confirmation::NotRequested => {
            let problem = "the channel is not in confirm mode".into();
            Err(BrokerError::Lost { what: WHAT.into(), problem })
        }
    }
}

/// Listens for what concerns this worker, on a connection of its own, until the receiver is dropped. Connects again for ever;
/// `options` have the worker's own connection name.
pub fn listen(options: BrokerOptions, worker: &str) -> mpsc::Receiver<Notice> {
    let (into, notices) = mpsc::channel(WAITING);
    tokio::spawn(run(options, worker_stem(worker), worker_key(worker), into));
    notices
}

async fn run(options: BrokerOptions, stem: String, key: String, into: mpsc::Sender<Notice>) {
    let mut backoff = Backoff::default();
    let mut told: Option<String> = None;
    while !into.is_closed() {
        match open(&options, &stem, &key).await {
            Ok((link, consumer)) => {
                backoff.reset();
                told = None;
                take(consumer, &into).await;
                link.close().await;
            }
            Err(e) if e.needs_a_person() => {
                let text = e.to_string();
                if told.as_ref() != Some(&text) {
                    tracing::warn!(
                        "orders arrive late, with the next look at the share: {text}; {}",
                        e.hint()
                    );
                    told = Some(text);
                }
                pause(PATIENCE, &into).await;
            }
            Err(e) => {
                tracing::debug!(error = %e, "no orders for now");
                pause(backoff.wait(), &into).await;
            }
        }
    }
}

async fn pause(time: Duration, into: &mpsc::Sender<Notice>) {
    // Either way it is looked at next.
    let _ = timeout(time, into.closed()).await;
}

async fn open(options: &BrokerOptions, stem: &str, key: &str) -> Result<(Link, Consumer), BrokerError> {
    let limit = options.timeout;
    let link = Link::connect(options, "control").await?;
    let channel = link.channel().await?;
    // Never the same name twice: the broker may not have noticed yet that a predecessor is gone.
    let unique = format!("{:08x}", jiff::Timestamp::now().as_nanosecond() as u32);
    let queue = format!("{}{stem}.{}.{unique}", topology::ORDERS, std::process::id());
    let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let declared = channel.queue_declare(queue.as_str().into(), own, FieldTable::default());
    within(limit, "listen for orders", declared).await?;
    for key in ["all", key, "job.*"] {
        let (queue, exchange) = (queue.as_str().into(), topology::CONTROL.into());
        let none = FieldTable::default();
        let bound = channel.queue_bind(queue, exchange, key.into(), QueueBindOptions::default(), none);
        within(limit, "listen for orders", bound).await?;
    }
    let opts = BasicConsumeOptions { no_ack: true, exclusive: true, ..Default::default() };
    let consume = channel.basic_consume(queue.as_str().into(), "orders".into(), opts, FieldTable::default());
    let consumer = within(limit, "listen for orders", consume).await?;
    Ok((link, consumer))
}

/// Until the link or the receiver is gone.
async fn take(mut consumer: Consumer, into: &mpsc::Sender<Notice>) {
    loop {
        let next = tokio::select! {
            () = into.closed() => return,
            next = consumer.next() => next,
        };
        let Some(Ok(delivery)) = next else { return };
        if delivery.data.len() > LIMIT {
            continue;
        }
        match serde_json::from_slice::<Notice>(&delivery.data) {
            // One that finds no room is on the share.
            Ok(notice) => drop(into.try_send(notice)),
            Err(e) => tracing::warn!(error = %e, "a message on {} is no order", topology::CONTROL),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::share::Command;

    #[test]
    fn an_order_is_flat_and_says_whom_it_is_for() {
        let order = |worker: Option<&str>| {
            Notice::Order(Order {
                v: 1,
                id: "1f".into(),
                command: Command::Pause,
                worker: worker.map(Into::into),
                origins: Vec::new(),
                at: jiff::Timestamp::UNIX_EPOCH,
                by: "me@here".into(),
            })
        };
        assert_eq!(order(None).key(), "all");
        assert_eq!(order(Some("a.#")).key(), "worker.a.%23", "no wildcard gets through");
        let json = serde_json::to_value(order(None)).unwrap();
        assert_eq!((&json["type"], &json["command"]), (&"order".into(), &"pause".into()));
        let job = format!("{:032x}", 7).parse().unwrap();
        let cancel = Notice::Cancel(Cancel { v: 1, job, at: jiff::Timestamp::UNIX_EPOCH, by: String::new() });
        assert_eq!(cancel.key(), format!("job.{job}"));
        let back: Notice = serde_json::from_slice(&serde_json::to_vec(&cancel).unwrap()).unwrap();
        assert_eq!(back, cancel);
        let newer = r#"{"type":"order","v":2,"id":"x","command":"dance","at":"2030-01-01T00:00:00Z"}"#;
        let Notice::Order(newer) = serde_json::from_str(newer).unwrap() else { panic!() };
        assert_eq!(newer.command, Command::Unknown);
    }
}
