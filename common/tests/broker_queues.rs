//! The broker module against a real RabbitMQ: everything that works while the broker does.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[path = "support/rabbit.rs"]
#[expect(dead_code, reason = "faults are another test's")]
mod rabbit;

use std::collections::BTreeSet;
use std::time::Duration;

use common::broker::{
    BrokerError, BrokerOptions, Delivery, Depths, Events, FailedQueue, Link, MAX_BODY, Outgoing, Publisher,
    Route, Session, Tier, depths, topology,
};
use common::job::{FailureClass, FailureCode, FailureReport, JobMessage};
use futures::StreamExt;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions,
    QueuePurgeOptions,
};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties};
use rabbit::{Node, job};
use tokio::sync::OnceCell;
use tokio::time::timeout;

static NODE: OnceCell<Node> = OnceCell::const_new();

async fn node() -> &'static Node {
    NODE.get_or_init(Node::start).await
}

/// A virtual host of its own with everything declared.
async fn fleet() -> (BrokerOptions, Publisher) {
    let options = node().await.fresh();
    topology::declare(&options).await.unwrap();
    (options.clone(), Publisher::new(options))
}

/// A bare client, for what the fleet itself never does.
async fn bare(options: &BrokerOptions) -> (Connection, Channel) {
    let base = format!("amqp://tester:{}@127.0.0.1:{}", rabbit::PASSWORD, node().await.port);
    let url = format!("{base}/{}", options.vhost());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    (connection, channel)
}

async fn next(session: &mut Session) -> Delivery {
    timeout(Duration::from_secs(15), session.next()).await.expect("no film within 15 s").unwrap()
}

async fn lost(session: &Session) -> BrokerError {
    timeout(Duration::from_secs(15), session.lost()).await.expect("the loss went unnoticed for 15 s")
}

