//! What people and scripts see: lines, tables, JSON, progress.

mod json;
mod output;
mod paint;
mod progress;
mod table;

pub use common::text::{bytes, clip, columns, cut, cut_late, duration, nits, pad, safe, safe_path};
pub use json::{Action, FilmLine, TotalsLine, WarningLine};
pub use output::Output;
pub use paint::{Line, Tone, colours};
pub use progress::{Progress, Pulse};
pub use table::{Align, Table};
