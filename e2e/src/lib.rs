//! End-to-end harness of dovi-fleet: film maker, private broker, demo, fault loop.

pub mod bench;
pub mod broker;
pub mod demo;
pub mod films;
pub mod listener;
pub mod performance;
pub mod prometheus;
pub mod soak;
pub mod tool;
pub mod wait;
