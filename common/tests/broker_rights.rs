//! What each of the fleet's users may do on the broker, and what it may not.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail their test")]

#[path = "support/rabbit.rs"]
#[expect(dead_code, reason = "faults are another test's")]
mod rabbit;

use std::time::Duration;

use common::broker::users::{CLI, MONITOR, PRODUCER, User, WORKER};
use common::broker::{
    BrokerError, BrokerOptions, FailedQueue, Link, Outgoing, Publisher, Route, Session, Tier, depths,
    topology,
};
use common::job::{FailureCode, FailureReport};
use lapin::options::{
    BasicConsumeOptions, BasicGetOptions, BasicPublishOptions, ConfirmSelectOptions, ExchangeDeclareOptions,
    ExchangeDeleteOptions, QueueBindOptions, QueueDeclareOptions, QueueDeleteOptions, QueuePurgeOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Connection, ConnectionProperties, ErrorKind, ExchangeKind};
use rabbit::{Node, job};
use tokio::sync::OnceCell;
use tokio::time::timeout;

static NODE: OnceCell<Node> = OnceCell::const_new();

async fn node() -> &'static Node {
    NODE.get_or_init(Node::start).await
}

/// Everything that somebody could try.
const DEEDS: [&str; 20] = [
    "publish film",
    "publish retry",
    "publish dead letter",
    "publish event",
    "publish command",
    "publish past the exchange",
    "take films",
    "take dead letters",
    "take retries",
    "purge films",
    "purge dead letters",
    "lock the dead letters",
    "listen for orders",
    "listen to everything",
    "declare a queue",
    "declare an exchange",
    "delete the films",
    "delete the exchange",
    "bind a queue",
    "unbind the films",
];

async fn attempt(channel: &Channel, deed: &str) -> lapin::Result<()> {
    let publish = async |exchange: &str, key: &str| {
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
        channel.basic_publish(exchange.into(), key.into(), options, b"{}", properties).await?.await.map(drop)
    };
    let take =
        async |queue: &str| channel.basic_get(queue.into(), BasicGetOptions::default()).await.map(drop);
    let (films, failed, work) = (topology::FILMS, topology::FAILED, topology::WORK);
    let none = FieldTable::default;
    match deed {
        "publish film" => publish(work, "film").await,
        "publish retry" => publish(work, "retry.1h").await,
        "publish dead letter" => publish(work, "failed").await,
        "publish event" => publish(topology::EVENTS, "worker.x").await,
        "publish command" => publish(topology::CONTROL, "all").await,
        "publish past the exchange" => publish("", films).await,
        "take films" => {
            let options = BasicConsumeOptions::default();
            channel.basic_consume(films.into(), "x".into(), options, none()).await.map(drop)
        }
        "take dead letters" => take(failed).await,
        "take retries" => take("dovi.retry.1h").await,
        "purge films" => channel.queue_purge(films.into(), QueuePurgeOptions::default()).await.map(drop),
        "purge dead letters" => {
            channel.queue_purge(failed.into(), QueuePurgeOptions::default()).await.map(drop)
        }
        "lock the dead letters" => {
            let options = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
            channel.queue_declare("dovi.tmp.failed".into(), options, none()).await.map(drop)
        }
        "listen for orders" | "listen to everything" => {
            let own = QueueDeclareOptions { exclusive: true, auto_delete: true, ..Default::default() };
            channel.queue_declare("dovi.ctl.w.1".into(), own, none()).await?;
            let exchange = if deed == "listen for orders" { topology::CONTROL } else { topology::EVENTS };
            let options = QueueBindOptions::default();
            channel.queue_bind("dovi.ctl.w.1".into(), exchange.into(), "#".into(), options, none()).await?;
            channel.queue_delete("dovi.ctl.w.1".into(), QueueDeleteOptions::default()).await.map(drop)
        }
        "declare a queue" => {
            channel.queue_declare("dovi.mine".into(), QueueDeclareOptions::durable(), none()).await.map(drop)
        }
        "declare an exchange" => {
            let options = ExchangeDeclareOptions::default();
            channel.exchange_declare("dovi.mine".into(), ExchangeKind::Direct, options, none()).await
        }
        "delete the films" => {
            let options = QueueDeleteOptions { if_unused: true, if_empty: true, ..Default::default() };
            channel.queue_delete(films.into(), options).await.map(drop)
        }
        "delete the exchange" => channel.exchange_delete(work.into(), ExchangeDeleteOptions::default()).await,
        "bind a queue" => {
            let options = QueueBindOptions::default();
            channel.queue_bind(failed.into(), topology::EVENTS.into(), "#".into(), options, none()).await
        }
        "unbind the films" => channel.queue_unbind(films.into(), work.into(), "film".into(), none()).await,
        other => panic!("{other}"),
    }
}

async fn can(user: &User, vhost: &str) -> Vec<&'static str> {
    let url = format!("amqp://{}:{}@127.0.0.1:{}/{vhost}", user.name, rabbit::PASSWORD, node().await.port);
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let mut can = Vec::new();
    for deed in DEEDS {
        // What is refused closes its channel.
        let channel = connection.create_channel().await.unwrap();
        match timeout(Duration::from_secs(10), attempt(&channel, deed)).await.expect(deed) {
            Ok(()) => can.push(deed),
            Err(e) => match e.kind() {
                ErrorKind::ProtocolError(amqp) if amqp.get_id() == 403 => {}
                _ => panic!("{} tried to {deed}: {e:?}", user.name),
            },
        }
        // Where it was allowed, the channel with its consumer or held message must go before the next deed.
        if channel.status().connected() {
            channel.close(200, "done".into()).await.unwrap();
        }
    }
    connection.close(200, "done".into()).await.unwrap();
    can
}

