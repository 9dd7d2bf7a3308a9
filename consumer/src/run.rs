//! From the command line to an exit code.

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;

use clap::Parser;

use crate::cli::Cli;
use crate::command;
use crate::exit::{Exit, Failure};

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
    let verbose = cli.global.verbose;
    match std::panic::catch_unwind(AssertUnwindSafe(|| run_async(cli))) {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            eprint!("{}", failure.report(verbose));
            failure.exit
        }
        Err(_) => {
            eprintln!("error: the program hit a state that should be impossible");
            eprintln!(
                "hint: nothing half done was left under a final name; please report this with the lines above"
            );
            Exit::Bug
        }
    }
}

fn run_async(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::environment("this machine gives no threads").because(&e))?;
    let result = runtime.block_on(command::dispatch(cli));
    // A thread that reads from a share that hangs would keep the program from ending.
    runtime.shutdown_background();
    result
}
