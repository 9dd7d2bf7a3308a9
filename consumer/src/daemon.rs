//! Taking films from the queue until told to stop.
//!
//! Each slot has its own session with the broker: one connection, one film at a time. A session that is lost does not
//! stop the film in hand; the slot finishes it first and connects again afterwards, and whoever gets the film handed out
//! meanwhile finds its lease, or its certificate.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use common::broker::{Backoff, BrokerError, BrokerOptions, Delivery, Events, Publisher, Session, listen};
use common::config::Config;
use common::job::FailureCode;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::exit::Exit;
use crate::metrics::{self, Metrics};
use crate::notify::Notifier;
use crate::pipeline::{Convert, Stop, Toolbox};
use crate::worker::{Action, Handled, Janitor, Outcome, Outlets, Rest, Worker, execute, keep_alive};

/// A session that lasted so long was a good one.
const STEADY: Duration = Duration::from_secs(60);

/// The three ways to stop, each stronger than the one before.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    /// Take no more films.
    pub intake: CancellationToken,
    /// Stop the films in hand and give them back.
    pub now: CancellationToken,
    /// Kill tools without grace.
    pub kill: CancellationToken,
}

/// When to stop by itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// After one film.
    pub once: bool,
    /// When no film came for so long while connected.
    pub idle: Option<Duration>,
    /// Films at the same time; at least one.
    pub slots: u16,
}

/// Runs the worker until it is told to stop or its limits are reached.
///
/// [`Exit::Some`] only for a single film (`once`) that was not converted: a daemon that could not convert a film has done
/// its work when the reason is among the dead letters. [`Exit::Interrupted`] if a film in hand was stopped and given back.
pub async fn run(
    config: Arc<Config>,
    options: BrokerOptions,
    tools: Arc<Toolbox>,
    films: Arc<dyn Convert>,
    limits: Limits,
    shutdown: Shutdown,
) -> Exit {
    let (outlets, address) = match outlets(&config, &options, limits.slots.max(1)) {
        Ok(made) => made,
        Err(e) => {
            tracing::error!("this worker cannot start: {e}");
            return Exit::Environment;
        }
    };
    let worker = Arc::new(Worker::new(config.clone(), tools, films, outlets.clone(), limits.slots.max(1)));
    crate::workspace::sweep(&config.scratch.path());
    tracing::info!(worker = worker.name(), broker = %options, slots = limits.slots, "worker starts");
    worker.tell_state("start", None);
    let present = worker.presence().begin();
    if let Err(e) = &present {
        tracing::warn!(error = %e, "this worker has no file in workers/");
    }
    let ended = shutdown.intake.child_token();
    let mut chores = vec![
        tokio::spawn(tidy(worker.clone(), Janitor::new(&config), config.worker.janitor(), ended.clone())),
        tokio::spawn({
            let (worker, intake) = (worker.clone(), shutdown.intake.clone());
            async move {
                intake.cancelled().await;
                worker.presence().drains();
            }
        }),
        tokio::spawn(steer(worker.clone(), options.clone(), shutdown.clone())),
        tokio::spawn(keep_alive(worker.presence().clone())),
    ];
    if let Some(address) = address {
        let (metrics, answers) = (outlets.metrics.clone(), worker.clone());
        match metrics::listen(address).await {
            Ok(listener) => {
                tracing::info!(%address, "metrics");
                let options = options.clone().name(format!("dovi-consumer {}", worker.name()));
                chores.push(tokio::spawn(metrics::serve(listener, answers)));
                chores.push(tokio::spawn(metrics::watch_queues(options, metrics)));
            }
            // Films do not wait for figures.
            Err(e) => {
                tracing::error!(%address, error = %e, "no metrics: set metrics.listen to a free address");
            }
        }
    }
    let slots: Vec<_> = (0..limits.slots.max(1))
        .map(|slot| {
            let name = format!("dovi-consumer {} slot {}", worker.name(), slot + 1);
            let options = options
                .clone()
                .name(name)
                .property("worker", worker.name())
                .property("slot", (slot + 1).to_string());
            // An alarm of the broker is no reason to let a film go: each time would count against it.
            let publisher = Publisher::new(options.clone()).patient_until(shutdown.intake.clone());
            let (worker, config, shutdown) = (worker.clone(), config.clone(), shutdown.clone());
            let slot = Slot { worker, config, options, publisher, limits, shutdown };
            tokio::spawn(async move { slot.run().await })
        })
        .collect();
    let mut worst = Exit::Ok;
    for slot in slots {
        worst = worst.max(slot.await.unwrap_or(Exit::Bug));
    }
    ended.cancel();
    worker.obeyed().await;
    chores.iter().for_each(tokio::task::JoinHandle::abort);
    worker.presence().end(present.ok()).await;
    outlets.notifier.end().await;
    worker.tell_state("stop", None);
    tracing::info!(worker = worker.name(), "worker stops");
    worst
}

