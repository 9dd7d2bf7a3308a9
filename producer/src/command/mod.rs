//! One file per command.

mod config;
mod context;
mod doctor;
mod failed;
mod inspect;
mod reconcile;
mod rescan;
mod scan;
mod seen;
mod setup;
mod status;
mod steer;
mod survey;
mod watch;

pub use context::{Context, dispatch};
