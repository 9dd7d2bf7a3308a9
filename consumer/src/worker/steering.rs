//! What people and the clock tell this worker: to take no films, to stand still, to end, to drop a film.
//!
//! Decided here; the daemon waits and connects accordingly. All slots share it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use common::broker::Notice;
use common::config::{Closed, Schedule, WorkerConfig};
use common::job::{FailureCode, JobId};
use common::share::{Cancel, Command, Order, Orders, Pause, PauseCause, ShareError};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::run::{Worker, blocking};
use crate::pipeline::Stop;

/// What this worker was told. Touches neither share nor broker.
#[derive(Debug)]
pub(super) struct Steering {
    /// `None`: always open. A configuration with a week that cannot be read was refused before.
    schedule: Option<Schedule>,
    told: Mutex<Told>,
    pause: watch::Sender<Option<Pause>>,
    drain: CancellationToken,
    leave: CancellationToken,
}

#[derive(Debug, Default)]
struct Told {
    standing: Option<Order>,
    /// The share had it too: when it is no longer there, it no longer stands.
    on_share: bool,
    /// The films in hand.
    films: HashMap<JobId, Stop>,
}

/// Something that is to be told to the outside.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// The order that was heard.
    order: Option<String>,
    /// It is another pause than before, or none any more.
    pause: Option<Option<Pause>>,
}

impl Steering {
    pub(super) fn new(config: &WorkerConfig) -> Self {
        Self {
            schedule: config.schedule().ok(),
            told: Mutex::default(),
            pause: watch::Sender::default(),
            drain: CancellationToken::new(),
            leave: CancellationToken::new(),
        }
    }

    /// What the share says. It may be behind a message that came just now.
    fn learn(&self, orders: &Orders, origin: &str, now: jiff::Timestamp) -> News {
        let mut told = self.told();
        let share = &orders.standing;
        let is_later = |a: &Order, b: &Order| a.at >= b.at;
        let behind = match (share, &told.standing) {
            (Some(share), Some(known)) => !is_later(share, known) && !told.on_share,
            (None, Some(_)) => !told.on_share,
            (_, None) => false,
        };
        if !behind {
            (told.standing, told.on_share) = (share.clone(), share.is_some());
        }
        let order = orders.drain.as_ref().filter(|o| self.is_obeyed(o, origin)).map(|o| o.id.clone());
        let order = order.or_else(|| told.standing.as_ref().map(|o| o.id.clone()));
        News { order, pause: self.decide(&told, now) }
    }

    /// What a message says. Orders that are older than the one in force are none.
    fn hear(&self, order: &Order, origin: &str, now: jiff::Timestamp) -> News {
        if !order.command.stands() {
            let order = self.is_obeyed(order, origin).then(|| order.id.clone());
            return News { order, pause: None };
        }
        let mut told = self.told();
        if told.standing.as_ref().is_none_or(|known| order.at > known.at) {
            (told.standing, told.on_share) = (Some(order.clone()), false);
        }
        News { order: Some(order.id.clone()), pause: self.decide(&told, now) }
    }

    /// Time has passed, and nothing else is known.
    fn tick(&self, now: jiff::Timestamp) -> News {
        News { order: None, pause: self.decide(&self.told(), now) }
    }

    /// Ends, if this process is meant.
    fn is_obeyed(&self, order: &Order, origin: &str) -> bool {
        if !order.origins.iter().any(|o| o == origin) {
            return false;
        }
        match order.command {
            Command::Drain => self.drain.cancel(),
            Command::Leave => {
                self.drain.cancel();
                self.leave.cancel();
            }
            _ => return false,
        }
        true
    }

