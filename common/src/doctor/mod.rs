//! `doctor` of both programs: is everything there, what was measured, and what to do about what is not.
//!
//! A check is one file that ends in a [`Check`], and one line in its program's table. Those in `checks` are for both programs;
//! each program has a folder `doctor` for its own. `e2e/tests/doctor` walks the tables and fails until a new check has a case in which
//! it is content and one in which it is not.

mod check;
pub mod checks;
mod fleet;
mod print;
mod run;

pub use check::{Check, Finding, Level, Look};
pub use fleet::{Fleet, Management, Role, management};
pub use run::{Options, examine};
