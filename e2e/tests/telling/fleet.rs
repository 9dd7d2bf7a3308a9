//! A fleet whose worker tells seven targets at one server.

use std::fs;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use common::broker::{BrokerOptions, Outgoing, Publisher, Route, topology};
use common::http::{Answer, Client, Request};
use common::job::{JobMessage, LibraryPath, Recipe};
use common::share::{Folder, ShareState};
use e2e::broker::PrivateBroker;
use e2e::films::{FilmSpec, Studio};
use e2e::listener::{Heard, Reply};
use e2e::{tool, wait};

pub const SOON: Duration = Duration::from_secs(240);

pub struct Fleet {
    dir: tempfile::TempDir,
    pub options: BrokerOptions,
    runtime: tokio::runtime::Runtime,
    pub metrics: String,
}

/// The last call of each kind of target, as the server sees it.
pub const MEDIA: [(&str, &str); 4] = [
    ("GET", "/plex/library/sections/2/refresh"),
    ("POST", "/jellyfin/Library/Media/Updated"),
    ("POST", "/radarr/api/v3/command"),
    ("POST", "/sonarr/api/v3/command"),
];
pub const PEOPLE: [&str; 3] = ["/hook", "/discord", "/ntfy"];

/// What the real servers would say.
pub fn sensible(heard: &Heard) -> Reply {
    match heard.path.as_str() {
        "/plex/library/sections" => Reply::body(
            r#"{"MediaContainer":{"Directory":[{"key":"1","Location":[{"path":"/tv"}]},{"key":"2","Location":[{"path":"/movies"}]}]}}"#,
        ),
        "/radarr/api/v3/movie" => Reply::body(r#"[{"id":6,"path":"/other"},{"id":7,"path":"/movies"}]"#),
        "/sonarr/api/v3/series" => Reply::body(r#"[{"id":8,"path":"/movies/"}]"#),
        path if path.starts_with("/jellyfin/Library") => Reply::status(204),
        _ => Reply::body("{}"),
    }
}

impl Fleet {
    /// `url`: where everybody listens.
    pub fn new(broker: &PrivateBroker, vhost: &str, url: &str) -> Self {
        broker.add_vhost(vhost).unwrap();
        let broker_url = broker.admin_url(vhost);
        let options =
            BrokerOptions::new(&broker_url, "", "").unwrap().retry_delays([1, 1, 1].map(Duration::from_secs));
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(topology::declare(&options)).unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let fleet = Self { dir: tempfile::tempdir().unwrap(), options, runtime, metrics: port.to_string() };
        ["lib", "out", "scratch"].iter().for_each(|d| fs::create_dir(fleet.path(d)).unwrap());
        fleet.share().init().unwrap();
        fs::write(fleet.path("token"), "s3cret\n").unwrap();
        fs::write(fleet.path("discord.url"), format!("{url}/discord/s3cret\n")).unwrap();
        let at = |p: &str| fleet.path(p).display().to_string();
        let media = |kind: &str| {
            format!(
                "{kind} = {{ kind = \"{kind}\", url = \"{url}/{kind}/\", token_file = {:?}, paths = {{ films = \"/movies\" }} }}\n",
                at("token")
            )
        };
        let config = format!(
            "[broker]\nurl = {broker_url:?}\nheartbeat_s = 5\ntimeout_s = 5\nretry_delays_s = [1, 1, 1]\n\
             [library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n[scratch]\ndir = {:?}\n\
             [verify]\ndecode = \"off\"\n[worker]\nbeat_s = 0.3\nstale_s = 60\npause_s = 0.5\n[metrics]\nlisten = {:?}\n\
             [notify]\nretry_s = 0.3\ntimeout_s = 5\n[notify.targets]\n\
             hook = {{ kind = \"webhook\", url = \"{url}/hook\", token_file = {:?} }}\n\
             chat = {{ kind = \"discord\", url_file = {:?} }}\n\
             phone = {{ kind = \"ntfy\", url = \"{url}/ntfy/films\", token_file = {:?} }}\n{}{}{}{}",
            at("lib"),
            at("state"),
            at("out"),
            at("scratch"),
            fleet.metrics,
            at("token"),
            at("discord.url"),
            at("token"),
            media("plex"),
            media("jellyfin"),
            media("radarr"),
            media("sonarr"),
        );
        fs::write(fleet.path("config.toml"), config).unwrap();
        fleet
    }

    pub fn path(&self, p: &str) -> PathBuf {
        self.dir.path().join(p)
    }

    pub fn share(&self) -> ShareState {
        ShareState::new(self.path("state"))
    }

    /// Makes a film and queues it.
    pub fn queue(&self, studio: &mut Studio, spec: &FilmSpec, recipe: Recipe) -> JobMessage {
        let job = self.film(studio, spec, recipe);
        self.publish(&job);
        job
    }

    /// Makes a film, and a message that nobody has yet.
    pub fn film(&self, studio: &mut Studio, spec: &FilmSpec, recipe: Recipe) -> JobMessage {
        let path = self.path("lib").join(&spec.path);
        studio.make(&path, spec).unwrap();
        let now = consumer::pipeline::Source::of(&path).unwrap();
        let film = LibraryPath::new("films", &spec.path).unwrap();
        JobMessage::new(film, now.size, now.mtime_ns, recipe, "MEL".into())
    }

    pub fn publish(&self, job: &JobMessage) {
        self.share().write(Folder::Queued, job.id, job).unwrap();
        let publisher = Publisher::new(self.options.clone());
        self.runtime.block_on(publisher.publish(Route::Film, &Outgoing::job(job).unwrap())).unwrap();
    }

    pub fn worker(&self, name: &str, args: &[&str], faults: Option<&str>) -> Worker {
        let log = self.path(&format!("{name}.log"));
        let mut command = Command::new(env!("CARGO_BIN_EXE_consumer-under-test"));
        command.arg("run").args(args).arg("--config").arg(self.path("config.toml"));
        command.env("DOVI_FLEET__WORKER__NAME", name).current_dir(self.dir.path());
        if let Some(place) = faults {
            let dir = self.path("faults");
            ["faults", "fired", "counted"].iter().for_each(|d| fs::create_dir_all(dir.join(d)).unwrap());
            fs::write(dir.join("faults").join(format!("00001@{place}@kill")), "").unwrap();
            command.env("DOVI_SOAK_FAULTS", dir);
        }
        let child = command.stderr(fs::File::create(&log).unwrap()).stdout(Stdio::null()).spawn().unwrap();
        Worker { child, log }
    }

    /// What the program prints, whatever its exit code.
    pub fn consumer(&self, args: &[&str]) -> String {
        let mut command = tool::command(env!("CARGO_BIN_EXE_consumer-under-test"));
        command.args(args).arg("--config").arg(self.path("config.toml")).current_dir(self.dir.path());
        let output = command.output().unwrap();
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
    }

    pub fn get(&self, path: &str) -> Option<Answer> {
        let client = Client::new(None, Duration::from_secs(10)).unwrap();
        client.send(Request::new("GET", format!("http://{}{path}", self.metrics), 1 << 20)).ok()
    }
}

pub struct Worker {
    child: Child,
    log: PathBuf,
}

impl Worker {
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap()
    }

    pub fn waits(&self, what: &str, condition: impl FnMut() -> bool) {
        wait::until(SOON, what, condition).unwrap_or_else(|e| panic!("{e}\n{}", self.log()));
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }

    /// Its exit code; `None`: killed.
    pub fn ends(&mut self) -> Option<i32> {
        let ended = wait::until_some(SOON, "the worker's end", || self.child.try_wait().unwrap());
        ended.unwrap_or_else(|e| panic!("{e}\n{}", self.log())).code()
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // A worker that has ended cannot be killed, which is fine.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
