//! The worker program against a real broker: whole films, dead letters, and every way of being interrupted.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::sync::OnceLock;
use std::time::Duration;

use common::broker::{BrokerOptions, Depths, Outgoing, Publisher, Route, Session, depths, topology};
use common::job::{Certificate, FailureCode, FailureReport, JobMessage, LibraryPath, Mode, Recipe};
use common::share::{Folder, Journal, LeaseInfo, ShareState};
use e2e::broker::PrivateBroker;
use e2e::films::{FileDamage, FilmSpec, Layers, Studio, truth};
use e2e::wait;

const SOON: Duration = Duration::from_secs(60);
/// On a machine that is busy with other tests.
const ENCODED: Duration = Duration::from_secs(240);

/// A fleet of its own: library, share, results, scratch and virtual host.
struct Fleet {
    dir: tempfile::TempDir,
    options: BrokerOptions,
    program: PathBuf,
    runtime: tokio::runtime::Runtime,
    studio: Rc<RefCell<Studio>>,
}

impl Fleet {
    fn new(broker: &PrivateBroker, studio: &Rc<RefCell<Studio>>, vhost: &str) -> Self {
        broker.add_vhost(vhost).unwrap();
        let url = broker.admin_url(vhost);
        let delays = [1, 1, 1].map(Duration::from_secs);
        let options = BrokerOptions::new(&url, "", "").unwrap().retry_delays(delays);
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(topology::declare(&options)).unwrap();
        let fleet = Self {
            dir: tempfile::tempdir().unwrap(),
            options,
            program: PROGRAM.get_or_init(build).clone(),
            runtime,
            studio: studio.clone(),
        };
        ["lib", "out", "scratch"].iter().for_each(|d| fs::create_dir(fleet.path(d)).unwrap());
        fleet.share().init().unwrap();
        let at = |p: &str| fleet.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = {url:?}\nheartbeat_s = 5\ntimeout_s = 5\nretry_delays_s = [1, 1, 1]\n\
             [library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n[scratch]\ndir = {:?}\n\
             [worker]\nbeat_s = 0.3\nstale_s = 60\npause_s = 0.5\n[retry]\nmax_attempts = 2\n",
            at("lib"),
            at("state"),
            at("out"),
            at("scratch")
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

    /// Makes a film and its job; `preset` decides how long the encode takes.
    fn film(&self, spec: &FilmSpec, preset: &str) -> JobMessage {
        let path = self.path("lib").join(&spec.path);
        self.studio.borrow_mut().make(&path, spec).unwrap();
        let now = consumer::pipeline::Source::of(&path).unwrap();
        let film = LibraryPath::new("films", &spec.path).unwrap();
        let recipe = Recipe { mode: Mode::Encode, preset: preset.into(), ..Recipe::default() };
        JobMessage::new(film, now.size, now.mtime_ns, recipe, "MEL".into())
    }

    fn publish(&self, job: &JobMessage) {
        let publisher = Publisher::new(self.options.clone());
        self.runtime.block_on(publisher.publish(Route::Film, &Outgoing::job(job).unwrap())).unwrap();
        self.share().write(Folder::Queued, job.id, job).unwrap();
    }

    fn worker(&self, name: &str, args: &[&str]) -> Worker {
        let log = self.path(&format!("{name}.log"));
        let mut command = Command::new(&self.program);
        command.arg("run").args(args).arg("--config").arg(self.path("config.toml"));
        command.env("DOVI_FLEET__WORKER__NAME", name).current_dir(self.dir.path());
        let child = command.stderr(fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Worker { child, log }
    }

    fn depths(&self) -> Depths {
        self.runtime.block_on(depths(&self.options)).unwrap()
    }

    fn certificate(&self, job: &JobMessage) -> Option<Certificate> {
        self.share().read(Folder::Done, job.id).unwrap()
    }

    fn report(&self, job: &JobMessage) -> Option<FailureReport> {
        self.share().read(Folder::Failed, job.id).unwrap()
    }

    fn encoding(&self, job: &JobMessage) -> Option<LeaseInfo> {
        let lease = self.share().read_lease(job.id).ok().flatten();
        lease.filter(|l| l.progress.stage == "encode" && l.progress.percent > 5.0)
    }

    fn result(&self, spec: &FilmSpec) -> PathBuf {
        self.path("out/films").join(format!("{} [DV8].mkv", spec.path.file_stem().unwrap().to_str().unwrap()))
    }

    /// Hidden files of unfinished work, in scratch or beside results.
    fn left(&self) -> Vec<PathBuf> {
        let list = |dir: &Path| fs::read_dir(dir).map(|d| d.map(|e| e.unwrap().path()).collect::<Vec<_>>());
        let mut all = list(&self.path("scratch")).unwrap();
        let hidden = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with('.');
        all.extend(list(&self.path("out/films")).unwrap_or_default().into_iter().filter(hidden));
        all
    }

    fn proven(&self, spec: &FilmSpec, job: &JobMessage) {
        let certificate = self.certificate(job).expect("a certificate");
        assert!(certificate.holds() && certificate.job == Some(job.id), "{certificate:#?}");
        let wrong = truth::wrong_frames(&self.result(spec), spec).unwrap();
        assert!(wrong.is_clean(), "{wrong:?}");
        assert_eq!(self.left(), [] as [PathBuf; 0]);
        assert!(self.share().read_lease(job.id).unwrap().is_none());
        assert!(self.share().ids(Folder::Queued).unwrap().entries.iter().all(|(id, ())| *id != job.id));
    }
}

struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    fn ends(mut self, within: Duration) -> i32 {
        let ended = wait::until_some(within, "the worker's end", || self.child.try_wait().unwrap());
        let log = fs::read_to_string(&self.log).unwrap();
        ended.unwrap_or_else(|e| panic!("{e}\n{log}")).code().unwrap_or_else(|| panic!("killed\n{log}"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Built once: each build waits for whatever else is being built.
static PROGRAM: OnceLock<PathBuf> = OnceLock::new();

fn build() -> PathBuf {
    env!("CARGO_BIN_EXE_consumer-under-test").into()
}

fn mel(name: &'static str) -> FilmSpec {
    FilmSpec::new(name, Layers::Mel).frames(72).size(320, 180)
}

#[test]
fn workers_and_a_real_broker() {
    let dir = tempfile::tempdir().unwrap();
    let mut broker = PrivateBroker::start(dir.path()).unwrap();
    let studio = Rc::new(RefCell::new(Studio::open().unwrap()));
    films_are_converted_and_others_are_buried(&Fleet::new(&broker, &studio, "mixed"));
    a_failing_encoder_is_tried_again_and_then_given_up(&Fleet::new(&broker, &studio, "transient"));
    a_missing_share_pauses_the_worker(&Fleet::new(&broker, &studio, "share"));
    told_to_stop_the_film_goes_back_uncounted(&Fleet::new(&broker, &studio, "drain"));
    a_killed_worker_is_replaced_at_once(&Fleet::new(&broker, &studio, "kill"));
    let fleet = Fleet::new(&broker, &studio, "link");
    a_killed_broker_does_not_stop_the_film(&fleet, &mut broker);
}

fn films_are_converted_and_others_are_buried(fleet: &Fleet) {
    let (good, cut) = (mel("good"), mel("cut").file_damage(FileDamage::Truncated(60), "source.truncated"));
    let (good_job, cut_job) = (fleet.film(&good, "ultrafast"), fleet.film(&cut, "ultrafast"));
    for job in [&good_job, &cut_job, &good_job] {
        fleet.publish(job);
    }
    let mut odd = fleet.film(&mel("odd"), "ultrafast");
    odd.size += 1; // the id no longer fits the content
    let publisher = Publisher::new(fleet.options.clone());
    fleet.runtime.block_on(publisher.publish(Route::Film, &Outgoing::job(&odd).unwrap())).unwrap();

    assert_eq!(fleet.worker("w1", &["--idle-exit", "3"]).ends(ENCODED), 0);
    fleet.proven(&good, &good_job);
    let report = fleet.report(&cut_job).unwrap();
    assert_eq!(
        (report.code, report.attempt, report.worker.as_str()),
        (FailureCode::SourceTruncated, 1, "w1")
    );
    assert!(fleet.share().dir().join(report.log.unwrap()).parent().unwrap().is_dir());
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.retrying(), depths.failed.ready), (0, 0, 2), "{depths:?}");
    assert!(!fleet.result(&cut).exists());
    what_was_given_up_is_not_tried_again(fleet, &cut_job);
}

/// A second copy of its message adds nothing. One that was handed out before may be the only trace of a dead letter that a
/// dying worker could not write any more.
fn what_was_given_up_is_not_tried_again(fleet: &Fleet, job: &JobMessage) {
    let starts = || Journal::open(&fleet.share(), job.id).unwrap().entries().unwrap().len();
    let before = starts();
    fleet.publish(job);
    assert_eq!(fleet.worker("w2", &["--idle-exit", "3"]).ends(SOON), 0);
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.failed.ready), (0, 2), "{depths:?}");

    fleet.publish(job);
    fleet.runtime.block_on(async {
        let mut session = Session::open(&fleet.options).await.unwrap();
        drop(session.next().await.unwrap());
    });
    assert_eq!(fleet.worker("w3", &["--idle-exit", "3"]).ends(SOON), 0);
    let depths = fleet.depths();
    assert_eq!((depths.films.ready, depths.failed.ready), (0, 3), "{depths:?}");
    assert_eq!(starts(), before, "nothing was begun");
    assert!(fleet.share().ids(Folder::Queued).unwrap().entries.is_empty());
}

fn a_failing_encoder_is_tried_again_and_then_given_up(fleet: &Fleet) {
    let spec = mel("film");
    let job = fleet.film(&spec, "ultrafast");
    fleet.publish(&job);
    let ffmpeg = fleet.path("ffmpeg");
    let script = "#!/bin/sh\ncase \"$*\" in *lavfi* | *self-test*) ;; *'-f hevc pipe:1'*) echo 'out of cheese' >&2; exit 3;; esac\nexec ffmpeg \"$@\"\n";
    fs::write(&ffmpeg, script).unwrap();
    fs::set_permissions(&ffmpeg, fs::Permissions::from_mode(0o755)).unwrap();
    let set = format!("tools.ffmpeg={}", ffmpeg.display());
    let worker = fleet.worker("w1", &["--set", &set]);
    wait::until(SOON, "the dead letter", || fleet.depths().failed.ready == 1).unwrap();
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 0);
    let report = fleet.report(&job).unwrap();
    assert_eq!((report.code, report.attempt), (FailureCode::EncodeFailed, 2));
    let tool = report.tool.unwrap();
    assert!(tool.tail.contains(&"out of cheese".to_owned()) && tool.outcome.contains('3'), "{tool:?}");
    let logs = fs::read_dir(fleet.share().log_path(job.id)).unwrap().count();
    assert_eq!(logs, 3, "two attempts and the journal");
    assert_eq!(fleet.left(), [] as [PathBuf; 0]);
}

fn a_missing_share_pauses_the_worker(fleet: &Fleet) {
    let spec = mel("film");
    let job = fleet.film(&spec, "ultrafast");
    fleet.publish(&job);
    let (sentinel, away) = (fleet.path("state/sentinel"), fleet.path("state/away"));
    fs::rename(&sentinel, &away).unwrap();
    let worker = fleet.worker("w1", &["--idle-exit", "3"]);
    wait::until(SOON, "a word about the share", || {
        fs::read_to_string(&worker.log).unwrap().contains("share.gone")
    })
    .unwrap();
    assert_eq!(fleet.depths().films.ready, 1, "a worker without its share must take nothing");
    fs::rename(&away, &sentinel).unwrap();
    assert_eq!(worker.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
}

fn told_to_stop_the_film_goes_back_uncounted(fleet: &Fleet) {
    let spec = mel("film").frames(480);
    let job = fleet.film(&spec, "medium");
    fleet.publish(&job);
    let worker = fleet.worker("w1", &["--drain", "now"]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job)).unwrap();
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 4);
    assert_eq!(fleet.depths().films.ready, 1);
    assert!(fleet.share().read_lease(job.id).unwrap().is_none());
    assert_eq!(fleet.left(), [] as [PathBuf; 0]);
    let crashes = Journal::open(&fleet.share(), job.id).unwrap().crashes().unwrap();
    assert_eq!(crashes.count, 0, "a stop is no crash");

