//! The two programs, run as a person would.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use common::process::{ExitReport, Stdout, Supervision, ToolCommand, run};
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// Where the programs lie.
#[derive(Debug, Clone)]
pub struct Programs {
    producer: PathBuf,
    consumer: PathBuf,
    config: PathBuf,
}

impl Programs {
    /// The programs that were built beside this one.
    ///
    /// # Errors
    /// One of them is not there.
    pub fn beside_this(config: &Path) -> Result<Self> {
        let here = std::env::current_exe()?;
        let find = |name: &str| {
            let path = here.with_file_name(name);
            if path.is_file() {
                return Ok(path);
            }
            bail!(
                "{} is missing; build it with `cargo build --release -p producer -p consumer`",
                path.display()
            )
        };
        Ok(Self {
            producer: find("dovi-producer")?,
            consumer: find("dovi-consumer")?,
            config: config.to_owned(),
        })
    }

    /// Runs a producer command to its end and prints what it says as it says it.
    ///
    /// # Errors
    /// It could not be started, or was stopped by `stop`.
    pub async fn producer(&self, args: &[&str], log: &Path, stop: &CancellationToken) -> Result<ExitReport> {
        let command = ToolCommand::new(&self.producer).args(args).arg2("--config", &self.config);
        let watch = Supervision {
            cancel: stop.clone(),
            stdout: Stdout::lines(|line| println!("  {line}")),
            log: Some(log.to_owned()),
            ..Supervision::default()
        };
        Ok(run(&command, watch).await?)
    }

    /// Starts a worker.
    pub fn worker(&self, name: &str, log: PathBuf) -> Daemon {
        let stop = CancellationToken::new();
        let command = ToolCommand::new(&self.consumer)
            .args(["run", "--drain", "now"])
            .arg2("--config", &self.config)
            .env("DOVI_FLEET__WORKER__NAME", name);
        // Its output is for the log only; the share tells how far it is.
        let watch = Supervision {
            cancel: stop.clone(),
            grace: Duration::from_secs(20),
            log: Some(log.clone()),
            ..Supervision::default()
        };
        let task = tokio::spawn(async move { run(&command, watch).await });
        Daemon { name: name.to_owned(), log, stop, task }
    }
}

/// A worker that runs in the background. It dies with this process, whatever ends that.
pub struct Daemon {
    name: String,
    log: PathBuf,
    stop: CancellationToken,
    task: JoinHandle<Result<ExitReport, common::process::SpawnError>>,
}

impl Daemon {
    /// True if it ended, which no worker does by itself.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Asks it to stop.
    pub fn ask_to_stop(&self) {
        self.stop.cancel();
    }

    /// Waits for its end and says how that was, if it was not asked for.
    ///
    /// # Errors
    /// It could not be started, or ended by itself.
    pub async fn end(self) -> Result<()> {
        let report =
            self.task.await?.with_context(|| format!("the worker {} could not be started", self.name))?;
        if !self.stop.is_cancelled() {
            let last = report.last_words().unwrap_or("it said nothing").to_owned();
            bail!(
                "the worker {} ended by itself ({}): {last}\n  its log: {}",
                self.name,
                report.outcome,
                self.log.display()
            );
        }
        Ok(())
    }
}
