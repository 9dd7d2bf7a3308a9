//! One delivery: claim the film, work on it, and say to the queue what came of it.

mod fitness;
mod health;
mod janitor;
mod keepalive;
mod ledger;
mod presence;
mod report;
mod room;
mod run;
mod settle;
mod steering;
mod telling;

pub use health::{Health, Illness, Rest, is_suspicious};
pub use janitor::{Janitor, Tidied};
pub use keepalive::keep_alive;
pub use presence::Presence;
pub use report::Reporter;
pub use room::{Room, any_room};
pub use run::{Handled, Worker};
pub use settle::{Action, Outcome, decide, execute};
pub use telling::Outlets;
