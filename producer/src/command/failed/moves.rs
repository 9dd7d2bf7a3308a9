//! `failed retry` and `failed discard`: moving dead letters without losing one.

use common::broker::FailedQueue;
use common::config::Config;
use common::job::{FailureCode, FailureReport};
use common::share::{Folder, JobState, ShareState};
use serde::Serialize;

use super::item::{self, Item};
use crate::cli::Pick;
use crate::command::Context;
use crate::exit::{Exit, Failure};
use crate::render::{Output, safe};
use crate::submit::{Cleared, Submitter};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "moved")]
struct Line {
    id: String,
    film: String,
    /// `retried`, `discarded` or `kept`
    what: &'static str,
    error: Option<String>,
}

/// Queues films again: report away, publish and confirm, dead letter away, `queued/` written.
pub(super) async fn retry(
    pick: &Pick,
    mut queue: FailedQueue,
    config: &Config,
    share: &ShareState,
    context: &Context,
) -> Result<Exit, Failure> {
    let items = picked(pick, share, &queue)?;
    let mut submitter = Submitter::connect(config, share, false).await?;
    let mut tally = Tally::new(pick.json);
    for item in &items {
        if context.stop.is_cancelled() {
            break;
        }
        let result = match (&item.job, item.letter) {
            (None, _) => {
                let text = "it holds no job, so it can only be discarded";
                Err(Failure::new(Exit::Some, text))
            }
            // Nothing is to be tried again: only the letter is left over.
            (Some(job), Some(number)) if share.state_of(job.id)? == JobState::Done => {
                queue.discard(number).await.map_err(Failure::from)
            }
            (Some(job), Some(number)) => {
                let cleared = Cleared::take(share, job.id, &[])?;
                let published = queue.retry(number, submitter.publisher()).await;
                cleared.settle(share, published, job)
            }
            (Some(job), None) => submitter.submit(job, &[], false).await.map(drop),
        };
        tally.add(item, "retried", result)?;
    }
    queue.close().await;
    // It looks for dead letters of what was queued from the share alone; they are not there, or were locked by us.
    submitter.close().await;
    tally.end("queued again", items.len(), context)
}

/// Removes dead letters; the report stays on the share, marked, so that scan leaves the film alone.
pub(super) async fn discard(
    pick: &Pick,
    mut queue: FailedQueue,
    share: &ShareState,
    context: &Context,
) -> Result<Exit, Failure> {
    let items = picked(pick, share, &queue)?;
    let mut tally = Tally::new(pick.json);
    for item in &items {
        if context.stop.is_cancelled() {
            break;
        }
        let result = mark(item, share);
        let result = match (result, item.letter) {
            (Ok(()), Some(number)) => queue.discard(number).await.map_err(Failure::from),
            (marked, _) => marked,
        };
        tally.add(item, "discarded", result)?;
    }
    queue.close().await;
    tally.end("discarded", items.len(), context)
}

/// Writes the report with its mark, also where only the dead letter was left. A film that was queued again since, or that is
/// in work or done by now, is left alone: its old letter alone shall go.
fn mark(item: &Item, share: &ShareState) -> Result<(), Failure> {
    let (Some(id), Some(job)) = (item.job_id(), &item.job) else { return Ok(()) };
    // A worker that gives a film up writes the report and removes the queue's entry. If it is the other way round by now,
    // somebody queued the film again. A letter of the broker's own has no report.
    let state = share.state_of(id)?;
    let again = item.report.is_some() && !item.on_share && state == JobState::Queued;
    if again || matches!(state, JobState::Done | JobState::Leased) {
        return Ok(());
    }
    let mut report = item.report.clone().unwrap_or_else(|| FailureReport {
        v: 1,
        job: Some(job.clone()),
        code: FailureCode::Poison,
        class: FailureCode::Poison.class(),
        stage: "broker".into(),
        summary: "The broker gave it up: delivered too often.".into(),
        hint: FailureCode::Poison.hint().into(),
        causes: Vec::new(),
        tool: None,
        attempt: 0,
        worker: String::new(),
        at: jiff::Timestamp::now(),
        log: None,
        raw: None,
        discarded_at: None,
    });
    report.discarded_at = Some(jiff::Timestamp::now());
    share.write(Folder::Failed, id, &report)?;
    share.remove(Folder::Queued, id)?;
    Ok(())
}

/// All of the ids are looked up before anything is moved.
fn picked(pick: &Pick, share: &ShareState, queue: &FailedQueue) -> Result<Vec<Item>, Failure> {
    let items = item::read(share, Some(queue))?;
    if pick.all {
        return Ok(items.into_iter().filter(|i| !i.discarded).collect());
    }
    let mut picked: Vec<Item> = Vec::new();
    for id in &pick.ids {
        let found = item::find(&items, id)?;
        // Every letter of that job, so that none is left over.
        let all = items.iter().filter(|i| i.id == found.id).cloned();
        if !picked.iter().any(|p| p.id == found.id) {
            picked.extend(all);
        }
    }
    Ok(picked)
}

/// What became of each film.
struct Tally {
    out: Output,
    moved: usize,
    kept: usize,
}

impl Tally {
    fn new(json: bool) -> Self {
        Self { out: Output::new(json), moved: 0, kept: 0 }
    }

    /// A film that cannot be moved is told and the next one is tried; a broker or share that is gone ends it all.
    fn add(&mut self, item: &Item, what: &'static str, result: Result<(), Failure>) -> Result<(), Failure> {
        let error = match result {
            Ok(()) => None,
            Err(f) if f.exit == Exit::Some => Some(f.message),
            Err(f) => return Err(f),
        };
        let film = item.film();
        let what = if error.is_some() { "kept" } else { what };
        let tail = error.as_ref().map(|e| format!(": {e}")).unwrap_or_default();
        let short: String = safe(&item.id).chars().take(8).collect();
        self.out.line(&format!("{what:<9}  {short:<8}  {}{tail}", safe(&film)))?;
        match error {
            None => self.moved += 1,
            Some(_) => self.kept += 1,
        }
        self.out.object(&Line { id: item.id.clone(), film, what, error })
    }

    fn end(mut self, done: &str, asked: usize, context: &Context) -> Result<Exit, Failure> {
        let text = format!("{} of {asked} {done}", self.moved);
        self.out.line(&text)?;
        if context.stop.is_cancelled() && self.moved + self.kept < asked {
            return Err(context.interrupted(&text));
        }
        Ok(if self.kept > 0 { Exit::Some } else { Exit::Ok })
    }
}
