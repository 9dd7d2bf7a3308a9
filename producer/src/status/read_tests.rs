//! The share as it is read.

use common::job::{FailureCode, FailureReport, JobMessage, Recipe};
use common::share::{Acquire, Beat, Entry, LeaseObserver, Owner};
use serde_json::{Value, json};

use super::super::eta::Known;
use super::*;

struct Books {
    _dir: tempfile::TempDir,
    share: ShareState,
}

impl Books {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        Self { _dir: dir, share }
    }

    fn queue(&self, name: &str) -> JobMessage {
        let film = format!("films:{name}.mkv").parse().unwrap();
        let job = JobMessage::new(film, 60_000_000_000, 9, Recipe::default(), "MEL".into());
        self.share.write(Folder::Queued, job.id, &job).unwrap();
        job
    }

    fn certificate(&self, name: &str, result: u64) -> JobId {
        let job = self.queue(name);
        let certificate = json!({
            "v": 1, "job": job.id, "film": job.film, "source": {"path": "", "size": job.size, "mtime_ns": 9},
            "result": {"path": "", "size": result, "mtime_ns": 9}, "verdict": "MEL", "evidence": "", "recipe": job.recipe,
            "frames": 170_000, "wrong_frames": 0, "tools": {}, "worker": "vm1", "at": Timestamp::now(),
            "checks": [{"name": "profile", "ok": true, "found": "", "figures": {"width": 3840, "height": 2160}}],
            "stages": [{"stage": "encode", "seconds": 36_000.0}, {"stage": "verify", "seconds": 300.0}],
        });
        self.share.settle(Folder::Done, job.id, &certificate).unwrap();
        job.id
    }

    fn ended(&self, job: &JobMessage, ago_s: i64, wait_s: Option<u64>) {
        let entry = |event| Entry {
            run: "r".into(),
            attempt: 2,
            worker: "vm1".into(),
            host: "vm1".into(),
            event,
            at: Timestamp::now() - SignedDuration::from_secs(ago_s),
        };
        let journal = Journal::open(&self.share, job.id).unwrap();
        journal.append(&entry(Event::Start)).unwrap();
        journal.append(&entry(Event::End { outcome: "tool.killed".into(), wait_s })).unwrap();
    }

    fn worker(&self, name: &str, state: &str) {
        let now = Timestamp::now();
        let info = json!({
            "v": 1, "name": name, "host": name, "pid": 7, "slots": 1, "state": state, "since": now, "started_at": now,
            "updated_at": now, "beat_s": 20.0,
        });
        let dir = self.share.dir().join("workers");
        std::fs::create_dir_all(&dir).unwrap();
        std::fs::write(dir.join(format!("{name}.json")), info.to_string()).unwrap();
    }

    fn reader(&self) -> Reader {
        Reader::new(self.share.clone(), Duration::from_secs(300))
    }
}

#[test]
fn every_film_is_counted_once_and_told_by_its_books() {
    let books = Books::new();
    let stale = Duration::from_secs(300);
    let observer = LeaseObserver::new(books.share.clone(), Owner::here("vm1"));
    let held = books.queue("held");
    let Acquire::Mine(lease) = observer.acquire(held.id, stale).unwrap() else { panic!("it is free") };
    lease.beat(&Beat { stage: "encode".into(), percent: 40.0, fps: Some(4.0), eta_s: Some(60) }).unwrap();
    books.queue("waits");
    let again = books.queue("again");
    books.ended(&again, -5, Some(60));
    books.ended(&books.queue("back"), -5, None);
    let report = |name: &str, code: FailureCode| {
        let job = books.queue(name);
        let report = FailureReport {
            v: 1,
            job: Some(job.clone()),
            code,
            class: code.class(),
            stage: "prescan".into(),
            summary: "cut".into(),
            hint: String::new(),
            causes: Vec::new(),
            tool: None,
            attempt: 1,
            worker: "vm1".into(),
            at: Timestamp::now(),
            log: None,
            raw: None,
            discarded_at: None,
        };
        books.share.settle(Folder::Failed, job.id, &report).unwrap();
    };
    report("a", FailureCode::FelExpanding);
    report("b", FailureCode::SourceTruncated);
    report("c", FailureCode::SourceTruncated);
    books.certificate("done", 20_000_000_000);

    let status = books.reader().read().unwrap();
    assert_eq!(status.counts, Counts { queued: 3, retrying: 1, running: 1, done: 1, failed: 3 });
    let reasons: Vec<_> = status.reasons.iter().map(|r| (r.code.as_str(), r.count)).collect();
    assert_eq!(reasons, [("source.truncated", 2), ("fel.expanding", 1)]);
    assert_eq!(status.reasons[0].meaning, FailureCode::SourceTruncated.meaning());
    let retry = &status.retrying[0];
    assert_eq!((retry.job, retry.attempt, retry.code.as_str()), (again.id, 2, "tool.killed"));
    assert!((55..=66).contains(&retry.in_s), "{}", retry.in_s);
    let running = &status.running[0];
    assert_eq!((running.film.as_str(), running.lease.progress.percent), ("films:held.mkv", 40.0));
    assert!(!running.silent);
    assert_eq!((status.space_saved, status.done_24h), (40_000_000_000, 1));
    assert_eq!(status.waiting.len(), 2);
    assert_eq!((status.eta.known, status.eta.learned_from), (Known::NotYet, 1));
}

