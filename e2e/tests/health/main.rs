//! Workers that are ill, killed, told to stop, or out of room, against a real broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod disk;
mod fleet;
mod poison;
mod sick;
mod stops;

use std::cell::RefCell;
use std::rc::Rc;

use e2e::broker::PrivateBroker;
use e2e::films::Studio;
use fleet::Fleet;

type Scene = fn(&PrivateBroker, &Fleet);

fn play(scenes: &[(&str, Scene)]) {
    let dir = tempfile::tempdir().unwrap();
    let broker = PrivateBroker::start(dir.path()).unwrap();
    let studio = Rc::new(RefCell::new(Studio::open().unwrap()));
    for (vhost, scene) in scenes {
        scene(&broker, &Fleet::new(&broker, &studio, vhost));
    }
}

#[test]
fn workers_that_are_sick_killed_stopped_or_doubled() {
    play(&[
        ("sick", sick::one_sick_and_one_healthy_worker),
        ("slow", sick::a_worker_whose_films_all_fail_goes_slowly),
        ("poison", poison::a_film_that_kills_its_workers_is_given_up_and_may_be_tried_anew),
        ("slots", stops::two_films_at_once_in_one_process),
        ("stop", stops::a_second_signal_gives_the_film_back),
    ]);
}

#[test]
fn full_disks_cost_no_film() {
    play(&[
        ("scratch", disk::scratch_runs_full_during_an_encode),
        ("output", disk::the_results_disk_runs_full_before_the_mux),
        ("share", disk::the_share_runs_full_at_any_moment),
        ("small", disk::films_that_do_not_fit_make_way_for_others),
    ]);
}
