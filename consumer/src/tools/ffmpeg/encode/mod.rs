//! Encoding: one way to put a command line together, and per encoder its settings.

mod args;
mod colour;
mod nvenc;
mod qsv;
mod setting;
mod vaapi;
mod x265;

pub use args::{EncodeArgs, VideoEncoder};
pub use nvenc::Nvenc;
pub use qsv::Qsv;
pub use setting::Unsupported;
pub use vaapi::Vaapi;
pub use x265::X265;
