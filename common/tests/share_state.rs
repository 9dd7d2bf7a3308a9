//! The state folder: what is there, what is not ours, and what happens when the mount drops.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use std::fs;
use std::time::{Duration, SystemTime};

use common::job::JobId;
use common::share::{
    Acquire, Crashes, Entry, Event, Folder, JobState, Journal, LeaseInfo, LeaseObserver, Owner, ShareError,
    ShareState,
};
use serde_json::{Value, json};

fn job(n: u8) -> JobId {
    format!("{n:032x}").parse().unwrap()
}

fn share() -> (tempfile::TempDir, ShareState) {
    let dir = tempfile::tempdir().unwrap();
    let share = ShareState::new(dir.path().join("state"));
    share.init().unwrap();
    (dir, share)
}

#[test]
fn a_job_moves_through_its_states_and_done_wins() {
    let (_dir, share) = share();
    let one = job(1);
    assert_eq!(share.state_of(one).unwrap(), JobState::Unknown);
    share.write(Folder::Queued, one, &json!({"film": "a"})).unwrap();
    assert_eq!(share.state_of(one).unwrap(), JobState::Queued);

    let observer = LeaseObserver::new(share.clone(), Owner::here("w"));
    let Acquire::Mine(lease) = observer.acquire(one, Duration::from_secs(60)).unwrap() else { panic!() };
    assert_eq!(share.state_of(one).unwrap(), JobState::Leased);
    let counts = share.counts().unwrap();
    assert_eq!((counts.queued, counts.leased, counts.done, counts.failed), (1, 1, 0, 0));

    share.settle(Folder::Failed, one, &json!({"code": "x"})).unwrap();
    assert_eq!(share.state_of(one).unwrap(), JobState::Failed);
    assert_eq!(share.read::<Value>(Folder::Queued, one).unwrap(), None);
    share.settle(Folder::Done, one, &json!({"frames": 3})).unwrap();
    assert_eq!(share.state_of(one).unwrap(), JobState::Done);
    assert_eq!(share.read::<Value>(Folder::Failed, one).unwrap(), None);
    assert_eq!(share.read::<Value>(Folder::Done, one).unwrap(), Some(json!({"frames": 3})));
    lease.release().unwrap();
    assert!(matches!(observer.acquire(one, Duration::from_secs(60)).unwrap(), Acquire::Done));
    assert!(share.remove(Folder::Done, one).unwrap());
    assert!(!share.remove(Folder::Done, one).unwrap());
}

#[test]
fn without_the_sentinel_nothing_is_empty_everything_is_gone() {
    let (_dir, share) = share();
    share.write(Folder::Queued, job(1), &json!({})).unwrap();
    // What is left of the mount point when the share drops.
    fs::rename(share.dir(), share.dir().with_extension("away")).unwrap();
    fs::create_dir(share.dir()).unwrap();

    let gone = |r: Result<(), ShareError>| assert!(matches!(r, Err(ShareError::Gone { .. })), "{r:?}");
    gone(share.check());
    gone(share.read::<Value>(Folder::Done, job(1)).map(drop));
    gone(share.write(Folder::Done, job(1), &json!({})));
    gone(share.remove(Folder::Queued, job(1)).map(drop));
    gone(share.list::<Value>(Folder::Queued).map(drop));
    gone(share.state_of(job(1)).map(drop));
    gone(share.counts().map(drop));
    gone(share.leases().map(drop));
    gone(share.sweep(Duration::ZERO).map(drop));
    gone(Journal::open(&share, job(1)).map(drop));
    let observer = LeaseObserver::new(share.clone(), Owner::here("w"));
    gone(observer.acquire(job(1), Duration::ZERO).map(drop));
    assert_eq!(fs::read_dir(share.dir()).unwrap().count(), 0, "nothing was written into the mount point");
}

