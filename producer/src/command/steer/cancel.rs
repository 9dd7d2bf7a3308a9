//! `cancel`: a film in work is stopped by its worker; one that nobody has is given up here.

use std::time::Duration;

use common::broker::{BrokerOptions, Notice, Outgoing, Publisher, Route, send_notice};
use common::config::Config;
use common::job::{FailureCode, FailureReport};
use common::share::{Acquire, Folder, JobState, LeaseObserver, Owner, ShareState};
use serde::Serialize;
use tokio::time::Instant;

use super::jobs::{Book, Meant};
use super::signature;
use crate::cli::CancelArgs;
use crate::command::Context;
use crate::exit::{Exit, Failure};
use crate::render::{Output, duration, safe};
use crate::submit::broker_options;

/// For a worker that heard it to kill its programs, clean up and write the report, beside `worker.grace_s`.
const TIDY: Duration = Duration::from_secs(15);

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "cancelled")]
struct Line<'a> {
    id: String,
    film: &'a str,
    /// `cancelled` or `kept`
    what: &'static str,
    text: &'a str,
}

pub(in crate::command) async fn cancel(args: &CancelArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let book = Book::open(&config, &share)?;
    let all = book.find_all(&args.jobs)?;
    let options = broker_options(&config)?;
    let publisher = Publisher::new(options.clone());
    let work =
        Work { config: &config, share: &share, options: &options, publisher: &publisher, by: signature() };
    let mut out = Output::new(args.json);
    let mut kept = 0;
    for meant in &all {
        if context.stop.is_cancelled() {
            return Err(context.interrupted("the other films were left alone"));
        }
        let (what, text) = match work.cancel(meant, context).await? {
            Ok(text) => ("cancelled", text),
            Err(text) => {
                kept += 1;
                ("kept", text)
            }
        };
        let film = meant.film();
        out.line(&format!("{what:<9}  {}  {}  ({text})", meant.id.short(), safe(&film)))?;
        out.object(&Line { id: meant.id.to_string(), film: &film, what, text: &text })?;
    }
    publisher.close().await;
    Ok(if kept > 0 { Exit::Some } else { Exit::Ok })
}

struct Work<'a> {
    config: &'a Config,
    share: &'a ShareState,
    options: &'a BrokerOptions,
    publisher: &'a Publisher,
    by: String,
}

impl Work<'_> {
    /// How it was cancelled, or why it was not.
    async fn cancel(&self, meant: &Meant, context: &Context) -> Result<Result<String, String>, Failure> {
        let worker = match self.share.state_of(meant.id)? {
            JobState::Leased => match self.share.read_lease(meant.id) {
                Ok(lease) => lease.map(|l| (l.worker, l.progress.stage)),
                Err(_) => None,
            },
            _ => None,
        };
        let mut asked: Option<(Instant, Duration)> = None;
        loop {
            match self.share.state_of(meant.id)? {
                JobState::Done => return Ok(Err("it is done already".into())),
                JobState::Failed => {
                    let report = self.share.read::<FailureReport>(Folder::Failed, meant.id)?;
                    let code = report.as_ref().map_or(FailureCode::Cancelled, |r| r.code);
                    if code != FailureCode::Cancelled {
                        return Ok(Err(format!("it has failed already: {code}")));
                    }
                    return Ok(match (&worker, asked) {
                        (Some((worker, stage)), Some(_)) => {
                            Ok(format!("stopped in {} by {}", safe(stage), safe(worker)))
                        }
                        _ => Ok("it was cancelled before".into()),
                    });
                }
                JobState::Unknown if meant.job.is_none() => {
                    return Ok(Err("nothing is known of it any more".into()));
                }
                JobState::Queued | JobState::Unknown => {
                    if self.give_up(meant).await? {
                        return Ok(Ok("it was waiting".into()));
                    }
                }
                JobState::Leased => {}
            }
            match asked {
                None => {
                    let cancel = self.share.cancel(meant.id, &self.by)?;
                    let reached = send_notice(self.options, &Notice::Cancel(cancel)).await;
                    let grace = self.config.worker.grace() + TIDY;
                    let beat = self.config.worker.beat();
                    let patience = if matches!(reached, Ok(true)) { grace } else { grace + beat };
                    if let Err(e) = &reached {
                        eprintln!("warning: {e}; the worker sees it on the share with its next beat");
                    }
                    asked = Some((Instant::now(), patience));
                }
                Some((since, patience)) if since.elapsed() > patience || context.stop.is_cancelled() => {
                    let who = worker.map_or_else(|| "its worker".into(), |(w, _)| safe(&w));
                    return Ok(Err(format!(
                        "nobody heard it: {who} did not answer within {}; it stays on the share, and whoever has the \
                         film drops it",
                        duration(since.elapsed())
                    )));
                }
                Some(_) => {}
            }
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }

    /// Nobody has it: takes the lease, so that nobody begins, and writes the report. False: somebody was faster.
    async fn give_up(&self, meant: &Meant) -> Result<bool, Failure> {
        let Some(job) = &meant.job else { return Ok(false) };
        let report = FailureReport {
            v: 1,
            job: Some(job.clone()),
            code: FailureCode::Cancelled,
            class: FailureCode::Cancelled.class(),
            stage: "queue".into(),
            summary: format!("cancelled by {} before a worker began", self.by),
            hint: FailureCode::Cancelled.hint().into(),
            causes: Vec::new(),
            tool: None,
            attempt: 0,
            worker: String::new(),
            at: jiff::Timestamp::now(),
            log: None,
            raw: None,
            discarded_at: None,
        };
        let (share, id, stale, letter) =
            (self.share.clone(), meant.id, self.config.worker.stale(), report.clone());
        let given_up = tokio::task::spawn_blocking(move || {
            let observer = LeaseObserver::new(share.clone(), Owner::here("dovi-producer"));
            let Acquire::Mine(lease) = observer.acquire(id, stale)? else { return Ok(false) };
            // Asked again under the lease: it may have ended just now.
            let settled = match share.state_of(id)? {
                JobState::Done | JobState::Failed => Ok(false),
                _ => share.settle(Folder::Failed, id, &report).map(|()| true),
            };
            lease.release()?;
            let settled = settled?;
            share.forget_cancel(id)?;
            Ok::<_, common::share::ShareError>(settled)
        });
        let given_up =
            given_up.await.map_err(|e| Failure::new(Exit::Bug, "giving a film up failed").because(&e))??;
        if given_up
            && let Err(e) = self.publisher.publish(Route::Failed, &Outgoing::report(&letter, None)?).await
        {
            eprintln!("warning: its report is on the share, but the broker has no dead letter of it: {e}");
        }
        Ok(given_up)
    }
}
