//! What every command has at hand, and which file a command is in.

use clap::CommandFactory;
use common::config::{Config, Loaded};
use common::manual;
use common::share::ShareState;
use tokio_util::sync::CancellationToken;

use super::{config, doctor, failed, inspect, reconcile, rescan, scan, setup, status, steer, watch};
use crate::cli::{Cli, Command, Global};
use crate::exit::{Exit, Failure};

/// What every command has at hand.
#[derive(Debug)]
pub struct Context {
    /// The global flags.
    pub global: Global,
    /// Cancelled by the first Ctrl-C or SIGTERM.
    pub stop: CancellationToken,
}

impl Context {
    /// Reads the configuration and starts the log.
    ///
    /// # Errors
    /// The configuration cannot be used.
    pub fn load(&self) -> Result<Loaded, Failure> {
        let loaded = common::config::load(self.global.config.as_deref(), &self.global.set)?;
        let mut log = loaded.config.log.clone();
        // People at a terminal want results, not a log; `-v` gives it to them.
        log.level = if self.global.verbose { "debug".into() } else { "warn".into() };
        common::telemetry::init(&log);
        Ok(loaded)
    }

    /// As [`Context::fleet`] for a command that runs by itself: its log is what people read.
    ///
    /// # Errors
    /// As [`Context::fleet`].
    pub fn daemon(&self) -> Result<(Config, ShareState), Failure> {
        let mut config = common::config::load(self.global.config.as_deref(), &self.global.set)?.config;
        if self.global.verbose {
            config.log.level = "debug".into();
        }
        common::telemetry::init(&config.log);
        config.require_fleet()?;
        let share = ShareState::new(&config.share.state_dir);
        Ok((config, share))
    }

    /// The configuration with roots, share and output set.
    ///
    /// # Errors
    /// The configuration cannot be used, or lacks one of them.
    pub fn fleet(&self) -> Result<(Config, ShareState), Failure> {
        let config = self.load()?.config;
        config.require_fleet()?;
        let share = ShareState::new(&config.share.state_dir);
        Ok((config, share))
    }

    /// The end of a command that was stopped.
    pub fn interrupted(&self, done: &str) -> Failure {
        Failure::new(Exit::Interrupted, format!("stopped; {done}"))
    }
}

/// Runs a command.
///
/// # Errors
/// What stopped it, ready to be printed.
pub async fn dispatch(command: Command, context: &Context) -> Result<Exit, Failure> {
    match command {
        Command::Scan(args) => scan::run(&args, context).await,
        Command::Rescan(args) => rescan::run(&args, context).await,
        Command::Reconcile(args) => reconcile::run(&args, context).await,
        Command::Watch(args) => watch::run(&args, context).await,
        Command::Status(args) => status::run(&args, context).await,
        Command::Failed(command) => failed::run(command, context).await,
        Command::Pause(args) => steer::pause(&args, context).await,
        Command::Resume(args) => steer::resume(&args, context).await,
        Command::Drain(args) => steer::drain(&args, context).await,
        Command::Cancel(args) => steer::cancel(&args, context).await,
        Command::Priority(args) => steer::priority(&args, context).await,
        Command::Inspect(args) => inspect::run(&args, context).await,
        Command::Setup(args) => setup::run(&args, context).await,
        Command::Doctor(args) => doctor::run(&args, context).await,
        Command::Config(command) => config::run(&command, context),
        Command::Completions { shell } => manual::print_completions(Cli::command(), shell),
        Command::Man { dir } => manual::write_pages(Cli::command(), &dir),
    }
}