/// Those who hear of this worker, and where metrics are asked for.
fn outlets(
    config: &Config,
    options: &BrokerOptions,
    slots: u16,
) -> Result<(Outlets, Option<SocketAddr>), Box<dyn std::error::Error>> {
    let name = config.worker.display_name();
    let metrics = Arc::new(Metrics::new(&name, slots, config.scratch.path())?);
    let notifier = Notifier::start(config, &name, metrics.clone())?;
    let events = Events::start(options.clone().name(format!("dovi-consumer {name}")));
    let outlets = Outlets { events, metrics, notifier };
    Ok((outlets, config.metrics.address()?))
}

/// Clears away what dead workers left, now and `every` so often.
async fn tidy(worker: Arc<Worker>, janitor: Janitor, every: Duration, ended: CancellationToken) {
    while !ended.is_cancelled() {
        // Nobody walks through the share in quiet hours.
        worker.moves().await;
        let (janitor, stop) = (janitor.clone(), ended.clone());
        if let Err(e) = tokio::task::spawn_blocking(move || janitor.run(&stop)).await {
            tracing::error!(error = %e, "tidying up");
        }
        tokio::select! {
            () = ended.cancelled() => {}
            () = tokio::time::sleep(every) => {}
        }
    }
}

/// Hears orders: from the broker at once, from the share with every beat.
async fn steer(worker: Arc<Worker>, options: BrokerOptions, shutdown: Shutdown) {
    let options = options.name(format!("dovi-consumer {}", worker.name())).property("worker", worker.name());
    let mut notices = listen(options, worker.name());
    let obey = async {
        worker.drain().cancelled().await;
        tracing::warn!("told to end");
        shutdown.intake.cancel();
        worker.leave().cancelled().await;
        shutdown.now.cancel();
    };
    let hear = async {
        loop {
            if let Err(e) = worker.look_for_orders().await {
                tracing::debug!(error = %e, "the orders on the share cannot be read");
            }
            let next = tokio::time::sleep(worker.next_look());
            tokio::select! {
                Some(notice) = notices.recv() => worker.hear(&notice),
                () = next => {}
            }
        }
    };
    tokio::join!(obey, hear);
}

struct Slot {
    worker: Arc<Worker>,
    config: Arc<Config>,
    options: BrokerOptions,
    publisher: Publisher,
    limits: Limits,
    shutdown: Shutdown,
}

/// What ends a session.
enum Ended {
    /// Told to stop, or the limits are reached.
    Finished(Exit),
    /// This worker takes no film for so long.
    Rest(Duration),
    /// The link is gone.
    Lost,
}

impl Slot {
    async fn run(self) -> Exit {
        let mut backoff = Backoff::default();
        loop {
            if !self.wait_until_ready().await {
                return Exit::Ok;
            }
            let mut state = LinkState::default();
            let session = tokio::select! {
                () = self.shutdown.intake.cancelled() => return Exit::Ok,
                session = Session::open_patiently(&self.options, |e, wait| state.failed(e, wait)) => session,
            };
            tracing::info!(broker = %self.options, "connected, waiting for films");
            let opened = Instant::now();
            match self.take(session).await {
                Ended::Finished(exit) => {
                    self.publisher.close().await;
                    return exit;
                }
                Ended::Rest(time) => {
                    tokio::select! {
                        () = self.shutdown.intake.cancelled() => return Exit::Ok,
                        () = tokio::time::sleep(time) => {}
                    }
                }
                // A broker that takes connections and then ends each of them (an alarm, a queue that is being moved) counts
                // every film it hands out again.
                Ended::Lost => {
                    if opened.elapsed() > STEADY {
                        backoff.reset();
                    }
                    tokio::select! {
                        () = self.shutdown.intake.cancelled() => return Exit::Ok,
                        () = tokio::time::sleep(backoff.wait()) => {}
                    }
                }
            }
        }
    }

