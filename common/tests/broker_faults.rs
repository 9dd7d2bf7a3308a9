//! The broker module while RabbitMQ dies, freezes, and refuses.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[path = "support/rabbit.rs"]
#[expect(dead_code, reason = "what works is another test's")]
mod rabbit;

use std::time::{Duration, Instant};

use common::broker::{
    BrokerError, BrokerOptions, Delivery, Events, FailedQueue, Link, Outgoing, Publisher, Route, Session,
    Tier, depths, topology,
};
use rabbit::{Node, job};
use tokio::sync::{Mutex, MutexGuard, OnceCell};
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

static NODE: OnceCell<Mutex<Node>> = OnceCell::const_new();

/// The node, for one test at a time.
async fn node() -> MutexGuard<'static, Node> {
    NODE.get_or_init(async || Mutex::new(Node::start().await)).await.lock().await
}

async fn fleet(node: &Node) -> (BrokerOptions, Publisher) {
    let options = node.fresh();
    topology::declare(&options).await.unwrap();
    (options.clone(), Publisher::new(options))
}

async fn held(options: &BrokerOptions, publisher: &Publisher) -> (Session, Delivery) {
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    let mut session = Session::open(options).await.unwrap();
    let film = timeout(Duration::from_secs(15), session.next()).await.unwrap().unwrap();
    (session, film)
}

