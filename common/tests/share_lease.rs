//! One film, many claimants.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Barrier, Mutex};
use std::time::{Duration, Instant};

use common::job::JobId;
use common::share::{
    Acquire, Beat, FileError, Folder, JobState, Lease, LeaseError, LeaseKeeper, LeaseObserver, Owner,
    ShareState, publish_no_clobber,
};

const ROLE: &str = "DOVI_FLEET_TEST_ROLE";
const SHARE: &str = "DOVI_FLEET_TEST_SHARE";
const HOUR: Duration = Duration::from_secs(3600);
/// A stale time that is over by the second look.
const BLINK: Duration = Duration::from_millis(1);

fn job(n: usize) -> JobId {
    format!("{n:032x}").parse().unwrap()
}

fn share() -> (tempfile::TempDir, ShareState) {
    let dir = tempfile::tempdir().unwrap();
    let share = ShareState::new(dir.path());
    share.init().unwrap();
    (dir, share)
}

fn observer(share: &ShareState, name: &str) -> LeaseObserver {
    LeaseObserver::new(share.clone(), Owner::here(name))
}

fn mine(answer: Acquire) -> Lease {
    match answer {
        Acquire::Mine(lease) => lease,
        other => panic!("not ours: {other:?}"),
    }
}

fn is_lost(result: &Result<(), LeaseError>) -> bool {
    matches!(result, Err(LeaseError::Lost(_)))
}

fn poll_until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// Looks until the stale time is over by the taker's own clock, then has the lease.
fn take_over(taker: &LeaseObserver, job: JobId, stale: Duration) -> Lease {
    let mut taken = None;
    poll_until("the lease is taken over", || {
        if let Acquire::Mine(lease) = taker.acquire(job, stale).unwrap() {
            taken = Some(lease);
        }
        taken.is_some()
    });
    taken.unwrap()
}

/// Asks all of them, each on its own thread, from the same moment on.
fn at_once<T: Send>(observers: &[LeaseObserver], ask: impl Fn(&LeaseObserver) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(observers.len());
    std::thread::scope(|s| {
        let (ask, barrier) = (&ask, &barrier);
        let start = |o| {
            s.spawn(move || {
                barrier.wait();
                ask(o)
            })
        };
        let threads: Vec<_> = observers.iter().map(start).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    })
}

fn files_in(share: &ShareState) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(share.dir().join("leases"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn of_sixteen_claimants_one_gets_the_film() {
    let (_dir, share) = share();
    let observers: Vec<_> = (0..16).map(|n| observer(&share, &format!("w{n}"))).collect();
    for round in 0..200 {
        let answers = at_once(&observers, |o| o.acquire(job(round), HOUR).unwrap());
        let winners = answers.iter().filter(|a| matches!(a, Acquire::Mine(_))).count();
        assert_eq!(winners, 1, "round {round}");
    }
    assert_eq!(share.leases().unwrap().entries.len(), 200);
}

#[test]
fn a_dead_lease_has_one_heir() {
    let (_dir, share) = share();
    let dead = observer(&share, "dead");
    let observers: Vec<_> = (0..16).map(|n| observer(&share, &format!("w{n}"))).collect();
    for round in 0..200 {
        let film = job(round);
        let old = mine(dead.acquire(film, HOUR).unwrap());
        for o in &observers {
            assert!(matches!(o.acquire(film, HOUR).unwrap(), Acquire::Busy { .. }));
        }
        let looked = Instant::now();
        poll_until("the stale time is over for all", || looked.elapsed() > BLINK);
        let heirs: Vec<_> = at_once(&observers, |o| o.acquire(film, BLINK).unwrap())
            .into_iter()
            .filter_map(|a| if let Acquire::Mine(lease) = a { Some(lease) } else { None })
            .collect();
        assert_eq!(heirs.len(), 1, "round {round}");
        heirs[0].check().unwrap();
        assert!(is_lost(&old.check()));
        heirs[0].release().unwrap();
        assert_eq!(files_in(&share), [""; 0], "round {round}");
    }
}

/// No test when run by itself: one of the processes of the tests below.
#[test]
fn helper_claimant() {
    let Some(role) = std::env::var_os(ROLE) else { return };
    let dir = std::env::var_os(SHARE).unwrap();
    let (share, go) = (ShareState::new(&dir), Path::new(&dir).join("go"));
    let me = observer(&share, "helper");
    if role == "race" {
        println!("\nready");
        poll_until("the race begins", || go.exists());
        for n in 0..100 {
            if let Acquire::Mine(_) = me.acquire(job(n), HOUR).unwrap() {
                println!("\nwon {n}");
            }
        }
        println!("\nover");
        // The leases of a process that ended would rightly be inherited by the slower ones.
        poll_until("the others are through too", || go.with_file_name("end").exists());
    } else {
        mine(me.acquire(job(1), HOUR).unwrap());
        println!("\nready");
        poll_until("killed", || false);
    }
}

fn start_helper(role: &str, share: &ShareState) -> (Child, impl Iterator<Item = String> + use<>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "helper_claimant", "--nocapture"])
        .env(ROLE, role)
        .env(SHARE, share.dir())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    assert!(lines.any(|l| l == "ready"), "the helper did not start");
    (child, lines)
}

