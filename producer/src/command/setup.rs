//! `setup`: the share's state folder and the broker's queues.

use common::broker::topology;
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
    text: String,
}

pub(super) async fn run(args: &SetupArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let mut out = Output::new(args.json);
    let mut tell = |part: &str, made: bool, text: String| {
        out.object(&Line { part, made, text: text.clone() })?;
        out.line(&text)
    };
    let there = share.check().is_ok();
    first_run::create(&share)?;
    let dir = safe_path(share.dir());
    tell(
        "share",
        !there,
        if there { format!("share: {dir} is set up") } else { format!("share: made {dir}") },
    )?;

    let options = broker_options(&config)?;
    let created = topology::declare(&options).await?;
    let text = if created.is_empty() {
        format!("broker: {options} has all queues")
    } else {
        format!("broker: made {} at {options}", created.join(", "))
    };
    tell("broker", !created.is_empty(), text)?;
    Ok(Exit::Ok)
}
