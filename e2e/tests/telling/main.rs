//! A real worker tells people and media servers what it did, each once, whatever happens on the way; and Prometheus can ask it.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

mod dashboard;
mod fleet;

use std::collections::HashMap;
use std::io::Write;
use std::process::{Command, Stdio};

use common::job::{Mode, Recipe};
use common::share::Folder;
use e2e::broker::PrivateBroker;
use e2e::films::{FileDamage, FilmSpec, Layers, Studio};
use e2e::listener::{Listener, Reply};
use e2e::prometheus::Prometheus;
use serde_json::Value;

use fleet::{Fleet, MEDIA, PEOPLE, sensible};

fn mel(name: &'static str) -> FilmSpec {
    FilmSpec::new(name, Layers::Mel).frames(72).size(320, 180)
}

fn copy() -> Recipe {
    Recipe { mode: Mode::Copy, ..Recipe::default() }
}

#[test]
fn a_worker_tells_and_is_asked() {
    let dir = tempfile::tempdir().unwrap();
    let broker = PrivateBroker::start(dir.path()).unwrap();
    let mut studio = Studio::open().unwrap();
    everybody_hears_once_although_the_first_answers_were_500(&broker, &mut studio);
    a_worker_killed_after_the_certificate_is_told_for_by_the_next(&broker, &mut studio);
    nobody_there_holds_no_film_up_and_hears_it_later(&broker, &mut studio);
}

fn everybody_hears_once_although_the_first_answers_were_500(broker: &PrivateBroker, studio: &mut Studio) {
    let server = Listener::start(|heard, before| match before {
        0 => Reply::status(500),
        _ => sensible(heard),
    })
    .unwrap();
    let fleet = Fleet::new(broker, "tells", &server.url());
    let prometheus = Prometheus::start(&fleet.path("prometheus"), &fleet.metrics).unwrap();
    // Long enough for some looks while it is in work.
    let good = fleet.film(studio, &mel("good").frames(dashboard::frames()), dashboard::recipe());
    let cut =
        fleet.film(studio, &mel("cut").file_damage(FileDamage::Truncated(60), "source.truncated"), copy());
    let mut worker = fleet.worker("w1", &[], None);
    if let Some(prometheus) = &prometheus {
        let seen = || !prometheus.series("dovi_worker_state{state=\"idle\"} == 1").unwrap().is_empty();
        worker.waits("a first look of Prometheus", seen);
    }
    fleet.publish(&good);
    fleet.publish(&cut);
    // Done, failed, all through.
    worker.waits("three notices for people", || PEOPLE.iter().all(|p| server.taken(p).len() >= 3));
    worker.waits("four calls of media servers", || MEDIA.iter().all(|(_, p)| !server.taken(p).is_empty()));
    worker.waits("an empty outbox", || fleet.share().outbox().unwrap().0.is_empty());
    the_figures_show_it(&fleet);
    if let Some(prometheus) = &prometheus {
        dashboard::every_query_has_an_answer(prometheus);
    }
    worker.signal("TERM");
    assert_eq!(worker.ends(), Some(0), "{}", worker.log());

    let asked = server.all();
    for (method, path) in MEDIA {
        let calls = server.taken(path);
        assert_eq!((calls.len(), calls[0].method.as_str()), (1, method), "{path}: {asked:#?}");
    }
    for path in PEOPLE {
        assert_eq!(server.taken(path).len(), 3, "{path}: {asked:#?}");
    }
    let json = |path: &str| -> Vec<Value> {
        server.taken(path).iter().map(|h| serde_json::from_str(&h.body).unwrap()).collect()
    };
    let hooks = json("/hook");
    let by = |event: &str| hooks.iter().find(|h| h["event"] == event).unwrap_or_else(|| panic!("{hooks:#?}"));
    assert_eq!(by("done")["job"], good.id.to_string());
    assert_eq!(by("done")["result"]["relative"], "good [DV8].mkv");
    assert_eq!(by("failed")["job"], cut.id.to_string());
    assert_eq!(by("failed")["code"], "source.truncated");
    assert_eq!(by("queue-empty")["text"], "1 done, 1 given up: see `dovi-producer failed list`.");
    assert_eq!(server.taken("/hook")[0].headers["authorization"], "Bearer s3cret");
    let chat = json("/discord/s3cret");
    assert!(chat.iter().any(|c| c["embeds"][0]["title"] == "Done: good"), "{chat:#?}");
    let phone = json("/ntfy");
    assert!(phone.iter().all(|p| p["topic"] == "films"), "{phone:#?}");
    let plex = &server.taken(MEDIA[0].1)[0];
    assert!(plex.path.ends_with("?path=%2Fmovies"), "{plex:?}");
    assert_eq!(plex.headers["x-plex-token"], "s3cret");
    assert_eq!(json(MEDIA[1].1)[0]["Updates"][0]["Path"], "/movies/good [DV8].mkv");
    assert_eq!(json(MEDIA[2].1)[0], serde_json::json!({"name": "RescanMovie", "movieId": 7}));
    assert_eq!(json(MEDIA[3].1)[0], serde_json::json!({"name": "RescanSeries", "seriesId": 8}));
    secrets_are_nowhere(&fleet, &worker.log());

    // Its message comes once more: nothing is told again.
    let before = server.all().len();
    fleet.publish(&good);
    let mut worker = fleet.worker("w2", &["--idle-exit", "2"], None);
    assert_eq!(worker.ends(), Some(0), "{}", worker.log());
    assert_eq!(server.all().len(), before, "{:#?}", server.all());
}

