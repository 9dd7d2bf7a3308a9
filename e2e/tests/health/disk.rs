//! Disks that run full: real ones, small, in memory.

use std::fs;
use std::path::Path;

use common::job::JobMessage;
use common::share::WorkerState;
use e2e::broker::PrivateBroker;
use e2e::films::FilmSpec;

use super::fleet::{Disk, ENCODED, Fleet, SOON, Worker, mel, until};

/// Room for the margin of a film, for the film, and for one self-test.
const MEGABYTES: u32 = 200;

struct Original {
    spec: FilmSpec,
    job: JobMessage,
    bytes: Vec<u8>,
}

impl Original {
    fn new(fleet: &Fleet, spec: FilmSpec, preset: &str) -> Self {
        let job = fleet.film(&spec, preset);
        let bytes = fs::read(fleet.path("lib").join(&spec.path)).unwrap();
        Self { spec, job, bytes }
    }

    /// Done in the end, without an attempt counted, and the original is what it was.
    fn finishes(&self, fleet: &Fleet, worker: &Worker) {
        until(worker, ENCODED, "the certificate", || fleet.certificate(&self.job).is_some());
        fleet.proven(&self.spec, &self.job);
        fleet.unburned(&self.job);
        assert!(fs::read(fleet.path("lib").join(&self.spec.path)).unwrap() == self.bytes);
        let depths = fleet.depths();
        assert_eq!((depths.retrying(), depths.failed.ready), (0, 0), "{depths:?}");
    }
}

/// It waits, has given its film back whole, and does not try again and again.
fn waits_for_room(fleet: &Fleet, worker: &Worker, film: &Original) {
    until(worker, SOON, "a word about the disk", || {
        fleet.seen("w").is_some_and(|i| i.state == WorkerState::Ill && i.code.as_deref() == Some("disk.full"))
    });
    has_given_back(fleet, worker, film);
}

fn has_given_back(fleet: &Fleet, worker: &Worker, film: &Original) {
    until(worker, SOON, "the film back in the queue", || fleet.waiting() == 1);
    until(worker, SOON, "the retry queue to be empty", || fleet.depths().films.ready == 1);
    assert!(fleet.lease(&film.job).is_none());
    assert_eq!(fleet.left(), [] as [std::path::PathBuf; 0]);
    assert_eq!(worker.said("film received"), 1, "{}", worker.log());
    assert_eq!(worker.said("taking no films"), 1, "{}", worker.log());
}

fn on_a_disk(fleet: &Fleet, dir: &str, megabytes: u32) -> Option<Disk> {
    Disk::mount(&fleet.path(dir), megabytes)
}

pub fn scratch_runs_full_during_an_encode(_: &PrivateBroker, fleet: &Fleet) {
    let Some(disk) = on_a_disk(fleet, "scratch", MEGABYTES) else { return };
    fleet.ready();
    let film = Original::new(fleet, mel("film").frames(240), "medium");
    fleet.publish(&film.job);
    let worker = fleet.worker("w", &[]);
    until(&worker, ENCODED, "the encode", || fleet.encoding(&film.job).is_some());
    disk.fill(0);
    waits_for_room(fleet, &worker, &film);
    assert!(worker.log().contains("the scratch disk is full"), "{}", worker.log());
    disk.free();
    film.finishes(fleet, &worker);
}

pub fn the_results_disk_runs_full_before_the_mux(_: &PrivateBroker, fleet: &Fleet) {
    let Some(disk) = on_a_disk(fleet, "out", MEGABYTES) else { return };
    fleet.ready();
    let film = Original::new(fleet, mel("film").frames(240), "medium");
    fleet.publish(&film.job);
    let worker = fleet.worker("w", &[]);
    until(&worker, ENCODED, "the encode", || fleet.encoding(&film.job).is_some());
    // Some of the result can be written.
    disk.fill(20);
    waits_for_room(fleet, &worker, &film);
    assert!(!fleet.result(&film.spec).exists());
    disk.free();
    film.finishes(fleet, &worker);
}

