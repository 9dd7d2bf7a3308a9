//! One connection, with deadlines, and without recovery behind the caller's back.

use std::sync::Arc;
use std::time::Duration;

use lapin::tcp::OwnedTLSConfig;
use lapin::{Channel, Connection, ConnectionProperties, ErrorKind};
use tokio::time::timeout;

use super::error::within;
use super::{Backoff, BrokerError, BrokerOptions, TlsFault};

/// Closing is a courtesy to the broker's log: never wait long for it.
const CLOSE: Duration = Duration::from_secs(3);

/// Log filter that silences lapin: whatever it complains about comes back as a [`BrokerError`], in words for people.
pub const QUIET: &str = "lapin=off";

/// Whether log lines of this target and level may show a password: at its lowest level lapin prints every frame that it writes,
/// and one of them is the login (measured).
pub fn tells_secrets(target: &str, level: &tracing::Level) -> bool {
    *level == tracing::Level::TRACE && target.starts_with("lapin")
}

/// An open connection. Dropping it closes it too, only less politely.
///
/// lapin's auto-recovery stays off: measured, it hides the loss of a held delivery from its holder, and reconnects
/// without end where the queue itself is broken.
#[derive(Debug)]
pub struct Link {
    connection: Connection,
    timeout: Duration,
}

impl Link {
    /// Connects once. `role` (`consume`, `publish`, …) is added to the connection's name.
    ///
    /// Measured: a connect that ran into its deadline keeps a thread and a socket until the frozen broker wakes or dies.
    ///
    /// # Errors
    /// [`BrokerError::Unreachable`], [`BrokerError::Tls`], [`BrokerError::Denied`], [`BrokerError::Vhost`] or
    /// [`BrokerError::Timeout`].
    pub async fn connect(options: &BrokerOptions, role: &str) -> Result<Self, BrokerError> {
        let mut properties =
            ConnectionProperties::default().with_connection_name(format!("{} {role}", options.name).into());
        for (key, value) in &options.properties {
            properties = properties.with_client_property(key.as_str().into(), value.as_str().into());
        }
        let tls = OwnedTLSConfig { identity: None, cert_chain: options.ca_pem.clone() };
        let runtime = lapin::runtime::default_runtime().map_err(|e| refusal(options, &e))?;
        let connecting = Connection::connect_uri_with_config(options.uri.clone(), properties, tls, runtime);
        match timeout(options.timeout, connecting).await {
            Ok(Ok(connection)) => Ok(Self { connection, timeout: options.timeout }),
            Ok(Err(e)) => Err(refusal(options, &e)),
            Err(_) => {
                Err(BrokerError::Timeout { what: format!("connect to {options}"), after: options.timeout })
            }
        }
    }

    /// Connects, and tries again with growing waits until it works. `failed` hears of each failure and of the wait
    /// before the next try. Never gives up: the caller decides by dropping the future.
    pub async fn connect_patiently(
        options: &BrokerOptions,
        role: &str,
        mut failed: impl FnMut(&BrokerError, Duration),
    ) -> Self {
        let mut backoff = Backoff::default();
        loop {
            match Self::connect(options, role).await {
                Ok(link) => return link,
                Err(e) => {
                    let wait = backoff.wait();
                    failed(&e, wait);
                    tokio::time::sleep(wait).await;
                }
            }
        }
    }

    /// Opens a channel.
    pub(super) async fn channel(&self) -> Result<Channel, BrokerError> {
        within(self.timeout, "open a channel", self.connection.create_channel()).await
    }

    /// False once the connection ended, from whichever side.
    pub fn usable(&self) -> bool {
        self.connection.status().connected()
    }

    /// True while the broker takes no messages from this connection (memory or disk alarm).
    pub fn blocked(&self) -> bool {
        self.connection.status().blocked()
    }

    /// Closes it, waiting at most a few seconds for the broker's answer.
    pub async fn close(self) {
        self.shut().await;
    }

    pub(super) async fn shut(&self) {
        // Measured: fails with an invalid state where a channel is closing at the same time; it is closed all the same.
        let _ = timeout(CLOSE, self.connection.close(200, "done".into())).await;
    }

    /// Closes it in the background: for connections that are broken, where nobody wants to wait.
    pub(super) fn abandon(link: impl Into<Arc<Self>>) {
        let link = link.into();
        if let Ok(runtime) = tokio::runtime::Handle::try_current() {
            runtime.spawn(async move { link.shut().await });
        }
    }
}

fn refusal(options: &BrokerOptions, e: &lapin::Error) -> BrokerError {
    let address = options.address();
    let hung_up = |io: &std::io::Error| {
        use std::io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset, UnexpectedEof};
        matches!(io.kind(), BrokenPipe | ConnectionAborted | ConnectionReset | UnexpectedEof)
    };
    match e.kind() {
        ErrorKind::IOError(io) if hung_up(io) && options.tls() => {
            BrokerError::Tls { address, fault: TlsFault::HungUp, problem: io.to_string() }
        }
        ErrorKind::IOError(io) if hung_up(io) => BrokerError::WantsTls { address },
        ErrorKind::ProtocolError(amqp) if amqp.get_id() == 403 => {
            BrokerError::Denied { address, username: options.username() }
        }
        ErrorKind::ProtocolError(amqp) if amqp.get_id() == 530 => {
            BrokerError::Vhost { address, username: options.username(), vhost: options.vhost().to_owned() }
        }
        ErrorKind::IOError(io) if options.tls() && io.kind() != std::io::ErrorKind::ConnectionRefused => {
            let text = io.to_string();
            let tls = ["certificate", "tls", "handshake", "corrupt"]
                .iter()
                .any(|w| text.to_lowercase().contains(w));
            if tls {
                BrokerError::Tls { address, fault: TlsFault::of(&text), problem: text }
            } else {
                BrokerError::Unreachable { address, problem: text }
            }
        }
        // The first bytes were no AMQP, as when a TLS port answers with an alert.
        ErrorKind::ParsingError(_) => BrokerError::WantsTls { address },
        ErrorKind::IOError(io) => {
            BrokerError::Unreachable { address, problem: crate::text::without_numbers(&io.to_string()) }
        }
        _ => BrokerError::Unreachable { address, problem: e.to_string() },
    }
}