fn the_figures_show_it(fleet: &Fleet) {
    let answer = fleet.get("/metrics").expect("an answer");
    let text = String::from_utf8(answer.body).unwrap();
    let figures: HashMap<&str, f64> = text
        .lines()
        .filter(|l| !l.starts_with('#'))
        .filter_map(|l| l.rsplit_once(' '))
        .map(|(name, value)| (name, value.parse().unwrap()))
        .collect();
    let of = |name: &str| *figures.get(name).unwrap_or_else(|| panic!("no {name} in:\n{text}"));
    assert_eq!(of("dovi_films_total{result=\"done\",worker=\"w1\"}"), 1.0);
    assert_eq!(of("dovi_films_total{result=\"failed\",worker=\"w1\"}"), 1.0);
    assert_eq!(of("dovi_failures_total{class=\"permanent\",code=\"source.truncated\",worker=\"w1\"}"), 1.0);
    assert_eq!(of("dovi_attempts_total{worker=\"w1\"}"), 2.0);
    assert_eq!(of("dovi_stage_duration_seconds_count{stage=\"encode\",worker=\"w1\"}"), 1.0);
    assert_eq!(of("dovi_result_frames_total{worker=\"w1\"}"), dashboard::frames() as f64);
    assert_eq!(of("dovi_frames_total{stage=\"encode\",worker=\"w1\"}"), dashboard::frames() as f64);
    assert!(of("dovi_source_bytes_total{worker=\"w1\"}") > 0.0);
    assert!(of("dovi_scratch_free_bytes{worker=\"w1\"}") > 0.0);
    assert_eq!(of("dovi_broker_up{worker=\"w1\"}"), 1.0);
    // As it was at the latest look: some seconds ago.
    assert!(of("dovi_queue_messages{queue=\"dovi.films\",worker=\"w1\"}") <= 2.0);
    assert_eq!(of("dovi_notices_total{result=\"sent\",target=\"plex\",worker=\"w1\"}"), 1.0);
    assert!(of("dovi_notices_total{result=\"failed\",target=\"plex\",worker=\"w1\"}") >= 1.0);
    assert_eq!(of("dovi_worker_state{state=\"idle\",worker=\"w1\"}"), 1.0);
    assert_eq!(figures.keys().filter(|k| k.starts_with("dovi_film_progress_ratio")).count(), 0);
    let health = fleet.get("/healthz").expect("an answer");
    assert_eq!((health.status, health.body), (200, b"idle\n".to_vec()));
    assert_eq!(fleet.get("/films").expect("an answer").status, 404);
    promtool_takes_it(&text);
}

/// Where promtool is installed: names, types and help as Prometheus wants them.
fn promtool_takes_it(text: &str) {
    let mut command = Command::new("promtool");
    command.args(["check", "metrics"]).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let Ok(mut child) = command.spawn() else { return };
    child.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success() && said.is_empty(), "{said}");
}

