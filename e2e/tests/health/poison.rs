//! A film over which workers die.

use common::job::FailureCode;
use common::share::{Event, Journal};
use e2e::broker::PrivateBroker;

use super::fleet::{ENCODED, Fleet, SOON, mel, until};

pub fn a_film_that_kills_its_workers_is_given_up_and_may_be_tried_anew(_: &PrivateBroker, fleet: &Fleet) {
    fleet.ready();
    let spec = mel("film").frames(240);
    let job = fleet.film(&spec, "slow");
    fleet.publish(&job);
    let starts = || fleet.journal(&job).iter().filter(|e| e.event == Event::Start).count();
    for n in 1..=3 {
        let name = format!("w{n}");
        let worker = fleet.worker(&name, &[]);
        until(&worker, ENCODED, "a start", || starts() == n);
        drop(worker); // SIGKILL
    }
    let crashes = Journal::of(&fleet.share(), job.id).crashes().unwrap();
    assert_eq!((crashes.count, crashes.workers.len()), (3, 3));

    let fourth = fleet.worker("w4", &["--idle-exit", "3"]);
    until(&fourth, SOON, "the dead letter", || fleet.depths().failed.ready == 1);
    assert_eq!(fourth.said("stage begins"), 0, "a fourth worker is not risked: {}", fourth.log());
    assert_eq!(fourth.ends(SOON), 0);
    let report = fleet.report(&job).unwrap();
    assert_eq!((report.code, report.worker.as_str()), (FailureCode::Poison, "w4"));
    assert!(report.summary.contains("w1, w2, w3"), "{}", report.summary);
    let last = fleet.journal(&job).pop().unwrap();
    assert!(
        last.worker == "w4" && matches!(&last.event, Event::End { outcome, .. } if outcome == "poison"),
        "{last:?}"
    );
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.retrying(), depths.failed.ready), (0, 0, 1), "{depths:?}");
    assert!(fleet.lease(&job).is_none());
    // The dead could not tidy up, and what they left in scratch is gone; their words on the share go with the next of
    // their name, or after a month.
    assert!(!fleet.result(&spec).exists());

    fleet.producer(&["failed", "retry", &job.id.to_string()]);
    let crashes = Journal::of(&fleet.share(), job.id).crashes().unwrap();
    assert_eq!(crashes.count, 0, "it is counted anew");
    let fifth = fleet.worker("w5", &["--idle-exit", "3"]);
    assert_eq!(fifth.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
    assert_eq!(fleet.depths().failed.ready, 0);
}
