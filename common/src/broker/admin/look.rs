//! What a user with the tag `monitoring` may see: clocks, arguments, deadlines.

use std::sync::PoisonError;
use std::time::{Duration, SystemTime};

use serde_json::Value;

use super::{Admin, compare};
use crate::broker::{BrokerError, BrokerOptions, topology};
use crate::http::encoded;

/// What the broker's tables say about acknowledgements.
#[derive(Debug, Clone, PartialEq)]
pub struct Limits {
    /// RabbitMQ's version.
    pub version: String,
    /// Consumers of the film queue.
    pub consumers: usize,
    /// The shortest time after which the broker takes a film away from a worker that has not acknowledged it. `None`: no worker is
    /// connected, or this version does not tell (before 3.12).
    pub ack_timeout: Option<Duration>,
}

impl Admin {
    /// The broker's clock, from the `Date` of an answer: whole seconds.
    ///
    /// # Errors
    /// As every request.
    pub async fn clock(&self) -> Result<Option<SystemTime>, BrokerError> {
        self.demand("GET", "/api/whoami", None).await?;
        let date = self.date.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let parsed = date.and_then(|d| jiff::fmt::rfc2822::parse(&d).ok());
        Ok(parsed.map(|z| SystemTime::from(z.timestamp())))
    }

    /// How long a worker may keep a film. From 3.12 on each consumer shows the time that holds for it, the global setting included
    /// (measured on 4.0 and 4.3).
    ///
    /// # Errors
    /// As every request.
    pub async fn limits(&self, vhost: &str) -> Result<Limits, BrokerError> {
        let overview = self.demand("GET", "/api/overview", None).await?;
        let version = overview["rabbitmq_version"].as_str().unwrap_or("of an unknown version").to_owned();
        let all = self.demand("GET", &format!("/api/consumers/{}", encoded(vhost)), None).await?;
        let ours: Vec<&Value> =
            all.as_array().into_iter().flatten().filter(|c| c["queue"]["name"] == topology::FILMS).collect();
        let times = ours.iter().filter_map(|c| match &c["consumer_timeout"] {
            Value::Number(ms) => ms.as_u64().map(Duration::from_millis),
            // From 4.3 on it cannot be switched off any more: a day (measured).
            Value::String(word) if word == "undefined" => Some(Duration::from_secs(86_400)),
            _ => None,
        });
        Ok(Limits { ack_timeout: times.min(), consumers: ours.len(), version })
    }

    /// Whether every queue that is there has the arguments that it should have.
    ///
    /// # Errors
    /// [`BrokerError::Mismatch`] names the first that has others, [`BrokerError::Missing`] the first that is not there.
    pub async fn compare_queues(&self, options: &BrokerOptions) -> Result<(), BrokerError> {
        let vhost = encoded(options.vhost());
        let path = format!("/api/queues/{vhost}?columns=name,arguments&disable_stats=true");
        let there = self.demand("GET", &path, None).await?;
        let wanted = topology::definitions(options.vhost(), &options.retry_delays);
        wanted["queues"].as_array().unwrap_or(&Vec::new()).iter().try_for_each(|q| compare(q, &there))
    }
}
