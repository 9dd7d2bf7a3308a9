//! What must hold in a folder of any file system.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use common::job::JobId;
use common::share::{
    Acquire, Beat, Entry, Event, FileError, FileIdentity, Journal, Lease, LeaseError, LeaseObserver, Owner,
    PublishMethod, Recovered, ReplaceMethod, Replacement, ShareState, make_folders, probe_replace,
    publish_no_clobber, publish_no_clobber_by, recover, sync_dir, write_file,
};

const WORKERS: usize = 8;
const LONG: Duration = Duration::from_secs(600);

/// A stale time that is longer than a busy machine keeps a thread waiting, or as long as somebody knows better.
fn short() -> Duration {
    let given = std::env::var("DOVI_FILESYSTEM_STALE_S").ok().and_then(|s| s.parse().ok());
    Duration::from_secs_f64(given.unwrap_or(1.5))
}

/// The first ways that work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen {
    pub publish: PublishMethod,
    pub replace: ReplaceMethod,
}

/// Runs everything in `dir`, which every second worker sees as `other`. The number is how often a file that was rewritten meanwhile could not be seen.
pub fn holds(dir: &Path, other: &Path) -> (Seen, usize) {
    let gaps = whole_files(dir, other);
    leases(dir, other);
    journal(dir);
    let publish = names(dir, other);
    let replace = places(dir);
    folders(dir);
    (Seen { publish, replace }, gaps)
}

