//! dovi-producer: decides which films of the library are converted, and shows how that goes.
//!
//! | room | what lives there |
//! |---|---|
//! | [`cli`] | the command line |
//! | [`library`] | walking the roots, and what each file is |
//! | [`ledger`] | what the share knows about a film already |
//! | [`submit`] | handing a film to the broker, then writing it down |
//! | [`watch`] | hearing of changes, and how `watch` tells that it is well |
//! | [`command`] | one file per command |
//! | [`render`] | lines, tables, JSON, progress |

pub mod cli;
pub mod command;
mod first_run;
pub mod ledger;
pub mod library;
pub mod render;
mod run;
pub mod submit;
pub mod watch;

pub use common::exit;
pub use run::run;
