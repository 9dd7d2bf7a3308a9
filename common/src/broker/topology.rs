//! Every exchange, queue, key and argument of the fleet.
//!
//! The names are an interface: running fleets have these queues, and a queue's arguments can never change. The table
//! below is their only source; deploy/rabbitmq/definitions.json is made from it.

use std::time::Duration;

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, ExchangeKind};

use super::error::within;
use super::{BrokerError, BrokerOptions, Link};

/// The virtual host.
pub const VHOST: &str = "dovi";
/// Work: films, retries, dead letters.
pub const WORK: &str = "dovi.work";
/// Live telemetry.
pub const EVENTS: &str = "dovi.events";
/// Commands to workers.
pub const CONTROL: &str = "dovi.control";
/// The queue of films to convert.
pub const FILMS: &str = "dovi.films";
/// The queue of films that go before all others. RabbitMQ's own priorities order quorum queues only from 4.3 on (measured).
/// What lies here are copies of messages in [`FILMS`]: whoever gets the second one sees that the film is done.
pub const FIRST: &str = "dovi.films.first";
/// The queue of films given up on.
pub const FAILED: &str = "dovi.failed";
/// Prefix of the exclusive queues that the command line makes for itself.
pub const TEMPORARY: &str = "dovi.tmp.";
/// Prefix of the exclusive queues in which the workers hear orders.
pub const ORDERS: &str = "dovi.ctl.";

/// Key of [`FILMS`].
pub const FILM_KEY: &str = "film";
/// Key of [`FIRST`].
pub const FIRST_KEY: &str = "film.first";
/// Key of [`FAILED`].
pub const FAILED_KEY: &str = "failed";

/// Deliveries after which the broker itself dead-letters a film. Ours stop long before; this is the net.
const FILM_LIMIT: i64 = 100;
/// Practically no limit, for queues that people look into: each look counts as a delivery, and the default of 4.0 and
/// later drops a message after 20. (-1 would dead-letter at the first return on 3.10, measured.)
const NO_LIMIT: i64 = 1_000_000;
/// Measured on 3.10, 4.0 and 4.3: a quorum queue is gone if its broker is killed within 0.1 s of the declaration.
pub(super) const SETTLE: Duration = Duration::from_secs(2);

/// One exchange.
#[derive(Debug, Clone, Copy)]
pub struct Exchange {
    /// Its name.
    pub name: &'static str,
    /// `direct` or `topic`.
    pub kind: &'static str,
}

/// One quorum queue and its binding to [`WORK`].
#[derive(Debug, Clone, Copy)]
pub struct Queue {
    /// Its name.
    pub name: &'static str,
    /// The key it is bound with.
    pub key: &'static str,
    /// Deliveries before the broker dead-letters a message.
    pub limit: i64,
    /// Where its dead letters go: a key of [`WORK`].
    pub dead_letters: Option<&'static str>,
    /// Which retry delay applies.
    pub tier: Option<usize>,
}

/// The exchanges, all durable.
pub const EXCHANGES: [Exchange; 3] = [
    Exchange { name: WORK, kind: "direct" },
    Exchange { name: EVENTS, kind: "topic" },
    Exchange { name: CONTROL, kind: "topic" },
];

/// The queues, all durable quorum queues: their acks and confirms survive a killed broker.
pub const QUEUES: [Queue; 6] = [
    Queue { name: FILMS, key: FILM_KEY, limit: FILM_LIMIT, dead_letters: Some(FAILED_KEY), tier: None },
    Queue { name: FIRST, key: FIRST_KEY, limit: FILM_LIMIT, dead_letters: Some(FAILED_KEY), tier: None },
    Queue {
        name: "dovi.retry.1m",
        key: "retry.1m",
        limit: NO_LIMIT,
        dead_letters: Some(FILM_KEY),
        tier: Some(0),
    },
    Queue {
        name: "dovi.retry.10m",
        key: "retry.10m",
        limit: NO_LIMIT,
        dead_letters: Some(FILM_KEY),
        tier: Some(1),
    },
    Queue {
        name: "dovi.retry.1h",
        key: "retry.1h",
        limit: NO_LIMIT,
        dead_letters: Some(FILM_KEY),
        tier: Some(2),
    },
    Queue { name: FAILED, key: FAILED_KEY, limit: NO_LIMIT, dead_letters: None, tier: None },
];

