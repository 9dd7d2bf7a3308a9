//! Figures for Prometheus, and whether this worker is well. Nothing depends on them.
//!
//! | file | what it holds |
//! |---|---|
//! | `figures` | every figure with its name, and who changes it |
//! | `running` | the films in work: speed and how far they are |
//! | `storage` | bytes that went through the disks |
//! | `queues` | how long the queues are |
//! | `server` | `/metrics` and `/healthz` |

mod figures;
mod queues;
mod running;
mod server;
mod storage;

pub use figures::{Came, Metrics};
pub use queues::watch_queues;
pub use server::{Answers, listen, serve};
