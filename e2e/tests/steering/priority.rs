//! Films that go before all others.

use super::fleet::{ENCODED, Fleet, mel};
use super::person::says;

pub fn the_named_film_comes_first(fleet: &Fleet) {
    let specs = ["a.mkv", "b.mkv", "c.mkv"].map(|name| mel("film").frames(24).at(name));
    let jobs = specs.each_ref().map(|spec| fleet.film(spec, "ultrafast"));
    jobs.iter().for_each(|job| fleet.publish(job));
    let (exit, text) = says(fleet, &["priority", "films:c.mkv"]);
    assert_eq!(exit, 0, "{text}");
    assert!(text.contains("first") && text.contains("No worker waits for films now"), "{text}");
    let status = fleet.producer(&["status"]);
    assert!(status.contains("3 waiting (1 of them first)"), "{status}");

    let worker = fleet.worker("w", &["--idle-exit", "3"]);
    assert_eq!(worker.ends(ENCODED), 0);
    for (spec, job) in specs.iter().zip(&jobs) {
        fleet.proven(spec, job);
    }
    let at = |n: usize| fleet.certificate(&jobs[n]).unwrap().at;
    assert!(at(2) < at(0) && at(0) < at(1), "c, a, b");
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.first.unwrap().ready, depths.failed.ready), (0, 0, 0));
    let (exit, text) = says(fleet, &["priority", &jobs[0].id.to_string()]);
    assert!(exit == 1 && text.contains("it is done already"), "{exit}: {text}");
}
