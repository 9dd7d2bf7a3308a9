//! `run`: the daemon.

use std::sync::Arc;
use std::time::Duration;

use common::broker::BrokerOptions;
use common::telemetry;

use super::{load_config, on_signals};
use crate::cli::{Drain, Global, RunArgs};
use crate::daemon::{self, Limits, Shutdown};
use crate::exit::{Exit, Failure};
use crate::pipeline::{Stages, Toolbox};

pub(super) async fn run(global: &Global, args: RunArgs) -> Result<Exit, Failure> {
    let mut config = load_config(global, &[])?;
    config.require_fleet()?;
    if global.verbose {
        config.log.level = "debug".into();
    }
    telemetry::init(&config.log);
    let idle = match args.idle_exit {
        Some(s) if !(0.0..1e9).contains(&s) => {
            return Err(Failure::usage("--idle-exit takes a number of seconds"));
        }
        idle => idle.map(Duration::from_secs_f64),
    };
    let options = BrokerOptions::from_config(&config.broker)?.property("role", "worker");
    // A worker without its programs will not get them by waiting.
    let tools = Toolbox::new(config.tools.clone()).with_backend(config.dovi.backend);
    tools.mkvmerge().await?;
    tools.external().await?;
    tools.encoder(config.recipe.encoder).await?;
    let shutdown = Shutdown::default();
    on_signals(&shutdown, args.drain == Drain::Now)?;
    let limits = Limits { once: args.once, idle, slots: args.slots };
    Ok(daemon::run(Arc::new(config), options, Arc::new(tools), Arc::new(Stages), limits, shutdown).await)
}
