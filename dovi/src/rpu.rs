//! Dolby Vision RPUs: parsing, conversion to profile 8.1 and the few facts a verdict needs.
mod convert;
mod guard;
mod info;
mod neutral;

pub use convert::{RpuError, describe, parse, to_p81, without_scene_refresh};
pub use info::{CmVersion, ElType, L1, L6, RpuInfo, nits_to_pq12, pq12_to_nits};
pub use neutral::neutral_p81;
