//! What people and scripts see: lines, tables, JSON, progress.

mod json;
mod output;
mod progress;
mod table;

pub use common::text::{bytes, cut, duration, nits, safe, safe_path};
pub use json::{Action, FilmLine, TotalsLine, WarningLine};
pub use output::Output;
pub use progress::{Progress, Pulse};
pub use table::{Align, Table};
