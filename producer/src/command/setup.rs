//! `setup`: the share's state folder, and the broker's queues and users.

mod broker;
mod secrets;

use common::broker::topology;
use common::config::Config;
use common::share::ShareState;
use serde::Serialize;

use super::Context;
use crate::cli::SetupArgs;
use crate::exit::{Exit, Failure};
use crate::first_run;
use crate::render::{Output, safe_path};
use crate::submit::broker_options;

#[derive(Serialize)]
#[serde(tag = "type", rename = "setup")]
struct Line<'a> {
    part: &'a str,
    made: bool,
    text: &'a str,
}

/// Says what is there and what was made.
struct Tell {
    out: Output,
}

impl Tell {
    fn about(&mut self, part: &str, made: bool, text: &str) -> Result<(), Failure> {
        self.out.object(&Line { part, made, text })?;
        self.out.line(text)
    }

    /// For people only.
    fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.out.line(text)
    }
}

pub(super) async fn run(args: &SetupArgs, context: &Context) -> Result<Exit, Failure> {
    let mut tell = Tell { out: Output::new(args.json) };
    match (&args.admin, &args.definitions, &args.secrets) {
        (Some(url), _, Some(dir)) => {
            let config = context.load()?.config;
            broker::usable(url, args, &config)?;
            share_if_set(&config, &mut tell)?;
            broker::online(url, dir, args, &config, &mut tell).await?;
        }
        (_, Some(file), Some(dir)) => {
            let config = context.load()?.config;
            broker::offline(file, dir, args, &config, &mut tell)?;
        }
        _ if args.secrets.is_some() => {
            return Err(Failure::usage("--secrets alone makes nothing")
                .hint("add --admin URL for a running broker, or --definitions FILE for a new one"));
        }
        _ => {
            let (config, state) = context.fleet()?;
            broker_options(&config)?;
            share(&state, &mut tell)?;
            queues(&config, &mut tell).await?;
        }
    }
    Ok(Exit::Ok)
}

/// The broker's machine need not know the share.
fn share_if_set(config: &Config, tell: &mut Tell) -> Result<(), Failure> {
    if config.share.state_dir.as_os_str().is_empty() {
        return tell.about("share", false, "share: none is configured here");
    }
    share(&ShareState::new(&config.share.state_dir), tell)
}

fn share(share: &ShareState, tell: &mut Tell) -> Result<(), Failure> {
    let there = share.check().is_ok();
    first_run::create(share)?;
    let dir = safe_path(share.dir());
    let text = if there { format!("share: {dir} is set up") } else { format!("share: made {dir}") };
    tell.about("share", !there, &text)
}

async fn queues(config: &Config, tell: &mut Tell) -> Result<(), Failure> {
    let options = broker_options(config)?;
    let created = topology::declare(&options).await?;
    let text = if created.is_empty() {
        format!("broker: {options} has all queues")
    } else {
        format!("broker: made {} at {options}", created.join(", "))
    };
    tell.about("broker", !created.is_empty(), &text)
}
