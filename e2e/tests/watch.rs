//! `dovi-producer watch` beside a real library, share and broker.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::{Duration, Instant, SystemTime};

use common::broker::{BrokerOptions, depths};
use common::job::JobMessage;
use common::share::{Folder, ShareState};
use e2e::broker::PrivateBroker;
use e2e::films::{FilmSet, LibraryOptions, make_library};
use e2e::wait;
use rustix::process::{Pid, Signal, kill_process};

const SOON: Duration = Duration::from_secs(30);
const STABLE: Duration = Duration::from_secs(2);
const VHOST: &str = "watch";

struct Place {
    dir: tempfile::TempDir,
    broker: PrivateBroker,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let broker = PrivateBroker::start(&dir.path().join("broker")).unwrap();
        broker.add_vhost(VHOST).unwrap();
        let place = Self { dir, broker };
        let at = |p: &str| place.path(p).display().to_string();
        let config = format!(
            "[broker]\nurl = {:?}\ntimeout_s = 5\n[library]\nstable_s = {}\n[library.roots]\nfilms = {:?}\n\
             [share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n[worker]\npause_s = 0.3\n\
             [watch]\ninterval_s = 600\nquiet_s = 0.1\nhealth_file = {:?}\n",
            place.broker.admin_url(VHOST),
            STABLE.as_secs(),
            at("lib"),
            at("state"),
            at("out"),
            at("health.json"),
        );
        fs::write(place.path("config.toml"), config).unwrap();
        place
    }

    fn path(&self, p: &str) -> PathBuf {
        self.dir.path().join(p)
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_producer-under-test"));
        command.args(["watch", "--config"]).arg(self.path("config.toml")).args(args);
        command
    }

    fn health(&self) -> Output {
        self.command(&["--health"]).output().unwrap()
    }

    fn queued(&self) -> Vec<JobMessage> {
        let share = ShareState::new(self.path("state"));
        share
            .list::<JobMessage>(Folder::Queued)
            .map(|l| l.entries)
            .unwrap_or_default()
            .into_iter()
            .map(|(_, m)| m)
            .collect()
    }

    #[track_caller]
    fn queues(&self, films: usize) {
        let waited = wait::until(SOON, "films in the ledger", || self.queued().len() >= films);
        assert!(waited.is_ok(), "{films} films should be queued: {:?}", self.queued());
        assert_eq!(self.queued().len(), films);
    }

    /// What the broker has: one message for each film, none twice.
    fn ready(&self) -> u32 {
        let options = BrokerOptions::new(&self.broker.admin_url(VHOST), "", "").unwrap();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(depths(&options)).unwrap().films.ready
    }
}

/// The program, with its log in a file.
struct Watching {
    child: Child,
    log: PathBuf,
}

