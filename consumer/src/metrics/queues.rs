//! How long the queues are.

use std::sync::Arc;
use std::time::Duration;

use common::broker::{BrokerOptions, DepthWatch};

use super::Metrics;

/// Prometheus asks every 15 s to a minute.
const EVERY: Duration = Duration::from_secs(15);

/// Looks again and again, and says whether the broker is there. Never ends by itself.
pub async fn watch_queues(options: BrokerOptions, metrics: Arc<Metrics>) {
    let mut watch = DepthWatch::new(options);
    loop {
        let seen = watch.look().await;
        if let Err(e) = &seen {
            tracing::debug!(error = %e, "no figures of the queues for now");
        }
        metrics.queues(seen.ok().as_deref());
        tokio::time::sleep(EVERY).await;
    }
}
