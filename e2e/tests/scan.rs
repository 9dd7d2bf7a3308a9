//! The producer against a real library, a real share folder and a real broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use common::broker::{BrokerOptions, Outgoing, Publisher, Route, depths};
use common::job::{
    Certificate, FailureCode, FailureReport, FileFacts, JobId, JobMessage, LibraryPath, ToolVersions,
};
use common::share::{Folder, ShareState};
use e2e::broker::PrivateBroker;
use e2e::films::{FilmSet, FilmSpec, LibraryOptions, Outcome, make_library};
use e2e::wait;
use serde_json::{Value, json};

const SOON: Duration = Duration::from_secs(20);
/// One of each kind that the producer tells apart, and the names that hurt.
const FILMS: [&str; 14] = [
    "mel-closed-gop",
    "mel-open-gop",
    "mel-cmv29",
    "mel-dual-track",
    "fel",
    "fel-expanding",
    "p81",
    "p5",
    "hdr10",
    "truncated",
    "empty",
    "not-matroska",
    "name-newline",
    "name-bytes",
];

/// A library on a share with its own virtual host.
struct Fleet<'a> {
    dir: tempfile::TempDir,
    broker: &'a PrivateBroker,
    vhost: String,
    program: PathBuf,
}

impl<'a> Fleet<'a> {
    fn new(name: &str, films: &Path, broker: &'a PrivateBroker) -> Self {
        let fleet =
            Self { dir: tempfile::tempdir().unwrap(), broker, vhost: name.into(), program: program() };
        broker.add_vhost(name).unwrap();
        let copied = Command::new("cp").arg("-a").arg(films).arg(fleet.path("lib")).status().unwrap();
        assert!(copied.success());
        let at = |p: &str| fleet.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = {:?}\n[library]\nstable_s = 0\n[library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n\
             [output]\ndir = {:?}\n",
            broker.admin_url(name),
            at("lib"),
            at("state"),
            at("out")
        );
        fs::write(fleet.path("config.toml"), config).unwrap();
        fleet
    }

    fn path(&self, p: &str) -> PathBuf {
        self.dir.path().join(p)
    }

    fn share(&self) -> ShareState {
        ShareState::new(self.path("state"))
    }

    fn run(&self, args: &[&str]) -> Output {
        let mut command = Command::new(&self.program);
        command.current_dir(self.dir.path()).args(args).arg("--config").arg(self.path("config.toml"));
        command.output().unwrap()
    }