    /// Whether and why it takes no films now. `Some` if that changed.
    fn decide(&self, told: &Told, now: jiff::Timestamp) -> Option<Option<Pause>> {
        let by_order =
            told.standing.as_ref().filter(|o| matches!(o.command, Command::Pause | Command::Freeze));
        let closed = self.schedule.as_ref().and_then(|s| s.closed(now));
        let by_clock = closed.map(|(cause, frozen)| Pause {
            cause: match cause {
                Closed::Hours => PauseCause::Hours,
                Closed::Quiet => PauseCause::Quiet,
            },
            frozen,
            until: self.schedule.as_ref().and_then(|s| s.opens(now)),
            by: None,
        });
        // A person's word ends with another one; in its shade the clock still decides whether films stand still.
        let pause = match by_order {
            Some(o) => Some(Pause {
                cause: PauseCause::Order,
                frozen: o.command == Command::Freeze || by_clock.is_some_and(|p| p.frozen),
                until: None,
                by: (!o.by.is_empty()).then(|| o.by.clone()),
            }),
            None => by_clock,
        };
        let frozen = pause.as_ref().is_some_and(|p| p.frozen);
        told.films.values().for_each(|film| film.freeze(frozen));
        let changed = self.pause.send_if_modified(|old| {
            let changed = *old != pause;
            old.clone_from(&pause);
            changed
        });
        changed.then_some(pause)
    }

    /// A film is in hand until the guard is dropped.
    pub(super) fn takes(&self, job: JobId, stop: &Stop) -> InHand<'_> {
        let mut told = self.told();
        stop.freeze(self.pause.borrow().as_ref().is_some_and(|p| p.frozen));
        told.films.insert(job, stop.clone());
        InHand { steering: self, job }
    }

    /// The films in hand.
    fn films(&self) -> Vec<JobId> {
        self.told().films.keys().copied().collect()
    }

    /// Drops a film, if it is in hand.
    fn cancel(&self, cancel: &Cancel) {
        if let Some(film) = self.told().films.get(&cancel.job) {
            tracing::info!(job = %cancel.job, by = cancel.by, "told to drop this film");
            film.stop(FailureCode::Cancelled);
        }
    }

    /// For people, with the time on the worker's wall.
    fn words(&self, pause: &Pause) -> String {
        let by = pause.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        let until = pause.until.zip(self.schedule.as_ref());
        let until = until.map(|(at, s)| format!(" until {}", s.wall(at))).unwrap_or_default();
        match (pause.cause, pause.frozen) {
            (PauseCause::Hours, false) => format!("outside of its working hours{until}"),
            (PauseCause::Hours, true) => format!("standing still, outside of its working hours{until}"),
            (PauseCause::Quiet, _) => format!("standing still, within its quiet hours{until}"),
            (_, true) => format!("standing still, told so{by}"),
            (_, false) => format!("paused{by}"),
        }
    }

    fn told(&self) -> MutexGuard<'_, Told> {
        self.told.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A film in hand can be frozen and cancelled.
#[derive(Debug)]
pub(super) struct InHand<'a> {
    steering: &'a Steering,
    job: JobId,
}

impl Drop for InHand<'_> {
    fn drop(&mut self) {
        self.steering.told().films.remove(&self.job);
    }
}

impl Worker {
    /// Reads the orders on the share.
    ///
    /// # Errors
    /// The share is gone or fails: what was known stays in force.
    pub async fn look_for_orders(&self) -> Result<(), ShareError> {
        let (share, name, films) = (self.share.clone(), self.name().to_owned(), self.steering.films());
        let read = blocking(move || {
            let orders = share.orders(&name)?;
            let cancelled: Vec<_> = films
                .into_iter()
                .filter_map(|job| share.cancelled(job).transpose())
                .collect::<Result<_, _>>()?;
            Ok::<_, ShareError>((orders, cancelled))
        });
        let (orders, cancelled) = match read.await {
            Ok(Ok(read)) => read,
            Ok(Err(e)) => {
                self.tell_news(self.steering.tick(jiff::Timestamp::now()));
                return Err(e);
            }
            Err(e) => {
                tracing::error!(error = %e, "reading the orders");
                return Ok(());
            }
        };
        cancelled.iter().for_each(|cancel| self.steering.cancel(cancel));
        self.tell_news(self.steering.learn(&orders, self.origin(), jiff::Timestamp::now()));
        Ok(())
    }

