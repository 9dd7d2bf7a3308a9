//! A RabbitMQ node of our own: real broker, own name, ports, folders and cookie, gone when dropped.
//!
//! It never touches a broker that already runs on the machine, and signals only processes it started itself.

mod gate;
mod management;
mod node;
mod places;

pub use gate::{Gate, Hold};
pub use node::PrivateBroker;
pub use places::Extras;