    /// Runs a command that must end well, and reads its JSON lines.
    fn json(&self, args: &[&str]) -> Vec<Value> {
        let o = self.run(&[args, &["--json"]].concat());
        let (out, err) = (String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        assert_eq!(o.status.code(), Some(0), "{args:?}: {err}\n{out}");
        out.lines().map(|l| serde_json::from_str(l).unwrap()).collect()
    }

    /// Films by what a scan did with them, and its totals.
    fn scan(&self, args: &[&str]) -> (BTreeMap<String, Value>, Value) {
        let mut lines = self.json(args);
        let totals = lines.pop().unwrap();
        assert_eq!(totals["type"], "totals");
        let films = lines.into_iter().filter(|l| l["type"] == "film");
        (films.map(|l| (l["film"].as_str().unwrap().to_owned(), l)).collect(), totals)
    }

    fn fails(&self, args: &[&str], exit: i32, what: &str) {
        let o = self.run(args);
        let text = String::from_utf8_lossy(&o.stderr).into_owned();
        assert_eq!(o.status.code(), Some(exit), "{text}");
        let mut lines = text.lines().filter(|l| !l.starts_with("warning: "));
        assert!(
            lines.next().is_some_and(|l| l.starts_with("error: ") && l.contains(what)),
            "{what:?}: {text}"
        );
        assert!(lines.next().is_some_and(|l| l.starts_with("hint: ")), "{text}");
    }

    /// Waits until a queue holds so many messages. (The management plugin's counts are seconds old.)
    fn holds(&self, queue: &str, count: u32) {
        let options = self.options();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let mut last = None;
        let waited = wait::until(SOON, queue, || {
            let all = runtime.block_on(depths(&options)).unwrap();
            let found = [all.films, all.failed].into_iter().find(|q| q.name == queue);
            last = found.map(|q| q.ready);
            last == Some(count)
        });
        assert!(waited.is_ok(), "{queue} should hold {count}, holds {last:?}");
    }

    fn options(&self) -> BrokerOptions {
        BrokerOptions::new(&self.broker.admin_url(&self.vhost), "", "").unwrap()
    }

    fn peek(&self, queue: &str) -> Vec<Value> {
        let ask = json!({"count": 100, "ackmode": "ack_requeue_true", "encoding": "auto"});
        let (status, all) =
            self.broker.api("POST", &format!("/api/queues/{}/{queue}/get", self.vhost), Some(&ask)).unwrap();
        assert_eq!(status, 200, "{all}");
        all.as_array().unwrap().clone()
    }

    fn queued(&self) -> BTreeSet<JobId> {
        self.share().ids(Folder::Queued).unwrap().entries.into_iter().map(|(id, ())| id).collect()
    }

    fn publish_failed(&self, report: &FailureReport) {
        let publish = async {
            let publisher = Publisher::new(self.options());
            publisher.publish(Route::Failed, &Outgoing::report(report, None).unwrap()).await.unwrap();
            publisher.close().await;
        };
        tokio::runtime::Runtime::new().unwrap().block_on(publish);
    }

    /// Takes every message out of the film queue, as a worker that settled them would have.
    fn drain(&self) {
        let path = format!("/api/queues/{}/dovi.films/contents", self.vhost);
        assert_eq!(self.broker.api("DELETE", &path, None).unwrap().0, 204);
        self.holds("dovi.films", 0);
    }
}

/// The producer as it is built with these tests.
fn program() -> PathBuf {
    env!("CARGO_BIN_EXE_producer-under-test").into()
}

#[test]
fn the_producer_from_scan_to_dead_letters() {
    let work = tempfile::tempdir().unwrap();
    let films = work.path().join("films");
    let only = FILMS.iter().map(|f| (*f).to_owned()).collect();
    let options = LibraryOptions { set: FilmSet::Full, frames: 96, width: 320, height: 180, only };
    let specs = make_library(&films, &options).unwrap();
    let broker = PrivateBroker::start(&work.path().join("broker")).unwrap();

    let fleet = Fleet::new("scan", &films, &broker);
    broker_that_is_not_ready(&fleet);
    verdicts(&fleet, &specs);
    scan_queues_only_what_is_new(&fleet, &specs);
    what_is_known_is_left_alone(&fleet);
    lost_messages_come_back(&fleet);

    let fleet = Fleet::new("failed", &films, &broker);
    dead_letters(&fleet);
    broker.stop().unwrap();
}

fn broker_that_is_not_ready(fleet: &Fleet<'_>) {
    let url = fleet.broker.url("scan", "nobody", "wrong");
    fleet.fails(&["scan", "--set", &format!("broker.url={url}")], 3, "does not accept user nobody");
    let url = fleet.broker.admin_url("none");
    fleet.fails(&["scan", "--set", &format!("broker.url={url}")], 3, "no access to virtual host");
    assert!(!fleet.path("state").exists(), "nothing was written");
    // A share that was set up, and a broker that was not (or lost its volume).
    fleet.share().init().unwrap();
    fleet.fails(&["scan"], 3, "has no dovi.work");
    assert!(fleet.queued().is_empty());
    let made = fleet.json(&["setup"]);
    assert!(made[1]["made"] == true && made[1]["text"].as_str().unwrap().contains("dovi.films"), "{made:?}");
    assert!(
        fleet.json(&["setup"]).iter().all(|l| l["made"] == false),
        "a second time there is nothing to do"
    );
    let checks = fleet.json(&["doctor"]);
    assert!(checks.iter().all(|c| c["level"] != "failed"), "{checks:?}");
}

fn verdicts(fleet: &Fleet<'_>, specs: &[FilmSpec]) {
    let (films, totals) = fleet.scan(&["scan", "--dry-run"]);
    assert_eq!(films.len(), specs.len());
    for spec in specs {
        let name = LibraryPath::new("films", &spec.path).unwrap().to_string();
        let film = &films[&name];
        let (action, code) = match spec.expected.outcome {
            Outcome::Done => ("queue", Value::Null),
            Outcome::Skipped => ("skip", "dv.not-profile7".into()),
            Outcome::Fails(code) => ("skip", code.into()),
        };
        assert_eq!((&film["action"], &film["code"]), (&action.into(), &code), "{}: {film}", spec.name);
        if let (Some(verdict), Outcome::Done | Outcome::Skipped) =
            (spec.expected.verdict, spec.expected.outcome)
        {
            assert_eq!(film["verdict"], verdict, "{}", spec.name);
        }
    }
    assert_eq!(totals["queue"], 7);
    assert!(fleet.queued().is_empty());
    fleet.holds("dovi.films", 0);

    // The whole film says the same as the samples.
    for spec in specs.iter().filter(|s| s.expected.outcome == Outcome::Done) {
        let path = fleet.path("lib").join(&spec.path);
        let mut command = Command::new(&fleet.program);
        let o = command.args(["inspect", "--json", "--full"]).arg(path).output().unwrap();
        let facts: Value = serde_json::from_slice(&o.stdout).unwrap();
        assert_eq!(
            (&facts["verdict"], &facts["frames"]),
            (&spec.expected.verdict.into(), &96.into()),
            "{facts}"
        );
        assert_eq!(facts["counts"]["rpus"], 96, "{}", spec.name);
    }
}

fn scan_queues_only_what_is_new(fleet: &Fleet<'_>, specs: &[FilmSpec]) {
    let (_, totals) = fleet.scan(&["scan", "--limit", "2"]);
    assert_eq!((&totals["queue"], fleet.queued().len()), (&2.into(), 2));
    assert!(totals["beyond_limit"].as_u64().unwrap() > 0, "{totals}");
    fleet.holds("dovi.films", 2);

    let (films, totals) = fleet.scan(&["scan"]);
    assert_eq!((&totals["queue"], &totals["queued"]), (&5.into(), &2.into()));
    assert_eq!(films.len(), specs.len());
    fleet.holds("dovi.films", 7);
    let (_, totals) = fleet.scan(&["scan"]);
    assert_eq!((&totals["queue"], &totals["queued"]), (&0.into(), &7.into()));
    fleet.holds("dovi.films", 7);

    // What the broker has is what the share says, and it survives the broker.
    let mut published = BTreeSet::new();
    for message in fleet.peek("dovi.films") {
        let job = JobMessage::parse(message["payload"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(message["properties"]["delivery_mode"], 2);
        assert_eq!(message["properties"]["message_id"], job.id.to_string());
        assert_eq!(fleet.share().read::<JobMessage>(Folder::Queued, job.id).unwrap().unwrap(), job);
        published.insert(job.id);
    }
    assert_eq!(published, fleet.queued());

    fs::copy(fleet.path("lib/fel.mkv"), fleet.path("lib/new.mkv")).unwrap();
    let (films, totals) = fleet.scan(&["scan"]);
    assert_eq!((&totals["queue"], &films["films:new.mkv"]["action"]), (&1.into(), &"queue".into()));
    fleet.holds("dovi.films", 8);
}

fn what_is_known_is_left_alone(fleet: &Fleet<'_>) {
    let other = ["scan", "--set", "recipe.crf=21"];
    let (films, totals) = fleet.scan(&other);
    assert_eq!(totals["queue"], 0);
    assert!(
        films["films:fel.mkv"]["reason"].as_str().unwrap().contains("with another recipe (x265 slow crf 18)")
    );

    let (films, _) = fleet.scan(&["scan", "films:fel.mkv"]);
    let job: JobId = films["films:fel.mkv"]["job"].as_str().unwrap().parse().unwrap();
    let message = fleet.share().read::<JobMessage>(Folder::Queued, job).unwrap().unwrap();
    fleet.share().settle(Folder::Done, job, &certificate(&message)).unwrap();
    let action = |args: &[&str]| fleet.scan(args).0["films:fel.mkv"]["action"].clone();
    assert_eq!(action(&["scan", "films:fel.mkv"]), "done");
    assert_eq!(action(&["scan", "films:fel.mkv", "--set", "recipe.crf=21"]), "done");
    assert_eq!(action(&["rescan", "films:fel.mkv"]), "done");
    let status = &fleet.json(&["status"])[0];
    assert_eq!((&status["counts"]["done"], &status["counts"]["queued"]), (&1.into(), &7.into()));
    assert_eq!(status["space_saved"], message.size - 1000);

    // By force, with another recipe: the old certificate goes, or a worker would take the film for done.
    assert_eq!(
        action(&["rescan", "--force", "--dry-run", "films:fel.mkv", "--set", "recipe.crf=21"]),
        "queue"
    );
    assert_eq!(fleet.share().ids(Folder::Done).unwrap().entries.len(), 1);
    assert_eq!(action(&["rescan", "--force", "films:fel.mkv", "--set", "recipe.crf=21"]), "queue");
    assert!(fleet.share().ids(Folder::Done).unwrap().entries.is_empty());
    fleet.holds("dovi.films", 9);
}

fn lost_messages_come_back(fleet: &Fleet<'_>) {
    assert_eq!(fleet.json(&["reconcile"]).last().unwrap()["published"], 0, "nothing is lost yet");
    fleet.drain();
    let dry = fleet.json(&["reconcile", "--dry-run"]);
    assert_eq!((dry.len(), &dry.last().unwrap()["waiting_on_share"]), (9, &8.into()), "{dry:?}");
    fleet.holds("dovi.films", 0);
    assert_eq!(fleet.json(&["reconcile"]).last().unwrap()["published"], 8);
    fleet.holds("dovi.films", 8);
    let published = fleet.peek("dovi.films").into_iter();
    let ids: BTreeSet<JobId> =
        published.map(|m| m["properties"]["message_id"].as_str().unwrap().parse().unwrap()).collect();
    assert_eq!(ids, fleet.queued());
}

fn dead_letters(fleet: &Fleet<'_>) {
    // The first scan makes share and queues by itself.
    let (_, totals) = fleet.scan(&["scan"]);
    assert_eq!(totals["queue"], 7);
    fleet.holds("dovi.films", 7);
    fleet.drain();
    let share = fleet.share();
    let jobs: Vec<JobMessage> =
        share.list::<JobMessage>(Folder::Queued).unwrap().entries.into_iter().map(|(_, job)| job).collect();
    let [both, letter_only, marker_only, dropped, again, ..] = jobs.as_slice() else { panic!("{jobs:?}") };
    for job in [both, marker_only, dropped, again] {
        share.settle(Folder::Failed, job.id, &report(job)).unwrap();
    }
    share.remove(Folder::Queued, letter_only.id).unwrap();
    for job in [both, letter_only, dropped, again] {
        fleet.publish_failed(&report(job));
    }
    let not_a_job = json!({"properties": {"message_id": "odd"}, "routing_key": "failed", "payload": "hello", "payload_encoding": "string"});
    let path = format!("/api/exchanges/{}/dovi.work/publish", fleet.vhost);
    assert_eq!(fleet.broker.api("POST", &path, Some(&not_a_job)).unwrap().1["routed"], true);
    fleet.holds("dovi.failed", 5);

    let list = fleet.json(&["failed", "list"]);
    let ids = |list: &[Value]| -> BTreeSet<String> {
        list.iter().map(|l| l["id"].as_str().unwrap().into()).collect()
    };
    assert_eq!((list.len(), ids(&list).contains("odd")), (6, true), "{list:?}");
    let (films, _) = fleet.scan(&["scan", "--dry-run"]);
    assert_eq!(films[&both.film.to_string()]["action"], "failed");

    let shown = fleet.run(&["failed", "show", &both.id.to_string()[..12]]);
    let text = String::from_utf8_lossy(&shown.stdout).into_owned();
    for part in [
        "encode.failed (transient)",
        "x265 [error]: no memory",
        "attempt 3, worker vm1",
        "report on the share: yes",
    ] {
        assert!(text.contains(part), "{part:?} is missing in\n{text}");
    }
    fleet.fails(&["failed", "retry", "ffff-none"], 2, "no failed film has an id");
    fleet.holds("dovi.failed", 5);

    // Retry: by a short id, with both, with only one of them.
    for job in [both, letter_only, marker_only] {
        let moved = fleet.json(&["failed", "retry", &job.id.to_string()[..16]]);
        assert_eq!((&moved[0]["what"], moved.len()), (&"retried".into(), 1), "{moved:?}");
        assert_eq!(share.read::<Value>(Folder::Failed, job.id).unwrap(), None);
        assert_eq!(share.read::<JobMessage>(Folder::Queued, job.id).unwrap().as_ref(), Some(job));
    }
    fleet.holds("dovi.films", 3);
    fleet.holds("dovi.failed", 3);
    for message in fleet.peek("dovi.films") {
        assert_eq!(message["properties"]["headers"]["x-attempt"], 0, "a retry begins anew: {message}");
    }

    // A film that is queued again from its path leaves no dead letter behind.
    fleet.scan(&["rescan", &again.film.to_string()]);
    fleet.holds("dovi.films", 4);
    fleet.holds("dovi.failed", 2);

    // Discard: the letter goes, the mark stays, and scan leaves the film alone until it is asked for by name.
    fleet.json(&["failed", "discard", &dropped.id.to_string(), "odd"]);
    fleet.holds("dovi.failed", 0);
    let list = fleet.json(&["failed", "list"]);
    assert_eq!((list.len(), &list[0]["discarded"]), (1, &true.into()), "{list:?}");
    let name = dropped.film.to_string();
    assert_eq!(fleet.scan(&["scan"]).0[&name]["action"], "failed");
    assert_eq!(fleet.json(&["failed", "retry", "--all"]).len(), 0, "what was discarded is not in --all");
    assert_eq!(fleet.scan(&["rescan", &name]).0[&name]["action"], "queue");
    fleet.holds("dovi.films", 5);

    // A letter that is no job cannot be retried, and stays.
    fleet.broker.api("POST", &path, Some(&not_a_job)).unwrap();
    fleet.holds("dovi.failed", 1);
    let o = fleet.run(&["failed", "retry", "--all"]);
    assert_eq!(o.status.code(), Some(1), "{}", String::from_utf8_lossy(&o.stderr));
    fleet.holds("dovi.failed", 1);
}

fn report(job: &JobMessage) -> FailureReport {
    let code = FailureCode::EncodeFailed;
    FailureReport {
        v: 1,
        job: Some(job.clone()),
        code,
        class: code.class(),
        stage: "encode".into(),
        summary: "ffmpeg stopped".into(),
        hint: code.hint().into(),
        causes: Vec::new(),
        tool: Some(common::job::ToolReport {
            command: "ffmpeg".into(),
            outcome: "exit status 1".into(),
            tail: vec!["x265 [error]: no memory".into()],
        }),
        attempt: 3,
        worker: "vm1".into(),
        at: job.queued_at,
        log: None,
        raw: None,
        discarded_at: None,
    }
}

fn certificate(job: &JobMessage) -> Certificate {
    let facts = |size| FileFacts { path: "/x".into(), size, mtime_ns: job.mtime_ns };
    Certificate {
        v: 1,
        job: Some(job.id),
        film: Some(job.film.to_string()),
        source: facts(job.size),
        result: facts(1000),
        verdict: job.verdict.clone(),
        evidence: String::new(),
        recipe: Some(job.recipe.clone()),
        frames: 96,
        wrong_frames: 0,
        checks: Vec::new(),
        notices: Vec::new(),
        tools: ToolVersions::default(),
        stages: Vec::new(),
        worker: "vm1".into(),
        at: job.queued_at,
    }
}
