//! The new video track by way of dovi_tool: a second opinion that shares no code with `dovi`'s injector.
//!
//! Its result goes through the same proof as any other. Nothing here repairs what it does.

mod encode;
mod feed;
mod limits;
mod make;
mod words;

pub use limits::advise;
pub use make::make;
