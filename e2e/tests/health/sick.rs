//! One worker whose ffmpeg is broken must not drain the queue into errors.

use std::fs;

use common::job::{FailureCode, JobMessage};
use common::share::{Event, WorkerState};
use e2e::broker::PrivateBroker;
use e2e::films::FilmSpec;
use e2e::wait;
use serde_json::{Value, json};

use super::fleet::{ENCODED, Fleet, SOON, Worker, mel, until};

/// An ffmpeg whose encodes do what the file `mode` says; everything else works, also in the worker's own tests.
fn ffmpeg(fleet: &Fleet) -> String {
    let mode = fleet.path("mode");
    fs::write(&mode, "good").unwrap();
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *'-f hevc pipe:1'*)\n  case \"$(cat {:?})\" in\n\
         exits) echo 'out of cheese' >&2; exit 1;;\n\
         garbage) yes 'this is no HEVC' | head -c 300000; exit 0;;\n\
         films) case \"$*\" in *lavfi*) ;; *) echo 'no films today' >&2; exit 1;; esac;;\n\
         this) case \"$*\" in *cursed*) echo 'not this one' >&2; exit 1;; esac;;\n\
         esac;;\nesac\nexec ffmpeg \"$@\"\n",
        mode
    );
    format!("tools.ffmpeg={}", fleet.script("ffmpeg", &script))
}

fn is(fleet: &Fleet, worker: &str, state: WorkerState) -> bool {
    fleet.seen(worker).is_some_and(|info| info.state == state)
}

fn break_it(fleet: &Fleet, mode: &str) {
    fs::write(fleet.path("mode"), mode).unwrap();
}

fn comes_back(fleet: &Fleet, a: &Worker) {
    break_it(fleet, "good");
    until(a, SOON, "the recovery", || !is(fleet, "a", WorkerState::Ill));
}

pub fn one_sick_and_one_healthy_worker(broker: &PrivateBroker, fleet: &Fleet) {
    fleet.ready();
    let films: Vec<(FilmSpec, JobMessage)> = ["one", "two", "three", "four", "five", "six", "seven"]
        .map(|name| {
            let spec = mel("film").at(format!("{name}.mkv"));
            let job = fleet.film(&spec, "ultrafast");
            (spec, job)
        })
        .into();
    let broken = ffmpeg(fleet);
    listen(broker);
    let a = fleet.worker("a", &["--set", &broken]);
    let done = |n: usize| fleet.certificate(&films[n].1).is_some();

    // Its test encode is good and remembered when the program breaks.
    fleet.publish(&films[0].1);
    until(&a, ENCODED, "the first film", || done(0));
    break_it(fleet, "exits");
    for (_, job) in &films[1..4] {
        fleet.publish(job);
    }
    until(&a, SOON, "the illness", || is(fleet, "a", WorkerState::Ill));
    it_says_so_everywhere(broker, fleet, &a);

    let b = fleet.worker("b", &[]);
    until(&b, ENCODED, "three films by the healthy one", || (1..4).all(done));
    assert_eq!(a.said("taking no films"), 1, "said once, not at every look:\n{}", a.log());
    assert!(is(fleet, "a", WorkerState::Ill));
    assert!(films[1..4].iter().all(|(_, job)| fleet.certificate(job).unwrap().worker == "b"));
    b.signal("TERM");
    assert_eq!(b.ends(SOON), 0);
    assert!(fleet.seen("b").is_none(), "a worker that ended in order is no worker");

    // The cause is gone, and it works again, until its encodes are garbage, or fail with films alone.
    comes_back(fleet, &a);
    fleet.publish(&films[4].1);
    until(&a, ENCODED, "a film after the repair", || done(4));
    for (n, mode) in [(5, "garbage"), (6, "films")] {
        break_it(fleet, mode);
        fleet.publish(&films[n].1);
        until(&a, SOON, "another illness", || is(fleet, "a", WorkerState::Ill));
        comes_back(fleet, &a);
        until(&a, ENCODED, "the film in the end", || done(n));
    }
    a.signal("TERM");
    assert_eq!(a.ends(SOON), 0);

    for (_, job) in &films {
        fleet.unburned(job);
        assert!(fleet.certificate(job).unwrap().holds() && fleet.report(job).is_none());
    }
    // One by each, and the last one, which it had in hand when it fell ill.
    for n in [1, 4, 6] {
        fleet.proven(&films[n].0, &films[n].1);
    }
    let starts =
        |job| fleet.journal(job).iter().filter(|e| e.event == Event::Start && e.worker == "a").count();
    let by_a: usize = films.iter().map(|(_, job)| starts(job)).sum();
    assert!(by_a <= 7, "four films done and three times ill: {by_a} starts by the sick one");
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.retrying(), depths.failed.ready), (0, 0, 0), "{depths:?}");
}

