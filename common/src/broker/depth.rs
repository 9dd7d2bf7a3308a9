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

/// Looks at the queues again and again over one connection.
#[derive(Debug)]
pub struct DepthWatch {
    options: BrokerOptions,
    link: Option<Link>,
}

impl DepthWatch {
    /// Connects at the first look, and again after a loss.
    pub fn new(options: BrokerOptions) -> Self {
        Self { options, link: None }
    }

    /// Every queue that this user may look at; from RabbitMQ 4.3 on a worker sees the films alone.
    ///
    /// # Errors
    /// As [`Link::connect`]; the next look connects again.
    pub async fn look(&mut self) -> Result<Vec<QueueDepth>, BrokerError> {
        let link = match self.link.take().filter(Link::usable) {
            Some(link) => link,
            None => Link::connect(&self.options, "metrics").await?,
        };
        let mut all = Vec::with_capacity(topology::QUEUES.len());
        let mut channel = link.channel().await?;
        for q in &topology::QUEUES {
            match topology::look(&channel, q.name, self.options.timeout).await {
                Ok(found) => all.push(QueueDepth {
                    name: q.name,
                    ready: found.message_count(),
                    consumers: found.consumer_count(),
                }),
                // A question that is refused closes its channel.
                Err(BrokerError::Forbidden { .. } | BrokerError::Missing { .. }) => {
                    channel = link.channel().await?;
                }
                Err(e) => return Err(e),
            }
        }
        // That it is closed already is as good.
        let _ = channel.close(200, "done".into()).await;
        self.link = Some(link);
        Ok(all)
    }
}
