//! Dead letters and films on their way from one place to another, with the program or the broker killed in between: whatever
//! happens, each is in at least one of the two.

use std::fs;
use std::process::{Child, Command, Stdio};

use common::broker::{Outgoing, Publisher, Route};
use common::job::{FailureCode, FailureReport, JobMessage};
use common::share::Folder;
use e2e::broker::{Gate, Hold, PrivateBroker};
use e2e::wait;
use serde_json::{Value, json};

use crate::fleet::{Fleet, SOON};

/// `basic.ack` on the wire: class 60, method 80 (AMQP 0-9-1, 1.8.3.13).
const ACK: [u8; 4] = [0, 60, 0, 80];

fn report(job: &JobMessage) -> FailureReport {
    let code = FailureCode::SourceTruncated;
    let value = json!({
        "v": 1, "job": job, "code": code, "class": code.class(), "stage": "prescan", "summary": "no", "hint": "",
        "attempt": 1, "worker": "w0", "at": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(value).unwrap()
}

/// A film that was given up, on the share and among the dead letters.
fn give_up(fleet: &Fleet<'_>, job: &JobMessage) {
    fleet.share().remove(Folder::Done, job.id).unwrap();
    let publisher = Publisher::new(fleet.options());
    let letter = Outgoing::report(&report(job), None).unwrap();
    fleet.runtime.block_on(publisher.publish(Route::Failed, &letter)).unwrap();
    fleet.share().write(Folder::Failed, job.id, &report(job)).unwrap();
    fleet.share().remove(Folder::Queued, job.id).unwrap();
    fleet.wait_for("the letter", |d| d.failed.ready == 1);
}

/// Starts a command whose way to the broker leads through the gate, and waits until it stands at the trap.
fn caught(fleet: &Fleet<'_>, gate: &Gate, words: &[u8], at: Hold, args: &[&str]) -> Child {
    gate.hold_at(words, at);
    let url = fleet.broker.admin_url(fleet.vhost).replace(&fleet.broker.address(), &gate.address());
    let mut command = Command::new(env!("CARGO_BIN_EXE_producer-under-test"));
    command
        .args(args)
        .arg("--config")
        .arg(fleet.path("config.toml"))
        .args(["--set", &format!("broker.url={url}")]);
    command.args(["--set", "broker.timeout_s=60"]).current_dir(fleet.dir.path());
    command.stdout(Stdio::null()).stderr(fs::File::create(fleet.path("caught.log")).unwrap());
    let mut child = command.spawn().unwrap();
    let waited =
        wait::until(SOON, "the program at the trap", || gate.holds() || child.try_wait().unwrap().is_some());
    let log = fs::read_to_string(fleet.path("caught.log")).unwrap();
    waited.unwrap_or_else(|e| panic!("{e}: {log}"));
    assert!(child.try_wait().unwrap().is_none(), "{args:?} ended before the trap: {log}");
    child
}

/// The program dies there, and its connections with it.
fn kill(mut child: Child, gate: &Gate) {
    child.kill().unwrap();
    child.wait().unwrap();
    gate.cut();
    gate.release();
}

pub fn lose_nothing(broker: &mut PrivateBroker) {
    {
        let fleet = Fleet::new(broker, "moves");
        let job = fleet.film("one");
        let gate = Gate::open(&fleet.broker.address()).unwrap();
        a_retry_killed_before_its_confirm(&fleet, &gate, &job);
        a_retry_killed_before_its_ack(&fleet, &gate, &job);
        a_discard_killed_before_its_ack(&fleet, &gate, &job);
        a_rescan_killed_before_its_publish(&fleet, &gate, &job);
    }
    a_broker_killed_between_confirm_and_ack(broker);
}

fn a_retry_killed_before_its_confirm(fleet: &Fleet<'_>, gate: &Gate, job: &JobMessage) {
    give_up(fleet, job);
    let id = job.id.to_string();
    let body = format!("\"id\":\"{id}\"");
    let child = caught(fleet, gate, body.as_bytes(), Hold::Answers, &["failed", "retry", &id]);
    fleet.wait_for("the film at the broker", |d| d.films.ready == 1);
    // A second person meanwhile: sees the share's side, and moves nothing.
    let (output, text) = fleet.producer(&["failed", "discard", "--all"]);
    assert!(output.status.code() == Some(3) && text.contains("somebody else is at it"), "{text}");
    let (output, text) = fleet.producer(&["failed", "list"]);
    assert!(output.status.code() == Some(0) && text.contains("only the reports on the share"), "{text}");
    kill(child, gate);
    fleet.wait_for("film and letter", |d| d.films.ready == 1 && d.failed.ready == 1);
    // Again, to the end: the film is there twice then, and is done once.
    fleet.produced(&["failed", "retry", &id]);
    fleet.wait_for("the film twice", |d| d.films.ready == 2 && d.failed.ready == 0);
    fleet.work();
    assert!(fleet.has_certificate(job));
    fleet.wait_for("nothing left", |d| d.films.ready == 0 && d.failed.ready == 0);
}

fn a_retry_killed_before_its_ack(fleet: &Fleet<'_>, gate: &Gate, job: &JobMessage) {
    give_up(fleet, job);
    let id = job.id.to_string();
    let child = caught(fleet, gate, &ACK, Hold::Requests, &["failed", "retry", &id]);
    fleet.wait_for("the film at the broker", |d| d.films.ready == 1);
    kill(child, gate);
    fleet.wait_for("film and letter", |d| d.films.ready == 1 && d.failed.ready == 1);
    drain(fleet);
}

fn a_discard_killed_before_its_ack(fleet: &Fleet<'_>, gate: &Gate, job: &JobMessage) {
    give_up(fleet, job);
    let id = job.id.to_string();
    kill(caught(fleet, gate, &ACK, Hold::Requests, &["failed", "discard", &id]), gate);
    fleet.wait_for("the letter", |d| d.failed.ready == 1);
    let report: Value = fleet.share().read(Folder::Failed, job.id).unwrap().expect("the report stays");
    assert!(report["discarded_at"].is_string(), "{report}");
    fleet.produced(&["failed", "discard", &id]);
    fleet.wait_for("no letter", |d| d.failed.ready == 0);
    drain(fleet);
}

/// The report is away, and nothing was published: the film is as one that was never seen, and its letter still there.
fn a_rescan_killed_before_its_publish(fleet: &Fleet<'_>, gate: &Gate, job: &JobMessage) {
    give_up(fleet, job);
    let body = format!("\"id\":\"{}\"", job.id);
    kill(caught(fleet, gate, body.as_bytes(), Hold::Requests, &["rescan", "films:one.mkv"]), gate);
    fleet.wait_for("the letter alone", |d| d.failed.ready == 1 && d.films.ready == 0);
    assert!(fleet.share().ids(Folder::Queued).unwrap().entries.is_empty());
    fleet.produced(&["scan"]);
    fleet.wait_for("the film", |d| d.films.ready == 1);
    drain(fleet);
}

fn a_broker_killed_between_confirm_and_ack(broker: &mut PrivateBroker) {
    let (address, job, child, gate, dir) = {
        let fleet = Fleet::new(broker, "killed");
        let job = fleet.film("one");
        // A queue that is younger than two seconds may not survive a kill.
        std::thread::sleep(std::time::Duration::from_secs(2));
        give_up(&fleet, &job);
        let gate = Gate::open(&fleet.broker.address()).unwrap();
        let child = caught(&fleet, &gate, &ACK, Hold::Requests, &["failed", "retry", &job.id.to_string()]);
        fleet.wait_for("the film at the broker", |d| d.films.ready == 1);
        (fleet.broker.address(), job, child, gate, fleet.dir)
    };
    broker.kill9().unwrap();
    let mut child = child;
    gate.cut();
    let ended = wait::until_some(SOON, "the program's end", || child.try_wait().unwrap()).unwrap();
    assert_eq!(ended.code(), Some(3), "{}", fs::read_to_string(dir.path().join("caught.log")).unwrap());
    broker.restart().unwrap();
    assert_eq!(broker.address(), address);
    let fleet = Fleet::bare(broker, "killed");
    fleet.wait_for("film and letter", |d| d.films.ready == 1 && d.failed.ready == 1);
    // A queue that has just come back may be counted before it hands anything out.
    let letter = wait::until_some(SOON, "the letter", || fleet.letters().into_iter().next()).unwrap();
    assert_eq!(letter.id, job.id.to_string());
}

/// Takes everything away, as a fleet that did it all would have.
fn drain(fleet: &Fleet<'_>) {
    for queue in ["dovi.films", "dovi.failed"] {
        let path = format!("/api/queues/{}/{queue}/contents", fleet.vhost);
        assert_eq!(fleet.broker.api("DELETE", &path, None).unwrap().0, 204);
    }
    fleet.share().remove(Folder::Failed, fleet.job(std::path::Path::new("one.mkv")).id).unwrap();
    fleet.wait_for("empty queues", |d| d.films.ready == 0 && d.failed.ready == 0);
}