/// Keeps the events of workers from now on.
fn listen(broker: &PrivateBroker) {
    let made = [
        ("PUT", "/api/queues/sick/heard", json!({"auto_delete": false, "durable": false})),
        ("POST", "/api/bindings/sick/e/dovi.events/q/heard", json!({"routing_key": "worker.*"})),
    ]
    .map(|(method, path, body)| broker.api(method, path, Some(&body)).unwrap().0);
    assert_eq!(made, [201, 201]);
}

/// The event in which a worker says that it is ill.
fn heard(broker: &PrivateBroker) -> Option<Value> {
    let get = json!({"count": 100, "ackmode": "ack_requeue_true", "encoding": "auto"});
    let (_, messages) = broker.api("POST", "/api/queues/sick/heard/get", Some(&get)).unwrap();
    let events =
        messages.as_array()?.iter().filter_map(|m| serde_json::from_str(m["payload"].as_str()?).ok());
    events.into_iter().find(|event: &Value| event["state"] == "ill")
}

fn it_says_so_everywhere(broker: &PrivateBroker, fleet: &Fleet, a: &Worker) {
    let event = wait::until_some(SOON, "the event", || heard(broker)).unwrap();
    assert_eq!((&event["worker"], &event["code"]), (&"a".into(), &"encode.unsupported".into()), "{event}");
    assert!(event["why"].as_str().is_some_and(|why| why.contains("out of cheese")), "{event}");

    let info = fleet.seen("a").unwrap();
    assert_eq!(info.code.as_deref(), Some("encode.unsupported"), "{info:?}");
    assert!(info.why.is_some_and(|why| why.contains("out of cheese")));
    assert!(a.log().contains("taking no films") && a.log().contains("worker.ill"), "{}", a.log());
    let text = fleet.producer(&["status"]);
    let row = text.lines().find(|l| l.starts_with("a ")).unwrap_or_else(|| panic!("{text}"));
    assert!(row.contains(" ill "), "{text}");
    assert!(text.contains("a: encode.unsupported: "), "{text}");
    let json: Value = serde_json::from_str(&fleet.producer(&["status", "--json"])).unwrap();
    assert_eq!(
        (&json["workers"][0]["name"], &json["workers"][0]["state"]),
        (&"a".into(), &"ill".into()),
        "{json}"
    );
}

/// The tests of the worker are good, and yet film after film fails: it steps back, and the films that failed are counted as
/// any other.
pub fn a_worker_whose_films_all_fail_goes_slowly(_: &PrivateBroker, fleet: &Fleet) {
    fleet.ready();
    let jobs: Vec<JobMessage> = ["cursed-1", "cursed-2"]
        .map(|name| fleet.film(&mel("film").at(format!("{name}.mkv")), "ultrafast"))
        .into();
    let broken = ffmpeg(fleet);
    break_it(fleet, "this");
    jobs.iter().for_each(|job| fleet.publish(job));
    let worker = fleet
        .worker("w", &["--set", &broken, "--set", "worker.ill_after=2", "--set", "retry.max_attempts=1"]);
    until(&worker, ENCODED, "two dead letters", || fleet.depths().failed.ready == 2);
    until(&worker, SOON, "a rest", || worker.said("no further film for now") == 1);
    assert_eq!(worker.said("test of itself is good"), 2, "{}", worker.log());
    assert_eq!(worker.said("taking no films"), 0, "{}", worker.log());
    until(&worker, SOON, "a remark", || {
        fleet.seen("w").is_some_and(|i| i.why.is_some_and(|w| w.contains("slowly")))
    });
    for job in &jobs {
        let report = fleet.report(job).unwrap();
        assert_eq!((report.code, report.attempt), (FailureCode::EncodeFailed, 1));
        assert!(report.tool.unwrap().tail.contains(&"not this one".to_owned()));
    }
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 0);
}
