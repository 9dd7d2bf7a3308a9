//! `failed …`: films that were given up.

mod item;
mod list;
mod moves;
mod show;

use common::broker::FailedQueue;

use super::Context;
use crate::cli::FailedCommand;
use crate::exit::{Exit, Failure};
use crate::render::Output;
use crate::submit::{MOST_LETTERS, broker_options};

pub(super) async fn run(command: FailedCommand, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    share.check()?;
    let options = broker_options(&config)?;
    let queue = FailedQueue::open(&options, MOST_LETTERS).await;
    match command {
        FailedCommand::List { json } => {
            let items = item::read(&share, queue.as_ref().ok())?;
            let trouble = close(queue).await;
            list::print(&items, trouble, &mut Output::new(json))
        }
        FailedCommand::Show { id, json } => {
            let items = item::read(&share, queue.as_ref().ok())?;
            let trouble = close(queue).await;
            let item = item::find(&items, &id)?;
            show::print(item, trouble, &share, &mut Output::new(json))
        }
        FailedCommand::Retry(pick) => moves::retry(&pick, queue?, &config, &share, context).await,
        FailedCommand::Discard(pick) => moves::discard(&pick, queue?, &share, context).await,
    }
}

/// Lets others at the dead letters; returns why there were none to look at, if so.
async fn close(queue: Result<FailedQueue, common::broker::BrokerError>) -> Option<String> {
    match queue {
        Ok(queue) => {
            queue.close().await;
            None
        }
        Err(e) => Some(format!("only the reports on the share are shown: {e}")),
    }
}
