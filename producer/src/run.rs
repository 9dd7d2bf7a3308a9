//! From the command line to an exit code.

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::cli::Cli;
use crate::command::{self, Context};
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
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("error: the program hit a state that should be impossible: {panic}");
        eprintln!("hint: nothing half done was left behind; please report this with the command line");
    }));
    let result = std::panic::catch_unwind(AssertUnwindSafe(|| run_async(cli)));
    let _ = std::panic::take_hook();
    match result {
        Ok(Ok(exit)) => exit,
        Ok(Err(failure)) => {
            eprint!("{}", failure.report(verbose));
            failure.exit
        }
        Err(_) => Exit::Bug,
    }
}

fn run_async(cli: Cli) -> Result<Exit, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|e| Failure::environment("this machine gives no threads").because(&e))?;
    let stop = CancellationToken::new();
    let result = runtime.block_on(async {
        tokio::spawn(watch_signals(stop.clone()));
        let context = Context { global: cli.global, stop };
        command::dispatch(cli.command, &context).await
    });
    // A thread that reads from a share that hangs would keep the program from ending.
    runtime.shutdown_background();
    result
}

/// The first signal asks the command to end after the film in hand; the second ends at once.
async fn watch_signals(stop: CancellationToken) {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut int), Ok(mut term)) = (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return;
    };
    let mut next = async || tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} };
    next().await;
    stop.cancel();
    next().await;
    std::process::exit(Exit::Interrupted as i32);
}