#[test]
fn a_try_that_is_history_is_no_other_try() {
    let books = Books::new();
    let past = books.queue("its time is over");
    books.ended(&past, 61, Some(60));
    let anew = books.queue("queued anew");
    books.ended(&anew, 5, Some(60));
    let status = books.reader().read().unwrap();
    assert_eq!((status.counts.queued, status.counts.retrying), (2, 0), "{:?}", status.retrying);
}

#[test]
fn a_certificate_is_read_once_and_again_if_it_changes_and_forgotten_when_it_goes() {
    let books = Books::new();
    let job = books.certificate("a", 20_000_000_000);
    let mut reader = books.reader();
    let saved = |reader: &mut Reader| reader.read().unwrap().space_saved;
    assert_eq!(saved(&mut reader), 40_000_000_000);
    let file = books.share.dir().join("done").join(format!("{job}.json"));
    assert_eq!(saved(&mut reader), 40_000_000_000);
    books.certificate("a", 10_000_000_000);
    assert_eq!(saved(&mut reader), 50_000_000_000);
    std::fs::write(&file, "{").unwrap();
    let status = reader.read().unwrap();
    assert_eq!(
        (status.space_saved, status.counts.done),
        (0, 1),
        "a file without sense is a film without figures"
    );
    std::fs::remove_file(file).unwrap();
    assert_eq!(reader.read().unwrap().counts.done, 0);
}

#[test]
fn three_finished_films_and_a_worker_make_a_forecast() {
    let books = Books::new();
    for name in ["a", "b", "c"] {
        books.certificate(name, 20_000_000_000);
    }
    let job = books.queue("next");
    let eta = |books: &Books| books.reader().read().unwrap().eta;
    assert_eq!(eta(&books).known, Known::NoWorker);
    books.worker("vm1", "idle");
    books.worker("vm2", "ill");
    let one = eta(&books);
    assert_eq!((one.known, one.slots, one.absent, one.learned_from), (Known::Range, 1, 1, 3));
    let (low, high) = (one.low_s.unwrap(), one.high_s.unwrap());
    assert!(low < 36_300 && high > 36_300 && high < 10 * low, "{low} {high}");
    // Its worker is dead, as it seems: the film is begun anew by somebody else.
    let observer = LeaseObserver::new(books.share.clone(), Owner::here("vm9"));
    let Acquire::Mine(lease) = observer.acquire(job.id, Duration::from_secs(300)).unwrap() else {
        panic!("it is free")
    };
    lease.beat(&Beat { percent: 99.0, ..Beat::default() }).unwrap();
    let file = books.share.dir().join("leases").join(job.id.to_string());
    let mut info: Value = serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    info["beat_at"] = json!(Timestamp::now() - SignedDuration::from_hours(2));
    std::fs::write(&file, info.to_string()).unwrap();
    let status = books.reader().read().unwrap();
    assert!(status.running[0].silent);
    assert!(status.eta.low_s.unwrap() > 3600, "{:?}", status.eta);
}

#[test]
fn a_share_that_is_gone_is_an_error_and_not_an_empty_fleet() {
    let books = Books::new();
    books.certificate("a", 1);
    std::fs::remove_file(books.share.dir().join("sentinel")).unwrap();
    assert!(matches!(books.reader().read(), Err(ShareError::Gone { .. })));
}
