//! From what a film is to what shall happen to it. Pure: the producer asks it before it queues, the worker again
//! before it works.

mod policy;

pub use policy::{Decision, decide, decide_sample, refused};
