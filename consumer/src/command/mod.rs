//! One file per command.

mod config;
mod convert;
mod display;
mod doctor;
mod health;
mod notify;
mod run;
mod verify;

use std::path::Path;
use std::sync::Arc;

use clap::CommandFactory;
use common::config::{Config, LogConfig, Overrides, load};
use common::manual;
use common::telemetry;
use tokio::signal::unix::{SignalKind, signal};

use crate::cli::{Cli, Command, ConfigCommand, Global, NotifyCommand};
use crate::daemon::Shutdown;
use crate::exit::{Exit, Failure};
use crate::pipeline::{Context, Stop, Toolbox, Watch, Watcher};

/// Runs the command.
///
/// # Errors
/// [`Failure`], ready to be printed.
pub async fn dispatch(cli: Cli) -> Result<Exit, Failure> {
    let global = cli.global;
    match cli.command {
        Command::Run(args) => run::run(&global, args).await,
        Command::Convert(args) => convert::run(&global, args).await,
        Command::Verify(args) => verify::run(&global, args).await,
        Command::Doctor(args) => doctor::run(&global, &args).await,
        Command::Health => health::run(&global),
        Command::Config(ConfigCommand::Show { json }) => config::show(&global, json),
        Command::Notify(NotifyCommand::Test { names, json }) => notify::test(&global, &names, json).await,
        Command::Notify(NotifyCommand::List { json }) => notify::list(&global, json),
        Command::Completions { shell } => manual::print_completions(Cli::command(), shell),
        Command::Man { dir } => manual::write_pages(Cli::command(), &dir),
    }
}

fn load_config(global: &Global, more: &[(&str, String)]) -> Result<Config, Failure> {
    let flags: Overrides =
        global.set.iter().cloned().chain(more.iter().map(|(k, v)| ((*k).to_owned(), v.clone()))).collect();
    Ok(load(global.config.as_deref(), &flags)?.config)
}

/// Commands whose output is for a person at a terminal log only what is wrong, unless asked for more.
fn quiet_log(config: &Config, global: &Global) {
    let level = if global.verbose { "debug" } else { "error" };
    telemetry::init(&LogConfig { level: level.into(), format: config.log.format });
}

/// A context without a queue around it.
fn context(config: &Config, watcher: Arc<dyn Watcher>, stop: &Stop, log: Option<&Path>) -> Context {
    Context {
        tools: Arc::new(Toolbox::new(config.tools.clone()).with_backend(config.dovi.backend)),
        watch: Watch {
            stall: config.worker.stall(),
            grace: config.worker.grace(),
            log: log.map(Path::to_owned),
        },
        decode: config.verify.decode,
        space: common::share::Reservations::default(),
        watcher,
        stop: stop.clone(),
    }
}

/// The first SIGINT or SIGTERM cancels `intake`, and `now` as well if asked for; the second cancels `now`; the third kills.
fn on_signals(shutdown: &Shutdown, first_is_now: bool) -> Result<(), Failure> {
    let failed = |e: std::io::Error| Failure::environment("signals cannot be received").because(&e);
    let mut int = signal(SignalKind::interrupt()).map_err(failed)?;
    let mut term = signal(SignalKind::terminate()).map_err(failed)?;
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let steps = [&shutdown.intake, &shutdown.now, &shutdown.kill];
        for step in &steps[usize::from(first_is_now)..] {
            tokio::select! { _ = int.recv() => {}, _ = term.recv() => {} }
            shutdown.intake.cancel();
            step.cancel();
            tracing::warn!("told to stop");
        }
    });
    Ok(())
}

/// For commands that work on one thing: the first signal stops it.
fn stop_on_signals(stop: &Stop) -> Result<(), Failure> {
    let shutdown = Shutdown::default();
    on_signals(&shutdown, true)?;
    let stop = stop.clone();
    tokio::spawn(async move {
        shutdown.now.cancelled().await;
        stop.stop(common::job::FailureCode::Shutdown);
        shutdown.kill.cancelled().await;
        stop.kill();
    });
    Ok(())
}
