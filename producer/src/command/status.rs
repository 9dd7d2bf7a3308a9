//! `status`: what is queued, in work, done and failed, who works, and when it will be done.

use std::io::IsTerminal;
use std::time::Duration;

use common::broker::{BrokerOptions, depths};
use jiff::tz::TimeZone;

use super::Context;
use crate::cli::StatusArgs;
use crate::exit::{Exit, Failure};
use crate::render::{Output, colours};
use crate::status::{self, Reader, Status};
use crate::submit::broker_options;

/// Between two readings where nobody watches the screen: they go to a file or a pipe.
const REPEAT: Duration = Duration::from_secs(10);

pub(super) async fn run(args: &StatusArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let options = broker_options(&config)?;
    let mut reader = Reader::new(share, config.worker.stale());
    let zone = TimeZone::system();
    if args.watch && screen() {
        return status::watch(reader, options, zone, &context.stop).await;
    }
    let mut out = Output::new(args.json);
    let paint = colours();
    loop {
        let status: Status;
        (status, reader) = read(reader, &options).await?;
        out.object(&status)?;
        let lines = status::lines(&status, &zone);
        let text: Vec<String> =
            lines.iter().map(|l| if paint { l.coloured() } else { l.to_string() }).collect();
        out.line(&text.join("\n"))?;
        if !args.watch {
            return Ok(Exit::Ok);
        }
        tokio::select! {
            () = tokio::time::sleep(REPEAT) => {}
            () = context.stop.cancelled() => return Ok(Exit::Ok),
        }
        out.line("")?;
    }
}

/// Whether there is somebody to watch, on a terminal that can be drawn on.
fn screen() -> bool {
    let can = std::env::var_os("TERM").is_some_and(|t| t != "dumb" && !t.is_empty());
    can && std::io::stdout().is_terminal()
}

/// Share and broker at the same time: either may be slow.
async fn read(mut reader: Reader, options: &BrokerOptions) -> Result<(Status, Reader), Failure> {
    let reading = tokio::task::spawn_blocking(move || reader.read().map(|status| (status, reader)));
    let asking = async { Ok(depths(options).await.map_err(|e| e.to_string())) };
    let reading = async {
        let read = reading.await;
        let read = read.map_err(|e| Failure::new(Exit::Bug, "reading the share failed").because(&e))?;
        Ok::<_, Failure>(read?)
    };
    // Without the share nobody waits for the broker.
    let ((status, reader), broker) = tokio::try_join!(reading, asking)?;
    Ok((status.with_broker(broker), reader))
}
