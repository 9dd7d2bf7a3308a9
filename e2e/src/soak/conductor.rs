//! Keeps the queue filled and brings the faults, in the order of the plan.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use common::broker::{BrokerOptions, Outgoing, Publisher, Route, depths, topology};
use common::share::Folder;
use tokio::runtime::Runtime;

use super::crew::Crew;
use super::films::Filmmaker;
use super::ground::{FROZEN, Ground, STALE};
use super::inbox::Inbox;
use super::link::Link;
use super::plan::{Action, Fault, Kind, Planned, World};
use super::world::Ongoing;
use crate::broker::PrivateBroker;

/// How often the conductor looks around.
const LOOK: Duration = Duration::from_millis(50);
/// An in-process fault that nobody met after so long gets one more film of its kind.
const PATIENCE: Duration = Duration::from_secs(15);
/// The whole run is given up when no fault happened for so long.
const STUCK: Duration = Duration::from_secs(300);
/// After the last fault the fleet comes to rest. It is not waited for any longer when nothing was settled for so long.
const REST: Duration = Duration::from_secs(180);
/// Films that wait or are in work, for each worker: with more of them no fault brings one more, unless it needs that kind.
const ENOUGH: u64 = 3;

/// What the world looks like to the conductor.
pub struct Conductor<'a> {
    pub(super) ground: &'a Ground,
    pub(super) broker: &'a mut PrivateBroker,
    pub(super) link: &'a Link,
    pub(super) crew: Crew,
    pub(super) inbox: Inbox,
    pub(super) runtime: Runtime,
    pub(super) options: BrokerOptions,
    pub(super) ongoing: Vec<Ongoing>,
    pub(super) broker_answers: bool,
    publisher: Publisher,
    films: Filmmaker,
    plan: Vec<Planned>,
    /// Armed and not met yet: since when.
    armed: BTreeMap<usize, Instant>,
    /// What happened, by number.
    fired: Vec<Fault>,
    /// What nobody may do, in words.
    pub(super) complaints: Vec<String>,
    said: Instant,
    last: Instant,
    begun: Instant,
    /// How often the fault at hand found nobody whom it could meet.
    pub(super) misses: u64,
}

/// What a run leaves for the checker.
#[derive(Debug)]
pub struct Record {
    /// Every film that was queued.
    pub films: Filmmaker,
    /// Every fault that happened.
    pub fired: Vec<Fault>,
    /// What the conductor has to complain about.
    pub complaints: Vec<String>,
    /// Worker processes started.
    pub programs: u64,
}

/// The virtual host of a run.
pub(super) const VHOST: &str = "soak";

impl<'a> Conductor<'a> {
    /// Declares the queues and makes the first films.
    ///
    /// # Errors
    /// The broker or a tool fails.
    pub fn new(
        ground: &'a Ground,
        broker: &'a mut PrivateBroker,
        link: &'a Link,
        crew: Crew,
        plan: Vec<Planned>,
    ) -> Result<Self> {
        broker.add_vhost(VHOST)?;
        let url = broker.admin_url(VHOST);
        ground.configure(&url)?;
        let delays = [1, 1, 1].map(Duration::from_secs);
        let options = BrokerOptions::new(&url, "", "")?
            .name("soak")
            .heartbeat(super::ground::HEARTBEAT)
            .timeout(Duration::from_secs(5))
            .retry_delays(delays);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        runtime.block_on(topology::declare(&options))?;
        let films = Filmmaker::new(ground)?;
        let publisher = Publisher::new(options.clone());
        let now = Instant::now();
        Ok(Self {
            ground,
            broker,
            link,
            crew,
            inbox: ground.inbox(),
            runtime,
            options,
            ongoing: Vec::new(),
            broker_answers: true,
            publisher,
            films,
            plan,
            armed: BTreeMap::new(),
            fired: Vec::new(),
            complaints: Vec::new(),
            said: now,
            last: now,
            begun: now,
            misses: 0,
        })
    }