#[test]
fn a_listing_passes_over_what_is_not_ours_and_says_so() {
    let (_dir, share) = share();
    for n in [3, 1, 2] {
        share.write(Folder::Queued, job(n), &json!({"n": n})).unwrap();
    }
    let queued = share.dir().join("queued");
    fs::write(queued.join("Thumbs.db"), "x").unwrap();
    fs::write(queued.join(format!(".{}.json.0011.tmp", job(4))), "x").unwrap();
    fs::write(queued.join(format!("{}.json", job(5))), "{half a fi").unwrap();
    fs::write(queued.join(format!("{}.json", job(6))), vec![b' '; (1 << 20) + 1]).unwrap();
    fs::create_dir(queued.join(format!("{}.json", job(7)))).unwrap();

    let listing = share.list::<Value>(Folder::Queued).unwrap();
    assert_eq!(
        listing.entries.iter().map(|(j, v)| (*j, v["n"].as_u64().unwrap())).collect::<Vec<_>>(),
        [(job(1), 1), (job(2), 2), (job(3), 3)]
    );
    let warned = |part: &str| listing.warnings.iter().any(|w| w.contains(part));
    assert!(warned("Thumbs.db") && warned(&job(5).to_string()) && warned(&job(7).to_string()), "{listing:?}");
    assert!(warned("has 1048577 bytes, at most 1048576 are read"), "{listing:?}");
    assert_eq!(listing.warnings.len(), 4);

    let huge = share.write(Folder::Failed, job(8), &"x".repeat(1 << 20));
    assert!(matches!(huge, Err(ShareError::TooLarge { .. })), "nothing is written that would not be read");
    share.write(Folder::Done, job(8), &"x".repeat(2 << 20)).unwrap();
}

#[test]
fn the_first_version_of_a_lease_stays_readable() {
    let (_dir, share) = share();
    let golden = include_str!("data/golden/lease.json");
    let info: LeaseInfo = serde_json::from_str(golden).unwrap();
    assert_eq!((info.beat, info.progress.percent, info.progress.eta_s), (42, 61.5, Some(5400)));
    assert_eq!(serde_json::to_value(&info).unwrap(), serde_json::from_str::<Value>(golden).unwrap());
    fs::write(share.dir().join("leases").join(info.job.to_string()), golden).unwrap();
    assert_eq!(share.leases().unwrap().entries, [(info.job, info)]);
}

fn entry(run: &str, worker: &str, event: Event) -> Entry {
    let at = "2024-05-01T10:00:00Z".parse().unwrap();
    Entry { run: run.into(), attempt: 1, worker: worker.into(), host: "h".into(), event, at }
}

#[test]
fn starts_without_an_end_are_crashes_and_a_torn_line_hides_nothing() {
    let (_dir, share) = share();
    let journal = Journal::open(&share, job(1)).unwrap();
    assert_eq!(journal.crashes().unwrap(), Crashes::default());
    let end = || Event::End { outcome: "lease.lost".into(), wait_s: None };
    journal.append(&entry("a", "w1", Event::Start)).unwrap();
    journal.append(&entry("a", "w1", end())).unwrap();
    journal.append(&entry("b", "w1", Event::Start)).unwrap();
    journal.append(&entry("c", "w2", Event::Start)).unwrap();
    let path = share.log_path(job(1)).join("journal.jsonl");
    let mut text = fs::read_to_string(&path).unwrap();
    text.push_str("{\"run\":\"c\",\"atte");
    fs::write(&path, text).unwrap();
    journal.append(&entry("d", "w2", Event::Start)).unwrap();

    let crashes = journal.crashes().unwrap();
    assert_eq!(
        (crashes.count, crashes.workers.into_iter().collect::<Vec<_>>()),
        (3, vec!["w1".into(), "w2".into()])
    );
    assert_eq!(journal.entries().unwrap().len(), 5);
    journal.append(&entry("c", "w2", end())).unwrap();
    assert_eq!(journal.crashes().unwrap().count, 2);
}

#[test]
fn a_sweep_removes_old_temporary_files_of_ours_and_nothing_else() {
    let (_dir, share) = share();
    share.write(Folder::Done, job(1), &json!({})).unwrap();
    let old = SystemTime::now() - Duration::from_secs(90_000);
    let place = |folder: &str, name: String, age: bool| {
        let path = share.dir().join(folder).join(name);
        let file = fs::File::create(&path).unwrap();
        if age {
            file.set_modified(old).unwrap();
        }
        path
    };
    let dead = [
        place("done", format!(".{}.json.0123456789abcdef.tmp", job(2)), true),
        place("leases", format!(".{}.stale.00ff", job(2)), true),
        place("leases", format!(".{}.taken.00ff.3.0", job(2)), true),
        place("queued", ".clock.00ff.tmp".into(), true),
    ];
    let kept = [
        place("leases", format!(".{}.stale.00ff", job(3)), false),
        place("leases", job(4).to_string(), true),
        place("done", ".nfs000000000001".into(), true),
        place("done", ".hidden.tmp".into(), true),
        place("failed", "notes.tmp".into(), true),
    ];
    let swept = share.sweep(Duration::from_secs(86_400)).unwrap();
    assert_eq!((swept.removed, swept.young), (4, 1));
    assert!(dead.iter().all(|p| !p.exists()) && kept.iter().all(|p| p.exists()));
    assert_eq!(share.state_of(job(1)).unwrap(), JobState::Done);
}