    /// Obeys a message.
    pub fn hear(&self, notice: &Notice) {
        match notice {
            Notice::Order(order) => {
                self.tell_news(self.steering.hear(order, self.origin(), jiff::Timestamp::now()));
            }
            Notice::Cancel(cancel) => self.steering.cancel(cancel),
        }
    }

    fn tell_news(&self, news: News) {
        match news.pause {
            None => {}
            Some(None) => {
                tracing::info!("going on: taking films again");
                self.presence.paused(None);
                self.tell_state("resumed", None);
            }
            Some(Some(pause)) => {
                let why = self.steering.words(&pause);
                tracing::info!("{why}: taking no films");
                self.presence.paused(Some((pause, why)));
                self.tell_state("paused", None);
            }
        }
        // Last: whoever waits for this answer reads the rest with it.
        if let Some(order) = news.order {
            self.presence.heard(&order);
        }
    }

    /// Whether it takes films.
    pub fn is_open(&self) -> bool {
        self.steering.pause.borrow().is_none()
    }

    /// Returns when it takes films; at once if it does.
    pub async fn takes_films(&self) {
        // The sender lives as long as we do.
        let _ = self.steering.pause.subscribe().wait_for(Option::is_none).await;
    }

    /// Returns when it takes no films; at once if it takes none.
    pub async fn takes_no_films(&self) {
        let _ = self.steering.pause.subscribe().wait_for(Option::is_some).await;
    }

    /// Returns when its films stand still; at once if they do.
    pub async fn stands_still(&self) {
        let _ = self.steering.pause.subscribe().wait_for(|p| p.as_ref().is_some_and(|p| p.frozen)).await;
    }

    /// Returns when it does not stand still; at once if it does not.
    pub async fn moves(&self) {
        let _ = self.steering.pause.subscribe().wait_for(|p| !p.as_ref().is_some_and(|p| p.frozen)).await;
    }

    /// Cancelled by the order to end after the film in hand.
    pub fn drain(&self) -> &CancellationToken {
        &self.steering.drain
    }

    /// Cancelled by the order to give the film in hand back, and to end.
    pub fn leave(&self) -> &CancellationToken {
        &self.steering.leave
    }

    /// So soon it must look again.
    pub fn next_look(&self) -> Duration {
        let now = jiff::Timestamp::now();
        let change = self.steering.schedule.as_ref().and_then(|s| s.changes(now));
        // A moment later, so that it has changed by then.
        let until = change.map(|at| at.duration_since(now).unsigned_abs() + Duration::from_millis(5));
        self.config.worker.beat().min(until.unwrap_or(Duration::MAX))
    }

    /// Takes the order to end away that this process obeyed.
    pub async fn obeyed(&self) {
        if !self.steering.drain.is_cancelled() {
            return;
        }
        let (share, name, origin) = (self.share.clone(), self.name().to_owned(), self.origin().to_owned());
        if let Ok(Err(e)) = blocking(move || share.obeyed(&name, &origin)).await {
            tracing::debug!(error = %e, "the order to end stays on the share");
        }
    }
}

#[cfg(test)]
mod tests {
    use common::config::load;

    use super::*;

    fn steering() -> Steering {
        Steering::new(&load(None, &vec![]).unwrap().config.worker)
    }

    fn order(n: i64, command: Command) -> Order {
        let at = jiff::Timestamp::from_second(n).unwrap();
        Order { v: 1, id: n.to_string(), command, worker: None, origins: Vec::new(), at, by: String::new() }
    }

    fn share(order: &Order) -> Orders {
        Orders { standing: Some(order.clone()), drain: None }
    }

    fn paused(s: &Steering) -> Option<bool> {
        s.pause.borrow().as_ref().map(|p| p.frozen)
    }

    const NOW: jiff::Timestamp = jiff::Timestamp::UNIX_EPOCH;

