//! The private RabbitMQ node: comes up, survives being killed, and leaves nothing behind.

use std::fs;
use std::time::Duration;

use e2e::broker::PrivateBroker;
use e2e::wait;
use serde_json::json;

const SOON: Duration = Duration::from_secs(15);

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    // A zombie is gone in all but name.
    stat.rsplit(") ").next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with('Z'))
}

#[test]
fn lives_dies_and_leaves_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = PrivateBroker::start(dir.path()).unwrap();
    let first = broker.pid().unwrap();
    assert!(broker.processes().contains(&first), "{:?}", broker.processes());

    // Ports differ from those of a broker that may run on this machine anyway.
    assert!(!broker.admin_url("dovi").contains(":5672/") && !broker.management_url().ends_with(":15672"));
    broker.add_vhost("dovi").unwrap();
    broker.add_user("worker/1", "p@ss:word", "").unwrap();
    broker.grant("dovi", "worker/1", "", "^dovi\\.", ".*").unwrap();
    assert!(
        broker.url("dovi", "worker/1", "p@ss:word").starts_with("amqp://worker%2F1:p%40ss%3Aword@127.0.0.1:")
    );
    let queue = json!({"durable": true, "arguments": {"x-queue-type": "quorum"}});
    let (status, answer) = broker.api("PUT", "/api/queues/dovi/kept", Some(&queue)).unwrap();
    assert_eq!(status, 201, "{answer}");
    let timeout =
        broker.ctl(&["eval", "{ok, T} = application:get_env(rabbit, consumer_timeout), T."]).unwrap();
    assert!(timeout.trim().parse::<u64>().unwrap() >= 24 * 3600 * 1000, "{timeout}");

    // A queue killed within 0.1 s of its declaration is lost; once it has a leader and counts, it is on disk.
    wait::until(SOON, "the queue to run", || {
        broker
            .api("GET", "/api/queues/dovi/kept", None)
            .is_ok_and(|(_, q)| q["messages"] == 0 && q["leader"].is_string())
    })
    .unwrap();
    broker.sigstop().unwrap();
    broker.sigcont().unwrap();
    broker.close_all_connections().unwrap();
    broker.kill9().unwrap();
    assert!(!runs(first) && broker.api("GET", "/api/overview", None).is_err());
    broker.restart().unwrap();
    let second = broker.pid().unwrap();
    assert_ne!(first, second);
    let (status, queue) = broker.api("GET", "/api/queues/dovi/kept", None).unwrap();
    assert_eq!((status, queue["durable"].as_bool()), (200, Some(true)), "{queue}");

    let all = broker.processes();
    assert!(all.len() >= 2, "{all:?}");
    broker.stop().unwrap();
    let left: Vec<u32> = all.into_iter().filter(|pid| runs(*pid)).collect();
    assert!(left.is_empty(), "still running: {left:?}");
}

#[test]
fn two_nodes_live_side_by_side_and_end_when_dropped() {
    let (a, b) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let one = PrivateBroker::start(a.path()).unwrap();
    let two = PrivateBroker::start(b.path()).unwrap();
    assert_ne!(one.admin_url("/"), two.admin_url("/"));
    one.add_vhost("only-here").unwrap();
    assert_eq!(two.api("GET", "/api/vhosts/only-here", None).unwrap().0, 404);
    let all = [one.processes(), two.processes()].concat();
    drop((one, two));
    wait::until(SOON, "both nodes to end", || !all.iter().any(|pid| runs(*pid))).unwrap();
}
