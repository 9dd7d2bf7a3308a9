//! Fleets for tests of what a person sees: nothing in them depends on the clock or on this machine.

use std::time::Duration;

use common::broker::{Depths, QueueDepth};
use common::job::JobId;
use common::share::{Beat, LeaseInfo, Pause, PauseCause, SeenWorker, WorkerInfo, WorkerState};
use jiff::Timestamp;

use super::eta::Eta;
use super::model::{Counts, Failed, Reason, Retrying, Running, Space, Status, Waiting};
use crate::forecast::Forecast;

const GB: u64 = 1_000_000_000;

/// Tuesday, 3 March 2026, 20:14:03.
pub(super) fn now() -> Timestamp {
    "2026-03-03T20:14:03Z".parse().unwrap()
}

fn ago(seconds: i64) -> Timestamp {
    now() - jiff::SignedDuration::from_secs(seconds)
}

fn job(n: u64) -> JobId {
    format!("{:032x}", u128::from(n) << 96 | 0xabc).parse().unwrap()
}

pub(super) fn depths() -> Depths {
    let queue = |name, ready, consumers| QueueDepth { name, ready, consumers };
    Depths {
        films: queue("dovi.films", 10, 3),
        first: Some(queue("dovi.films.first", 2, 3)),
        retry: vec![
            queue("dovi.retry.1m", 1, 0),
            queue("dovi.retry.10m", 1, 0),
            queue("dovi.retry.1h", 0, 0),
        ],
        failed: queue("dovi.failed", 4, 0),
    }
}

pub(super) fn worker(name: &str, state: WorkerState) -> WorkerInfo {
    WorkerInfo {
        v: 1,
        name: name.into(),
        host: name.into(),
        pid: 812,
        origin: String::new(),
        version: "0.1.0".into(),
        slots: 1,
        state,
        why: None,
        code: None,
        pause: None,
        order: None,
        since: ago(7260),
        done: 31,
        failed: 0,
        started_at: ago(900_000),
        updated_at: ago(4),
        beat_s: 20.0,
    }
}

pub(super) fn seen(info: WorkerInfo, quiet: u64) -> super::crew::Worker {
    SeenWorker { info, quiet: Duration::from_secs(quiet) }.into()
}

pub(super) fn running(n: u64, film: &str, worker: &str, stage: &str, percent: f32) -> Running {
    let encode = stage == "encode";
    let progress =
        Beat { stage: stage.into(), percent, fps: encode.then_some(4.31), eta_s: encode.then_some(11_100) };
    let lease = LeaseInfo {
        v: 1,
        job: job(n),
        token: "0123456789abcdef0123456789abcdef".into(),
        worker: worker.into(),
        host: worker.into(),
        pid: 812,
        origin: String::new(),
        beat: 3,
        started_at: ago(7260),
        beat_at: ago(4),
        progress,
    };
    Running { film: film.into(), recipe: Some("x265 slow".into()), silent: false, frozen: false, lease }
}

/// Nothing has happened yet.
pub(super) fn empty() -> Status {
    Status {
        at: now(),
        counts: Counts::default(),
        done_24h: 0,
        space_saved: 0,
        space: Space::default(),
        eta: Eta::new(Forecast::Empty, now(), 0, 0),
        running: Vec::new(),
        retrying: Vec::new(),
        reasons: Vec::new(),
        workers: Vec::new(),
        queues: Some(Depths {
            films: QueueDepth { ready: 0, consumers: 0, ..depths().films },
            first: None,
            retry: depths().retry.into_iter().map(|q| QueueDepth { ready: 0, ..q }).collect(),
            failed: QueueDepth { ready: 0, ..depths().failed },
        }),
        broker: None,
        waiting: Vec::new(),
        failed: Vec::new(),
    }
}