/// Takes the film that is expected back, and finishes it.
async fn back(options: &BrokerOptions) {
    let mut session = Session::open_patiently(options, |_, _| {}).await;
    let film =
        timeout(Duration::from_secs(60), session.next()).await.expect("the film did not come back").unwrap();
    assert!(film.redelivered());
    assert_eq!(film.body().unwrap().id, job(0).id);
    film.ack().await.unwrap();
    session.close().await;
    let empty = depths(options).await.unwrap();
    assert_eq!((empty.films.ready, empty.retrying(), empty.failed.ready), (0, 0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_broker_is_noticed_at_once_and_gives_the_film_back() {
    let mut node = node().await;
    let (options, publisher) = fleet(&node).await;
    let (session, film) = held(&options, &publisher).await;
    let second = Session::open(&options).await.unwrap();

    let killed = Instant::now();
    node.signal("KILL");
    let e = timeout(Duration::from_secs(10), session.lost()).await.expect("the loss went unnoticed");
    assert!(killed.elapsed() < Duration::from_secs(2), "noticed after {:?}", killed.elapsed());
    assert!(matches!(e, BrokerError::Lost { .. }), "{e:?}");
    timeout(Duration::from_secs(10), second.lost()).await.unwrap();
    let e = film.ack().await.unwrap_err();
    assert!(matches!(e, BrokerError::SessionOver { .. }), "{e:?}");
    let e = publisher.publish(Route::Film, &Outgoing::job(&job(1)).unwrap()).await.unwrap_err();
    assert!(matches!(e, BrokerError::Unreachable { .. } | BrokerError::Lost { .. }), "{e:?}");

    let waiting = tokio::spawn({
        let options = options.clone();
        async move {
            let mut failures = 0;
            let link = Link::connect_patiently(&options, "patient", |_, _| failures += 1).await;
            (failures, link.usable())
        }
    });
    node.boot().await;
    let (failures, usable) = timeout(Duration::from_secs(60), waiting).await.unwrap().unwrap();
    assert!(failures > 0 && usable);
    back(&options).await;
    // The same publisher works again.
    publisher.publish(Route::Film, &Outgoing::job(&job(1)).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_costs_a_deadline_and_not_the_worker() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let options = options.heartbeat(2).timeout(Duration::from_secs(2));
    let publisher_of_short = Publisher::new(options.clone());
    let (session, film) = held(&options, &publisher).await;
    publisher_of_short.publish(Route::Failed, &Outgoing::job(&job(5)).unwrap()).await.unwrap();

    node.signal("STOP");
    let frozen = Instant::now();
    let e = Link::connect(&options, "x").await.unwrap_err();
    assert!(matches!(e, BrokerError::Timeout { .. }), "{e:?}");
    let e = publisher_of_short.publish(Route::Film, &Outgoing::job(&job(1)).unwrap()).await.unwrap_err();
    assert!(matches!(e, BrokerError::Timeout { .. } | BrokerError::Lost { .. }), "{e:?}");
    assert!(frozen.elapsed() < Duration::from_secs(8), "two deadlines of 2 s took {:?}", frozen.elapsed());
    let lost = timeout(Duration::from_secs(20), session.lost()).await;
    let settled = timeout(Duration::from_secs(10), film.ack()).await;
    node.signal("CONT");
    lost.expect("no heartbeat for 20 s went unnoticed");
    let e = settled.expect("the ack hung").unwrap_err();
    assert!(matches!(e, BrokerError::SessionOver { .. }), "{e:?}");
}

/// A call that must end within its deadlines, whatever it returns.
async fn ends<T>(what: &str, call: impl Future<Output = T>) -> T {
    // Publishing may take three deadlines: connect, open, publish; others at most two.
    timeout(Duration::from_secs(8), call).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_broker_hangs_no_call() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let options = options.heartbeat(60).timeout(Duration::from_secs(2));
    let (mut session, film) = held(&options, &publisher).await;
    let other = Session::open(&options).await.unwrap();
    let dropped = Session::open(&options).await.unwrap();
    let open = Publisher::new(options.clone());
    for _ in 0..2 {
        open.publish(Route::Failed, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    }
    let link = Link::connect(&options, "x").await.unwrap();
    let mut letters = loop {
        let letters = FailedQueue::open(&options, 9).await.unwrap();
        if letters.entries().count() == 2 {
            break letters;
        }
        letters.close().await;
    };
    let events = Events::start(options.clone());

    node.signal("STOP");
    let message = Outgoing::job(&job(1)).unwrap();
    let asked = futures::future::join_all([
        Box::pin(async { ends("connect", Link::connect(&options, "y")).await.err() })
            as futures::future::BoxFuture<'_, _>,
        Box::pin(async { ends("open a session", Session::open(&options)).await.err() }),
        Box::pin(async { ends("depths", depths(&options)).await.err() }),
        Box::pin(async { ends("missing", topology::missing(&options)).await.err() }),
        Box::pin(async { ends("declare", topology::declare(&options)).await.err() }),
        Box::pin(async { ends("open the letters", FailedQueue::open(&options, 9)).await.err() }),
        Box::pin(async { ends("publish", open.publish(Route::Film, &message)).await.err() }),
        Box::pin(async {
            ends("publish anew", Publisher::new(options.clone()).publish(Route::Film, &message)).await.err()
        }),
        Box::pin(async { ends("ack", film.ack()).await.err() }),
        Box::pin(async { ends("cancel", other.cancel()).await.err() }),
    ])
    .await;
    // The heartbeat is far away, so that it is the deadline that ended each of them.
    for (n, e) in asked.iter().enumerate() {
        assert!(matches!(e, Some(BrokerError::Timeout { .. } | BrokerError::Lost { .. })), "{n}: {e:?}");
    }
    assert!(ends("next", session.next()).await.is_err(), "a film that was not settled ends its session");
    let e = ends("discard", letters.discard(0)).await.unwrap_err();
    assert!(matches!(e, BrokerError::Timeout { .. } | BrokerError::Lost { .. }), "{e:?}");
    assert!(ends("retry", letters.retry(1, &open)).await.is_err());
    drop(dropped);
    futures::join!(
        ends("close the letters", letters.close()),
        ends("close the session", session.close()),
        ends("close the publisher", open.close()),
        ends("close the link", link.close()),
    );
    let before = Instant::now();
    events.send("worker.x", &1);
    assert!(before.elapsed() < Duration::from_millis(100));
    node.signal("CONT");
    drop(other);
    // The film was told to be done, so it may be gone; what matters is that the fleet works again.
    let again = timeout(Duration::from_secs(60), Session::open_patiently(&options, |_, _| {})).await;
    again.expect("the broker woke up, and no session began").close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn closed_connections_end_the_session_and_the_film_comes_back() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let (session, film) = held(&options, &publisher).await;
    node.ctl(&["close_all_connections", "--global", "test"]);
    let e = timeout(Duration::from_secs(10), session.lost()).await.expect("the loss went unnoticed");
    assert!(matches!(e, BrokerError::Lost { .. }), "{e:?}");
    assert!(!film.usable());
    drop((session, film));
    back(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_session_still_notices_a_loss() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let (session, film) = held(&options, &publisher).await;
    session.cancel().await.unwrap();
    node.ctl(&["close_all_connections", "--global", "test"]);
    timeout(Duration::from_secs(10), session.lost()).await.expect("the loss went unnoticed");
    assert!(matches!(film.ack().await, Err(BrokerError::SessionOver { .. })));
    back(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_ack_timeout_ends_the_session_before_a_late_ack() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    node.ctl(&["eval", "application:set_env(rabbit, consumer_timeout, 2000)."]);
    let (session, film) = held(&options, &publisher).await;
    let e = timeout(Duration::from_secs(60), session.lost()).await;
    node.ctl(&["eval", "application:set_env(rabbit, consumer_timeout, 604800000)."]);
    e.expect("the timeout went unnoticed");
    assert!(matches!(film.ack().await, Err(BrokerError::SessionOver { .. })));
    back(&options).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_in_alarm_takes_acks_and_refuses_films_by_name() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let (session, film) = held(&options, &publisher).await;
    let short = Publisher::new(options.clone().timeout(Duration::from_secs(2)));
    short.publish(Route::Failed, &Outgoing::job(&job(2)).unwrap()).await.unwrap();
    let events = Events::start(options.clone());

    node.ctl(&["set_vm_memory_high_watermark", "0.00001"]);
    // The first publish under alarm is what makes the broker block the connection, so its outcome may be unknown.
    let first = short.publish(Route::Film, &Outgoing::job(&job(1)).unwrap()).await.unwrap_err();
    assert!(matches!(first, BrokerError::Blocked { .. } | BrokerError::Timeout { .. }), "{first:?}");
    let before = Instant::now();
    for _ in 0..20 {
        events.send("progress.w.j", &1);
    }
    assert!(before.elapsed() < Duration::from_millis(500));
    let acked = timeout(Duration::from_secs(5), film.ack()).await;
    node.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    acked.expect("the ack hung with the publisher").unwrap();
    session.close().await;
    for n in 0..100 {
        match short.publish(Route::Failed, &Outgoing::job(&job(3)).unwrap()).await {
            Ok(()) => break,
            Err(e) => assert!(n < 20, "{e}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_alarm_counts_nothing_against_a_film_in_hand() {
    let node = node().await;
    let (options, publisher) = fleet(&node).await;
    let options = options.timeout(Duration::from_secs(1));
    let (session, film) = held(&options, &publisher).await;
    let enough = CancellationToken::new();
    let patient = Publisher::new(options.clone()).patient_until(enough.clone());
    let waiting = Session::open(&options).await.unwrap();

    node.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    // Every other publisher has its deadline.
    let impatient = Publisher::new(options.clone());
    let refused = ends("publish", impatient.publish(Route::Failed, &Outgoing::job(&job(8)).unwrap())).await;
    let mut moved = tokio::spawn(async move {
        let moved = film.give_back(&patient, Some(Tier::Minute)).await;
        (moved, patient)
    });
    let early = timeout(Duration::from_secs(5), &mut moved).await;
    let held_on = early.is_err() && !session.is_over() && !waiting.is_over();
    node.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    assert!(held_on, "five deadlines long it is neither given up nor handed out again: {early:?}");
    let (result, patient) = timeout(Duration::from_secs(30), moved).await.unwrap().unwrap();
    result.unwrap();
    assert!(matches!(refused, Err(BrokerError::Blocked { .. } | BrokerError::Timeout { .. })), "{refused:?}");
    waiting.close().await;
    session.close().await;
    let after = depths(&options).await.unwrap();
    assert_eq!((after.films.ready, after.retrying()), (0, 1), "moved once, and acknowledged");

    // Told to stop, a worker waits for its deadline and no longer; the film goes back with the session.
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();
    let film = timeout(Duration::from_secs(15), session.next()).await.unwrap().unwrap();
    assert_eq!(film.broker_deliveries(), 0);
    node.ctl(&["set_vm_memory_high_watermark", "0.0000001"]);
    let moved = tokio::spawn(async move { film.give_back(&patient, None).await });
    enough.cancel();
    let told = ends("to give it back", moved).await;
    node.ctl(&["set_vm_memory_high_watermark", "0.6"]);
    let e = told.unwrap().unwrap_err();
    assert!(matches!(e, BrokerError::Blocked { .. } | BrokerError::Timeout { .. }), "{e:?}");
    assert!(session.is_over());
}