/// Value of a queue argument.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Argument {
    /// Text.
    Text(&'static str),
    /// A whole number.
    Number(i64),
}

impl Queue {
    /// The queue's arguments with these retry delays.
    pub fn arguments(&self, delays: &[Duration; 3]) -> Vec<(&'static str, Argument)> {
        use Argument::{Number, Text};
        let mut all = vec![("x-queue-type", Text("quorum")), ("x-delivery-limit", Number(self.limit))];
        if let Some(key) = self.dead_letters {
            all.push(("x-dead-letter-exchange", Text(WORK)));
            all.push(("x-dead-letter-routing-key", Text(key)));
            // At-least-once needs reject-publish; without it a dead letter can be lost between two queues.
            all.push(("x-dead-letter-strategy", Text("at-least-once")));
            all.push(("x-overflow", Text("reject-publish")));
        }
        if let Some(tier) = self.tier {
            all.push(("x-message-ttl", Number(i64::try_from(delays[tier].as_millis()).unwrap_or(i64::MAX))));
        }
        all
    }
}

/// Creates what is missing and checks what is there. Safe to repeat; needs the permission to configure.
///
/// Returns the names of the queues it created. Where there are any it waits two seconds before it returns: a queue
/// that is younger than that may not survive a killed broker (measured).
///
/// # Errors
/// [`BrokerError::Mismatch`] names the queue or exchange that exists with other arguments.
pub async fn declare(options: &BrokerOptions) -> Result<Vec<&'static str>, BrokerError> {
    let created = missing(options).await?;
    let link = Link::connect(options, "setup").await?;
    let channel = link.channel().await?;
    for e in &EXCHANGES {
        let kind = if e.kind == "topic" { ExchangeKind::Topic } else { ExchangeKind::Direct };
        let opts = ExchangeDeclareOptions { durable: true, ..Default::default() };
        let declared = channel.exchange_declare(e.name.into(), kind, opts, FieldTable::default());
        within(options.timeout, e.name, declared).await?;
    }
    for q in &QUEUES {
        let arguments = field_table(q.arguments(&options.retry_delays));
        let declared = channel.queue_declare(q.name.into(), QueueDeclareOptions::durable(), arguments);
        within(options.timeout, q.name, declared).await?;
        let (queue, key) = (q.name.into(), q.key.into());
        let bound =
            channel.queue_bind(queue, WORK.into(), key, QueueBindOptions::default(), FieldTable::default());
        within(options.timeout, &format!("bind {}", q.name), bound).await?;
    }
    link.close().await;
    let created: Vec<_> = created.into_iter().filter(|name| QUEUES.iter().any(|q| q.name == *name)).collect();
    if !created.is_empty() {
        tokio::time::sleep(SETTLE).await;
    }
    Ok(created)
}

/// Looks whether everything is there, without changing anything; returns the names of what is missing.
///
/// A passive look cannot see arguments; [`declare`] can. What this user may not even look at (4.3 wants some permission on it)
/// is another user's affair and counts as there.
///
/// # Errors
/// Any failure to ask.
pub async fn missing(options: &BrokerOptions) -> Result<Vec<&'static str>, BrokerError> {
    let link = Link::connect(options, "check").await?;
    let mut missing = Vec::new();
    // A failed look closes its channel, so each look has its own.
    for e in &EXCHANGES {
        let channel = link.channel().await?;
        let opts = ExchangeDeclareOptions { passive: true, ..Default::default() };
        let kind = if e.kind == "topic" { ExchangeKind::Topic } else { ExchangeKind::Direct };
        let look = channel.exchange_declare(e.name.into(), kind, opts, FieldTable::default());
        note(&mut missing, e.name, within(options.timeout, e.name, look).await)?;
    }
    for q in &QUEUES {
        let channel = link.channel().await?;
        note(&mut missing, q.name, look(&channel, q.name, options.timeout).await)?;
    }
    link.close().await;
    Ok(missing)
}

