//! A fleet of its own for each test: library, share, results, scratch and virtual host.

use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use common::broker::{BrokerOptions, Depths, Outgoing, Publisher, Route, depths, topology};
use common::job::{Certificate, FailureReport, JobMessage, LibraryPath, Mode, Recipe};
use common::share::{Entry, Folder, Journal, LeaseInfo, ResultsFolder, ShareState, WorkerInfo};
use e2e::broker::PrivateBroker;
use e2e::films::{FilmSpec, Layers, Studio, truth};
use e2e::{tool, wait};

pub const SOON: Duration = Duration::from_secs(60);
/// On a machine that is busy with other tests.
pub const ENCODED: Duration = Duration::from_secs(240);

pub struct Fleet {
    dir: tempfile::TempDir,
    pub options: BrokerOptions,
    runtime: tokio::runtime::Runtime,
    studio: Rc<RefCell<Studio>>,
}

impl Fleet {
    pub fn new(broker: &PrivateBroker, studio: &Rc<RefCell<Studio>>, vhost: &str) -> Self {
        broker.add_vhost(vhost).unwrap();
        let url = broker.admin_url(vhost);
        let options =
            BrokerOptions::new(&url, "", "").unwrap().retry_delays([1, 1, 1].map(Duration::from_secs));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(topology::declare(&options)).unwrap();
        let fleet = Self { dir: tempfile::tempdir().unwrap(), options, runtime, studio: studio.clone() };
        ["lib", "out", "scratch", "state"].iter().for_each(|d| fs::create_dir(fleet.path(d)).unwrap());
        let at = |p: &str| fleet.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = {url:?}\nheartbeat_s = 5\ntimeout_s = 5\nretry_delays_s = [1, 1, 1]\n\
             [library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n[scratch]\ndir = {:?}\n\
             [recipe]\npreset = \"ultrafast\"\n[worker]\nbeat_s = 0.3\nstale_s = 600\npause_s = 0.5\n",
            at("lib"),
            at("state"),
            at("out"),
            at("scratch")
        );
        fs::write(fleet.path("config.toml"), config).unwrap();
        fleet
    }

    /// Lays the state folder out, once that is mounted.
    pub fn ready(&self) {
        self.share().init().unwrap();
    }

    pub fn path(&self, p: &str) -> PathBuf {
        self.dir.path().join(p)
    }

    pub fn share(&self) -> ShareState {
        ShareState::new(self.path("state"))
    }

    /// Makes a film and its job; `preset` decides how long the encode takes.
    pub fn film(&self, spec: &FilmSpec, preset: &str) -> JobMessage {
        let path = self.path("lib").join(&spec.path);
        self.studio.borrow_mut().make(&path, spec).unwrap();
        let now = consumer::pipeline::Source::of(&path).unwrap();
        let film = LibraryPath::new("films", &spec.path).unwrap();
        let recipe = Recipe { mode: Mode::Encode, preset: preset.into(), ..Recipe::default() };
        JobMessage::new(film, now.size, now.mtime_ns, recipe, "MEL".into())
    }

    /// Queues a film as the producer does.
    pub fn publish(&self, job: &JobMessage) {
        self.hand_in(job);
        self.share().write(Folder::Queued, job.id, job).unwrap();
    }

    /// On the broker alone: the share may be full.
    pub fn hand_in(&self, job: &JobMessage) {
        let publisher = Publisher::new(self.options.clone());
        self.runtime.block_on(publisher.publish(Route::Film, &Outgoing::job(job).unwrap())).unwrap();
    }