#[test]
fn between_processes_every_film_has_one_winner_too() {
    let (_dir, share) = share();
    let mut helpers: Vec<_> = (0..4).map(|_| start_helper("race", &share)).collect();
    fs::write(share.dir().join("go"), "").unwrap();
    let mut wins = HashMap::<String, u32>::new();
    for (_, lines) in &mut helpers {
        for line in lines.take_while(|l| l != "over") {
            if let Some(film) = line.strip_prefix("won ") {
                *wins.entry(film.to_owned()).or_default() += 1;
            }
        }
    }
    fs::write(share.dir().join("end"), "").unwrap();
    for (mut child, lines) in helpers {
        assert_eq!(lines.filter(|l| l.starts_with("won ")).count(), 0);
        assert!(child.wait().unwrap().success());
    }
    assert_eq!(wins.len(), 100);
    assert!(wins.values().all(|&n| n == 1), "{wins:?}");
}

#[test]
fn a_killed_worker_on_the_same_machine_is_inherited_without_waiting() {
    let (_dir, share) = share();
    let (mut worker, _lines) = start_helper("hold", &share);
    let me = observer(&share, "w");
    assert!(matches!(me.acquire(job(1), HOUR).unwrap(), Acquire::Busy { .. }), "it lives");
    worker.kill().unwrap();
    worker.wait().unwrap();
    mine(me.acquire(job(1), HOUR).unwrap());
}

#[test]
fn a_beating_lease_is_never_taken_and_shows_how_far_the_work_is() {
    let (_dir, share) = share();
    let lease = mine(observer(&share, "holder").acquire(job(1), HOUR).unwrap());
    let other = observer(&share, "other");
    let stale = Duration::from_millis(300);
    let begun = Instant::now();
    let mut percent = 0.0;
    while begun.elapsed() < stale * 4 {
        percent += 0.25;
        lease.beat(&Beat { stage: "encode".into(), percent, fps: Some(24.0), eta_s: Some(60) }).unwrap();
        match other.acquire(job(1), stale).unwrap() {
            Acquire::Busy { holder: Some(holder), .. } => {
                assert_eq!((holder.worker.as_str(), holder.progress.percent), ("holder", percent));
            }
            other => panic!("{other:?}"),
        }
    }
    let info = share.read_lease(job(1)).unwrap().unwrap();
    assert_eq!((info.token.as_str(), info.progress.stage.as_str()), (lease.token(), "encode"));
    lease.release().unwrap();
    assert!(is_lost(&lease.check()), "a released lease protects nothing");
    mine(other.acquire(job(1), stale).unwrap());
}

