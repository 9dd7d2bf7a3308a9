//! What the fleet is at: read from the share and the broker, and shown as lines, as JSON or as a view that stays.
//!
//! | file | what |
//! |---|---|
//! | [`model`] | the figures, as `--json` prints them |
//! | [`read`] | where they come from |
//! | [`crew`] | the workers, and what the forecast takes them for |
//! | [`view`] | the same for people: sections of lines, whatever draws them |
//! | [`watch`] | the view that stays: keys, screen, terminal |

mod crew;
mod eta;
mod model;
mod read;
mod view;
mod watch;

pub use model::Status;
pub use read::Reader;
pub use view::lines;
pub(crate) use view::number;
pub use watch::watch;

#[cfg(test)]
mod made_up;
#[cfg(test)]
mod snapshots;
