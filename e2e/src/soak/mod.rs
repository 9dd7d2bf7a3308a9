//! The fault loop: real workers, a real broker and real films; faults by a seed; and a checker that believes nobody.
//!
//! | file | holds |
//! |---|---|
//! | `plan`, `random` | which faults in which order, from the seed |
//! | `output` | what differs between `output.mode`s |
//! | `inbox` | how a fault waits for whoever comes to its place |
//! | `tool` | ffmpeg and mkvmerge that can go wrong |
//! | `ground`, `films`, `link`, `crew` | where it takes place, with which films, over which network, by which workers |
//! | `conductor`, `world` | bringing the faults |
//! | `watch`, `checker`, `library`, `proof` | judging what is left |
//!
//! What is promised, and what each fault must lead to, stands in docs/RELIABILITY.md.

mod checker;
mod conductor;
mod crew;
mod films;
mod ground;
mod inbox;
mod library;
mod link;
mod output;
mod plan;
mod proof;
mod random;
mod report;
mod run;
mod tool;
mod watch;
mod world;

pub use checker::Verdict;
pub use inbox::install;
pub use output::Output;
pub use plan::{Action, Call, Fault, Misdeed, World};
pub use report::Report;
pub use run::{Settings, beside_this, interrupted, run};
pub use tool::main as tool_main;
