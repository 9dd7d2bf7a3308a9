//! Whole files or none; a final name is given once.

#![expect(clippy::unwrap_used, reason = "helpers of tests may panic like the tests")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Barrier;

use common::share::{
    FileError, PublishMethod, free_bytes, is_no_space, publish_no_clobber, publish_no_clobber_by,
    rename_durable, write_file,
};

const METHODS: [PublishMethod; 3] = [PublishMethod::Rename, PublishMethod::Link, PublishMethod::Claim];

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn readers_see_the_old_file_or_the_new_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("state");
    let content = |n: usize| vec![b'a' + (n % 26) as u8; 3000 + n];
    write_file(&path, &content(0)).unwrap();
    std::thread::scope(|s| {
        let writer = s.spawn(|| (1..200).for_each(|n| write_file(&path, &content(n)).unwrap()));
        let mut seen = 0;
        while !writer.is_finished() {
            let bytes = fs::read(&path).unwrap();
            assert_eq!(bytes, content(bytes.len() - 3000), "a torn file");
            seen += 1;
        }
        assert!(seen > 0);
    });
    assert_eq!(names(dir.path()), ["state"]);
}

#[test]
fn of_sixteen_publishers_one_wins_and_the_others_keep_their_partial() {
    for method in METHODS {
        for round in 0..50 {
            let dir = tempfile::tempdir().unwrap();
            let film = dir.path().join("film.mkv");
            let barrier = Barrier::new(16);
            let results: Vec<_> = std::thread::scope(|s| {
                let publish = |n: usize| {
                    let partial = dir.path().join(format!(".film.mkv.{n}.partial"));
                    fs::write(&partial, n.to_string()).unwrap();
                    barrier.wait();
                    publish_no_clobber_by(method, &partial, &film)
                };
                let threads: Vec<_> = (0..16).map(|n| s.spawn(move || publish(n))).collect();
                threads.into_iter().map(|t| t.join().unwrap()).collect()
            });
            let winners: Vec<_> = (0..16).filter(|&n| results[n].is_ok()).collect();
            assert_eq!(winners.len(), 1, "{method:?}, round {round}: {results:?}");
            assert_eq!(fs::read_to_string(&film).unwrap(), winners[0].to_string());
            assert!(results.iter().flatten().all(|used| *used == method));
            for loser in results.iter().filter_map(|r| r.as_ref().err()) {
                assert!(matches!(loser, FileError::Exists { .. }), "{loser}");
            }
            assert_eq!(
                names(dir.path()).len(),
                16,
                "15 partials and the film, no claim: {:?}",
                names(dir.path())
            );
        }
    }
}

#[test]
fn a_publish_that_died_between_link_and_unlink_is_finished_by_the_next_one() {
    for method in METHODS {
        let dir = tempfile::tempdir().unwrap();
        let (partial, film) = (dir.path().join(".p"), dir.path().join("film.mkv"));
        fs::write(&partial, "film").unwrap();
        fs::hard_link(&partial, &film).unwrap();
        publish_no_clobber_by(method, &partial, &film).unwrap();
        assert_eq!(names(dir.path()), ["film.mkv"], "{method:?}");
        assert_eq!(fs::metadata(&film).unwrap().nlink(), 1);
    }
}

#[test]
fn an_abandoned_claim_is_overcome_and_a_fresh_one_respected() {
    let dir = tempfile::tempdir().unwrap();
    let (partial, film) = (dir.path().join(".p"), dir.path().join("film.mkv"));
    fs::write(&partial, "film").unwrap();
    let claim = fs::File::create(dir.path().join(".film.mkv.claim")).unwrap();
    let busy = publish_no_clobber_by(PublishMethod::Claim, &partial, &film);
    assert!(matches!(busy, Err(FileError::Exists { .. })), "{busy:?}");
    assert!(!film.exists());
    claim.set_modified(std::time::SystemTime::now() - std::time::Duration::from_secs(3600)).unwrap();
    publish_no_clobber_by(PublishMethod::Claim, &partial, &film).unwrap();
    assert_eq!(names(dir.path()), ["film.mkv"]);
}

#[test]
fn another_file_system_is_named_as_such() {
    let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let (from, to) = (here.path().join("a"), there.path().join("a"));
    fs::write(&from, "x").unwrap();
    assert_ne!(fs::metadata(here.path()).unwrap().dev(), fs::metadata(there.path()).unwrap().dev());
    for result in [publish_no_clobber(&from, &to).map(drop), rename_durable(&from, &to)] {
        assert!(matches!(result, Err(FileError::CrossDevice { .. })), "{result:?}");
    }
    assert!(from.exists() && !to.exists());
}

/// A file system of 64 KiB, unmounted when dropped.
struct TinyDisk(PathBuf);

impl TinyDisk {
    fn mount(at: &Path) -> Option<Self> {
        let args = ["-t", "tmpfs", "-o", "size=64k", "tiny"];
        let mounted = Command::new("mount").args(args).arg(at).status().is_ok_and(|s| s.success());
        mounted.then(|| Self(at.to_owned()))
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(&self.0).status();
    }
}

#[test]
fn a_full_disk_is_recognised_and_leaves_the_old_file_whole() {
    let full = fs::File::options().write(true).open("/dev/full").unwrap();
    let error = std::io::Write::write_all(&mut &full, b"x").unwrap_err();
    assert!(is_no_space(&error));

    let dir = tempfile::tempdir().unwrap();
    let Some(disk) = TinyDisk::mount(dir.path()) else {
        eprintln!("mounting is not allowed here: only /dev/full was tested");
        return;
    };
    let path = disk.0.join("state");
    write_file(&path, b"old").unwrap();
    let result = write_file(&path, &vec![b'x'; 100_000]);
    assert!(matches!(result, Err(FileError::NoSpace { .. })), "{result:?}");
    assert_eq!(fs::read(&path).unwrap(), b"old");
    assert_eq!(names(&disk.0), ["state"], "no temporary file");
    assert!(free_bytes(&disk.0).unwrap() <= 65_536);
}