    /// Waits until programs, share, folders and room are there, and nobody wants it to pause. False: told to stop meanwhile.
    async fn wait_until_ready(&self) -> bool {
        let ready = async {
            loop {
                self.worker.takes_films().await;
                // An order that was given while this worker was away is on the share.
                if self.worker.ready().await && self.worker.look_for_orders().await.is_ok() {
                    if self.worker.is_open() {
                        return;
                    }
                } else {
                    tokio::time::sleep(self.config.worker.pause()).await;
                }
            }
        };
        tokio::select! {
            biased;
            () = self.shutdown.intake.cancelled() => false,
            () = ready => true,
        }
    }

    async fn take(&self, mut session: Session) -> Ended {
        loop {
            let idle = self.limits.idle.map(|i| Instant::now() + i);
            let next = tokio::select! {
                biased;
                () = self.shutdown.intake.cancelled() => {
                    session.close().await;
                    return Ended::Finished(Exit::Ok);
                }
                () = self.worker.falls_ill() => {
                    session.close().await;
                    return Ended::Rest(Duration::ZERO);
                }
                () = self.worker.takes_no_films() => {
                    session.close().await;
                    return Ended::Rest(Duration::ZERO);
                }
                next = session.next() => next,
                () = until(idle) => {
                    tracing::info!("no film came, stopping");
                    session.close().await;
                    return Ended::Finished(Exit::Ok);
                }
            };
            let delivery = match next {
                Ok(delivery) => delivery,
                Err(e) => {
                    tracing::warn!(error = %e, "connecting again");
                    return Ended::Lost;
                }
            };
            let handled = self.handle(&session, &delivery).await;
            let failed = match &handled.outcome {
                Outcome::Failed(report) => Some(report.code),
                _ => None,
            };
            let settled = self.settle(&handled, delivery).await;
            if self.shutdown.intake.is_cancelled() || self.limits.once {
                session.close().await;
                return Ended::Finished(match failed {
                    Some(FailureCode::Shutdown) => Exit::Interrupted,
                    Some(_) if self.limits.once => Exit::Some,
                    _ => Exit::Ok,
                });
            }
            let rest = match handled.rest {
                Rest::None => None,
                Rest::For(time) => Some(time),
                Rest::UntilWell => Some(self.config.worker.pause()),
            };
            if let Some(time) = rest {
                tracing::warn!(seconds = time.as_secs_f32(), "no further film for now");
                session.close().await;
                return Ended::Rest(time);
            }
            if !settled {
                return Ended::Lost;
            }
        }
    }

    /// Works on the film whatever happens to the link.
    async fn handle(&self, session: &Session, delivery: &Delivery) -> Handled {
        let stop = Stop::default();
        let watch = {
            let (stop, shutdown, worker) = (stop.clone(), self.shutdown.clone(), self.worker.clone());
            tokio::spawn(async move {
                // A film that stands still is never finished: then to stop is to give it back.
                let still = async {
                    shutdown.intake.cancelled().await;
                    worker.stands_still().await;
                };
                tokio::select! {
                    () = shutdown.now.cancelled() => {}
                    () = still => {}
                }
                stop.stop(FailureCode::Shutdown);
                shutdown.kill.cancelled().await;
                stop.kill();
            })
        };
        let mut work = std::pin::pin!(self.worker.handle(delivery, &stop));
        let handled = tokio::select! {
            biased;
            handled = &mut work => handled,
            e = session.lost() => {
                tracing::warn!(error = %e, "lost the broker; the film in hand goes on");
                work.await
            }
        };
        watch.abort();
        handled
    }

    /// False: the queue could not be told, and hands the film out again.
    async fn settle(&self, handled: &Handled, delivery: Delivery) -> bool {
        if !delivery.usable() {
            tracing::info!("the queue hands this film out again; what the share says decides then");
            return false;
        }
        match execute(handled.action, &handled.outcome, delivery, &self.publisher).await {
            Ok(()) => {
                if handled.action == Action::Bury {
                    tracing::info!(job = ?handled.job, "in the dead letters");
                }
                true
            }
            Err(e) => {
                tracing::warn!(error = %e, "the queue could not be told; it hands the film out again");
                false
            }
        }
    }
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// One log line when the reason changes, not one per try.
#[derive(Default)]
struct LinkState {
    told: Option<String>,
}

impl LinkState {
    fn failed(&mut self, e: &BrokerError, wait: Duration) {
        let text = e.to_string();
        if self.told.as_ref() == Some(&text) {
            tracing::debug!(wait_s = wait.as_secs_f32(), "still: {text}");
        } else if e.needs_a_person() {
            tracing::error!("waiting for the broker: {text}; {}", e.hint());
        } else {
            tracing::warn!("waiting for the broker: {text}; {}", e.hint());
        }
        self.told = Some(text);
    }
}