    /// Brings every fault of the plan, lets the fleet come to rest, and ends it.
    ///
    /// # Errors
    /// The run cannot go on: that says nothing about the fleet unless the words do.
    pub fn run(mut self) -> Result<Record> {
        for n in 0..self.crew.size() as u64 {
            self.queue_film(Kind::Copy, n)?;
        }
        let mut next = 0;
        while self.fired.len() < self.plan.len() {
            self.look_around()?;
            if let Some(planned) = self.plan.get(next).copied() {
                if self.may_begin(planned.fault) && self.begin(next, planned)? {
                    next += 1;
                    self.misses = 0;
                    self.last = Instant::now();
                } else if self.can_queue() && self.open_films() == 0 {
                    // What strikes the world needs somebody at work.
                    self.queue_film(planned.film, planned.chance)?;
                }
            }
            ensure!(self.last.elapsed() < STUCK, "no fault could be brought for {STUCK:?}: {}", self.state());
        }
        self.come_to_rest()?;
        let complaints = [self.crew.complaints(), self.complaints].concat();
        let programs = self.crew.started;
        Ok(Record { films: self.films, fired: self.fired, complaints, programs })
    }

    /// One round of everything that does not wait.
    fn look_around(&mut self) -> Result<()> {
        std::thread::sleep(LOOK);
        ensure!(!super::interrupted(), "interrupted");
        let url = self.broker.admin_url(VHOST);
        let relayed = |at: std::net::SocketAddr| {
            // The same user and virtual host at another address.
            url.rsplit_once('@')
                .and_then(|(user, rest)| {
                    let (_, vhost) = rest.split_once('/')?;
                    Some(format!("{user}@{at}/{vhost}"))
                })
                .unwrap_or_default()
        };
        self.crew.fill(self.ground, &url, self.link, &relayed)?;
        self.heal(false)?;
        for fired in self.inbox.collect()? {
            self.armed.remove(&fired.number);
            let fault = self.plan[fired.number].fault;
            let frozen = matches!(fault, Fault::Worker(_, Action::Freeze));
            self.crew.note_fault(fired.pid, frozen);
            if frozen {
                self.ongoing.push(Ongoing::Frozen { pid: fired.pid, until: Instant::now() + FROZEN });
            }
            self.fired.push(fault);
            self.last = Instant::now();
        }
        if self.can_queue() {
            let late: Vec<usize> =
                self.armed.iter().filter(|(_, since)| since.elapsed() > PATIENCE).map(|(n, _)| *n).collect();
            for number in late {
                self.armed.insert(number, Instant::now());
                let planned = self.plan[number];
                self.queue_film(planned.film, planned.chance.rotate_left(9))?;
            }
        }
        if self.said.elapsed() > Duration::from_secs(10) {
            self.said = Instant::now();
            eprintln!("{}", self.state());
        }
        Ok(())
    }

    fn state(&self) -> String {
        let counts = self.ground.state().counts().unwrap_or_default();
        let armed: Vec<String> = self.armed.keys().map(|n| self.plan[*n].fault.to_string()).collect();
        let ongoing: Vec<&str> = self.ongoing.iter().map(Ongoing::words).collect();
        format!(
            "{:4} s  faults {}/{}  films {}: done {}, given up {}, in work {}  [{}]  ({})",
            self.begun.elapsed().as_secs(),
            self.fired.len(),
            self.plan.len(),
            self.films.films.len(),
            counts.done,
            counts.failed,
            counts.leased,
            armed.join(", "),
            ongoing.join(", ")
        )
    }

    /// Whether the fault can be brought now, without spoiling another one.
    fn may_begin(&self, fault: Fault) -> bool {
        if !self.can_queue() {
            return false;
        }
        match fault {
            Fault::Worker(_, action) => {
                let freezes = self.armed.keys().filter(|n| self.freezes(**n)).count() + self.crew.frozen();
                self.armed.len() < self.crew.size() && (action != Action::Freeze || freezes < 2)
            }
            Fault::Tool(..) => self.armed.len() < self.crew.size(),
            Fault::World(world) => self.may_happen(world),
        }
    }

    fn freezes(&self, number: usize) -> bool {
        matches!(self.plan[number].fault, Fault::Worker(_, Action::Freeze))
    }

    pub(super) fn armed_freezes(&self) -> usize {
        self.armed.keys().filter(|n| self.freezes(**n)).count()
    }

    /// Films can be published, and the share is there to write them down.
    fn can_queue(&self) -> bool {
        self.broker_answers && !self.ongoing.iter().any(Ongoing::takes_the_share)
    }