    #[test]
    fn a_message_is_obeyed_before_the_share_has_it_and_an_old_one_never() {
        let s = steering();
        let pause = order(5, Command::Pause);
        assert_eq!(s.hear(&pause, "", NOW).order.as_deref(), Some("5"));
        assert_eq!(paused(&s), Some(false));
        // A mount that caches names does not show the file yet, or the one before.
        assert_eq!(s.learn(&Orders::default(), "", NOW).pause, None);
        assert_eq!(s.learn(&share(&order(3, Command::Run)), "", NOW).pause, None);
        assert_eq!(paused(&s), Some(false));
        s.learn(&share(&pause), "", NOW);
        // Now it does; a person who takes it away means it.
        assert_eq!(s.learn(&Orders::default(), "", NOW).pause, Some(None));
        s.hear(&order(9, Command::Freeze), "", NOW);
        s.hear(&order(8, Command::Run), "", NOW);
        assert_eq!(paused(&s), Some(true));
        s.learn(&share(&order(10, Command::Run)), "", NOW);
        assert_eq!(paused(&s), None);
    }

    #[test]
    fn the_clock_and_a_person_together() {
        let set = [
            ("worker.hours", "22:00-08:00"),
            ("worker.quiet", "02:00-03:00; Sun 12:00-13:00"),
            ("worker.timezone", "UTC"),
        ];
        let set = set.map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec();
        let s = Steering::new(&load(None, &set).unwrap().config.worker);
        // 2026-03-04 is a Wednesday.
        let at = |time: &str| format!("2026-03-04T{time}:00Z").parse().unwrap();
        let told = |time: &str, orders: &Orders| {
            s.learn(orders, "", at(time));
            s.pause.borrow().as_ref().map(|p| s.words(p))
        };
        let none = Orders::default();
        assert_eq!(told("12:00", &none).unwrap(), "outside of its working hours until Wed 22:00");
        assert_eq!(told("23:00", &none), None);
        assert_eq!(told("02:30", &none).unwrap(), "standing still, within its quiet hours until Wed 03:00");
        let pause = share(&Order { by: "anna@nas".into(), ..order(1, Command::Pause) });
        assert_eq!(told("23:00", &pause).unwrap(), "paused by anna@nas");
        assert_eq!(told("02:30", &pause).unwrap(), "standing still, told so by anna@nas");
        let run = share(&order(2, Command::Run));
        assert_eq!(told("12:00", &run).unwrap(), "outside of its working hours until Wed 22:00");
        // The share is gone, and the clock goes on.
        assert_eq!(s.tick(at("22:00")).pause, Some(None));
    }

    #[test]
    fn films_in_hand_stand_still_and_go_on() {
        let (s, first, second) = (steering(), Stop::default(), Stop::default());
        let job = |n: u8| format!("{n:032x}").parse().unwrap();
        let _first = s.takes(job(1), &first);
        s.hear(&order(1, Command::Freeze), "", NOW);
        let held = s.takes(job(2), &second);
        assert!(first.frozen_for() > Duration::ZERO && second.frozen_for() > Duration::ZERO);
        drop(held);
        s.cancel(&Cancel { v: 1, job: job(2), at: NOW, by: String::new() });
        s.cancel(&Cancel { v: 1, job: job(1), at: NOW, by: String::new() });
        assert!(first.is_stopped() && !second.is_stopped(), "the second is no longer in hand");
        assert!(first.holds_or_ends());
    }

    #[test]
    fn only_the_process_that_is_meant_ends() {
        let s = steering();
        let drain = |origin: &str, command| Order { origins: vec![origin.into()], ..order(1, command) };
        assert_eq!(s.hear(&drain("other", Command::Leave), "me", NOW).order, None);
        assert!(!s.drain.is_cancelled());
        let orders = Orders { standing: None, drain: Some(drain("me", Command::Drain)) };
        assert_eq!(s.learn(&orders, "me", NOW).order.as_deref(), Some("1"));
        assert!(s.drain.is_cancelled() && !s.leave.is_cancelled());
        s.hear(&drain("me", Command::Leave), "me", NOW);
        assert!(s.leave.is_cancelled());
    }
}
