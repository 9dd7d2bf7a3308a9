//! Pausing, standing still, and ending.

use common::share::{PauseCause, WorkerState};
use e2e::broker::PrivateBroker;
use e2e::wait;

use super::fleet::{ENCODED, Fleet, SOON, mel, until};
use super::person::{Process, encoder_of, says, until_seen};

pub fn a_film_stands_still_and_goes_on(fleet: &Fleet) {
    let spec = mel("film").frames(240);
    let job = fleet.film(&spec, "slow");
    fleet.publish(&job);
    let worker = fleet.worker("w", &["--idle-exit", "3", "--set", "worker.stall_s=3"]);
    let lease = wait::until_some(ENCODED, "the encode", || fleet.encoding(&job))
        .unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
    let encoder = encoder_of(lease.pid);

    let (exit, text) = says(fleet, &["pause", "w", "--now"]);
    assert_eq!(exit, 0, "{text}\n{}", worker.log());
    assert!(text.contains("heard   w  stands still"), "{text}");
    let seen = until_seen(fleet, "w", "the pause", |w| w.state == WorkerState::Paused);
    let pause = seen.pause.unwrap();
    assert!(pause.frozen && pause.cause == PauseCause::Order, "{pause:?}");
    assert!(pause.by.unwrap().starts_with("anna@"));
    until(&worker, SOON, "the encoder to stand still", || {
        Process::of(encoder).is_some_and(|p| p.state == 'T')
    });
    let still = Process::of(encoder).unwrap();
    // Longer than the stall time, by the beats that go on meanwhile.
    let before = fleet.lease(&job).unwrap().beat;
    until(&worker, SOON, "beats", || fleet.lease(&job).is_some_and(|l| l.beat >= before + 14));
    assert_eq!(Process::of(encoder), Some(still), "no processor time is used");

    let (exit, text) = says(fleet, &["resume"]);
    assert!(exit == 0 && text.contains("heard   w  goes on"), "{exit}: {text}");
    until(&worker, SOON, "work", || Process::of(encoder).is_some_and(|p| p.ticks > still.ticks));
    assert_eq!(worker.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
    let entries = fleet.journal(&job);
    assert!(entries.iter().all(|e| e.run == lease.token), "it was begun once: {entries:?}");
}

pub fn hours_are_kept(fleet: &Fleet) {
    let job = fleet.film(&mel("film"), "ultrafast");
    fleet.publish(&job);
    // Two hours from now on, for an hour.
    let day = 24 * 60;
    let now = minutes_of_the_day();
    let wall = |m: i64| format!("{:02}:{:02}", m.rem_euclid(day) / 60, m.rem_euclid(day) % 60);
    let hours = format!("worker.hours={}-{}", wall(now + 120), wall(now + 180));
    let worker = fleet.worker("w", &["--set", &hours, "--set", "worker.timezone=UTC"]);
    let seen = until_seen(fleet, "w", "the pause", |w| w.state == WorkerState::Paused);
    let pause = seen.pause.unwrap();
    assert_eq!((pause.cause, pause.frozen, pause.by), (PauseCause::Hours, false, None));
    assert!(seen.why.unwrap().ends_with(&wall(now + 120)), "{:?}", pause.until);
    let (exit, text) = says(fleet, &["resume", "w"]);
    assert!(
        exit == 0 && text.contains("takes no films by its own settings: outside of its"),
        "{exit}: {text}"
    );
    assert_eq!((fleet.depths().films.ready, fleet.depths().films.consumers), (1, 0));
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 0);
}

/// Minutes since midnight, UTC.
fn minutes_of_the_day() -> i64 {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    (now.as_secs() / 60 % (24 * 60)).cast_signed()
}

pub fn a_worker_ends_after_its_film(fleet: &Fleet) {
    let (exit, text) = says(fleet, &["drain", "w"]);
    assert!(exit == 1 && text.contains("no worker is called w; no worker is there now"), "{exit}: {text}");
    let spec = mel("film").frames(240);
    let job = fleet.film(&spec, "medium");
    fleet.publish(&job);
    let worker = fleet.worker("w", &[]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job))
        .unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
    let (exit, text) = says(fleet, &["drain", "w"]);
    assert_eq!(exit, 0, "{text}\n{}", worker.log());
    assert_eq!(worker.ends(ENCODED), 0);
    fleet.proven(&spec, &job);

    // The next one of that name is another process, and takes films; where one stands still, to end is to give it back.
    let next = mel("next").frames(480);
    let job = fleet.film(&next, "slow");
    fleet.publish(&job);
    let worker = fleet.worker("w", &[]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job))
        .unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
    assert_eq!(says(fleet, &["pause", "--now"]).0, 0);
    let (exit, text) = says(fleet, &["drain", "--all"]);
    assert!(
        exit == 0 && (text.contains("gives its film back") || text.contains("has ended")),
        "{exit}: {text}"
    );
    assert_eq!(worker.ends(SOON), 4);
    assert_eq!((fleet.depths().films.ready, fleet.left().len()), (1, 0));
    fleet.unburned(&job);
}

pub fn a_pause_outlives_worker_and_broker(fleet: &Fleet, broker: &mut PrivateBroker) {
    let (exit, text) = says(fleet, &["pause"]);
    assert_eq!(exit, 1, "{text}");
    assert!(text.contains("Nobody heard it; it stays on the share"), "{text}");

    let spec = mel("film");
    let job = fleet.film(&spec, "ultrafast");
    fleet.publish(&job);
    let worker = fleet.worker("w", &[]);
    let seen = until_seen(fleet, "w", "the pause", |w| w.state == WorkerState::Paused);
    assert!(seen.why.unwrap().starts_with("paused by anna@"));
    drop(worker); // SIGKILL
    let worker = fleet.worker("w", &["--idle-exit", "3"]);
    until_seen(fleet, "w", "the pause of the next process", |w| {
        w.state == WorkerState::Paused && w.pid != seen.pid
    });
    broker.kill9().unwrap();
    // Without a broker an order arrives with the next beat.
    let (exit, text) = says(fleet, &["pause", "w"]);
    assert!(exit == 0 && text.contains("the order is on the share"), "{exit}: {text}\n{}", worker.log());
    broker.restart().unwrap();
    assert_eq!(says(fleet, &["pause"]).0, 0);
    assert_eq!((fleet.depths().films.ready, fleet.depths().films.consumers), (1, 0));
    assert!(fleet.journal(&job).is_empty(), "nothing was begun");

    let (exit, text) = says(fleet, &["resume", "w"]);
    assert!(exit == 0 && text.contains("heard   w  "), "{exit}: {text}");
    assert_eq!(worker.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
}