fn secrets_are_nowhere(fleet: &Fleet, log: &str) {
    let shown = fleet.consumer(&["config", "show"]);
    assert!(shown.contains("/(hidden)") && !shown.contains("s3cret"), "{shown}");
    assert!(!log.contains("s3cret"), "{log}");
    let mut folders = vec![fleet.path("state")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            match entry.path() {
                path if path.is_dir() => folders.push(path),
                path => assert!(
                    !String::from_utf8_lossy(&std::fs::read(&path).unwrap()).contains("s3cret"),
                    "{path:?}"
                ),
            }
        }
    }
}

fn a_worker_killed_after_the_certificate_is_told_for_by_the_next(
    broker: &PrivateBroker,
    studio: &mut Studio,
) {
    let server = Listener::start(|heard, _| sensible(heard)).unwrap();
    let fleet = Fleet::new(broker, "killed", &server.url());
    let job = fleet.queue(studio, &mel("film"), copy());
    let mut first = fleet.worker("w1", &[], Some("settle.released"));
    assert_eq!(first.ends(), None, "{}", first.log());
    assert!(fleet.share().read::<Value>(Folder::Done, job.id).unwrap().is_some(), "{}", first.log());
    assert_eq!(server.all().len(), 0, "it died before it said anything");
    let mut second = fleet.worker("w2", &["--idle-exit", "2"], None);
    assert_eq!(second.ends(), Some(0), "{}", second.log());
    for (_, path) in MEDIA {
        assert_eq!(server.taken(path).len(), 1, "{path}: {:#?}\n{}", server.all(), second.log());
    }
    let hooks: Vec<Value> =
        server.taken("/hook").iter().map(|h| serde_json::from_str(&h.body).unwrap()).collect();
    assert_eq!(hooks.len(), 2, "{hooks:#?}");
    assert!(
        hooks.iter().any(|h| h["event"] == "done" && h["worker"] == "w1"),
        "the film is w1's: {hooks:#?}"
    );
}

fn nobody_there_holds_no_film_up_and_hears_it_later(broker: &PrivateBroker, studio: &mut Studio) {
    let address = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let fleet = Fleet::new(broker, "absent", &format!("http://{address}"));
    let job = fleet.queue(studio, &mel("film"), copy());
    let mut first = fleet.worker("w1", &[], None);
    first.waits("the message gone", || {
        fleet.share().read::<Value>(Folder::Done, job.id).unwrap().is_some()
            && first.log().contains("not told yet")
            && fleet.share().outbox().unwrap().0.iter().filter(|e| e.tries > 0).count() == 7
    });
    let listed = fleet.consumer(&["notify", "list"]);
    assert!(listed.contains("Done: film") && listed.contains("refused"), "{listed}");
    let tried = fleet.consumer(&["notify", "test", "phone"]);
    assert!(tried.starts_with("FAILED  phone (ntfy): ") && !tried.contains("s3cret"), "{tried}");
    first.signal("KILL");
    assert_eq!(first.ends(), None);

    let server = Listener::start_at(&address, |heard, _| sensible(heard)).unwrap();
    let tried = fleet.consumer(&["notify", "test"]);
    assert_eq!(tried.lines().filter(|l| l.starts_with("ok ")).count(), 7, "{tried}");
    let before = server.all().len();
    let mut second = fleet.worker("w2", &["--idle-exit", "2"], None);
    second.waits("an empty outbox", || fleet.share().outbox().unwrap().0.is_empty());
    assert_eq!(second.ends(), Some(0), "{}", second.log());
    for (_, path) in MEDIA {
        assert_eq!(server.taken(path).len(), 1, "{path}: {:#?}", server.all());
    }
    // The test, the film, and that all are through.
    for path in PEOPLE {
        assert_eq!(server.taken(path).len(), 3, "{path}: {:#?}", server.all());
    }
    assert!(server.all().len() > before);

    // The share itself is what is wrong: people hear of that all the same.
    std::fs::rename(fleet.path("state/sentinel"), fleet.path("state/away")).unwrap();
    let mut third = fleet.worker("w3", &[], None);
    third.waits("word of the illness", || PEOPLE.iter().all(|p| server.taken(p).len() == 4));
    let ill = server.taken("/hook").pop().unwrap();
    assert!(ill.body.contains("share.gone") && ill.body.contains("w3 takes no films"), "{ill:?}");
    assert_eq!(fleet.get("/healthz").expect("an answer").status, 503);
    third.signal("TERM");
    assert_eq!(third.ends(), Some(0), "{}", third.log());
    assert_eq!(server.taken("/hook").len(), 4, "once");
}
