//! What a worker sees while the server of its share is away.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::Path;
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use common::job::{FailureCode, JobId};
use common::share::{
    Acquire, Beat, Folder, LeaseKeeper, LeaseObserver, Owner, ResultsFolder, ShareError, ShareState,
    drop_cached, write_file,
};

/// How long the server is away.
const AWAY: Duration = Duration::from_secs(20);
/// The stale time: a claim survives an outage of half of it.
const STALE: Duration = Duration::from_secs(120);
/// Within this time after the server is back everything works again.
const BACK: Duration = Duration::from_secs(180);

/// The calls of one kind.
#[derive(Debug, Default)]
struct Calls {
    worked: usize,
    longest: Duration,
    /// Code, words, and how often.
    failed: BTreeMap<(String, String), usize>,
}

/// Works in `dir` while `stop` and `start`, commands of a shell, take the server away and bring it back.
///
/// Whatever a call says meanwhile has the code of a share that is ill, never one that is held against a film; a claim is kept or
/// known to be lost; and afterwards everything works without anybody's help.
pub fn a_share_comes_back(dir: &Path, stop: &str, start: &str) {
    let share = ShareState::new(dir.join("state"));
    share.init().unwrap();
    let results = ResultsFolder::new(dir.join("results"));
    results.open(&share).unwrap();
    let film = dir.join("film.mkv");
    fs::write(&film, vec![7; 1 << 20]).unwrap();
    let job = |n: u32| -> JobId { format!("{n:032x}").parse().unwrap() };
    share.write(Folder::Done, job(1), &"certificate").unwrap();
    let observer = LeaseObserver::new(share.clone(), Owner::here("holder"));
    let Acquire::Mine(lease) = observer.acquire(job(2), STALE).unwrap() else { panic!("free") };
    let keeper = LeaseKeeper::start(lease, Duration::from_secs(2)).unwrap();
    keeper.report(Beat { stage: "encode".into(), ..Beat::default() });

    let of_file = |r: std::io::Result<()>| r.map_err(|e| (FailureCode::ShareIo, e.to_string()));
    let of_share = |r: Result<(), ShareError>| r.map_err(|e| (e.code(), e.to_string()));
    let look = || of_share(share.check());
    let marker = || of_share(results.check());
    let folder = || of_share(results.make(&results_folder(dir)));
    let certificate =
        || of_share(share.read::<String>(Folder::Done, job(1)).map(|read| assert!(read.is_some())));
    let none = || of_share(share.read::<String>(Folder::Done, job(3)).map(|read| assert!(read.is_none())));
    let list = || {
        let names = || fs::read_dir(dir)?.map(|e| e.map(|e| e.file_name())).collect::<Result<Vec<_>, _>>();
        of_file(names().map(|names| assert_eq!(names.len(), 3, "an empty folder is no answer: {names:?}")))
    };
    let read = || {
        let mut file = fs::File::open(&film).map_err(|e| (FailureCode::ShareIo, e.to_string()))?;
        drop_cached(&file);
        of_file(
            file.read_to_end(&mut Vec::new()).map(|n| assert_eq!(n, 1 << 20, "a short film is no answer")),
        )
    };
    let write = || {
        let written = write_file(&dir.join("state/queued/probe"), b"whole");
        written.map_err(|e| (ShareError::from(e).code(), String::from("write")))
    };
    let claim = || {
        let got = observer.acquire(job(4), STALE).map(|got| match got {
            Acquire::Mine(lease) => drop(lease.release()),
            Acquire::Busy { .. } => {}
            Acquire::Done => panic!("nobody has done it"),
        });
        of_share(got)
    };
    type Call<'a> = &'a (dyn Fn() -> Result<(), (FailureCode, String)> + Sync);
    let calls: [(&str, Call<'_>); 9] = [
        ("the sentinel", &look),
        ("the marker of results", &marker),
        ("a folder for results", &folder),
        ("a certificate that is there", &certificate),
        ("one that is not", &none),
        ("a listing", &list),
        ("a film, read", &read),
        ("a file, written", &write),
        ("a claim", &claim),
    ];
    let (end, seen) = (AtomicBool::new(false), Mutex::new(BTreeMap::<&str, Calls>::new()));
    let back = std::thread::scope(|s| {
        let threads: Vec<_> = calls
            .iter()
            .map(|&(name, call)| {
                let (end, seen) = (&end, &seen);
                s.spawn(move || {
                    // The first call after the end has to work.
                    let mut last = false;
                    loop {
                        let ending = end.load(Ordering::SeqCst);
                        let begun = Instant::now();
                        let done = call();
                        let mut seen = seen.lock().unwrap();
                        let calls = seen.entry(name).or_default();
                        calls.longest = calls.longest.max(begun.elapsed());
                        match done {
                            Ok(()) if last => return Instant::now(),
                            Ok(()) => calls.worked += 1,
                            Err((code, words)) => {
                                let words = words.replace(&dir.display().to_string(), "…");
                                *calls.failed.entry((code.as_str().to_owned(), words)).or_default() += 1;
                            }
                        }
                        drop(seen);
                        last = ending;
                        std::thread::sleep(Duration::from_millis(200));
                    }
                })
            })
            .collect();
        run(stop);
        std::thread::sleep(AWAY);
        run(start);
        let back = Instant::now();
        end.store(true, Ordering::SeqCst);
        threads.into_iter().map(|t| t.join().unwrap() - back).max().unwrap()
    });
    for (name, calls) in seen.into_inner().unwrap() {
        eprintln!(
            "{name}: {} worked, the longest call took {:.1} s",
            calls.worked,
            calls.longest.as_secs_f64()
        );
        for ((code, words), times) in calls.failed {
            eprintln!("    {times} x {code}: {words}");
            assert!(["share.gone", "share.io"].contains(&code.as_str()), "{name}: {code}: {words}");
        }
    }
    eprintln!("everything worked {:.1} s after the server was back", back.as_secs_f64());
    assert!(back < BACK, "{back:?}");
    match keeper.lease().lost() {
        None => keeper.check().unwrap(),
        Some(why) => eprintln!("the claim was given up: {why}"),
    }
    keeper.release().unwrap();
    let left: Vec<_> =
        fs::read_dir(dir.join("state/leases")).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?}");
}

/// A new one each time, so that no cache can answer.
fn results_folder(dir: &Path) -> std::path::PathBuf {
    static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
    dir.join(format!("results/{}", COUNT.fetch_add(1, Ordering::Relaxed)))
}

fn run(command: &str) {
    assert!(Command::new("sh").args(["-c", command]).status().unwrap().success(), "{command}");
}
