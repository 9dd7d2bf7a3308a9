//! Telemetry: live, cheap, and allowed to get lost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Channel};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};

use super::{Backoff, BrokerError, BrokerOptions, Link, topology};

/// Events that may wait for a slow link; more are dropped.
const WAITING: usize = 64;
/// How long an event lives in a queue, in milliseconds as the protocol wants it: nobody cares for old progress.
const EXPIRATION: &str = "60000";
/// Longest wait for one event to be written.
const WRITE: Duration = Duration::from_secs(2);

/// Sends events to `dovi.events` from a task of its own. A handle is cheap to clone; the task ends with the last one.
///
/// Nothing here ever waits for the broker: an event that cannot go out now is dropped and counted.
#[derive(Debug, Clone)]
pub struct Events {
    into: Option<mpsc::Sender<(String, Vec<u8>)>>,
    dropped: Arc<AtomicU64>,
}

impl Events {
    /// Starts the task. It connects at the first event, and again after a loss.
    pub fn start(options: BrokerOptions) -> Self {
        let (into, events) = mpsc::channel(WAITING);
        let dropped = Arc::new(AtomicU64::new(0));
        tokio::spawn(run(options, events, dropped.clone()));
        Self { into: Some(into), dropped }
    }

    /// Drops everything: for programs that run without a broker.
    pub fn off() -> Self {
        Self { into: None, dropped: Arc::default() }
    }

    /// Sends one event under a key such as `progress.<worker>.<job>`, `film.<job>` or `worker.<name>`. Returns at once.
    pub fn send(&self, key: impl Into<String>, event: &impl serde::Serialize) {
        let Some(into) = &self.into else { return };
        let key = key.into();
        let body = serde_json::to_vec(event).ok().filter(|b| b.len() <= super::MAX_BODY && key.len() <= 255);
        if body.is_none_or(|body| into.try_send((key, body)).is_err()) {
            self.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many events were dropped.
    pub fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }
}

async fn run(options: BrokerOptions, mut events: mpsc::Receiver<(String, Vec<u8>)>, dropped: Arc<AtomicU64>) {
    let mut open: Option<(Link, Channel)> = None;
    let mut backoff = Backoff::default();
    let mut not_before = Instant::now();
    while let Some((key, body)) = events.recv().await {
        if open.as_ref().is_some_and(|(link, channel)| !link.usable() || !channel.status().connected()) {
            open = None;
        }
        if open.is_none() && Instant::now() >= not_before {
            match connect(&options).await {
                Ok(new) => {
                    open = Some(new);
                    backoff.reset();
                }
                Err(e) => {
                    tracing::debug!(error = %e, "no telemetry for now");
                    not_before = Instant::now() + backoff.wait();
                }
            }
        }
        let sent = match &open {
            // lapin waits without end on a blocked connection.
            Some((link, channel)) if !link.blocked() => write(channel, &key, &body).await,
            _ => false,
        };
        if !sent {
            dropped.fetch_add(1, Ordering::Relaxed);
        }
    }
    if let Some((link, _)) = open {
        link.close().await;
    }
}

async fn connect(options: &BrokerOptions) -> Result<(Link, Channel), BrokerError> {
    let link = Link::connect(options, "events").await?;
    let channel = link.channel().await?;
    Ok((link, channel))
}

async fn write(channel: &Channel, key: &str, body: &[u8]) -> bool {
    let properties = BasicProperties::default()
        .with_delivery_mode(1)
        .with_expiration(EXPIRATION.into())
        .with_content_type("application/json".into())
        .with_app_id("dovi-fleet".into());
    let publish = channel.basic_publish(
        topology::EVENTS.into(),
        key.into(),
        BasicPublishOptions::default(),
        body,
        properties,
    );
    matches!(timeout(WRITE, publish).await, Ok(Ok(_)))
}
