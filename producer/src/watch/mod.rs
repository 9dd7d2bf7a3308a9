//! What `watch` needs besides a scan: hearing of changes, choosing the moment, and telling how it is.

mod eyes;
mod health;
mod schedule;

pub use eyes::{Changes, Eyes};
pub use health::{Health, HealthFile, State, check};
pub use schedule::Schedule;
