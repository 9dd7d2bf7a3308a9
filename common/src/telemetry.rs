//! One tracing set-up for both binaries.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;

use crate::broker::{QUIET, tells_secrets};
use crate::config::{LogConfig, LogFormat};
use crate::http;

/// Sends log lines to standard error: plain text for people, JSON lines for collectors.
///
/// `DOVI_LOG` overrides the configured level with a full filter (`info,common::broker=debug`). Calling it twice
/// in one process keeps the first set-up.
pub fn init(log: &LogConfig) {
    let filter = EnvFilter::try_from_env("DOVI_LOG")
        .or_else(|_| {
            EnvFilter::try_new(format!(
                "warn,{QUIET},common={0},consumer={0},producer={0},dovi={0}",
                log.level
            ))
        })
        .unwrap_or_else(|_| EnvFilter::new("info"));
    let mute =
        filter_fn(|m| !tells_secrets(m.target(), m.level()) && !http::tells_secrets(m.target(), m.level()));
    let base = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    // A second init in the same process (tests run daemons in-process) is no error worth stopping for.
    let _ = match log.format {
        LogFormat::Json => base.json().flatten_event(true).finish().with(mute).try_init(),
        LogFormat::Text => {
            let ansi = std::io::stderr().is_terminal();
            base.with_target(false).with_ansi(ansi).finish().with(mute).try_init()
        }
    };
}
