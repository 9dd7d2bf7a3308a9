//! `priority`: films that go before all others.

use common::broker::{Outgoing, Publisher, Route, depths};
use common::share::{JobState, ShareState};
use serde::Serialize;

use super::jobs::{Book, Meant};
use crate::cli::PriorityArgs;
use crate::command::Context;
use crate::exit::{Exit, Failure};
use crate::render::{Output, safe};
use crate::submit::broker_options;

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "priority")]
struct Line<'a> {
    id: String,
    film: &'a str,
    /// `first` or `kept`
    what: &'static str,
    text: &'a str,
}

pub(in crate::command) async fn priority(args: &PriorityArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let all = Book::open(&config, &share)?.find_all(&args.jobs)?;
    let options = broker_options(&config)?;
    let publisher = Publisher::new(options.clone());
    let mut out = Output::new(args.json);
    let (mut first, mut kept) = (0, 0);
    for meant in &all {
        if context.stop.is_cancelled() {
            return Err(context.interrupted(&format!("{first} films go first")));
        }
        let refused = why_not(&share, meant)?;
        let (what, text) = match (refused, &meant.job) {
            (None, Some(job)) => {
                publisher.publish(Route::First, &Outgoing::job(job)?).await?;
                first += 1;
                ("first", "the next worker that is free takes it".to_owned())
            }
            (refused, _) => {
                kept += 1;
                ("kept", refused.unwrap_or_else(|| "its entry on the share cannot be read".into()))
            }
        };
        let film = meant.film();
        out.line(&format!("{what:<5}  {}  {}  ({text})", meant.id.short(), safe(&film)))?;
        out.object(&Line { id: meant.id.to_string(), film: &film, what, text: &text })?;
    }
    publisher.close().await;
    if first > 0 && depths(&options).await.is_ok_and(|d| d.films.consumers == 0) {
        out.line(
            "No worker waits for films now: all are busy or paused, or none is there (`status` shows them).",
        )?;
    }
    Ok(if kept > 0 { Exit::Some } else { Exit::Ok })
}

/// Why a film does not wait.
fn why_not(share: &ShareState, meant: &Meant) -> Result<Option<String>, Failure> {
    Ok(match share.state_of(meant.id)? {
        JobState::Done => Some("it is done already".into()),
        JobState::Failed => Some("it was given up; `failed retry` queues it again".into()),
        JobState::Leased => {
            let lease = share.read_lease(meant.id).ok().flatten();
            let worker = lease.map_or_else(|| "a worker".into(), |l| safe(&l.worker));
            Some(format!("{worker} has it already"))
        }
        JobState::Queued | JobState::Unknown => None,
    })
}
