//! What can go wrong with the broker, and what a person does about it.

use std::future::Future;
use std::time::Duration;

use lapin::ErrorKind;
use tokio::time::timeout;

use super::TlsFault;

/// A failed exchange with the broker. No variant ever holds a password.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BrokerError {
    /// The configured URL cannot be used.
    #[error("broker.url is not usable: {0}")]
    Url(&'static str),
    /// The URL of the management API cannot be used.
    #[error("the address of the management API is not usable: {0}")]
    AdminUrl(&'static str),
    /// The management API refused.
    #[error("failed to {what}: status {status}: {problem}")]
    Admin {
        /// The request.
        what: String,
        /// The HTTP status.
        status: u16,
        /// The broker's own words.
        problem: String,
    },
    /// The answer to the first bytes is no AMQP, or none at all: mostly somebody speaks TLS where plain AMQP was expected.
    #[error("failed to speak with the broker at {address}: it hung up, or answered in no plain AMQP")]
    WantsTls {
        /// `host:port`
        address: String,
    },
    /// The password or CA file cannot be read.
    #[error("{0}")]
    Setting(String),
    /// Nobody listens there, the name does not resolve, or the network is down.
    #[error("failed to reach the broker at {address}: {problem}")]
    Unreachable {
        /// `host:port`
        address: String,
        /// The system's own words.
        problem: String,
    },
    /// The TLS handshake failed, mostly over the certificate.
    #[error("failed to speak TLS with the broker at {address}: {fault} ({problem})")]
    Tls {
        /// `host:port`
        address: String,
        /// What is wrong, as far as it can be told.
        fault: TlsFault,
        /// The TLS library's own words.
        problem: String,
    },
    /// Wrong user name or password.
    #[error("the broker at {address} does not accept user {username} with this password")]
    Denied {
        /// `host:port`
        address: String,
        /// The user name that was refused.
        username: String,
    },
    /// The virtual host does not exist, or this user may not enter it.
    #[error("the broker at {address} gives user {username} no access to virtual host {vhost:?}")]
    Vhost {
        /// `host:port`
        address: String,
        /// The user name.
        username: String,
        /// The virtual host.
        vhost: String,
    },
    /// No answer within the deadline.
    #[error("failed to {what}: no answer from the broker within {} s", .after.as_secs_f32())]
    Timeout {
        /// What was asked.
        what: String,
        /// The deadline.
        after: Duration,
    },
    /// A queue or exchange exists with other arguments than ours.
    #[error("{name} exists on the broker with other arguments: {problem}")]
    Mismatch {
        /// The queue or exchange.
        name: String,
        /// The broker's own words.
        problem: String,
    },
    /// A queue or exchange is missing.
    #[error("failed to {what}: {problem}")]
    Missing {
        /// What was asked.
        what: String,
        /// The broker's own words.
        problem: String,
    },
    /// Somebody else holds the exclusive queue.
    #[error("failed to {what}: somebody else is at it")]
    Locked {
        /// What was asked.
        what: String,
    },
    /// The user's permissions do not allow this.
    #[error("the broker does not let this user {what}: {problem}")]
    Forbidden {
        /// What was asked.
        what: String,
        /// The broker's own words.
        problem: String,
    },
    /// The broker takes no messages: its memory or disk alarm is on. Nothing was sent.
    #[error("failed to {what}: the broker takes no messages now (memory or disk alarm)")]
    Blocked {
        /// What was asked.
        what: String,
    },
    /// The message was returned: no queue is bound to this key.
    #[error("failed to publish to {key}: no queue is bound there")]
    Unroutable {
        /// The routing key.
        key: &'static str,
    },
    /// The broker refused the message, mostly since the queue is full.
    #[error("failed to publish to {key}: refused by the broker")]
    Nacked {
        /// The routing key.
        key: &'static str,
    },
    /// The connection or channel ended. Whether the exchange took effect is unknown.
    #[error("failed to {what}: lost the broker ({problem})")]
    Lost {
        /// What was asked.
        what: String,
        /// The reason as far as it is known.
        problem: String,
    },
    /// The delivery's session had ended before; nothing was sent. The broker hands the film out again.
    #[error("failed to {what}: the session that delivered this film is over")]
    SessionOver {
        /// What was asked.
        what: &'static str,
    },
    /// A body that is too large to publish, or that has no JSON form.
    #[error("failed to publish: {0}")]
    Body(String),
    /// A dead letter that holds no job, so it cannot be queued again.
    #[error("dead letter {0} holds no job, so it can only be discarded")]
    NoJob(String),
    /// There is no such dead letter.
    #[error("there is no dead letter {0}")]
    NoSuchLetter(String),
}

impl BrokerError {
    /// What a person does about it.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::Url(_) => "Write broker.url as amqp://HOST:5672/dovi, or amqps://HOST:5671/dovi for TLS.",
            Self::AdminUrl(_) => {
                "Write it as http://USER@HOST:15672; the password goes into a file, see --admin-password-file."
            }
            Self::Admin { .. } => "Read the broker's log; its management plugin must be on.",
            Self::WantsTls { .. } => {
                "It may be starting. If it repeats, the port wants TLS: write broker.url with amqps:// and set broker.ca_file, or use the plain port (5672)."
            }
            Self::Setting(_) => "Check broker.password_file and broker.ca_file and who may read them.",
            Self::Unreachable { problem, .. } if problem.contains("lookup address") => {
                "Check the host's name in broker.url: `getent hosts NAME` says whether this machine knows it."
            }
            Self::Unreachable { .. } => {
                "Is RabbitMQ running there (`docker compose ps`, `systemctl status rabbitmq-server`), and is the port open? See broker.url."
            }
            Self::Tls { fault, .. } => fault.hint(),
            Self::Denied { .. } => "Check broker.username and broker.password or broker.password_file.",
            Self::Vhost { .. } => {
                "Check the path of broker.url and the user's permissions (`rabbitmqctl list_permissions -p dovi`)."
            }
            Self::Timeout { .. } => {
                "The broker or the network hangs: `rabbitmq-diagnostics check_running` on the broker's host."
            }
            Self::Mismatch { .. } => {
                "Queue arguments are fixed for life. While it is empty: delete it, then `dovi-producer setup`."
            }
            Self::Missing { .. } => {
                "Run `dovi-producer setup` once, or load deploy/rabbitmq/definitions.json."
            }
            Self::Locked { .. } => "Another `dovi-producer failed` is running: wait for it or stop it.",
            Self::Forbidden { .. } => {
                "Give the user this permission, or use another one; see docs/SECURITY.md."
            }
            Self::Blocked { .. } => {
                "Free disk or memory on the broker's host: `rabbitmq-diagnostics check_local_alarms`."
            }
            Self::Unroutable { .. } => "A binding is missing: run `dovi-producer setup`.",
            Self::Nacked { .. } => "The queue refuses messages; look at its length and limits.",
            Self::Lost { .. } => "It reconnects by itself; if it repeats, read the broker's log.",
            Self::SessionOver { .. } => "Nothing to do: the film is delivered again.",
            Self::Body(_) => "Please report it with the film's path.",
            Self::NoJob(_) => "`dovi-producer failed discard` removes it.",
            Self::NoSuchLetter(_) => "`dovi-producer failed list` shows what is there.",
        }
    }

    /// True where waiting does not help: a setting or a permission must change first.
    pub fn needs_a_person(&self) -> bool {
        matches!(
            self,
            Self::Url(_)
                | Self::Setting(_)
                | Self::AdminUrl(_)
                | Self::Tls { .. }
                | Self::Denied { .. }
                | Self::Vhost { .. }
                | Self::Mismatch { .. }
                | Self::Missing { .. }
                | Self::Forbidden { .. }
                | Self::Unroutable { .. }
        )
    }

    /// Names a lapin error by what the broker meant with it.
    pub(super) fn from_lapin(what: &str, e: &lapin::Error) -> Self {
        let what = what.to_owned();
        let ErrorKind::ProtocolError(amqp) = e.kind() else {
            return Self::Lost { what, problem: e.to_string() };
        };
        let problem = amqp.get_message().to_string();
        match amqp.get_id() {
            403 => Self::Forbidden { what, problem },
            404 => Self::Missing { what, problem },
            405 => Self::Locked { what },
            // Also the ack timeout's code, but that reaches the consumer's stream and not an exchange.
            406 if problem.contains("inequivalent arg") => Self::Mismatch { name: what, problem },
            _ => Self::Lost { what, problem },
        }
    }
}

/// Waits for one exchange with the broker, at most `limit`: lapin has no deadlines of its own (measured: `connect`
/// to a stopped broker never returned).
pub(super) async fn within<T>(
    limit: Duration,
    what: &str,
    exchange: impl Future<Output = lapin::Result<T>>,
) -> Result<T, BrokerError> {
    match timeout(limit, exchange).await {
        Ok(Ok(v)) => Ok(v),
        Ok(Err(e)) => Err(BrokerError::from_lapin(what, &e)),
        Err(_) => Err(BrokerError::Timeout { what: what.to_owned(), after: limit }),
    }
}