    // Without --drain the film in hand is finished.
    let worker = fleet.worker("w2", &[]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job)).unwrap();
    worker.signal("TERM");
    assert_eq!(worker.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
    let entries = Journal::open(&fleet.share(), job.id).unwrap().entries().unwrap();
    assert!(entries.iter().all(|e| e.attempt == 1), "{entries:?}");
    assert_eq!(fleet.depths().films.ready, 0);
}

fn a_killed_worker_is_replaced_at_once(fleet: &Fleet) {
    let spec = mel("film").frames(480);
    let job = fleet.film(&spec, "medium");
    fleet.publish(&job);
    let first = fleet.worker("w1", &[]);
    wait::until_some(ENCODED, "the encode", || fleet.encoding(&job)).unwrap();
    drop(first); // SIGKILL
    let second = fleet.worker("w2", &["--idle-exit", "5"]);
    assert_eq!(second.ends(ENCODED), 0);
    fleet.proven(&spec, &job);
    assert_eq!(fleet.certificate(&job).unwrap().worker, "w2");
    assert_eq!(Journal::open(&fleet.share(), job.id).unwrap().crashes().unwrap().count, 1);
}

fn a_killed_broker_does_not_stop_the_film(fleet: &Fleet, broker: &mut PrivateBroker) {
    let spec = mel("film").frames(480);
    let job = fleet.film(&spec, "medium");
    fleet.publish(&job);
    let worker = fleet.worker("w1", &["--idle-exit", "5"]);
    let lease = wait::until_some(ENCODED, "the encode", || fleet.encoding(&job)).unwrap();
    broker.kill9().unwrap();
    wait::until(ENCODED, "the certificate", || fleet.certificate(&job).is_some()).unwrap();
    broker.restart().unwrap();
    // It connects again, gets the film once more, sees that it is done, and then has nothing to do.
    assert_eq!(worker.ends(SOON), 0);
    fleet.proven(&spec, &job);
    let entries = Journal::open(&fleet.share(), job.id).unwrap().entries().unwrap();
    assert!(entries.iter().all(|e| e.run == lease.token), "it was begun once: {entries:?}");
    assert_eq!(fleet.depths().films.ready, 0);
}
