//! What a user may do on the broker, tried in ways that change nothing.

use std::time::Duration;

use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, BasicQosOptions, ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Confirmation};

use super::error::within;
use super::{BrokerError, BrokerOptions, Link, topology};

/// Nothing is ever bound with it; on the topic exchange of events it lives as long as it takes to look at it.
const PROBE: &str = "doctor";

/// Something that a program needs, or must not need.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deed {
    /// Publishing films, retries and dead letters.
    PublishFilms,
    /// Publishing events.
    PublishEvents,
    /// Taking films.
    TakeFilms,
    /// Reading and moving dead letters.
    TakeLetters,
    /// Declaring queues: only an administrator needs that.
    Declare,
}

impl Deed {
    /// As in "this user may not …".
    pub const fn words(self) -> &'static str {
        match self {
            Self::PublishFilms => "publish films",
            Self::PublishEvents => "publish events",
            Self::TakeFilms => "take films",
            Self::TakeLetters => "take dead letters",
            Self::Declare => "declare queues",
        }
    }
}

/// Whether the configured user may do each of these.
///
/// Publishing is tried with a key that no queue is bound with; taking with an argument that the broker refuses after it has looked
/// at the user's rights (measured on 3.10, 4.0 and 4.3), so that no film is handed out.
///
/// # Errors
/// As [`Link::connect`]; [`BrokerError::Blocked`] while the broker takes no messages; [`BrokerError::Missing`] without the queues.
pub async fn may(options: &BrokerOptions, deeds: &[Deed]) -> Result<Vec<(Deed, bool)>, BrokerError> {
    let link = Link::connect(options, "check").await?;
    let mut all = Vec::with_capacity(deeds.len());
    for deed in deeds {
        all.push((*deed, may_one(&link, *deed, options.timeout).await?));
    }
    link.close().await;
    Ok(all)
}

async fn may_one(link: &Link, deed: Deed, limit: Duration) -> Result<bool, BrokerError> {
    let tried = match deed {
        Deed::PublishFilms => publish(link, topology::WORK, limit).await,
        Deed::PublishEvents => publish(link, topology::EVENTS, limit).await,
        Deed::TakeFilms => take(link, topology::FILMS, limit).await,
        Deed::TakeLetters => take(link, topology::FAILED, limit).await,
        Deed::Declare => declare(link, limit).await,
    };
    match tried {
        Ok(()) => Ok(true),
        Err(BrokerError::Forbidden { .. }) => Ok(false),
        Err(e) => Err(e),
    }
}

async fn publish(link: &Link, exchange: &'static str, limit: Duration) -> Result<(), BrokerError> {
    let what = format!("publish to {exchange}");
    let channel = link.channel().await?;
    within(limit, &what, channel.confirm_select(ConfirmSelectOptions::default())).await?;
    let options = BasicPublishOptions { mandatory: true, ..Default::default() };
    let properties = BasicProperties::default().with_delivery_mode(1).with_expiration("1".into());
    let published =
        async { channel.basic_publish(exchange.into(), PROBE.into(), options, b"", properties).await?.await };
    match within(limit, &what, published).await {
        Ok(Confirmation::Nack(_)) => Err(BrokerError::Lost { what, problem: "refused".into() }),
        Ok(_) => Ok(()),
        Err(BrokerError::Timeout { .. }) if link.blocked() => Err(BrokerError::Blocked { what }),
        Err(e) => Err(e),
    }
}

async fn take(link: &Link, queue: &'static str, limit: Duration) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    within(limit, "set the prefetch count", channel.basic_qos(1, BasicQosOptions::default())).await?;
    let mut arguments = FieldTable::default();
    // It must be a number.
    arguments.insert("x-priority".into(), AMQPValue::LongString(PROBE.into()));
    let what = format!("take from {queue}");
    let consume =
        channel.basic_consume(queue.into(), PROBE.into(), BasicConsumeOptions::default(), arguments);
    match within(limit, &what, consume).await {
        Ok(_) => Ok(()),
        Err(
            e @ (BrokerError::Forbidden { .. } | BrokerError::Missing { .. } | BrokerError::Timeout { .. }),
        ) => Err(e),
        // Refused for its argument, and with it the channel.
        Err(_) if link.usable() => Ok(()),
        Err(e) => Err(e),
    }
}

async fn declare(link: &Link, limit: Duration) -> Result<(), BrokerError> {
    let channel = link.channel().await?;
    let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
    let name = format!("dovi.doctor.{}", std::process::id());
    let declared = channel.queue_declare(name.into(), options, FieldTable::default());
    within(limit, "declare a queue", declared).await.map(drop)
}
