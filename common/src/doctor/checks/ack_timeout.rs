//! How long may a worker keep a film before the broker takes it away?

use std::time::Duration;

use crate::broker::{BrokerError, Limits};
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::duration;

/// RabbitMQ's own default is half an hour. Below an hour nearly every film is handed out more than once.
const SHORT: Duration = Duration::from_secs(3600);
/// The slowest films take a day.
const LONG: Duration = Duration::from_secs(86_400);

const CONF: &str = "put `consumer_timeout = 604800000` into rabbitmq.conf (deploy/rabbitmq/90-fleet.conf has it), restart the broker, \
    then the workers; no film is lost meanwhile, but it is handed out again and again";

/// RabbitMQ's `consumer_timeout`, as it holds for the workers that are connected.
pub const fn ack_timeout<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "ack-timeout",
        part: "broker",
        about: "the broker lets a worker keep a film for as long as films take (consumer_timeout)",
        needs: &["queues"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    vec![match limits(fleet).await {
        Ok(Some(limits)) => judge(&limits),
        Ok(None) => Finding::skipped("no way to ask was given").hint(
            "`--management http://dovi-monitor@HOST:15672 --management-password-file FILE`, while a worker is connected; \
             or on the broker's host `rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'`: 604800000 is right",
        ),
        Err(e) => e.into(),
    }]
}

async fn limits(fleet: &Fleet) -> Result<Option<Limits>, BrokerError> {
    match fleet.admin()? {
        Some(admin) => admin.limits(fleet.broker()?.vhost()).await.map(Some),
        None => Ok(None),
    }
}

fn judge(limits: &Limits) -> Finding {
    let version = &limits.version;
    let Some(timeout) = limits.ack_timeout else {
        let why =
            if limits.consumers == 0 { "no worker is connected" } else { "it does not tell before 3.12" };
        return Finding::skipped(format!("RabbitMQ {version}: {why}")).hint(
            "on the broker's host `rabbitmqctl eval 'application:get_env(rabbit, consumer_timeout).'`: 604800000 is right",
        );
    };
    let text = format!("RabbitMQ {version} lets a worker keep a film for {}", duration(timeout));
    let finding = match timeout {
        _ if timeout < SHORT => Finding::failed(text, CONF),
        _ if timeout < LONG => Finding::warning(text, CONF),
        _ => Finding::ok(text),
    };
    finding.measured("ack_timeout_s", timeout.as_secs()).measured("version", version.as_str())
}