/// Whether the queues that exist have the arguments that they should have. Declaring a queue that is there as it is changes nothing
/// (AMQP 0-9-1, queue.declare). `None`: this user may not declare, so it cannot be seen.
///
/// # Errors
/// [`BrokerError::Mismatch`] names the first queue or exchange that has others.
pub async fn compare(options: &BrokerOptions) -> Result<Option<()>, BrokerError> {
    let there = missing(options).await?;
    let link = Link::connect(options, "check").await?;
    for q in QUEUES.iter().filter(|q| !there.contains(&q.name)) {
        let channel = link.channel().await?;
        let arguments = field_table(q.arguments(&options.retry_delays));
        let declared = channel.queue_declare(q.name.into(), QueueDeclareOptions::durable(), arguments);
        match within(options.timeout, q.name, declared).await {
            Ok(_) => {}
            Err(BrokerError::Forbidden { .. }) => return Ok(None),
            Err(e) => return Err(e),
        }
    }
    link.close().await;
    Ok(Some(()))
}

/// Asks for one queue's counts without changing it.
pub(super) async fn look(
    channel: &Channel,
    name: &'static str,
    limit: Duration,
) -> Result<lapin::Queue, BrokerError> {
    let opts = QueueDeclareOptions { passive: true, ..Default::default() };
    let asked = channel.queue_declare(name.into(), opts, FieldTable::default());
    within(limit, &format!("look at {name}"), asked).await
}

/// Whether the fleet cannot work without it. A broker that an older version set up lacks what came later, and loses only that.
pub fn is_needed(name: &str) -> bool {
    name != FIRST
}

fn note<T>(
    missing: &mut Vec<&'static str>,
    name: &'static str,
    r: Result<T, BrokerError>,
) -> Result<(), BrokerError> {
    match r {
        Ok(_) => Ok(()),
        Err(BrokerError::Forbidden { .. }) => Ok(()),
        Err(BrokerError::Missing { .. }) => {
            missing.push(name);
            Ok(())
        }
        Err(e) => Err(e),
    }
}

fn field_table(arguments: Vec<(&'static str, Argument)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (key, value) in arguments {
        let value = match value {
            Argument::Text(t) => AMQPValue::LongString(t.into()),
            Argument::Number(n) => AMQPValue::LongLongInt(n),
        };
        table.insert(key.into(), value);
    }
    table
}

/// The same table as a RabbitMQ definitions file, without users: those are made where the broker is installed.
pub fn definitions(vhost: &str, delays: &[Duration; 3]) -> serde_json::Value {
    let exchanges = EXCHANGES.map(|e| {
        serde_json::json!({
            "name": e.name, "vhost": vhost, "type": e.kind,
            "durable": true, "auto_delete": false, "internal": false, "arguments": {}
        })
    });
    let queues = QUEUES.map(|q| {
        let arguments: serde_json::Map<_, _> = q
            .arguments(delays)
            .into_iter()
            .map(|(key, value)| {
                let value = match value {
                    Argument::Text(t) => t.into(),
                    Argument::Number(n) => n.into(),
                };
                (key.to_owned(), value)
            })
            .collect();
        serde_json::json!({"name": q.name, "vhost": vhost, "durable": true, "auto_delete": false, "arguments": arguments})
    });
    let bindings = QUEUES.map(|q| {
        serde_json::json!({
            "source": WORK, "vhost": vhost, "destination": q.name, "destination_type": "queue",
            "routing_key": q.key, "arguments": {}
        })
    });
    serde_json::json!({"vhosts": [{"name": vhost}], "exchanges": exchanges, "queues": queues, "bindings": bindings})
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_shipped_definitions_are_this_table() {
        let shipped: serde_json::Value =
            serde_json::from_str(include_str!("../../../deploy/rabbitmq/definitions.json")).unwrap();
        let made = definitions(VHOST, &[60, 600, 3600].map(Duration::from_secs));
        let text = serde_json::to_string_pretty(&made).unwrap();
        assert_eq!(shipped, made, "deploy/rabbitmq/definitions.json should be:\n{text}");
    }

    #[test]
    fn every_dead_letter_key_leads_to_a_queue() {
        for q in QUEUES {
            if let Some(key) = q.dead_letters {
                assert!(QUEUES.iter().any(|other| other.key == key), "{key} leads nowhere");
            }
        }
    }
}
