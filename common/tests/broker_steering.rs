//! Orders to workers, and films that go first, against a real RabbitMQ.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[path = "support/rabbit.rs"]
#[expect(dead_code, reason = "faults are another test's")]
mod rabbit;

use std::time::Duration;

use common::broker::{
    BrokerError, BrokerOptions, Delivery, Depths, Notice, Outgoing, Publisher, Route, Session, depths,
    listen, send_notice, topology,
};
use common::share::{Cancel, Command, Order};
use lapin::options::{BasicPublishOptions, QueueDeleteOptions};
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

#[tokio::test(flavor = "multi_thread")]
async fn films_that_go_first_overtake_and_the_others_keep_their_places() {
    let (options, publisher) = fleet().await;
    for n in 0..4 {
        publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
    }
    // Two that are wanted before the others; their first messages stay where they are.
    for n in [3, 2] {
        publisher.publish(Route::First, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
    }
    until(&options, |d| d.films.ready == 4 && d.first.as_ref().unwrap().ready == 2).await;
    let mut session = Session::open(&options).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!(film.body().unwrap().id, job(3).id);
    // What the consumer brought is back, and others can take it.
    until(&options, |d| d.films.ready == 4 && d.films.consumers == 0).await;
    let mut other = Session::open(&options).await.unwrap();
    let overtaken = next(&mut other).await;
    assert_eq!(overtaken.body().unwrap().id, job(2).id, "the second that goes first");
    // Given back at once it still goes first; put off it does not.
    overtaken.give_back(&publisher, None).await.unwrap();
    until(&options, |d| d.first.as_ref().unwrap().ready == 1).await;
    other.close().await;
    film.ack().await.unwrap();
    let mut order = Vec::new();
    for _ in 0..5 {
        let film = next(&mut session).await;
        order.push(film.body().unwrap().id);
        film.ack().await.unwrap();
    }
    assert_eq!(order, [2, 0, 1, 2, 3].map(|n| job(n).id));
    // One that comes while nothing else waits is seen too.
    publisher.publish(Route::First, &Outgoing::job(&job(7)).unwrap()).await.unwrap();
    let film = next(&mut session).await;
    assert_eq!(film.body().unwrap().id, job(7).id);
    film.ack().await.unwrap();
    publisher.publish(Route::Film, &Outgoing::job(&job(8)).unwrap()).await.unwrap();
    assert_eq!(next(&mut session).await.body().unwrap().id, job(8).id, "it takes the others again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_film_that_is_always_overtaken_has_its_turn_before_the_broker_gives_it_up() {
    let (options, publisher) = fleet().await;
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    for n in 1..60 {
        let mut session = Session::open(&options).await.unwrap();
        until(&options, |d| d.films.ready == 0).await;
        publisher.publish(Route::First, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
        let film = next(&mut session).await;
        if film.body().unwrap().id == job(0).id {
            assert!(film.broker_deliveries() < 50, "{}", film.broker_deliveries());
            until(&options, |d| d.first.as_ref().unwrap().ready == 1 && d.failed.ready == 0).await;
            return;
        }
        film.ack().await.unwrap();
        session.close().await;
    }
    panic!("it never had its turn");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_without_the_newer_queue_does_its_work() {
    let (options, publisher) = fleet().await;
    let (_connection, channel) = bare(&options).await;
    channel.queue_delete(topology::FIRST.into(), QueueDeleteOptions::default()).await.unwrap();
    assert_eq!(topology::missing(&options).await.unwrap(), [topology::FIRST]);
    for n in 0..2 {
        publisher.publish(Route::Film, &Outgoing::job(&job(n)).unwrap()).await.unwrap();
    }
    assert!(until(&options, |d| d.films.ready == 2).await.first.is_none());
    let mut session = Session::open(&options).await.unwrap();
    for n in 0..2 {
        let film = next(&mut session).await;
        assert_eq!(film.body().unwrap().id, job(n).id);
        film.ack().await.unwrap();
    }
    let e = publisher.publish(Route::First, &Outgoing::job(&job(0)).unwrap()).await.unwrap_err();
    assert!(matches!(e, BrokerError::Unroutable { .. }) && e.hint().contains("setup"), "{e:?}");
    assert_eq!(topology::declare(&options).await.unwrap(), [topology::FIRST]);
    publisher.publish(Route::First, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn orders_reach_whom_they_are_for_and_the_sender_knows_if_nobody_listens() {
    let (options, _) = fleet().await;
    let order = |worker: Option<&str>| {
        Notice::Order(Order {
            v: 1,
            id: "1f".into(),
            command: Command::Pause,
            worker: worker.map(Into::into),
            origins: Vec::new(),
            at: jiff::Timestamp::UNIX_EPOCH,
            by: "me@here".into(),
        })
    };
    assert!(!send_notice(&options, &order(None)).await.unwrap());
    let mut heard = listen(options.clone(), "vm.1 #");
    for _ in 0..100 {
        if send_notice(&options, &order(None)).await.unwrap() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let mut take = async || timeout(Duration::from_secs(15), heard.recv()).await.unwrap().unwrap();
    assert_eq!(take().await, order(None));
    assert!(!send_notice(&options, &order(Some("vm.2"))).await.unwrap(), "another one's");
    assert!(send_notice(&options, &order(Some("vm.1 #"))).await.unwrap());
    assert_eq!(take().await, order(Some("vm.1 #")));
    let cancel = Cancel { v: 1, job: job(1).id, at: jiff::Timestamp::UNIX_EPOCH, by: String::new() };
    assert!(send_notice(&options, &Notice::Cancel(cancel.clone())).await.unwrap());
    assert_eq!(take().await, Notice::Cancel(cancel));
    let (_connection, channel) = bare(&options).await;
    let (control, all) = (topology::CONTROL.into(), "all".into());
    let opts = BasicPublishOptions::default();
    channel.basic_publish(control, all, opts, b"{}", BasicProperties::default()).await.unwrap();
    assert!(send_notice(&options, &order(None)).await.unwrap());
    assert_eq!(take().await, order(None), "nonsense is passed over");
}
