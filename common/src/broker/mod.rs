//! The fleet's side of RabbitMQ, and the only user of lapin.
//!
//! | file | what it holds |
//! |---|---|
//! | `topology` | every exchange, queue, key and argument, as one table |
//! | `options`, `connection` | who connects where, and one connection with deadlines |
//! | `publish` | confirmed publishing, one message at a time |
//! | `session`, `delivery` | taking films: one at a time, those that go first before the others, each settled exactly once |
//! | `failed` | looking at and moving dead letters without losing one |
//! | `control` | orders to workers, which the share has too |
//! | `events` | telemetry that may be lost |
//! | `depth` | how full the queues are |
//! | `rights` | what a user may do, tried without changing anything |
//! | `users`, `admin` | one user for each program, and making them over the management API |
//! | `tls` | why TLS failed, in words |
//!
//! Rules that hold everywhere: every exchange with the broker has a deadline, since lapin itself has none; nothing
//! reconnects behind the caller's back; a message leaves one place only after the broker confirmed the next one.

mod admin;
mod backoff;
mod connection;
mod control;
mod delivery;
mod depth;
mod error;
mod events;
mod failed;
mod message;
mod options;
mod publish;
mod rights;
mod session;
mod tls;
pub mod topology;
pub mod users;

pub use admin::{Admin, Limits};
pub use backoff::Backoff;
pub use connection::{Link, QUIET, tells_secrets};
pub use control::{Notice, listen, send_notice};
pub use delivery::Delivery;
pub use depth::{DepthWatch, Depths, QueueDepth, depths};
pub use error::BrokerError;
pub use events::Events;
pub use failed::{FailedEntry, FailedQueue};
pub use message::{MAX_BODY, MalformedBody, Outgoing, Route, Tier};
pub use options::{BrokerOptions, exposed};
pub use publish::Publisher;
pub use rights::{Deed, may};
pub use session::Session;
pub use tls::TlsFault;
