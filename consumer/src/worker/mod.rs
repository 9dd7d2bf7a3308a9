//! One delivery: claim the film, work on it, and say to the queue what came of it.

mod ledger;
mod report;
mod run;
mod settle;

pub use report::Reporter;
pub use run::{Handled, Worker};
pub use settle::{Action, Outcome, decide, execute};
