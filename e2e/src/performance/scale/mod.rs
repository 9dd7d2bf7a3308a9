//! Many films, many workers, many files.

mod drain;
mod nothing;
mod raw;
mod status;
mod tables;

pub use drain::drain;
pub(super) use tables::tables;
