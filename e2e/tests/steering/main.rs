//! People tell running workers what to do: pause, stand still, go on, end, drop a film. Against a real broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod cancels;
#[path = "../health/fleet.rs"]
#[expect(dead_code, reason = "full disks are another test's")]
mod fleet;
mod pauses;
mod person;
mod priority;

use std::cell::RefCell;
use std::rc::Rc;

use e2e::broker::PrivateBroker;
use e2e::films::Studio;
use fleet::Fleet;

#[test]
fn workers_do_what_people_say() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = PrivateBroker::start(dir.path()).unwrap();
    let studio = Rc::new(RefCell::new(Studio::open().unwrap()));
    let fleet = |vhost: &str| {
        let fleet = Fleet::new(&broker, &studio, vhost);
        fleet.ready();
        fleet
    };
    cancels::a_film_in_work_and_one_that_waits_are_dropped(&fleet("cancel"));
    pauses::a_film_stands_still_and_goes_on(&fleet("freeze"));
    priority::the_named_film_comes_first(&fleet("first"));
    pauses::hours_are_kept(&fleet("hours"));
    pauses::a_worker_ends_after_its_film(&fleet("drain"));
    let last = fleet("pause");
    pauses::a_pause_outlives_worker_and_broker(&last, &mut broker);
}
