//! The checks that both programs make, one file each.

mod ack_timeout;
mod arguments;
mod broker;
mod clock;
mod library;
mod queues;
mod rights;
mod room;
mod secret;
mod settings;
mod share;
mod share_dates;
mod share_files;
mod share_mount;
mod share_rights;

pub use ack_timeout::ack_timeout;
pub use arguments::arguments;
pub use broker::broker;
pub use clock::clock;
pub use library::library;
pub use queues::queues;
pub use rights::rights;
pub use room::{room, writable};
pub use secret::secret;
pub use settings::settings;
pub use share::share;
pub use share_dates::share_dates;
pub use share_files::{files_of, share_files};
pub use share_mount::share_mount;
pub use share_rights::share_rights;

use super::Finding;

/// Blocking file work on a thread of its own.
async fn blocking(look: impl FnOnce() -> Vec<Finding> + Send + 'static) -> Vec<Finding> {
    tokio::task::spawn_blocking(look).await.unwrap_or_else(|e| {
        vec![Finding::failed(format!("the check itself failed: {e}"), "please report it")]
    })
}