/// The first and the last thing that is written there, and whatever comes first in between.
pub fn the_share_runs_full_at_any_moment(_: &PrivateBroker, fleet: &Fleet) {
    let Some(disk) = on_a_disk(fleet, "state", 16) else { return };
    fleet.ready();
    for (n, pages) in [0, 2].into_iter().enumerate() {
        let film = Original::new(fleet, mel("film").at(format!("claimed-{n}.mkv")), "ultrafast");
        let worker = fleet.worker("w", &[]);
        until(&worker, SOON, "readiness", || fleet.depths().films.consumers == 1);
        disk.fill(pages);
        fleet.hand_in(&film.job);
        // Nobody can write down that it is ill; its log is not on the share.
        until(&worker, SOON, "a word about the disk", || worker.said("taking no films") == 1);
        assert!(worker.log().contains("disk.full"), "{}", worker.log());
        has_given_back(fleet, &worker, &film);
        disk.free();
        film.finishes(fleet, &worker);
        worker.signal("TERM");
        assert_eq!(worker.ends(SOON), 0);
    }
    for (n, pages) in [0, 4].into_iter().enumerate() {
        let film = Original::new(fleet, mel("film").frames(240).at(format!("encoded-{n}.mkv")), "medium");
        fleet.publish(&film.job);
        let worker = fleet.worker("w", &[]);
        until(&worker, ENCODED, "the encode", || fleet.encoding(&film.job).is_some());
        disk.fill(pages);
        until(&worker, ENCODED, "a word about the disk", || worker.said("taking no films") == 1);
        assert!(worker.log().contains("disk.full"), "{}", worker.log());
        assert!(fleet.certificate(&film.job).is_none());
        disk.free();
        film.finishes(fleet, &worker);
        worker.signal("TERM");
        assert_eq!(worker.ends(SOON), 0);
    }
}

/// Scratch is large enough for one film and too small for the other, which makes no one wait.
pub fn films_that_do_not_fit_make_way_for_others(_: &PrivateBroker, fleet: &Fleet) {
    let Some(disk) = on_a_disk(fleet, "scratch", 66) else { return };
    fleet.ready();
    let large = Original::new(fleet, mel("film").at("large.mkv"), "ultrafast");
    let small = Original::new(fleet, mel("film").at("small.mkv"), "ultrafast");
    grow(&fleet.path("lib/large.mkv"));
    let now = consumer::pipeline::Source::of(&fleet.path("lib/large.mkv")).unwrap();
    let large = JobMessage::new(large.job.film, now.size, now.mtime_ns, large.job.recipe, "MEL".into());
    fleet.publish(&large);
    fleet.publish(&small.job);
    let worker = fleet.worker("w", &[]);
    until(&worker, ENCODED, "the small film", || fleet.certificate(&small.job).is_some());
    until(&worker, SOON, "the large film to come round three times", || worker.said("scratch.small") >= 3);
    until(&worker, SOON, "a rest", || worker.said("no further film for now") >= 1);
    assert!(fleet.certificate(&large).is_none() && fleet.report(&large).is_none());
    assert_eq!(worker.said("taking no films"), 0, "{}", worker.log());
    assert_eq!(worker.said("stage=prescan"), 2, "it is read whole once, not each time:\n{}", worker.log());
    fleet.unburned(&large);
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 0);
    drop(disk);
}

/// Puts an element behind the film that every reader passes over: many bytes that belong to no other track.
fn grow(path: &Path) {
    use std::io::{Seek, SeekFrom, Write};
    // Void (RFC 9559 section 5.1.3 takes it at any place), with a size of eight bytes.
    let size: u64 = 8 << 20;
    let mut file = fs::File::options().write(true).open(path).unwrap();
    file.seek(SeekFrom::End(0)).unwrap();
    file.write_all(&[0xEC]).unwrap();
    file.write_all(&(size | 0x0100_0000_0000_0000).to_be_bytes()).unwrap();
    file.write_all(&vec![0; usize::try_from(size).unwrap()]).unwrap();
}
