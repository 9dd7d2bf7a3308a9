//! From the command line to an exit code.

use std::ffi::OsString;

use clap::Parser;

use crate::cli::Cli;
use crate::command;
use crate::exit::Exit;

/// Runs the program: `args` begins with its name. Prints everything, also its errors; never panics.
pub fn run(args: impl IntoIterator<Item = OsString>) -> Exit {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(e) => {
            // Help and version are "errors" of clap too; a closed pipe while printing them is nobody's concern.
            let _ = e.print();
            return if e.use_stderr() { Exit::Usage } else { Exit::Ok };
        }
    };
    common::program::run(cli.global.verbose, async || command::dispatch(cli).await)
}