    pub fn worker(&self, name: &str, args: &[&str]) -> Worker {
        let log = self.path(&format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_consumer-under-test"));
        command.arg("run").args(args).arg("--config").arg(self.path("config.toml"));
        command.env("DOVI_FLEET__WORKER__NAME", name).current_dir(self.dir.path());
        let child = command.stderr(fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Worker { child, log }
    }

    /// What the producer program prints.
    pub fn producer(&self, args: &[&str]) -> String {
        let mut command = tool::command(env!("CARGO_BIN_EXE_producer-under-test"));
        command.args(args).arg("--config").arg(self.path("config.toml")).current_dir(self.dir.path());
        String::from_utf8(tool::run(&mut command).unwrap()).unwrap()
    }

    /// What a worker says of itself.
    pub fn seen(&self, worker: &str) -> Option<WorkerInfo> {
        let (all, warnings) = self.share().workers().unwrap();
        assert_eq!(warnings, [] as [String; 0]);
        all.into_iter().map(|seen| seen.info).find(|info| info.name == worker)
    }

    pub fn depths(&self) -> Depths {
        self.runtime.block_on(depths(&self.options)).unwrap()
    }

    /// Waiting films, at once or later.
    pub fn waiting(&self) -> u32 {
        let depths = self.depths();
        depths.films.ready + depths.retrying()
    }

    pub fn certificate(&self, job: &JobMessage) -> Option<Certificate> {
        self.share().read(Folder::Done, job.id).unwrap()
    }

    pub fn report(&self, job: &JobMessage) -> Option<FailureReport> {
        self.share().read(Folder::Failed, job.id).unwrap()
    }

    pub fn journal(&self, job: &JobMessage) -> Vec<Entry> {
        Journal::of(&self.share(), job.id).entries().unwrap()
    }

    pub fn lease(&self, job: &JobMessage) -> Option<LeaseInfo> {
        self.share().read_lease(job.id).ok().flatten()
    }

    pub fn encoding(&self, job: &JobMessage) -> Option<LeaseInfo> {
        self.lease(job).filter(|l| l.progress.stage == "encode" && l.progress.percent > 5.0)
    }

    pub fn result(&self, spec: &FilmSpec) -> PathBuf {
        self.path("out/films").join(format!("{} [DV8].mkv", spec.path.file_stem().unwrap().to_str().unwrap()))
    }

    /// Hidden files and scratch folders of unfinished work, wherever they could be; but for the temporary file of a beat, which a
    /// worker leaves that is killed in just that moment, and which the janitor takes a day later.
    pub fn left(&self) -> Vec<PathBuf> {
        let list = |dir: &str| match fs::read_dir(self.path(dir)) {
            Ok(entries) => entries.map(|e| e.unwrap().path()).collect::<Vec<_>>(),
            Err(_) => Vec::new(),
        };
        let hidden = |p: &PathBuf| p.file_name().unwrap().to_string_lossy().starts_with('.');
        let mut all: Vec<PathBuf> = list("scratch").into_iter().filter(|p| !p.ends_with("ballast")).collect();
        for dir in ["out", "out/films", "state/queued", "state/leases", "state/done", "state/failed"] {
            all.extend(list(dir).into_iter().filter(hidden));
        }
        let beat = |p: &PathBuf| {
            p.starts_with(self.path("state/leases")) && p.extension().is_some_and(|e| e == "tmp")
        };
        let marker = ResultsFolder::new(self.path("out")).marker();
        all.retain(|p| !beat(p) && *p != marker);
        all
    }

    /// Converted, proven, and nothing left of the work.
    pub fn proven(&self, spec: &FilmSpec, job: &JobMessage) {
        let certificate = self.certificate(job).expect("a certificate");
        assert!(certificate.holds() && certificate.job == Some(job.id), "{certificate:#?}");
        let wrong = truth::wrong_frames(&self.result(spec), spec).unwrap();
        assert!(wrong.is_clean(), "{wrong:?}");
        wait::until(SOON, "the lease given back", || self.lease(job).is_none()).unwrap();
        wait::until(SOON, "a tidy place", || self.left().is_empty())
            .unwrap_or_else(|e| panic!("{e}: {:?}", self.left()));
        assert!(self.share().ids(Folder::Queued).unwrap().entries.iter().all(|(id, ())| *id != job.id));
    }

    /// No attempt at it was counted.
    pub fn unburned(&self, job: &JobMessage) {
        let entries = self.journal(job);
        assert!(entries.iter().all(|e| e.attempt == 1), "{entries:#?}");
    }

    /// A script in the place of a program.
    pub fn script(&self, name: &str, text: &str) -> String {
        let path = self.path(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        path.display().to_string()
    }
}

pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn said(&self, words: &str) -> usize {
        self.log().matches(words).count()
    }

    pub fn ends(mut self, within: Duration) -> i32 {
        let ended = wait::until_some(within, "the worker's end", || self.child.try_wait().unwrap());
        let log = self.log();
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

pub fn mel(name: &'static str) -> FilmSpec {
    FilmSpec::new(name, Layers::Mel).frames(72).size(320, 180)
}

/// [`wait::until`] that shows the worker's log if it was in vain.
pub fn until(worker: &Worker, within: Duration, what: &str, condition: impl FnMut() -> bool) {
    wait::until(within, what, condition).unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
}

/// A file system of its own in memory; gone when dropped.
pub struct Disk(PathBuf);

impl Disk {
    /// `None`, and said so, where this user may not mount.
    pub fn mount(dir: &Path, megabytes: u32) -> Option<Self> {
        let size = format!("size={megabytes}m");
        let mounted =
            Command::new("mount").args(["-t", "tmpfs", "-o", &size, "dovi-test"]).arg(dir).output().unwrap();
        if !mounted.status.success() {
            println!("SKIPPED: no mount here: {}", String::from_utf8_lossy(&mounted.stderr).trim());
            return None;
        }
        Some(Self(dir.to_owned()))
    }

    /// Fills it up to its last pages of 4096 bytes.
    pub fn fill(&self, pages_left: u64) {
        use std::io::Write;
        let mut ballast = fs::File::create(self.0.join("ballast")).unwrap();
        let chunk = vec![0x5a; 1 << 20];
        while ballast.write_all(&chunk).is_ok() {}
        while ballast.write_all(&chunk[..4096]).is_ok() {}
        let full = ballast.metadata().unwrap().len();
        ballast.set_len(full - full.min(pages_left * 4096)).unwrap();
    }

    pub fn free(&self) {
        fs::remove_file(self.0.join("ballast")).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily: a program that the test could not end may still have a file open there.
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}