/// An evening in the middle of a large library.
pub(super) fn busy() -> Status {
    let hours = |h: f64| Duration::from_secs_f64(h * 3600.0);
    let range =
        Forecast::Range { low: hours(14.2), likely: hours(16.4), high: hours(18.9), learned_from: 118 };
    let retry = |n, film: &str, code: &str, attempt, in_s: u64| Retrying {
        job: job(n),
        film: film.into(),
        attempt,
        code: code.into(),
        worker: "vm2".into(),
        at: now() + jiff::SignedDuration::from_secs(in_s as i64),
        in_s,
    };
    let film = |n: u64| Waiting {
        film: format!("films:Film number {n} ({})/film.mkv", 1990 + n),
        size: (40 + 3 * n) * GB,
        queued_at: ago(90_000 - 60 * n as i64),
    };
    Status {
        counts: Counts { queued: 12, retrying: 2, running: 3, done: 120, failed: 4 },
        done_24h: 5,
        space_saved: 2_900 * GB as i64,
        space: Space { before: 7_100 * GB, after: 4_200 * GB },
        eta: Eta::new(range, now(), 3, 0),
        running: vec![
            running(
                1,
                "films:The Long Harbour (2019)/The Long Harbour (2019) Remux-2160p.mkv",
                "vm1",
                "encode",
                45.4,
            ),
            running(2, "films:東京物語 (1953)/東京物語 (1953) Remux-2160p HEVC.mkv", "vm2", "encode", 7.0),
            running(
                3,
                "series:Nordlicht/Season 02/Nordlicht - S02E05 - Über den Fjord.mkv",
                "vm3",
                "verify",
                98.2,
            ),
        ],
        retrying: vec![
            retry(8, "films:A River Once (2021)/A River Once (2021).mkv", "tool.killed", 1, 41),
            retry(9, "films:Glasshouse (2011)/Glasshouse (2011).mkv", "encode.failed", 2, 412),
        ],
        reasons: vec![Reason::new("source.truncated", 3), Reason::new("fel.expanding", 1)],
        workers: vec![
            seen(worker("vm1", WorkerState::Busy), 4),
            seen(worker("vm2", WorkerState::Busy), 12),
            seen(worker("vm3", WorkerState::Busy), 8),
        ],
        queues: Some(depths()),
        waiting: (1..=10).map(film).collect(),
        failed: (0..4)
            .map(|n| Failed {
                job: job(20 + n),
                film: format!("films:Cut Short {n} (2003)/film.mkv"),
                code: if n == 0 { "fel.expanding" } else { "source.truncated" }.into(),
                summary: "the file ends at byte 18,253,611,008 of 61,203,948,551 in the middle of a cluster"
                    .into(),
                at: ago(86_400 + 3600 * n as i64),
            })
            .collect(),
        ..empty()
    }
}

/// The same with a worker whose encoder broke, one that fell silent with its film, and one that was told to end.
pub(super) fn ill() -> Status {
    let mut status = busy();
    let mut sick = worker("vm2", WorkerState::Ill);
    sick.code = Some("encode.unsupported".into());
    sick.why =
        Some("the encoder x265 does not work here: its test encode gave 39 frames instead of 40".into());
    sick.failed = 2;
    let mut draining = worker("vm4", WorkerState::Draining);
    draining.since = ago(300);
    status.running[2].silent = true;
    status.running.remove(1);
    status.counts.running = 2;
    status.workers = vec![
        seen(worker("vm1", WorkerState::Busy), 4),
        seen(sick, 12),
        seen(worker("vm3", WorkerState::Busy), 720),
        seen(draining, 3),
    ];
    status.eta.absent = 3;
    status.eta.slots = 1;
    status
}

/// The same with a worker that is outside of its hours and stands still, and one that a person paused with its film in hand.
pub(super) fn paused() -> Status {
    let mut status = busy();
    let pause =
        |cause, frozen, until, by: Option<&str>| Some(Pause { cause, frozen, until, by: by.map(Into::into) });
    let mut hours = worker("vm2", WorkerState::Paused);
    hours.why = Some("standing still, outside of its working hours until Tue 22:00".into());
    hours.pause = pause(PauseCause::Hours, true, Some(now() + jiff::SignedDuration::from_secs(6_360)), None);
    let mut person = worker("vm3", WorkerState::Busy);
    person.why = Some("paused by anna@nas".into());
    person.pause = pause(PauseCause::Order, false, None, Some("anna@nas"));
    status.workers = vec![seen(worker("vm1", WorkerState::Busy), 4), seen(hours, 12), seen(person, 8)];
    super::crew::mark_frozen(&status.workers, &mut status.running);
    status.eta.absent = 1;
    status
}

/// The same without a broker.
pub(super) fn no_broker() -> Status {
    let why = "failed to reach the broker at nas.lan:5672: Connection refused (os error 111)";
    busy().with_broker(Err(why.into()))
}

/// Thirty films failed, for more reasons than there is room.
pub(super) fn failures() -> Status {
    let mut status = busy();
    let codes = [
        "source.truncated",
        "fel.expanding",
        "tool.killed",
        "proof.frames",
        "output.exists",
        "poison",
        "rpu.missing",
    ];
    let counts = [12, 7, 4, 3, 2, 1, 1];
    status.reasons = codes.iter().zip(counts).map(|(code, n)| Reason::new(code, n)).collect();
    status.counts.failed = 30;
    status.failed = (0..30)
        .map(|n| Failed {
            job: job(100 + n),
            code: codes[n as usize % codes.len()].into(),
            ..status.failed[0].clone()
        })
        .collect();
    status
}

/// The first films of a new recipe.
pub(super) fn early() -> Status {
    let few = Forecast::NotYet { recipe: "x265 slow".into(), have: 1, need: 3 };
    Status {
        counts: Counts { queued: 40, retrying: 0, running: 1, done: 1, failed: 0 },
        done_24h: 1,
        space_saved: 20 * GB as i64,
        space: Space { before: 61 * GB, after: 41 * GB },
        eta: Eta::new(few, now(), 1, 0),
        running: vec![busy().running.remove(0)],
        workers: vec![seen(worker("vm1", WorkerState::Busy), 4)],
        queues: Some(depths()),
        ..empty()
    }
}