/// Waits until the counts are as expected: a queue's counts follow a moment after the confirm.
async fn until(options: &BrokerOptions, wanted: impl Fn(&Depths) -> bool) -> Depths {
    for _ in 0..100 {
        let found = depths(options).await.unwrap();
        if wanted(&found) {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the queues never came to this: {:?}", depths(options).await);
}

fn report(job: Option<JobMessage>, code: FailureCode, raw: Option<String>) -> FailureReport {
    FailureReport {
        v: 1,
        job,
        code,
        class: FailureClass::Permanent,
        stage: "prescan".into(),
        summary: "no".into(),
        hint: code.hint().into(),
        causes: Vec::new(),
        tool: None,
        attempt: 1,
        worker: "w".into(),
        at: jiff::Timestamp::UNIX_EPOCH,
        log: None,
        raw,
        discarded_at: None,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn declaring_twice_changes_nothing_and_other_arguments_are_named() {
    let options = node().await.fresh();
    assert_eq!(topology::missing(&options).await.unwrap().len(), 9);
    assert_eq!(topology::declare(&options).await.unwrap().len(), 6);
    assert_eq!(topology::declare(&options).await.unwrap(), [""; 0]);
    assert_eq!(topology::missing(&options).await.unwrap(), [""; 0]);

    let other = options.retry_delays([1, 2, 3].map(Duration::from_secs));
    match topology::declare(&other).await.unwrap_err() {
        BrokerError::Mismatch { name, problem } => {
            assert_eq!(name, "dovi.retry.1m");
            assert!(problem.contains("x-message-ttl"), "{problem}");
        }
        e => panic!("{e:?}"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_shipped_definitions_are_what_the_program_declares() {
    // The node loaded deploy/rabbitmq/definitions.json at its start; equal arguments are no mismatch.
    let shipped = node().await.options("dovi").retry_delays([60, 600, 3600].map(Duration::from_secs));
    assert_eq!(topology::declare(&shipped).await.unwrap(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_is_confirmed_taken_and_gone_after_its_ack() {
    let (options, publisher) = fleet().await;
    for n in 0..3 {
        publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
    }
    assert_eq!(until(&options, |d| d.films.ready == 3).await.films.consumers, 0);
    let mut session = Session::open(&options).await.unwrap();
    for n in 0..3 {
        let film = next(&mut session).await;
        assert_eq!(film.body().unwrap().id, job(n).id);
        assert_eq!(film.id(), Some(job(n).id.to_string().as_str()));
        assert_eq!((film.attempt(), film.redelivered(), film.last_code()), (0, false, None));
        // One at a time: the others still wait.
        let left = until(&options, |d| d.films.ready == 2 - n).await;
        assert_eq!(left.films.consumers, 1);
        film.ack().await.unwrap();
    }
    session.close().await;
    until(&options, |d| d.films.ready == 0 && d.films.consumers == 0).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_no_queue_takes_is_an_error_and_the_publisher_goes_on() {
    let (options, publisher) = fleet().await;
    let (_connection, channel) = bare(&options).await;
    let (queue, key) = (topology::FILMS.into(), topology::FILM_KEY.into());
    channel.queue_unbind(queue, topology::WORK.into(), key, FieldTable::default()).await.unwrap();
    let film = Outgoing::job(&job(0)).unwrap();
    for _ in 0..3 {
        let e = publisher.publish(Route::Film, &film).await.unwrap_err();
        assert!(matches!(e, BrokerError::Unroutable { key: "film" }), "{e:?}");
        publisher.publish(Route::Failed, &film).await.unwrap();
    }
    until(&options, |d| d.films.ready == 0 && d.failed.ready == 3).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_refuses_and_nothing_is_lost_silently() {
    let options = node().await.fresh();
    let (_connection, channel) = bare(&options).await;
    let mut arguments = FieldTable::default();
    arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    arguments.insert("x-overflow".into(), AMQPValue::LongString("reject-publish".into()));
    arguments.insert("x-max-length".into(), AMQPValue::LongLongInt(1));
    let durable = QueueDeclareOptions::durable();
    channel.queue_declare(topology::FILMS.into(), durable, arguments).await.unwrap();
    let kind = lapin::ExchangeKind::Direct;
    let lasting = lapin::options::ExchangeDeclareOptions { durable: true, ..Default::default() };
    channel.exchange_declare(topology::WORK.into(), kind, lasting, FieldTable::default()).await.unwrap();
    let bind = QueueBindOptions::default();
    let (queue, key) = (topology::FILMS.into(), topology::FILM_KEY.into());
    channel.queue_bind(queue, topology::WORK.into(), key, bind, FieldTable::default()).await.unwrap();

    let publisher = Publisher::new(options);
    let (mut taken, mut refused) = (0, 0);
    for n in 0..10 {
        match publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await {
            Ok(()) => taken += 1,
            Err(BrokerError::Nacked { key: "film" }) => refused += 1,
            Err(e) => panic!("{e:?}"),
        }
    }
    assert!(refused > 0, "the queue took everything");
    let held = channel.queue_purge(topology::FILMS.into(), QueuePurgeOptions::default()).await.unwrap();
    assert_eq!(held, taken, "confirmed and held");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_comes_again_when_its_connection_ends() {
    let (options, publisher) = fleet().await;
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    drop(session);
    // Neither an ack nor a copy may leave for a session that is over.
    assert!(!film.usable());
    let e = film.retry(&publisher, Tier::Minute, 1, FailureCode::ShareIo).await.unwrap_err();
    assert!(matches!(e, BrokerError::SessionOver { .. }), "{e:?}");

    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    assert!(film.redelivered());
    assert_eq!((film.attempt(), film.body().unwrap().id), (0, job(0).id));
    film.ack().await.unwrap();
    session.close().await;
    assert_eq!(until(&options, |d| d.films.ready == 0).await.retrying(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_nobody_settled_ends_its_session() {
    let (options, publisher) = fleet().await;
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();
    drop(next(&mut session).await);
    let e = lost(&session).await;
    assert!(e.to_string().contains("not settled"), "{e}");
    assert!(session.next().await.is_err());
    // Without anybody closing the session: it does so itself.
    let mut second = Session::open(&options).await.unwrap();
    assert!(next(&mut second).await.redelivered());
}

#[tokio::test(flavor = "multi_thread")]
async fn retries_come_back_counted_and_given_back_films_uncounted() {
    let (options, publisher) = fleet().await;
    let film = Outgoing::job(&job(0)).unwrap().priority(7);
    publisher.publish(Route::Film, &film).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();

    next(&mut session).await.retry(&publisher, Tier::Minute, 1, FailureCode::ShareIo).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!((film.attempt(), film.last_code()), (1, Some(FailureCode::ShareIo)));
    film.give_back(&publisher, Some(Tier::TenMinutes)).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!((film.attempt(), film.last_code()), (1, Some(FailureCode::ShareIo)));
    film.give_back(&publisher, None).await.unwrap();
    let film = next(&mut session).await;
    film.retry(&publisher, Tier::Hour, 2, FailureCode::ToolKilled).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!((film.attempt(), film.body().unwrap(), film.redelivered()), (2, job_as_sent(&film), false));
    assert_eq!(film.body().unwrap().id, job(0).id);
    film.ack().await.unwrap();
    session.close().await;
    let empty = until(&options, |d| d.films.ready == 0).await;
    assert_eq!((empty.retrying(), empty.failed.ready), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_of_a_film_that_came_again_says_so() {
    let (options, publisher) = fleet().await;
    publisher.publish(Route::Film, &Outgoing::job(&job(1)).unwrap()).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    assert!(!film.redelivered());
    film.give_back(&publisher, None).await.unwrap();
    let film = next(&mut session).await;
    assert!(!film.redelivered(), "a copy of a film that came once");
    drop(film);
    session.close().await;

    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    assert!(film.redelivered());
    film.give_back(&publisher, None).await.unwrap();
    let film = next(&mut session).await;
    assert!(film.redelivered(), "whoever had it first may have died before the dead letter");
    film.retry(&publisher, Tier::Minute, 1, FailureCode::EncodeFailed).await.unwrap();
    let film = next(&mut session).await;
    assert!(film.redelivered());
    film.ack().await.unwrap();
    session.close().await;
}

fn job_as_sent(film: &Delivery) -> JobMessage {
    JobMessage::parse(film.raw()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_read_moved_and_discarded_without_losing_one() {
    let (options, publisher) = fleet().await;
    let mut session = Session::open(&options).await.unwrap();
    for n in 0..5 {
        publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
        let report = report(Some(job(n)), FailureCode::SourceTruncated, None);
        next(&mut session).await.fail(&publisher, &report).await.unwrap();
    }
    session.close().await;
    until(&options, |d| d.failed.ready == 5).await;

    // Looking, also again and again, keeps all of them.
    let ids = |queue: &FailedQueue| queue.entries().map(|(_, e)| e.id.clone()).collect::<BTreeSet<_>>();
    let all = (0..5).map(|n| job(n).id.to_string()).collect::<BTreeSet<_>>();
    for _ in 0..3 {
        let queue = FailedQueue::open(&options, 100).await.unwrap();
        let e = FailedQueue::open(&options, 100).await.unwrap_err();
        assert!(matches!(e, BrokerError::Locked { .. }), "{e:?}");
        assert_eq!((ids(&queue), queue.entries().count()), (all.clone(), 5));
        assert!(
            queue.entries().all(|(_, e)| e.report.as_ref().unwrap().code == FailureCode::SourceTruncated)
        );
        queue.close().await;
        until(&options, |d| d.failed.ready == 5).await;
    }
    let few = FailedQueue::open(&options, 2).await.unwrap();
    assert_eq!((few.total(), few.entries().count()), (5, 2));
    few.close().await;
    until(&options, |d| d.failed.ready == 5).await;

    let mut queue = FailedQueue::open(&options, 100).await.unwrap();
    let (again, gone) = (queue.find(&job(3).id.short()), queue.find(&job(1).id.to_string()));
    assert_eq!((again.len(), gone.len()), (1, 1));
    queue.retry(again[0], &publisher).await.unwrap();
    assert!(matches!(queue.retry(again[0], &publisher).await, Err(BrokerError::NoSuchLetter(_))));
    queue.discard(gone[0]).await.unwrap();
    let left = [0, 2, 4].map(|n| job(n).id.to_string());
    assert_eq!(ids(&queue), left.iter().cloned().collect());
    // A command line that is killed leaves everything else as it was.
    drop(queue);
    assert_eq!(until(&options, |d| d.failed.ready == 3).await.films.ready, 1);
    let queue = FailedQueue::open(&options, 100).await.unwrap();
    assert_eq!(ids(&queue), left.into_iter().collect());
    queue.close().await;
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!((film.body().unwrap().id, film.attempt(), film.last_code()), (job(3).id, 0, None));
    film.ack().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_letter_whose_job_cannot_be_queued_stays() {
    let (options, publisher) = fleet().await;
    let film = Outgoing::report(&report(Some(job(0)), FailureCode::Poison, None), None).unwrap();
    publisher.publish(Route::Failed, &film).await.unwrap();
    let (_connection, channel) = bare(&options).await;
    let (queue, key) = (topology::FILMS.into(), topology::FILM_KEY.into());
    channel.queue_unbind(queue, topology::WORK.into(), key, FieldTable::default()).await.unwrap();
    until(&options, |d| d.failed.ready == 1).await;
    let mut queue = FailedQueue::open(&options, 9).await.unwrap();
    let e = queue.retry(0, &publisher).await.unwrap_err();
    assert!(matches!(e, BrokerError::Unroutable { .. }), "{e:?}");
    assert_eq!(queue.entries().count(), 1);
    queue.close().await;
    until(&options, |d| d.failed.ready == 1).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_job_is_named_and_dead_lettered() {
    let (options, publisher) = fleet().await;
    let (_connection, channel) = bare(&options).await;
    let newer = serde_json::json!({"v": 99, "film": "films:a.mkv"}).to_string().into_bytes();
    for (body, code) in [
        (b"hello".to_vec(), FailureCode::MessageMalformed),
        (vec![b'['; MAX_BODY], FailureCode::MessageMalformed),
        (vec![b'x'; MAX_BODY * 20], FailureCode::MessageMalformed),
        (Vec::new(), FailureCode::MessageMalformed),
        (newer, FailureCode::MessageVersion),
    ] {
        let (work, key) = (topology::WORK.into(), topology::FILM_KEY.into());
        let mut headers = FieldTable::default();
        headers.insert("x-attempt".into(), AMQPValue::LongString("many".into()));
        let properties = BasicProperties::default().with_message_id("?".into()).with_headers(headers);
        channel.basic_publish(work, key, BasicPublishOptions::default(), &body, properties).await.unwrap();
        let mut session = Session::open(&options).await.unwrap();
        let film = next(&mut session).await;
        assert_eq!((film.body().unwrap_err().code(), film.attempt(), film.id()), (code, 0, Some("?")));
        let raw = String::from_utf8_lossy(&film.raw()[..film.raw().len().min(1000)]).into_owned();
        film.fail(&publisher, &report(None, code, Some(raw))).await.unwrap();
        session.close().await;
        until(&options, |d| d.failed.ready == 1).await;
        let mut letters = FailedQueue::open(&options, 9).await.unwrap();
        assert_eq!(letters.find("?"), [0]);
        let e = letters.retry(0, &publisher).await.unwrap_err();
        assert!(matches!(e, BrokerError::NoJob(_)), "{e:?}");
        letters.discard(0).await.unwrap();
        letters.close().await;
        until(&options, |d| d.failed.ready == 0 && d.films.ready == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_cancel_the_held_film_can_still_be_settled() {
    let (options, publisher) = fleet().await;
    for n in 0..2 {
        publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
    }
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    session.cancel().await.unwrap();
    assert!(film.usable() && !session.is_over());
    film.ack().await.unwrap();
    // The acknowledged film makes room for the next one, which must not come any more.
    assert_eq!(until(&options, |d| d.films.consumers == 0).await.films.ready, 1);
    assert!(!session.is_over());
    session.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deleted_queue_ends_the_session_though_the_channel_stays_open() {
    let (options, publisher) = fleet().await;
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    let (_connection, channel) = bare(&options).await;
    channel.queue_delete(topology::FILMS.into(), QueueDeleteOptions::default()).await.unwrap();
    let e = lost(&session).await;
    assert!(matches!(e, BrokerError::Lost { .. }), "{e:?}");
    let e = film.ack().await.unwrap_err();
    assert!(matches!(e, BrokerError::SessionOver { .. }), "{e:?}");
    let e = Session::open(&options).await.unwrap_err();
    assert!(matches!(e, BrokerError::Missing { .. }) && e.hint().contains("setup"), "{e:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_not_in_hears_why() {
    let node = node().await;
    let good = node.options("dovi");
    let address = good.address();
    let try_with = async |url: &str, user: &str, password: &str| {
        let e = Link::connect(&BrokerOptions::new(url, user, password).unwrap(), "x").await.unwrap_err();
        assert!(!format!("{e} {e:?}").contains("s3cret"), "{e:?}");
        e
    };
    let url = format!("amqp://{address}/dovi");
    let e = try_with(&url, "tester", "s3cret").await;
    assert!(matches!(&e, BrokerError::Denied { username, .. } if username == "tester"), "{e:?}");
    assert!(e.needs_a_person());
    let e = try_with(&format!("amqp://{address}/nowhere"), "tester", rabbit::PASSWORD).await;
    assert!(matches!(&e, BrokerError::Vhost { vhost, .. } if vhost == "nowhere"), "{e:?}");
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let e = try_with(&format!("amqp://{free}/dovi"), "tester", "s3cret").await;
    assert!(matches!(e, BrokerError::Unreachable { .. }) && !e.needs_a_person(), "{e:?}");
    let e = try_with("amqp://no-such-host.invalid/dovi", "tester", "s3cret").await;
    assert!(matches!(e, BrokerError::Unreachable { .. }), "{e:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn tls_trusts_the_private_authority_and_nobody_else() {
    let node = node().await;
    let at = |scheme: &str, host: &str, port: u16| {
        BrokerOptions::new(&format!("{scheme}://{host}:{port}/dovi"), "tester", rabbit::PASSWORD)
            .unwrap()
            .timeout(Duration::from_secs(10))
    };
    for host in ["127.0.0.1", "localhost"] {
        let link =
            Link::connect(&at("amqps", host, node.tls_port).ca_pem(node.ca_pem()), "tls").await.unwrap();
        link.close().await;
    }
    let e = Link::connect(&at("amqps", "127.0.0.1", node.tls_port), "tls").await.unwrap_err();
    assert!(matches!(e, BrokerError::Tls { .. }) && e.hint().contains("ca_file"), "{e:?}");
    // The certificate is not for this address of the same host.
    let e = Link::connect(&at("amqps", "127.0.0.2", node.tls_port).ca_pem(node.ca_pem()), "tls")
        .await
        .unwrap_err();
    assert!(matches!(e, BrokerError::Tls { .. } | BrokerError::Unreachable { .. }), "{e:?}");
    let e =
        Link::connect(&at("amqps", "127.0.0.1", node.port).ca_pem(node.ca_pem()), "tls").await.unwrap_err();
    assert!(matches!(e, BrokerError::Tls { .. }), "{e:?}");
    assert!(Link::connect(&at("amqp", "127.0.0.1", node.tls_port), "plain").await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_and_without_a_broker_cost_nothing() {
    let (options, _) = fleet().await;
    let (_connection, channel) = bare(&options).await;
    let own = QueueDeclareOptions::exclusive();
    let queue = channel.queue_declare("".into(), own, FieldTable::default()).await.unwrap();
    let (name, exchange) = (queue.name().clone(), topology::EVENTS.into());
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(name.clone(), exchange, "progress.#".into(), bind, FieldTable::default())
        .await
        .unwrap();
    let consume = BasicConsumeOptions::default();
    let mut heard = channel.basic_consume(name, "".into(), consume, FieldTable::default()).await.unwrap();
    let events = Events::start(options);
    events.send("worker.w", &"not bound");
    events.send("progress.w.j", &serde_json::json!({"percent": 12}));
    let event = timeout(Duration::from_secs(15), heard.next()).await.unwrap().unwrap().unwrap();
    assert_eq!(event.data, br#"{"percent":12}"#);
    let p = &event.properties;
    assert_eq!((*p.delivery_mode(), p.expiration().as_ref().map(|e| e.as_str())), (Some(1), Some("60000")));
    assert_eq!(events.dropped(), 0);

    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let nobody = Events::start(BrokerOptions::new(&format!("amqp://{free}/dovi"), "u", "p").unwrap());
    let before = std::time::Instant::now();
    for _ in 0..10_000 {
        nobody.send("progress.w.j", &1);
    }
    assert!(before.elapsed() < Duration::from_secs(2));
    for _ in 0..100 {
        if nobody.dropped() == 10_000 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{} of 10000 counted as dropped", nobody.dropped());
}