#[test]
fn a_holder_that_was_frozen_is_fenced_and_harms_nobody() {
    let (_dir, share) = share();
    let frozen = mine(observer(&share, "frozen").acquire(job(1), HOUR).unwrap());
    let heir = take_over(&observer(&share, "heir"), job(1), BLINK);
    assert!(is_lost(&frozen.check()));
    assert!(is_lost(&frozen.beat(&Beat::default())), "for good");
    assert!(frozen.lost().unwrap().contains("worker heir"));
    frozen.release().unwrap();
    heir.check().unwrap();
    heir.beat(&Beat::default()).unwrap();
    assert_eq!(share.read_lease(job(1)).unwrap().unwrap().token, heir.token());

    // One that was frozen and gives back what it believes to have.
    let second = mine(observer(&share, "second").acquire(job(2), HOUR).unwrap());
    let heir = take_over(&observer(&share, "heir"), job(2), BLINK);
    second.release().unwrap();
    heir.check().unwrap();
    assert_eq!(files_in(&share).len(), 2, "two leases and nothing else: {:?}", files_in(&share));
}

#[test]
fn a_lease_whose_writer_died_before_the_first_byte_goes_stale_like_any_other() {
    let (_dir, share) = share();
    let path = share.dir().join("leases").join(job(1).to_string());
    for rubbish in ["", "{\"v\":1,", "../../x"] {
        fs::write(&path, rubbish).unwrap();
        let me = observer(&share, "w");
        assert!(matches!(me.acquire(job(1), HOUR).unwrap(), Acquire::Busy { holder: None, .. }));
        take_over(&me, job(1), BLINK).release().unwrap();
    }
    assert_eq!(files_in(&share), [""; 0]);
}

#[test]
fn a_removed_lease_is_a_lost_one() {
    let (_dir, share) = share();
    let lease = mine(observer(&share, "w").acquire(job(1), HOUR).unwrap());
    fs::remove_file(share.dir().join("leases").join(job(1).to_string())).unwrap();
    assert!(is_lost(&lease.check()));
}

#[test]
fn a_share_that_comes_back_in_time_costs_nothing_and_one_that_does_not_costs_the_lease() {
    let (_dir, share) = share();
    let stale = Duration::from_secs(3);
    let lease = mine(observer(&share, "w").acquire(job(1), stale).unwrap());
    let (sentinel, away) = (share.dir().join("sentinel"), share.dir().join("away"));
    fs::rename(&sentinel, &away).unwrap();
    assert!(matches!(lease.beat(&Beat::default()), Err(LeaseError::NotRenewed { .. })));
    fs::rename(&away, &sentinel).unwrap();
    lease.beat(&Beat::default()).unwrap();

    fs::rename(&sentinel, &away).unwrap();
    poll_until("the lease is given up", || is_lost(&lease.beat(&Beat::default())));
    assert!(lease.quiet() > stale / 2 && lease.quiet() < stale);
    fs::rename(&away, &sentinel).unwrap();
    assert!(is_lost(&lease.check()), "for good");
}

#[test]
fn the_keeper_beats_reports_and_notices_a_loss() {
    let (_dir, share) = share();
    let lease = mine(observer(&share, "w").acquire(job(1), Duration::from_secs(20)).unwrap());
    let keeper = LeaseKeeper::start(lease, Duration::from_millis(10)).unwrap();
    keeper.report(Beat { stage: "mux".into(), ..Beat::default() });
    poll_until("a beat carries the report", || {
        share.read_lease(job(1)).unwrap().is_some_and(|l| l.beat > 2 && l.progress.stage == "mux")
    });
    keeper.check().unwrap();
    fs::remove_file(share.dir().join("leases").join(job(1).to_string())).unwrap();
    poll_until("the loss is noticed", || keeper.lost().is_cancelled());

    let lease = mine(observer(&share, "w").acquire(job(2), Duration::from_secs(20)).unwrap());
    LeaseKeeper::start(lease, Duration::from_millis(10)).unwrap().release().unwrap();
    assert_eq!(files_in(&share), [""; 0]);
}

