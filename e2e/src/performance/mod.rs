//! The measurements behind `docs/PERFORMANCE.md`: `make bench`.
//!
//! Machines differ and are never idle, so every figure is a ratio of two runs made one after the other, several times in
//! alternating order, and the median counts.

mod baseline;
mod cases;
mod film;
mod machine;
mod measure;
mod page;
mod scale;
mod work;

pub use cases::{Case, Options, run};
pub use film::{Clip, Weight};
pub use machine::Machine;
pub use measure::{Cost, Pairs, measure, paired};
pub use page::{Row, Table, to_json, to_markdown, write_page};
pub use work::{Work, work};
