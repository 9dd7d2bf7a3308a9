//! Telling one target, and emptying the outbox, against a real HTTP server that is slow, moved, wrong, flooding or absent.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use common::config::{Config, load};
use common::http::Client;
use common::job::{NewFile, Notice, Occasion};
use common::share::ShareState;
use consumer::notify::{Notifier, Sent, Tally, Target, Undelivered};
use e2e::listener::{Listener, Reply};
use e2e::wait;

const SOON: Duration = Duration::from_secs(60);

fn config(pairs: &[(&str, &str)]) -> Config {
    let flags = pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    load(None, &flags).unwrap().config
}

/// One target of this kind at `url`, with a patience of half a second.
fn target(kind: &str, url: &str) -> Target {
    let config = config(&[
        ("notify.targets.t.kind", kind),
        ("notify.targets.t.url", url),
        ("notify.targets.t.token", "s3cret"),
        ("notify.targets.t.paths.films", "/movies"),
    ]);
    let client = Client::new(None, Duration::from_millis(500)).unwrap();
    Target::new("t", config.notify.targets["t"].clone(), client)
}

fn notice(id: u32) -> Notice {
    Notice {
        v: 1,
        id: format!("{id:032x}"),
        event: Occasion::Done,
        at: jiff::Timestamp::now(),
        worker: "w".into(),
        title: format!("Done: @everyone {id}"),
        text: "x".repeat(5000),
        job: None,
        film: None,
        code: None,
        hint: None,
        result: Some(NewFile {
            root: "films".into(),
            relative: "A & B (2020)/A.mkv".into(),
            path: "/lib/A & B (2020)/A.mkv".into(),
            source_bytes: 2,
            result_bytes: 1,
        }),
    }
}

fn refused(kind: &str, reply: Reply) -> (Undelivered, usize) {
    let server = Listener::start(move |_, _| reply.clone()).unwrap();
    let e = target(kind, &format!("{}/hook", server.url())).tell(&notice(1)).unwrap_err();
    assert!(!e.problem.contains("s3cret") && !e.problem.contains("127.0.0.1"), "{e:?}");
    (e, server.all().len())
}

