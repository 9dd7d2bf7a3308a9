//! Telling people and media servers what happened. Nothing here ever delays, fails or stops a film.
//!
//! What is to be told goes into the outbox on the share first (`common::share::Outbox`), before the film's message is
//! acknowledged. A thread of its own sends it, tries again with growing waits, and takes over what dead workers left.
//!
//! | file | what it holds |
//! |---|---|
//! | `notices` | what happened, as a notice |
//! | `notifier`, `sender` | putting notices into the outbox, and the thread that empties it |
//! | `target` | one target: its secrets, its paths, and whether it took a notice |
//! | `people` | the shapes for people: webhook, Discord, ntfy |
//! | `plex`, `jellyfin`, `arr` | telling media servers of a new file |

mod arr;
mod jellyfin;
mod notices;
mod notifier;
mod people;
mod plex;
mod sender;
mod target;

pub use notices::{all_done, film_done, film_failed, test_notice, worker_ill};
pub use notifier::Notifier;
pub use sender::{Sent, Tally};
pub use target::{Target, Undelivered};
