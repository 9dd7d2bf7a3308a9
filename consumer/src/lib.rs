//! dovi-consumer: turns queued Profile 7 films into proven Profile 8.1 films.
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`], [`command`], [`exit`] | the command line, one file per command, exit codes and errors that say what to do |
//! | `doctor` | the checks of `doctor`, one file each |
//! | [`daemon`] | taking films from the queue until told to stop |
//! | [`worker`] | one delivery: claim, work, and what is said to the queue afterwards |
//! | [`notify`] | people and media servers are told, through an outbox that survives crashes |
//! | [`metrics`] | figures for Prometheus |
//! | [`pipeline`] | one film: from a file and a recipe to a proven, published result |
//! | [`tools`] | flags and parsers, one program per folder |
//! | [`workspace`] | every file that work leaves on the way |
//!
//! Names go downwards only: the pipeline has never heard of a queue, the tools of no pipeline.

pub mod cli;
pub mod command;
pub mod daemon;
mod doctor;
pub mod exit;
pub mod metrics;
pub mod notify;
pub mod pipeline;
mod run;
pub mod tools;
pub mod worker;
pub mod workspace;

pub use run::run;
