//! From the command line to an exit code.

use std::ffi::OsString;

use clap::Parser;
use tokio_util::sync::CancellationToken;

use crate::cli::Cli;
use crate::command::{self, Context};
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
    common::program::run(cli.global.verbose, async || {
        let stop = CancellationToken::new();
        tokio::spawn(watch_signals(stop.clone()));
        let context = Context { global: cli.global, stop };
        command::dispatch(cli.command, &context).await
    })
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
