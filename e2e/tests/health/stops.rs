//! Two films at once in one process, and being told to stop twice.

use common::share::{Journal, WorkerState};
use e2e::broker::PrivateBroker;
use e2e::wait;

use super::fleet::{ENCODED, Fleet, SOON, mel, until};

pub fn two_films_at_once_in_one_process(_: &PrivateBroker, fleet: &Fleet) {
    fleet.ready();
    let specs = [mel("film").frames(240), mel("film").frames(240).at("other.mkv")];
    let jobs = specs.each_ref().map(|spec| fleet.film(spec, "medium"));
    jobs.iter().for_each(|job| fleet.publish(job));
    let worker = fleet.worker("w", &["--slots", "2", "--idle-exit", "3"]);
    let both =
        wait::until_some(ENCODED, "two leases at once", || fleet.lease(&jobs[0]).zip(fleet.lease(&jobs[1])))
            .unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
    assert_eq!((both.0.pid, &both.0.origin), (both.1.pid, &both.1.origin));
    assert_ne!(both.0.token, both.1.token);
    until(&worker, SOON, "its own word", || {
        fleet.seen("w").is_some_and(|i| i.slots == 2 && i.state == WorkerState::Busy)
    });
    assert_eq!(worker.ends(ENCODED), 0);
    for (spec, job) in specs.iter().zip(&jobs) {
        fleet.proven(spec, job);
        fleet.unburned(job);
    }
    assert_eq!(fleet.waiting(), 0);
}

pub fn a_second_signal_gives_the_film_back(_: &PrivateBroker, fleet: &Fleet) {
    fleet.ready();
    let spec = mel("film").frames(480);
    let job = fleet.film(&spec, "slower");
    fleet.publish(&job);
    let worker = fleet.worker("w", &[]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job)).unwrap();
    worker.signal("TERM");
    until(&worker, SOON, "draining", || fleet.seen("w").is_some_and(|i| i.state == WorkerState::Draining));
    assert!(fleet.lease(&job).is_some(), "the film in hand goes on");
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 4, "stopped with a film in hand");
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.retrying(), depths.failed.ready), (1, 0, 0), "{depths:?}");
    assert!(fleet.lease(&job).is_none() && fleet.seen("w").is_none());
    assert_eq!(fleet.left(), [] as [std::path::PathBuf; 0]);
    fleet.unburned(&job);
    assert_eq!(Journal::of(&fleet.share(), job.id).crashes().unwrap().count, 0, "a stop is no crash");
}
