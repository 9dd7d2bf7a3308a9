//! From what a film is to what shall happen to it. Pure: the producer asks it before it queues, the worker again
//! before it works, and both print the same sentences.

mod fitness;
mod notices;
mod policy;
mod refusal;

pub use notices::notices;
pub use policy::{Decision, decide, decide_film, decide_sample, missing_policy, refused};
pub use refusal::Refusal;
