//! A fleet of its own: library, share, results, scratch and virtual host, with one broker user for each program.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use common::broker::{BrokerOptions, Depths, FailedQueue, depths, topology};
use common::job::{JobMessage, LibraryPath, Mode, Recipe};
use common::share::{Folder, ShareState};
use e2e::broker::PrivateBroker;
use e2e::films::{FilmSpec, Layers, Studio};
use e2e::wait;
use serde_json::{Value, json};

pub const SOON: Duration = Duration::from_secs(60);

pub struct Fleet<'a> {
    pub dir: tempfile::TempDir,
    pub broker: &'a PrivateBroker,
    pub vhost: &'static str,
    pub runtime: tokio::runtime::Runtime,
    /// Everything that any program printed, to look for secrets in.
    pub said: RefCell<String>,
}

impl<'a> Fleet<'a> {
    /// Folders, a virtual host with all queues, and a configuration that logs in as the administrator.
    pub fn new(broker: &'a PrivateBroker, vhost: &'static str) -> Self {
        let fleet = Self::bare(broker, vhost);
        broker.add_vhost(vhost).unwrap();
        fleet.runtime.block_on(topology::declare(&fleet.options())).unwrap();
        fleet.share().init().unwrap();
        fleet
    }

    /// Folders and a configuration alone.
    pub fn bare(broker: &'a PrivateBroker, vhost: &'static str) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let dir = tempfile::tempdir().unwrap();
        let fleet = Self { dir, broker, vhost, runtime, said: RefCell::default() };
        ["lib", "out", "scratch"].iter().for_each(|d| fs::create_dir(fleet.path(d)).unwrap());
        fleet.configure(&format!("url = {:?}", broker.admin_url(vhost)));
        fleet
    }

    /// Writes the configuration with these lines about the broker.
    pub fn configure(&self, login: &str) {
        let at = |p: &str| self.path(p).display().to_string();
        let config = format!(
            "[broker]\n{login}\nheartbeat_s = 5\ntimeout_s = 5\nretry_delays_s = [1, 1, 1]\n[library]\nstable_s = 0\n\
             [library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n[scratch]\ndir = {:?}\n\
             [worker]\nname = \"w1\"\nbeat_s = 0.3\nstale_s = 2\npause_s = 0.5\n[retry]\nmax_attempts = 2\n\
             [recipe]\nmode = \"copy\"\n",
            at("lib"),
            at("state"),
            at("out"),
            at("scratch")
        );
        fs::write(self.path("config.toml"), config).unwrap();
    }

    pub fn path(&self, p: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(p)
    }

    pub fn share(&self) -> ShareState {
        ShareState::new(self.path("state"))
    }

    pub fn options(&self) -> BrokerOptions {
        let delays = [1, 1, 1].map(Duration::from_secs);
        BrokerOptions::new(&self.broker.admin_url(self.vhost), "", "").unwrap().retry_delays(delays)
    }

    pub fn depths(&self) -> Depths {
        self.runtime.block_on(depths(&self.options())).unwrap()
    }

    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Depths) -> bool) {
        let waited = wait::until(SOON, what, || wanted(&self.depths()));
        waited.unwrap_or_else(|e| panic!("{e}: {:?}", self.depths()));
    }

    /// All dead letters: id, code, and the body.
    pub fn letters(&self) -> Vec<common::broker::FailedEntry> {
        self.runtime.block_on(async {
            let queue = FailedQueue::open(&self.options(), 1000).await.unwrap();
            let letters = queue.entries().map(|(_, e)| e.clone()).collect();
            queue.close().await;
            letters
        })
    }

    /// Makes a film and its job.
    pub fn film(&self, name: &'static str) -> JobMessage {
        let spec = FilmSpec::new(name, Layers::Mel).frames(48).size(320, 180);
        Studio::open().unwrap().make(&self.path("lib").join(&spec.path), &spec).unwrap();
        self.job(&spec.path)
    }

    /// A job for any file of the library, as it lies there.
    pub fn job(&self, path: &Path) -> JobMessage {
        let now = consumer::pipeline::Source::of(&self.path("lib").join(path)).unwrap();
        let recipe = Recipe { mode: Mode::Copy, ..Recipe::default() };
        let film = LibraryPath::new("films", path).unwrap();
        JobMessage::new(film, now.size, now.mtime_ns, recipe, "MEL".into())
    }

    pub fn has_certificate(&self, job: &JobMessage) -> bool {
        self.share().read::<Value>(Folder::Done, job.id).unwrap().is_some()
    }

    /// Runs the producer at full log and returns its output and exit code.
    pub fn producer(&self, args: &[&str]) -> (Output, String) {
        self.run(env!("CARGO_BIN_EXE_producer-under-test"), args, &[])
    }

    /// As [`Self::producer`]; it must end well.
    pub fn produced(&self, args: &[&str]) -> String {
        let (output, text) = self.producer(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}: {text}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a worker until nothing comes any more; it must end well.
    pub fn work(&self) -> String {
        let args = ["run", "--idle-exit", "3"];
        let (output, text) = self.run(env!("CARGO_BIN_EXE_consumer-under-test"), &args, &[]);
        assert_eq!(output.status.code(), Some(0), "{text}");
        text
    }

    pub fn run(&self, program: &str, args: &[&str], env: &[(&str, &str)]) -> (Output, String) {
        // A program that hangs is a finding, not the end of all tests.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "150"]).arg(program);
        command.args(args).arg("--config").arg(self.path("config.toml")).current_dir(self.dir.path());
        command.env("DOVI_LOG", "trace").envs(env.iter().copied()).stdin(Stdio::null());
        let output = command.output().unwrap();
        let text =
            format!("{}{}", String::from_utf8_lossy(&output.stderr), String::from_utf8_lossy(&output.stdout));
        self.said.borrow_mut().push_str(&text);
        (output, text)
    }

    /// Queues a job as a scan would, without asking anybody.
    pub fn publish_job(&self, job: &JobMessage) {
        self.publish("film", &json!({"delivery_mode": 2, "message_id": job.id}), &job.to_body().unwrap());
        self.share().write(Folder::Queued, job.id, job).unwrap();
    }

    /// Publishes whatever it is told to, as somebody with the right password could.
    pub fn publish(&self, key: &str, properties: &Value, body: &[u8]) {
        let message = json!({
            "properties": properties, "routing_key": key, "payload": base64(body), "payload_encoding": "base64",
        });
        let path = format!("/api/exchanges/{}/dovi.work/publish", self.vhost);
        let (status, answer) = self.broker.api("POST", &path, Some(&message)).unwrap();
        assert_eq!((status, &answer["routed"]), (200, &json!(true)), "{answer}");
    }
}

fn base64(bytes: &[u8]) -> String {
    const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::with_capacity(bytes.len() * 4 / 3 + 4);
    for chunk in bytes.chunks(3) {
        let bits = (0..3).fold(0u32, |bits, at| bits << 8 | u32::from(chunk.get(at).copied().unwrap_or(0)));
        for at in 0..4 {
            let sextet = (bits >> (18 - 6 * at) & 63) as usize;
            text.push(if at <= chunk.len() { char::from(ALPHABET[sextet]) } else { '=' });
        }
    }
    text
}
