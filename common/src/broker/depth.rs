//! How full the queues are.

use lapin::Channel;

use super::{BrokerError, BrokerOptions, Link, topology};

/// One queue, now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct QueueDepth {
    /// The queue.
    pub name: &'static str,
    /// Messages waiting. Those that a worker or a person holds are not counted.
    pub ready: u32,
    /// Who is taking from it; for the film queue that is the number of worker slots connected.
    pub consumers: u32,
}

/// All queues, now.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Depths {
    /// Films waiting.
    pub films: QueueDepth,
    /// Copies of films that go before all others; `None` where the broker has no such queue, or does not show it.
    pub first: Option<QueueDepth>,
    /// Films waiting for their next try, shortest tier first.
    pub retry: Vec<QueueDepth>,
    /// Films given up on.
    pub failed: QueueDepth,
}

impl Depths {
    /// Films waiting in any retry tier.
    pub fn retrying(&self) -> u32 {
        self.retry.iter().map(|q| q.ready).sum()
    }
}

/// Reads the depth of every queue without changing anything.
///
/// # Errors
/// As [`Link::connect`]; [`BrokerError::Missing`] where a queue does not exist.
pub async fn depths(options: &BrokerOptions) -> Result<Depths, BrokerError> {
    let link = Link::connect(options, "status").await?;
    let channel = link.channel().await?;
    // A failed look closes its channel.
    let first = look(&link.channel().await?, topology::FIRST, options.timeout).await;
    let first = match first {
        Ok(first) => Some(first),
        Err(BrokerError::Missing { .. } | BrokerError::Forbidden { .. }) => None,
        Err(e) => return Err(e),
    };
    let films = look(&channel, topology::FILMS, options.timeout).await?;
    let mut retry = Vec::new();
    for q in topology::QUEUES.iter().filter(|q| q.tier.is_some()) {
        retry.push(look(&channel, q.name, options.timeout).await?);
    }
    let failed = look(&channel, topology::FAILED, options.timeout).await?;
    link.close().await;
    Ok(Depths { films, first, retry, failed })
}

async fn look(
    channel: &Channel,
    name: &'static str,
    limit: std::time::Duration,
) -> Result<QueueDepth, BrokerError> {
    let found = topology::look(channel, name, limit).await?;
    Ok(QueueDepth { name, ready: found.message_count(), consumers: found.consumer_count() })
}