#[test]
fn a_share_that_hangs_costs_the_lease_although_no_call_returns() {
    let (_dir, share) = share();
    let stale = Duration::from_millis(400);
    let lease = mine(observer(&share, "w").acquire(job(1), stale).unwrap());
    // Opening a FIFO to read blocks until somebody writes: a hanging mount in small.
    let fifo = share.dir().join("leases").join(job(1).to_string());
    fs::remove_file(&fifo).unwrap();
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    let keeper = LeaseKeeper::start(lease, Duration::from_millis(10)).unwrap();
    poll_until("the lease is given up", || keeper.lost().is_cancelled());
    assert!(keeper.lease().lost().unwrap().contains("does not answer"));
    drop(fs::File::options().write(true).open(&fifo).unwrap()); // let the thread go
}

/// Workers that freeze past the stale time at every point, on few films. What must hold: one result per film, and every
/// film done.
#[test]
fn frozen_workers_publish_nothing_twice() {
    let (_dir, share) = share();
    let films = share.dir().join("films");
    fs::create_dir(&films).unwrap();
    let stale = Duration::from_millis(4);
    let (published, too_late, fenced) =
        (Mutex::new(HashMap::<usize, u32>::new()), AtomicU32::new(0), AtomicU32::new(0));
    // Frozen until another one has the film or has finished it; for ever is too long if all are frozen at once.
    let freeze = |lease: &Lease, dice: u64| {
        let until = Instant::now() + Duration::from_millis(100);
        let ours = || share.read_lease(lease.job()).is_ok_and(|l| l.is_none_or(|l| l.token == lease.token()));
        let done = || share.state_of(lease.job()).is_ok_and(|s| s == JobState::Done);
        while dice.is_multiple_of(3) && Instant::now() < until && ours() && !done() {
            std::thread::sleep(Duration::from_millis(1));
        }
    };
    let work = &|worker: u64| {
        let me = observer(&share, &format!("w{worker}"));
        let mut dice = worker + 1;
        let mut roll = move || {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            dice >> 33
        };
        let mut done = 0;
        while done < 30 {
            done = 0;
            for n in 0..30 {
                let lease = match me.acquire(job(n), stale).unwrap() {
                    Acquire::Done => {
                        done += 1;
                        continue;
                    }
                    Acquire::Busy { .. } => continue,
                    Acquire::Mine(lease) => lease,
                };
                let partial = films.join(format!(".{n}.{}", lease.token()));
                fs::write(&partial, lease.token()).unwrap();
                freeze(&lease, roll());
                let beats = (0..roll() % 4).all(|_| lease.beat(&Beat::default()).is_ok());
                freeze(&lease, roll());
                if !beats || lease.check().is_err() {
                    fenced.fetch_add(1, Ordering::Relaxed);
                    fs::remove_file(&partial).unwrap();
                    continue;
                }
                freeze(&lease, roll()); // the worst place: between the check and the publish
                match publish_no_clobber(&partial, &films.join(n.to_string())) {
                    Ok(_) => *published.lock().unwrap().entry(n).or_default() += 1,
                    Err(FileError::Exists { .. }) => {
                        too_late.fetch_add(1, Ordering::Relaxed);
                        fs::remove_file(&partial).unwrap();
                    }
                    Err(e) => panic!("{e}"),
                }
                freeze(&lease, roll());
                share.settle(Folder::Done, job(n), &"certificate").unwrap();
                freeze(&lease, roll());
                lease.release().unwrap();
            }
        }
    };
    std::thread::scope(|s| {
        for worker in 0..8 {
            s.spawn(move || work(worker));
        }
    });
    let published = published.into_inner().unwrap();
    assert_eq!(published.len(), 30);
    assert!(published.values().all(|&n| n == 1), "{published:?}");
    assert_eq!(fs::read_dir(&films).unwrap().count(), 30, "no partial is left");
    assert!(fenced.into_inner() > 0, "the faults did happen");
    println!("results that came too late and were refused: {}", too_late.into_inner());
}