fn listed(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

fn whole_files(dir: &Path, other: &Path) -> usize {
    let dir = dir.join("whole");
    fs::create_dir(&dir).unwrap();
    let (path, seen) = (dir.join("state"), other.join("whole/state"));
    let content = |n: usize| vec![b'a' + (n % 26) as u8; 3000 + n];
    write_file(&path, &content(0)).unwrap();
    let mut gaps = 0;
    std::thread::scope(|s| {
        let writer = s.spawn(|| (1..40).for_each(|n| write_file(&path, &content(n)).unwrap()));
        while !writer.is_finished() {
            match fs::read(&seen) {
                Ok(bytes) => assert_eq!(bytes, content(bytes.len() - 3000), "a torn file"),
                Err(e) if e.kind() == std::io::ErrorKind::NotFound => gaps += 1,
                Err(e) => panic!("{e}"),
            }
        }
    });
    assert_eq!(listed(&dir).len(), 1, "temporary files are gone");
    sync_dir(&dir).unwrap();
    gaps
}

fn job(n: u32) -> JobId {
    format!("{n:032x}").parse().unwrap()
}

fn share(dir: &Path) -> ShareState {
    let share = ShareState::new(dir.join("state"));
    share.init().unwrap();
    share
}

fn leases(dir: &Path, other: &Path) {
    let share = share(dir);
    let theirs = ShareState::new(other.join("state"));
    let seen_by = |n: usize| if n.is_multiple_of(2) { share.clone() } else { theirs.clone() };
    // Of several that want a film one gets it.
    let barrier = Barrier::new(WORKERS);
    let claims: Vec<_> = std::thread::scope(|s| {
        let claim = |n: usize| {
            let observer = LeaseObserver::new(seen_by(n), Owner::here(format!("w{n}")));
            barrier.wait();
            observer.acquire(job(1), LONG).unwrap()
        };
        let threads: Vec<_> = (0..WORKERS).map(|n| s.spawn(move || claim(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let mut mine: Vec<Lease> =
        claims.into_iter().filter_map(|c| if let Acquire::Mine(l) = c { Some(l) } else { None }).collect();
    assert_eq!(mine.len(), 1, "one holder");
    let holder = mine.remove(0);
    for n in 1..=20 {
        holder.beat(&Beat { stage: "encode".into(), percent: n as f32, ..Beat::default() }).unwrap();
    }
    let seen = share.read_lease(job(1)).unwrap().unwrap();
    assert_eq!((seen.beat, seen.token.as_str()), (20, holder.token()));
    holder.release().unwrap();
    // Another mount may show it for as long as it caches names.
    let until = Instant::now() + Duration::from_secs(20);
    while share.read_lease(job(1)).unwrap().is_some() {
        assert!(Instant::now() < until, "a lease that was given back is still there");
        std::thread::sleep(Duration::from_millis(20));
    }

    // A holder that stands still is replaced by one of several, and finds that out.
    let stale = short();
    let observe = |n: usize| LeaseObserver::new(seen_by(n), Owner::here(format!("t{n}")));
    let Acquire::Mine(frozen) = observe(99).acquire(job(2), stale).unwrap() else { panic!("free") };
    let (barrier, won, ended) = (Barrier::new(WORKERS), AtomicBool::new(false), AtomicUsize::new(0));
    let taken: Vec<Option<Lease>> = std::thread::scope(|s| {
        let take = |n: usize| {
            let me = observe(n);
            assert!(matches!(me.acquire(job(2), stale).unwrap(), Acquire::Busy { .. }));
            barrier.wait();
            let until = Instant::now() + 20 * stale;
            while Instant::now() < until {
                let over = won.load(Ordering::SeqCst);
                match me.acquire(job(2), stale).unwrap() {
                    Acquire::Mine(lease) => {
                        won.store(true, Ordering::SeqCst);
                        // It lives, as long as anybody looks; one that failed never says that it ended.
                        while ended.load(Ordering::SeqCst) + 1 < WORKERS && Instant::now() < until {
                            lease.check().unwrap();
                        }
                        return Some(lease);
                    }
                    Acquire::Busy { .. } if over => {
                        ended.fetch_add(1, Ordering::SeqCst);
                        return None;
                    }
                    Acquire::Busy { .. } => std::thread::sleep(Duration::from_millis(5)),
                    Acquire::Done => panic!("nobody has done it"),
                }
            }
            panic!("nobody takes a lease over that stands still");
        };
        let threads: Vec<_> = (0..WORKERS).map(|n| s.spawn(move || take(n))).collect();
        threads.into_iter().map(|t| t.join().unwrap()).collect()
    });
    let taken: Vec<Lease> = taken.into_iter().flatten().collect();
    assert_eq!(taken.len(), 1, "one new holder");
    assert!(matches!(frozen.check(), Err(LeaseError::Lost(_))));
    taken[0].check().unwrap();
    taken[0].release().unwrap();
    // Removed by the other mount perhaps: this one may show it for as long as it caches names.
    let begun = Instant::now();
    let names = || listed(&share.dir().join("leases"));
    while !names().is_empty() {
        assert!(begun.elapsed() < Duration::from_secs(20), "left behind: {:?}", names());
        std::thread::sleep(Duration::from_millis(200));
    }

    // The server's clock is not far from ours on the machine that both are on.
    let off = share.now().unwrap().duration_since(SystemTime::now()).unwrap_or_else(|e| e.duration());
    assert!(off < Duration::from_secs(10), "{off:?}");
}

fn journal(dir: &Path) {
    let share = share(dir);
    let journal = Journal::open(&share, job(3)).unwrap();
    for n in 0..5 {
        let entry = Entry {
            run: format!("{n}"),
            attempt: 1,
            worker: "w".into(),
            host: "h".into(),
            event: Event::Start,
            at: jiff::Timestamp::now(),
        };
        journal.append(&entry).unwrap();
    }
    assert_eq!(journal.entries().unwrap().len(), 5);
}

/// By every way: one of several wins and nothing is overwritten. Gives the first way that the file system has.
fn names(dir: &Path, other: &Path) -> PublishMethod {
    let mut first = PublishMethod::Claim;
    for method in [PublishMethod::Claim, PublishMethod::Link, PublishMethod::Rename] {
        for round in 0..5 {
            let name = format!("names-{method:?}-{round}");
            let (dir, other) = (dir.join(&name), other.join(&name));
            fs::create_dir(&dir).unwrap();
            let film = dir.join("film.mkv");
            let barrier = Barrier::new(WORKERS);
            let results: Vec<_> = std::thread::scope(|s| {
                let publish = |n: usize| {
                    let dir = if n.is_multiple_of(2) { &dir } else { &other };
                    let partial = dir.join(format!(".film.{n}.partial"));
                    fs::write(&partial, n.to_string()).unwrap();
                    barrier.wait();
                    publish_no_clobber_by(method, &partial, &dir.join("film.mkv"))
                };
                let threads: Vec<_> = (0..WORKERS).map(|n| s.spawn(move || publish(n))).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let winners: Vec<_> = (0..WORKERS).filter(|&n| results[n].is_ok()).collect();
            assert_eq!(winners.len(), 1, "{method:?}, round {round}: {results:?}");
            assert_eq!(
                fs::read_to_string(&film).unwrap(),
                winners[0].to_string(),
                "{method:?}, round {round}"
            );
            let refused = results.iter().filter_map(|r| r.as_ref().err());
            refused.for_each(|e| assert!(matches!(e, FileError::Exists { .. }), "{e}"));
            assert_eq!(listed(&dir).len(), WORKERS, "{:?}", listed(&dir));
            if let Ok(used) = &results[winners[0]] {
                first = *used;
            }
        }
    }
    first
}

/// By every way that works here: the original's place is taken, taken back, and found out about after a crash.
fn places(dir: &Path) -> ReplaceMethod {
    let ways = [ReplaceMethod::Exchange, ReplaceMethod::Link, ReplaceMethod::Move];
    let trash = dir.join("trash");
    fs::create_dir(&trash).unwrap();
    let found = probe_replace(ReplaceMethod::Exchange, dir, &trash).unwrap();
    for strongest in ways {
        let method = probe_replace(strongest, dir, &trash).unwrap();
        for crash in [Crash::Never, Crash::AfterFirst, Crash::AfterSecond, Crash::Undone] {
            replace(&dir.join(format!("place-{strongest:?}-{crash:?}")), &trash, method, crash);
        }
    }
    assert!(listed(&trash).is_empty(), "{:?}", listed(&trash));
    found
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Crash {
    Never,
    AfterFirst,
    AfterSecond,
    Undone,
}

fn replace(dir: &Path, trash: &Path, method: ReplaceMethod, crash: Crash) {
    fs::create_dir(dir).unwrap();
    let (name, partial, kept) =
        (dir.join("film.mkv"), dir.join(".film.partial"), trash.join("film.original"));
    fs::write(&name, "the original").unwrap();
    fs::write(&partial, "result").unwrap();
    let (original, made) = (FileIdentity::of(&name).unwrap(), FileIdentity::of(&partial).unwrap());
    assert!(
        original.is_at(&name).unwrap() && !original.is_at(&partial).unwrap() && !made.is_at(&kept).unwrap()
    );
    let files = Replacement { result: &partial, name: &name, trash: &kept, original, made };
    let text = |path: &Path| fs::read_to_string(path).ok();
    let (old, new) = (Some("the original".to_owned()), Some("result".to_owned()));

    files.first(method).unwrap();
    if method != ReplaceMethod::Move {
        assert_eq!(text(&name), old, "{method:?}: the film's name always leads to a film");
    }
    match crash {
        Crash::AfterFirst => {
            assert_eq!(recover(&name, &kept, &original, &made).unwrap(), Recovered::NotBegun, "{method:?}");
            assert_eq!((text(&name), text(&kept)), (old, None), "{method:?}");
            return;
        }
        Crash::Undone => {
            files.undo(method).unwrap();
            assert_eq!((text(&name), text(&partial), text(&kept)), (old, new, None), "{method:?}");
            return;
        }
        Crash::Never | Crash::AfterSecond => files.second(method).unwrap(),
    }
    if crash == Crash::AfterSecond {
        assert_eq!(recover(&name, &kept, &original, &made).unwrap(), Recovered::Done, "{method:?}");
    }
    assert_eq!((text(&name), text(&kept), text(&partial)), (new, old, None), "{method:?}");
    // What docs/OPERATIONS.md says about putting an original back.
    fs::rename(&kept, &name).unwrap();
    assert_eq!(recover(&name, &kept, &original, &made).unwrap(), Recovered::NotBegun, "{method:?}");
}

fn folders(dir: &Path) {
    let deep = dir.join("new/deeper/still");
    make_folders(&deep).unwrap();
    assert!(deep.is_dir());
    let film = deep.join("x".repeat(200));
    let partial = deep.join(".partial");
    fs::write(&partial, "film").unwrap();
    publish_no_clobber(&partial, &film).unwrap();
    assert_eq!(fs::read(&film).unwrap(), b"film");
}
