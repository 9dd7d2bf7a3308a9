//! dovi-producer: decides which films of the library are converted, and shows how that goes.
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`library`] | walking the roots, and what each file is |
//! | [`ledger`] | what the share knows about a film already |
//! | [`submit`] | handing a film to the broker, then writing it down |
//! | [`forecast`] | when the queue will be empty, learned from finished films |
//! | [`status`] | what the fleet is at, as lines, as JSON and as a view that stays |
//! | [`watch`] | hearing of changes, and how `watch` tells that it is well |
//! | [`command`] | one file per command |
//! | `doctor` | the checks of `doctor`, one file each |
//! | [`render`] | lines, tables, JSON, progress |

pub mod cli;
pub mod command;
mod doctor;
mod first_run;
pub mod forecast;
pub mod ledger;
pub mod library;
pub mod render;
mod run;
pub mod status;
pub mod submit;
pub mod watch;

pub use common::exit;
pub use run::run;
