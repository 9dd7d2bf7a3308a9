//! The view that stays: reads again and again, draws what changed, and obeys keys.

mod app;
mod draw;
mod pages;
mod screen;

use std::time::{Duration, Instant};

use common::broker::{BrokerOptions, Depths, depths};
use common::share::ShareError;
use jiff::tz::TimeZone;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{Reader, Status};
use crate::exit::{Exit, Failure};
use app::App;
use screen::Screen;

/// Between two looks at the share, at least; more if a look takes long.
const LOOK: Duration = Duration::from_secs(2);
/// So much of the time the share is left alone.
const REST: u32 = 5;
/// Between two questions to the broker.
const ASK: Duration = Duration::from_secs(10);
/// A reading that is older than this is said to be old.
const TICK: Duration = Duration::from_secs(1);

/// What was found out meanwhile.
#[derive(Debug)]
pub(super) enum News {
    /// From the share.
    Share(Box<Result<Status, String>>),
    /// From the broker.
    Broker(Result<Depths, String>),
}

/// Shows the status until `q`, Ctrl-C or `stop`. The terminal is then as it was before, whatever happened.
///
/// # Errors
/// The share is not there in the beginning, or the terminal cannot be drawn on.
pub async fn watch(
    mut reader: Reader,
    options: BrokerOptions,
    zone: TimeZone,
    stop: &CancellationToken,
) -> Result<Exit, Failure> {
    let begun = Instant::now();
    let first = tokio::task::spawn_blocking(move || reader.read().map(|status| (status, reader))).await;
    let (status, reader) =
        first.map_err(|e| Failure::new(Exit::Bug, "reading the share failed").because(&e))??;
    let mut app = App::new(status, zone);
    let (tell, mut news) = mpsc::channel(4);
    tokio::spawn(look(reader, begun.elapsed(), tell.clone()));
    tokio::spawn(ask(options, tell));
    let mut screen = Screen::open()?;
    let mut events = screen.events();
    loop {
        screen.draw(|frame| draw::draw(frame, &mut app))?;
        tokio::select! {
            Some(event) = events.recv() => app.event(&event),
            Some(news) = news.recv() => app.news(news),
            () = tokio::time::sleep(TICK) => {}
            () = stop.cancelled() => break,
        }
        if app.ended() {
            break;
        }
    }
    Ok(Exit::Ok)
}

async fn look(mut reader: Reader, mut took: Duration, tell: mpsc::Sender<News>) {
    loop {
        tokio::time::sleep(LOOK.max(took * REST)).await;
        let begun = Instant::now();
        let read = tokio::task::spawn_blocking(move || {
            let read = reader.read().map_err(|e: ShareError| e.to_string());
            (read, reader)
        });
        let Ok((read, back)) = read.await else { return };
        (reader, took) = (back, begun.elapsed());
        if tell.send(News::Share(Box::new(read))).await.is_err() {
            return;
        }
    }
}

async fn ask(options: BrokerOptions, tell: mpsc::Sender<News>) {
    loop {
        let asked = depths(&options).await.map_err(|e| e.to_string());
        if tell.send(News::Broker(asked)).await.is_err() {
            return;
        }
        tokio::time::sleep(ASK).await;
    }
}

#[cfg(test)]
mod tests;