    /// Lays the fault out or does it; false if it cannot be done at this moment.
    fn begin(&mut self, number: usize, planned: Planned) -> Result<bool> {
        match planned.fault {
            Fault::Worker(step, action) => self.inbox.arm(number, step.name(), action.name())?,
            Fault::Tool(call, misdeed) => self.inbox.arm(number, call.name(), misdeed.name())?,
            Fault::World(World::Duplicate) => {
                let recent = self.films.films.len().min(12);
                let at = self.films.films.len() - 1 - planned.chance as usize % recent;
                let job = self.films.films[at].job.clone();
                self.publish(&job)?;
            }
            Fault::World(world) => {
                if !self.happen(world, planned.chance)? {
                    self.misses += 1;
                    return Ok(false);
                }
            }
        }
        if matches!(planned.fault, Fault::World(_)) {
            self.fired.push(planned.fault);
        } else {
            self.armed.insert(number, Instant::now());
        }
        if self.can_queue() && self.open_films() < self.enough(planned.fault) {
            self.queue_film(planned.film, planned.chance)?;
        }
        Ok(true)
    }

    /// Films that are not settled.
    fn open_films(&self) -> u64 {
        let counts = self.ground.state().counts().unwrap_or_default();
        (self.films.films.len() as u64).saturating_sub(counts.done + counts.failed)
    }

    fn enough(&self, fault: Fault) -> u64 {
        let most = ENOUGH * self.crew.size() as u64;
        if fault.wants().is_some() { 2 * most } else { most }
    }

    /// One more film for the fleet, as the producer does it: into the queue, and then into the books.
    fn queue_film(&mut self, kind: Kind, chance: u64) -> Result<()> {
        let job = self.films.make(self.ground, kind, chance)?.job.clone();
        self.publish(&job)?;
        let state = self.ground.state();
        state.write(Folder::Queued, job.id, &job)?;
        // A fleet that was faster than this line has taken the entry away before it was there.
        let settled = [Folder::Done, Folder::Failed].map(|folder| state.ids(folder));
        if settled.into_iter().flatten().any(|l| l.entries.iter().any(|(id, ())| *id == job.id)) {
            state.remove(Folder::Queued, job.id)?;
        }
        Ok(())
    }

    /// Until the broker confirms it; a film that is queued twice is one of the faults anyway.
    fn publish(&self, job: &common::job::JobMessage) -> Result<()> {
        let message = Outgoing::job(job)?;
        let begun = Instant::now();
        loop {
            match self.runtime.block_on(self.publisher.publish(Route::Film, &message)) {
                Ok(()) => return Ok(()),
                Err(e) if begun.elapsed() > Duration::from_secs(60) => return Err(e).context("queue a film"),
                Err(_) => std::thread::sleep(LOOK),
            }
        }
    }

    /// Nothing new happens; waits until every film is settled and every queue empty, and ends the workers.
    fn come_to_rest(&mut self) -> Result<()> {
        self.heal(true)?;
        let (mut open, mut since) = (self.open_films(), Instant::now());
        loop {
            self.look_around()?;
            // The workers' daily tidying, which a run of minutes does not see. A share that is away is looked at again.
            if let Err(e) = self.ground.state().drop_ended_leases(2 * STALE) {
                eprintln!("tidying up leases: {e}");
            }
            if self.is_quiet()? {
                break;
            }
            let now = self.open_films();
            if now != open {
                (open, since) = (now, Instant::now());
            }
            if since.elapsed() > REST {
                // Not an error of the run: the checker says what is missing.
                eprintln!("the fleet does not come to rest: {}", self.state());
                break;
            }
        }
        self.crew.stop()
    }

    fn is_quiet(&self) -> Result<bool> {
        let counts = self.ground.state().counts()?;
        if counts.done + counts.failed < self.films.films.len() as u64 || counts.leased + counts.queued > 0 {
            return Ok(false);
        }
        match self.runtime.block_on(depths(&self.options)) {
            // What a worker holds is not counted: the checker looks again when they are gone.
            Ok(depths) => Ok(depths.films.ready + depths.retrying() == 0),
            Err(e) if e.needs_a_person() => bail!("look at the queues: {e}"),
            Err(_) => Ok(false),
        }
    }
}