#[test]
fn what_is_wrong_is_said_in_words() {
    let at = |status| Reply::status(status);
    let moved = Reply { header: "Location: http://127.0.0.1:1/".into(), ..at(302) };
    let (e, calls) = refused("webhook", moved);
    assert!(e.problem.contains("302, moved") && !e.is_final && calls == 1, "{e:?}");
    let (e, _) = refused("webhook", Reply { header: "Retry-After: 90".into(), ..at(429) });
    assert_eq!(e.wait, Some(Duration::from_secs(90)), "{e:?}");
    assert!(refused("webhook", at(401)).0.problem.contains("token"));
    assert!(refused("discord", at(404)).0.problem.contains("check the URL"));
    let (e, _) = refused("webhook", Reply { after: Duration::from_secs(3), ..at(200) });
    assert!(e.problem.contains("no answer within"), "{e:?}");
    let (e, _) = refused("plex", Reply::body("x".repeat(5 << 20)));
    assert!(e.problem.contains("more than"), "{e:?}");
    let (e, _) = refused("plex", Reply::body(r#"{"MediaContainer":{"Directory":[]}}"#));
    assert!(e.is_final && e.problem.contains("/movies/A & B (2020)"), "{e:?}");
    let (e, _) = refused("radarr", Reply::body(r#"[{"id":1,"path":"/movies/C"}]"#));
    assert!(e.is_final, "{e:?}");
    let e = target("ntfy", "http://127.0.0.1:1").tell(&notice(1)).unwrap_err();
    assert!(e.problem.contains("topic"), "{e:?}");
    let e = target("webhook", "http://127.0.0.1:1/").tell(&notice(1)).unwrap_err();
    assert!(e.problem.contains("refused") && !e.is_final, "{e:?}");
}

#[test]
fn texts_fit_and_call_nobody() {
    let server = Listener::start(|_, _| Reply::status(204)).unwrap();
    for kind in ["discord", "ntfy"] {
        target(kind, &format!("{}/{kind}/topic", server.url())).tell(&notice(1)).unwrap();
    }
    let json = |n: usize| -> serde_json::Value { serde_json::from_str(&server.all()[n].body).unwrap() };
    let discord = json(0);
    assert_eq!(discord["allowed_mentions"]["parse"], serde_json::json!([]));
    assert!(discord["embeds"][0]["description"].as_str().unwrap().chars().count() <= 4096);
    assert!(json(1)["message"].as_str().unwrap().len() <= 4096, "ntfy makes longer ones an attachment");
}

#[derive(Default)]
struct Counted([AtomicUsize; 3]);

impl Tally for Counted {
    fn tried(&self, _: &str, sent: Sent) {
        self.0[sent as usize].fetch_add(1, Ordering::SeqCst);
    }
    fn waiting(&self, _: usize) {}
}

/// A share and two targets: `slow`, which never answers in time, and `good`.
fn two(dir: &std::path::Path, slow: &str, good: &str, give_up_h: &str) -> (Config, ShareState) {
    let state = dir.join("state").display().to_string();
    let config = config(&[
        ("share.state_dir", &state),
        ("notify.timeout_s", "0.5"),
        ("notify.retry_s", "0.2"),
        ("notify.give_up_h", give_up_h),
        ("notify.targets.a-slow.kind", "webhook"),
        ("notify.targets.a-slow.url", slow),
        ("notify.targets.good.kind", "webhook"),
        ("notify.targets.good.url", good),
    ]);
    let share = ShareState::new(&config.share.state_dir);
    share.init().unwrap();
    (config, share)
}

#[tokio::test(flavor = "multi_thread")]
async fn one_that_hangs_delays_neither_the_worker_nor_the_others_and_is_given_up() {
    let dir = tempfile::tempdir().unwrap();
    let server = Listener::start(|heard, _| match heard.path.as_str() {
        "/slow" => Reply { after: Duration::from_secs(5), ..Reply::status(200) },
        _ => Reply::status(200),
    })
    .unwrap();
    let (slow, good) = (format!("{}/slow", server.url()), format!("{}/good", server.url()));
    // Four seconds.
    let (config, share) = two(dir.path(), &slow, &good, "0.0011");
    let tally = Arc::new(Counted::default());
    let notifier = Notifier::start(&config, "w", tally.clone()).unwrap();
    let begun = Instant::now();
    (1..=5).for_each(|n| notifier.tell(&notice(n)));
    assert!(begun.elapsed() < Duration::from_secs(2), "{:?}", begun.elapsed());
    wait::until(SOON, "the good one", || server.taken("/good").len() == 5).unwrap();
    assert!(share.outbox().unwrap().1.is_empty(), "long before the other is given up");
    wait::until(SOON, "the end of patience", || share.outbox().unwrap().1.len() == 5).unwrap();
    let (waiting, given_up) = share.outbox().unwrap();
    assert!(waiting.is_empty() && given_up.iter().all(|e| e.target == "a-slow"), "{waiting:?}");
    assert!(
        given_up.iter().any(|e| e.problem.as_ref().is_some_and(|p| p.contains("no answer"))),
        "{given_up:?}"
    );
    let [sent, failed, gone] = tally.0.each_ref().map(|n| n.load(Ordering::SeqCst));
    assert_eq!((sent, gone), (5, 5));
    assert!((1..15).contains(&failed), "{failed} tries with growing waits");
    notifier.tell(&notice(1));
    notifier.end().await;
    assert_eq!(server.taken("/good").len(), 5, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_orderly_end_sends_what_it_can_and_leaves_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let server = Listener::start(|_, _| Reply::status(200)).unwrap();
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let (config, share) =
        two(dir.path(), &format!("http://{free}/x"), &format!("{}/good", server.url()), "24");
    let notifier = Notifier::start(&config, "w", Arc::new(Counted::default())).unwrap();
    notifier.tell(&notice(1));
    notifier.end().await;
    assert_eq!(server.taken("/good").len(), 1);
    let names = |dir: &std::path::Path| -> Vec<String> {
        let all = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap());
        all.filter(|n| n.ends_with(".json")).collect()
    };
    let left = names(&share.dir().join("outbox"));
    assert!(left.len() == 1 && left[0].ends_with(".free.json"), "{left:?}");

    // The next one finds it, and somebody listens now.
    let late = Listener::start_at(&free.to_string(), |_, _| Reply::status(200)).unwrap();
    let next = Notifier::start(&config, "another", Arc::new(Counted::default())).unwrap();
    wait::until(SOON, "the other", || late.taken("/x").len() == 1).unwrap();
    next.end().await;
    assert!(share.outbox().unwrap().0.is_empty() && server.taken("/good").len() == 1);
}