#[tokio::test(flavor = "multi_thread")]
async fn every_user_can_do_its_work_and_nothing_else() {
    let options = node().await.fresh();
    topology::declare(&options).await.unwrap();
    let publish = ["publish film", "publish retry", "publish dead letter"];
    // Whoever may take messages may throw them away: RabbitMQ has one permission for both.
    let worker =
        [&publish[..], &["publish event", "take films", "purge films", "listen for orders"]].concat();
    let cli = [
        &publish[..],
        &["publish command", "take dead letters", "purge dead letters", "lock the dead letters"],
    ]
    .concat();
    for (user, may) in [(PRODUCER, publish.to_vec()), (WORKER, worker), (CLI, cli), (MONITOR, Vec::new())] {
        assert_eq!(can(&user, options.vhost()).await, may, "{}", user.name);
    }
    assert_eq!(topology::missing(&options).await.unwrap(), [""; 0], "nothing was deleted");
}

fn options_of(user: &User, node: &Node, vhost: &str) -> BrokerOptions {
    let url = format!("amqp://127.0.0.1:{}/{vhost}", node.port);
    BrokerOptions::new(&url, user.name, rabbit::PASSWORD).unwrap().timeout(Duration::from_secs(10))
}

fn report() -> FailureReport {
    let code = FailureCode::SourceTruncated;
    let text = format!(
        r#"{{"v":1,"job":{},"code":"{code}","class":"permanent","stage":"prescan","summary":"no","hint":"","attempt":1,
            "worker":"w","at":"1970-01-01T00:00:00Z"}}"#,
        serde_json::to_string(&job(0)).unwrap()
    );
    serde_json::from_str(&text).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_programs_work_with_their_users() {
    let node = node().await;
    let admin = node.fresh();
    topology::declare(&admin).await.unwrap();
    let of = |user| options_of(user, node, admin.vhost());
    let (producer, worker, cli) = (of(&PRODUCER), of(&WORKER), of(&CLI));
    let wait = async |what: &str, wanted: fn(&common::broker::Depths) -> bool| {
        for _ in 0..100 {
            if wanted(&depths(&cli).await.unwrap()) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("{what}: {:?}", depths(&cli).await);
    };

    // Queue and look.
    let publisher = Publisher::new(producer.clone());
    for options in [&producer, &worker, &cli] {
        assert_eq!(topology::missing(options).await.unwrap(), [""; 0]);
    }
    publisher.publish(Route::Film, &Outgoing::job(&job(0)).unwrap()).await.unwrap();
    assert_eq!(depths(&producer).await.unwrap().failed.ready, 0);
    let e = Session::open(&producer).await.unwrap_err();
    assert!(matches!(e, BrokerError::Forbidden { .. }) && e.needs_a_person(), "{e:?}");
    let e = FailedQueue::open(&producer, 1).await.unwrap_err();
    assert!(matches!(e, BrokerError::Forbidden { .. }) && e.hint().contains("SECURITY"), "{e:?}");

    // Take, try again later, give up.
    let own = Publisher::new(worker.clone());
    let mut session = Session::open(&worker).await.unwrap();
    let film = timeout(Duration::from_secs(15), session.next()).await.unwrap().unwrap();
    film.retry(&own, Tier::Minute, 1, FailureCode::ShareIo).await.unwrap();
    let film = timeout(Duration::from_secs(15), session.next()).await.unwrap().unwrap();
    film.fail(&own, &report()).await.unwrap();
    session.close().await;
    assert!(matches!(FailedQueue::open(&worker, 1).await, Err(BrokerError::Forbidden { .. })));
    assert!(matches!(topology::declare(&worker).await, Err(BrokerError::Forbidden { .. })));

    // Move dead letters.
    wait("the dead letter", |d| d.failed.ready == 1).await;
    let mut letters = FailedQueue::open(&cli, 9).await.unwrap();
    assert!(matches!(FailedQueue::open(&cli, 9).await, Err(BrokerError::Locked { .. })));
    letters.retry(0, &Publisher::new(cli.clone())).await.unwrap();
    letters.close().await;
    wait("the film again", |d| d.failed.ready == 0 && d.films.ready == 1).await;
    assert!(matches!(Session::open(&cli).await, Err(BrokerError::Forbidden { .. })));
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_are_refused_by_name() {
    let node = node().await;
    // Made without rights for the fleet's users.
    let e = Link::connect(&options_of(&WORKER, node, "closed"), "x").await.unwrap_err();
    assert!(matches!(&e, BrokerError::Vhost { vhost, .. } if vhost == "closed"), "{e:?}");
    let url = format!("amqp://127.0.0.1:{}/dovi", node.port);
    for (user, password) in [("dovi-worker", "wrong"), ("guest", "guest"), ("dovi", rabbit::PASSWORD)] {
        let e = Link::connect(&BrokerOptions::new(&url, user, password).unwrap(), "x").await.unwrap_err();
        assert!(matches!(&e, BrokerError::Denied { username, .. } if username == user), "{e:?}");
    }
}