impl Watching {
    fn begin(mut command: Command, log: PathBuf) -> Self {
        let child = command.stderr(File::create(&log).unwrap()).spawn().unwrap();
        Self { child, log }
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    #[track_caller]
    fn says(&self, what: &str) {
        let waited = wait::until(SOON, what, || self.log().contains(what));
        assert!(waited.is_ok(), "no {what:?} in\n{}", self.log());
    }

    fn times(&self, what: &str) -> usize {
        self.log().matches(what).count()
    }

    #[track_caller]
    fn ends(mut self) -> String {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        let mut status = None;
        wait::until(SOON, "the end", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        })
        .unwrap();
        assert_eq!(status.and_then(|s| s.code()), Some(0), "{}", self.log());
        self.log()
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Two small films: one to be converted, one that is left alone.
fn films(dir: &Path) -> (PathBuf, PathBuf) {
    let only = ["mel-closed-gop", "p81"].map(str::to_owned).to_vec();
    let options = LibraryOptions { set: FilmSet::Full, frames: 72, width: 320, height: 180, only };
    let specs = make_library(dir, &options).unwrap();
    let path = |name| dir.join(&specs.iter().find(|s| s.name == name).unwrap().path);
    (path("mel-closed-gop"), path("p81"))
}

/// Puts a film there at once, complete for long.
fn appears(from: &Path, to: &Path) {
    let hidden = to.with_file_name(".arriving");
    fs::create_dir_all(to.parent().unwrap()).unwrap();
    fs::copy(from, &hidden).unwrap();
    let old = SystemTime::now() - Duration::from_secs(3600);
    File::options().write(true).open(&hidden).unwrap().set_modified(old).unwrap();
    fs::rename(&hidden, to).unwrap();
}

#[test]
fn a_library_that_is_watched() {
    let place = Place::new();
    let (film, other) = films(&place.path("made"));
    assert_eq!(place.health().status.code(), Some(1), "it does not run yet");

    // The library is not mounted yet.
    let watching = Watching::begin(place.command(&[]), place.path("log"));
    watching.says("waiting: the library root films is not there");
    wait::until(SOON, "the health check", || {
        let o = place.health();
        o.status.code() == Some(1) && String::from_utf8_lossy(&o.stderr).contains("waiting: the library root")
    })
    .unwrap();
    appears(&other, &place.path("mount/B Film/b.mkv"));
    fs::rename(place.path("mount"), place.path("lib")).unwrap();
    watching.says("all is there again");
    watching.says("1 film: 0 queued now, 1 skipped");
    wait::until(SOON, "health", || place.health().status.code() == Some(0)).unwrap();
    assert_eq!(watching.times("waiting:"), 1, "{}", watching.log());

    // A film that takes longer to arrive than a film may be silent.
    let bytes = fs::read(&film).unwrap();
    let path = place.path("lib/A Film/a.mkv");
    fs::create_dir(path.parent().unwrap()).unwrap();
    let mut file = File::create(&path).unwrap();
    let (first, rest) = bytes.split_at(bytes.len() / 2);
    file.write_all(first).unwrap();
    let (began, mut parts) = (Instant::now(), rest.chunks(64));
    // It arrives for longer than a film may be silent, and until a scan has met it.
    let mut looks = 0;
    wait::until(SOON, "a scan that meets it", || {
        looks += 1;
        // Now and then, so that there are quiet times.
        if looks % 8 == 0 {
            file.write_all(parts.next().unwrap()).unwrap();
        }
        assert!(place.queued().is_empty(), "it was queued before it was whole\n{}", watching.log());
        began.elapsed() > STABLE * 2 && watching.log().contains("1 still being copied")
    })
    .unwrap();
    parts.for_each(|part| file.write_all(part).unwrap());
    drop(file);
    place.queues(1);
    assert_eq!(place.queued()[0].size, bytes.len() as u64);
    watching.says("queued films:A Film/a.mkv (");

    // Half a film that is given up, and a film that nobody wants, which is looked at in the same scan as what follows.
    let half = place.path("lib/C Film/c.mkv");
    fs::create_dir(half.parent().unwrap()).unwrap();
    fs::write(&half, &bytes[..bytes.len() / 2]).unwrap();
    watching.says("3 films: 0 queued now, 1 queued already, 1 skipped, 1 still being copied");
    fs::remove_file(&half).unwrap();
    appears(&film, &place.path("lib/D Film/d.mkv"));
    place.queues(2);
    assert_eq!(place.ready(), 2);
    watching.ends();
    assert!(!place.path("health.json").exists());
}

#[test]
fn what_is_gone_comes_back() {
    let mut place = Place::new();
    let (film, _) = films(&place.path("made"));
    appears(&film, &place.path("lib/A/a.mkv"));
    let watching = Watching::begin(place.command(&[]), place.path("log"));
    place.queues(1);

    place.broker.kill9().unwrap();
    appears(&film, &place.path("lib/B/b.mkv"));
    watching.says("waiting: failed to reach the broker");
    place.broker.restart().unwrap();
    place.queues(2);

    fs::rename(place.path("state"), place.path("unmounted")).unwrap();
    appears(&film, &place.path("lib/C/c.mkv"));
    watching.says("waiting: the share");
    fs::rename(place.path("unmounted"), place.path("state")).unwrap();
    place.queues(3);

    // A library that is mounted anew is another folder under the same name.
    fs::rename(place.path("lib"), place.path("old")).unwrap();
    appears(&film, &place.path("new/A/a.mkv"));
    fs::rename(place.path("new"), place.path("lib")).unwrap();
    appears(&film, &place.path("lib/D/d.mkv"));
    watching.ends();

    // Without events, by interval.
    let watching = Watching::begin(
        place.command(&["--set", "watch.events=false", "--set", "watch.interval_s=1"]),
        place.path("log2"),
    );
    place.queues(4);
    appears(&film, &place.path("lib/E/e.mkv"));
    place.queues(5);
    assert_eq!(place.ready(), 5);
    let log = watching.ends();
    assert_eq!(log.matches("queued films:").count(), 2, "one line for each scan with something new\n{log}");
}

/// The kernel's limit for one user of a user namespace of its own.
#[test]
fn a_tree_with_too_many_folders_is_scanned_by_interval() {
    if !Command::new("unshare").args(["-Ur", "true"]).status().is_ok_and(|s| s.success()) {
        eprintln!("skipped: this machine has no user namespaces for us");
        return;
    }
    let place = Place::new();
    let (film, _) = films(&place.path("made"));
    for n in 0..8 {
        appears(&film, &place.path(&format!("lib/{n}/{n}.mkv")));
    }
    let mut limited = Command::new("unshare");
    let script = "echo 4 >/proc/sys/user/max_inotify_watches && exec \"$@\"";
    let inner = place.command(&["--set", "watch.interval_s=1"]);
    limited.args(["-Ur", "sh", "-c", script, "sh"]).arg(inner.get_program()).args(inner.get_args());
    let watching = Watching::begin(limited, place.path("log"));
    watching.says("sysctl fs.inotify.max_user_watches=");
    place.queues(8);
    appears(&film, &place.path("lib/7/more.mkv"));
    place.queues(9);
    assert_eq!(watching.times("is reached"), 1, "{}", watching.log());
    watching.ends();
}
