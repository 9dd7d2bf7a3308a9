//! Many workers on one queue, with a conversion that does nothing.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::broker::BrokerOptions;
use common::config::{Overrides, load};
use consumer::daemon::{self, Limits, Shutdown};
use consumer::pipeline::Toolbox;
use serde_json::{Value, json};

use super::nothing::Nothing;
use crate::performance::measure::median;

/// A queue that stays empty for so long is done.
const IDLE: Duration = Duration::from_secs(5);

/// Runs `workers` whole workers, each with its own two connections, leases and presence, until the queue is empty.
///
/// Gives seconds from the first to the last film, the median time between the ends of two films in milliseconds, memory
/// after a tenth of the films and at the end in bytes, and the films of each worker.
///
/// # Errors
/// The configuration or the certificate cannot be read, a worker cannot run, or fewer than two films came.
pub fn drain(config: &Path, certificate: &Path, workers: u16) -> Result<Value> {
    let template = serde_json::from_slice(&fs::read(certificate)?).context("a certificate as a template")?;
    let nothing = Arc::new(Nothing::new(template));
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        let mut running = Vec::new();
        for n in 0..workers {
            let name = vec![("worker.name".to_owned(), format!("null-{n}"))];
            let config = load(Some(config), &Overrides::from(name))?.config;
            let options = BrokerOptions::from_config(&config.broker)?;
            let tools = Arc::new(Toolbox::new(config.tools.clone()));
            let limits = Limits { idle: Some(IDLE), slots: 1, ..Limits::default() };
            let (films, shutdown) = (nothing.clone(), Shutdown::default());
            running.push(tokio::spawn(daemon::run(
                Arc::new(config),
                options,
                tools,
                films,
                limits,
                shutdown,
            )));
        }
        for worker in running {
            worker.await.context("a worker")?;
        }
        anyhow::Ok(())
    })?;
    let seen = nothing.seen();
    ensure!(seen.ends.len() > 1, "{} films came", seen.ends.len());
    let gaps = seen.ends.windows(2).map(|w| w[1].duration_since(w[0]).as_secs_f64() * 1e3);
    let all = seen.ends[seen.ends.len() - 1].duration_since(seen.ends[0]).as_secs_f64();
    Ok(json!({
        "films": seen.ends.len(),
        "seconds": all,
        "gap_ms": median(gaps),
        "memory_early": seen.memory[seen.memory.len() / 10],
        "memory": seen.memory[seen.memory.len() - 1],
        "by_worker": seen.by_worker.values().collect::<Vec<_>>(),
    }))
}
