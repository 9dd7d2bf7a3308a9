//! Is anybody there to do the work?

use common::broker::{BrokerError, depths};
use common::doctor::{Check, Finding, Fleet, Level};
use common::share::{PauseCause, ShareState, WorkerState};

use crate::render::safe;
use crate::status::number;

const START: &str = "start one where films shall be converted: `systemctl start dovi-consumer`, \
                     `docker compose --profile worker up -d`, or `dovi-consumer run`";
/// Names in a sentence; `status` has them all.
const NAMED: usize = 5;

pub const CHECK: Check<Fleet> = Check {
    name: "workers",
    part: "broker",
    about: "a worker takes films",
    needs: &["queues"],
    slow: false,
    worst: Level::Warning,
    look: |f| Box::pin(look(f)),
};

async fn look(fleet: &Fleet) -> Vec<Finding> {
    let seen = match fleet.broker() {
        Ok(options) => depths(&options).await,
        Err(e) => Err(e),
    };
    vec![match seen {
        Ok(d) if d.films.consumers == 0 => nobody(&fleet.share(), d.films.ready)
            .measured("connected", 0)
            .measured("films_waiting", d.films.ready),
        Ok(d) => Finding::ok(format!(
            "{} connected, {} waiting",
            number(d.films.consumers, "worker"),
            number(d.films.ready, "film")
        ))
        .measured("connected", d.films.consumers)
        .measured("films_waiting", d.films.ready),
        Err(e @ BrokerError::Forbidden { .. }) => {
            let hint = "`dovi-producer status` cannot show the queues with this user; docs/SECURITY.md has the rights";
            Finding::warning(e.to_string(), hint)
        }
        // It answered a moment ago.
        Err(e) => Finding::warning(e.to_string(), e.hint()),
    }]
}

/// Nobody takes films. Those who are there all the same leave word on the share.
fn nobody(share: &ShareState, waiting: u32) -> Finding {
    let films = format!("{} waiting", number(waiting, "film"));
    let there: Vec<_> = match share.workers() {
        Ok((workers, _)) => workers.into_iter().filter(|w| !w.is_silent()).map(|w| w.info).collect(),
        // The share has a check of its own.
        Err(_) => Vec::new(),
    };
    if there.is_empty() {
        return Finding::warning(format!("no worker is connected, {films}"), START);
    }
    let mut named: Vec<_> =
        there.iter().take(NAMED).map(|w| format!("{} is {}", safe(&w.name), w.state.name())).collect();
    if there.len() > NAMED {
        named.push(format!("and {} more", there.len() - NAMED));
    }
    let told = |w: &common::share::WorkerInfo| {
        w.state == WorkerState::Paused && w.pause.as_ref().is_some_and(|p| p.cause == PauseCause::Order)
    };
    let hint = if there.iter().any(told) {
        "`dovi-producer resume` lets them go on; `dovi-producer status` says who paused them"
    } else {
        "`dovi-producer status` says why, and until when"
    };
    Finding::warning(format!("no worker takes films now ({}), {films}", named.join(", ")), hint)
}
