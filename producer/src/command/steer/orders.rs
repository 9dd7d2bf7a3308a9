//! Orders to workers: written on the share, sent over the broker, answered in the workers' files.

use std::time::Duration;

use common::broker::{BrokerOptions, Notice, send_notice};
use common::share::{Command, Order, SeenWorker, ShareState};

use super::answers::{Answers, words};
use super::signature;
use crate::cli::{DrainArgs, PauseArgs, ResumeArgs};
use crate::command::Context;
use crate::exit::{Exit, Failure};
use crate::render::{Output, duration, safe};
use crate::submit::broker_options;

/// A worker that the broker reached answers within a second or two; a share may be slow to show it.
const AT_ONCE: Duration = Duration::from_secs(15);

pub(in crate::command) async fn pause(args: &PauseArgs, context: &Context) -> Result<Exit, Failure> {
    let command = if args.now { Command::Freeze } else { Command::Pause };
    give(command, &args.workers, args.json, context).await
}

pub(in crate::command) async fn resume(args: &ResumeArgs, context: &Context) -> Result<Exit, Failure> {
    give(Command::Run, &args.workers, args.json, context).await
}

pub(in crate::command) async fn drain(args: &DrainArgs, context: &Context) -> Result<Exit, Failure> {
    let command = if args.now { Command::Leave } else { Command::Drain };
    let mut workers = args.workers.clone();
    if args.all {
        let (_, share) = context.fleet()?;
        workers = share.workers()?.0.into_iter().map(|w| w.info.name).collect();
        workers.dedup();
        if workers.is_empty() {
            Output::new(args.json).line("No worker is there.")?;
        }
    }
    give(command, &workers, args.json, context).await
}

async fn give(command: Command, workers: &[String], json: bool, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let (seen, _) = share.workers()?;
    let options = broker_options(&config)?;
    let by = signature();
    let whom: Vec<Option<&str>> = match workers {
        [] if command.stands() => vec![None],
        names => names.iter().map(|w| Some(w.as_str())).collect(),
    };
    let mut answers = Answers::new(command, Output::new(json));
    for worker in whom {
        let meant: Vec<&SeenWorker> =
            seen.iter().filter(|w| worker.is_none_or(|name| w.info.name == name)).collect();
        if meant.is_empty() && !command.stands() {
            // Nothing is written: it would be for no process.
            answers.nobody(worker, &there(&seen))?;
            continue;
        }
        let origins =
            if command.stands() { Vec::new() } else { meant.iter().map(|w| w.info.origin.clone()).collect() };
        let order = share.give_order(command, worker, origins, &by)?;
        let reached = send(&options, &order).await;
        answers.asked(reached);
        if meant.is_empty() {
            answers.nobody(worker, &there(&seen))?;
            continue;
        }
        wait(&share, &order, &meant, reached, &mut answers, context).await?;
    }
    answers.end()
}

/// Whether the broker had somebody to give it to; `None`: there is no broker.
async fn send(options: &BrokerOptions, order: &Order) -> Option<bool> {
    match send_notice(options, &Notice::Order(order.clone())).await {
        Ok(reached) => Some(reached),
        Err(e) => {
            eprintln!(
                "warning: {e}; the order is on the share, and workers see it there with their next beat\nhint: {}",
                e.hint()
            );
            None
        }
    }
}

/// Tells of each worker as soon as its file says that it heard.
async fn wait(
    share: &ShareState,
    order: &Order,
    meant: &[&SeenWorker],
    reached: Option<bool>,
    answers: &mut Answers,
    context: &Context,
) -> Result<(), Failure> {
    let mut open: Vec<&SeenWorker> = meant.to_vec();
    open.retain(|w| !w.is_silent());
    // Whom the broker does not reach looks at the share with its next beat.
    let beat = open.iter().map(|w| w.info.beat_s).filter(|b| b.is_finite()).fold(1.0, f64::max).min(600.0);
    let patience = if reached == Some(true) { AT_ONCE } else { AT_ONCE + Duration::from_secs_f64(beat) };
    let begun = tokio::time::Instant::now();
    if reached != Some(true) && !open.is_empty() {
        eprintln!("waiting up to {} for the workers' next look at the share", duration(patience));
    }
    while !open.is_empty() && begun.elapsed() < patience && !context.stop.is_cancelled() {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = share.workers()?.0;
        let mut still = Vec::new();
        for worker in open {
            let same = now.iter().find(|w| w.info.origin == worker.info.origin);
            match same {
                Some(w) if w.info.order.as_deref() == Some(order.id.as_str()) => {
                    answers.heard(w, &words(order.command, &w.info))?;
                }
                // It took its file with it.
                None if !order.command.stands() => answers.heard(worker, "it has ended")?,
                _ => still.push(worker),
            }
        }
        open = still;
    }
    for worker in meant.iter().filter(|w| w.is_silent()) {
        let heard = duration(worker.quiet);
        answers.silent(worker, &format!("not heard of for {heard} (was {})", worker.info.state.name()))?;
    }
    for worker in open {
        answers.silent(worker, &format!("no answer within {}", duration(begun.elapsed())))?;
    }
    Ok(())
}

fn there(seen: &[SeenWorker]) -> String {
    let mut names: Vec<String> = seen.iter().map(|w| safe(&w.info.name)).collect();
    names.dedup();
    names.join(", ")
}
