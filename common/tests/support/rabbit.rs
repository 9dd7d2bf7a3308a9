//! A private RabbitMQ for tests: own ports, own Erlang name server, own folders, gone with the test process.

use std::io::{BufRead, BufReader};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use common::broker::users::USERS;
use common::broker::{BrokerOptions, Link};
use common::job::{JobMessage, Recipe};
use serde_json::json;

/// A program of RabbitMQ. Debian's own place: those in /usr/sbin change to the system's broker user first. Another
/// version is tested by naming its folder in DOVI_TEST_RABBITMQ_BIN.
fn program(name: &str) -> String {
    let bin = std::env::var("DOVI_TEST_RABBITMQ_BIN").unwrap_or_else(|_| "/usr/lib/rabbitmq/bin".into());
    format!("{bin}/{name}")
}

/// Virtual hosts made at boot, one for each test: t0, t1, ….
const VHOSTS: u32 = 32;
const USER: &str = "tester";
pub const PASSWORD: &str = "dovi-test";
/// base64(salt + sha256(salt + password))
const HASH: &str = "ZG92acPfiXJKNRLigV4plN2TNYvvWb/E/4n7flNfLhuYGfPG";

/// Starts epmd in the first launch of a node, then the broker, and prints the broker's pid. When stdin closes, which
/// also happens when the test process is killed, it ends both, and the first launch removes the node's folder.
const LAUNCH: &str = r#"
epmd=
if [ "$1" = first ]; then epmd >/dev/null 2>&1 </dev/null & epmd=$!; fi
"$0" >>"$RABBITMQ_LOG_BASE/out" 2>&1 </dev/null &
broker=$!
echo $broker
read -r _
kill -9 $broker $epmd 2>/dev/null
wait
if [ "$1" = first ]; then rm -rf "$2"; fi
"#;

pub struct Node {
    dir: PathBuf,
    env: Vec<(String, String)>,
    pub port: u16,
    pub tls_port: u16,
    launchers: Vec<Child>,
    pid: u32,
    vhosts: AtomicU32,
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    /// Starts a broker and waits until it answers.
    pub async fn start() -> Self {
        let dir = tempfile::Builder::new().prefix("dovi-rabbit-").tempdir().unwrap().keep();
        let (port, tls_port) = (free_port(), free_port());
        write_files(&dir, tls_port);
        let at = |name: &str| dir.join(name).display().to_string();
        let env = [
            ("HOME", at("")),
            ("ERL_EPMD_PORT", free_port().to_string()),
            ("ERL_EPMD_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODENAME", format!("dovi-{port}@localhost")),
            ("RABBITMQ_NODE_IP_ADDRESS", "127.0.0.1".into()),
            ("RABBITMQ_NODE_PORT", port.to_string()),
            ("RABBITMQ_DIST_PORT", free_port().to_string()),
            ("RABBITMQ_MNESIA_BASE", at("data")),
            ("RABBITMQ_LOG_BASE", at("log")),
            ("RABBITMQ_SCHEMA_DIR", at("schema")),
            ("RABBITMQ_GENERATED_CONFIG_DIR", at("generated")),
            ("RABBITMQ_CONF_ENV_FILE", at("none.conf")),
            ("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf")),
            ("RABBITMQ_CONFIG_FILES", at("conf.d")),
            ("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config")),
            ("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins")),
            ("RABBITMQ_PID_FILE", at("pid")),
            // Makes the script become the broker, so that the pid is the broker's.
            ("RUNNING_UNDER_SYSTEMD", "1".into()),
        ];
        let env = env.map(|(k, v)| (k.to_owned(), v)).to_vec();
        let mut node =
            Self { dir, env, port, tls_port, launchers: Vec::new(), pid: 0, vhosts: AtomicU32::new(0) };
        node.boot().await;
        node
    }

    /// Starts the broker on the node's data, after the first time as after a crash.
    pub async fn boot(&mut self) {
        let turn = if self.launchers.is_empty() { "first" } else { "again" };
        let mut launcher = Command::new("setsid")
            .args(["sh", "-c", LAUNCH, &program("rabbitmq-server"), turn])
            .arg(&self.dir)
            // A kill meant for the tests' group must leave the launcher alive to clean up.
            .envs(self.env.iter().cloned())
            .current_dir(&self.dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(launcher.stdout.take().unwrap()).read_line(&mut line).unwrap();
        self.pid = line.trim().parse().unwrap();
        self.launchers.push(launcher);
        let end = Instant::now() + Duration::from_secs(120);
        let options = self.options("dovi").timeout(Duration::from_secs(5));
        loop {
            match Link::connect(&options, "ready?").await {
                Ok(link) => break link.close().await,
                Err(e) if Instant::now() > end => {
                    panic!("{e}\n{}", std::fs::read_to_string(self.dir.join("log/out")).unwrap_or_default())
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
    }

    /// Options for a virtual host of this node.
    pub fn options(&self, vhost: &str) -> BrokerOptions {
        let base = format!("amqp://{USER}:{PASSWORD}@127.0.0.1:{}", self.port);
        let delays = [300, 600, 900].map(Duration::from_millis);
        let options = BrokerOptions::new(&format!("{base}/{vhost}"), "", "").unwrap();
        options.name("test").timeout(Duration::from_secs(10)).retry_delays(delays)
    }

    /// Options for a virtual host that nobody has used yet.
    pub fn fresh(&self) -> BrokerOptions {
        let n = self.vhosts.fetch_add(1, Ordering::Relaxed);
        assert!(n < VHOSTS, "make more virtual hosts");
        self.options(&format!("t{n}"))
    }

    /// Sends a signal to the broker: KILL, STOP, CONT.
    pub fn signal(&self, name: &str) {
        assert!(
            Command::new("kill")
                .args([&format!("-{name}"), &self.pid.to_string()])
                .status()
                .unwrap()
                .success()
        );
    }

    /// Runs rabbitmqctl on the node.
    pub fn ctl(&self, args: &[&str]) {
        let ran =
            Command::new(program("rabbitmqctl")).envs(self.env.iter().cloned()).args(args).output().unwrap();
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    }

    /// The authority that signed the node's certificate, which is for `localhost` and 127.0.0.1.
    pub fn ca_pem(&self) -> String {
        std::fs::read_to_string(self.dir.join("ca.pem")).unwrap()
    }
}

/// Users, virtual hosts and rights of a test broker, as a definitions file.
fn definitions() -> serde_json::Value {
    let names: Vec<String> = (0..VHOSTS).map(|n| format!("t{n}")).chain(["dovi".into()]).collect();
    let mut rights: Vec<_> = names
        .iter()
        .map(|vhost| json!({"user": USER, "vhost": vhost, "configure": ".*", "write": ".*", "read": ".*"}))
        .collect();
    // The fleet's own users, with the rights that they have in a real one.
    for vhost in &names {
        rights.extend(common::broker::users::permissions(vhost).as_array().unwrap().iter().cloned());
    }
    let mut users = vec![(USER, "administrator")];
    users.extend(USERS.iter().map(|u| (u.name, u.tags)));
    let user = |(name, tags): &(&str, &str)| json!({"name": name, "password_hash": HASH, "tags": tags, "hashing_algorithm": "rabbit_password_hashing_sha256"});
    // One virtual host where none of them has rights.
    let vhosts = names.iter().map(String::as_str).chain(["closed"]);
    json!({
        "users": users.iter().map(user).collect::<Vec<_>>(),
        "vhosts": vhosts.map(|n| json!({"name": n})).collect::<Vec<_>>(),
        "permissions": rights,
    })
}

fn write_files(dir: &Path, tls_port: u16) {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/rabbitmq");
    for sub in ["log", "conf.d", "definitions", "schema", "generated"] {
        std::fs::create_dir_all(dir.join(sub)).unwrap();
    }
    let at = |name: &str| dir.join(name).display().to_string();
    // The shipped files as they are, and what only a test needs in files that come later.
    std::fs::copy(deploy.join("90-fleet.conf"), dir.join("conf.d/90-fleet.conf")).unwrap();
    std::fs::copy(deploy.join("definitions.json"), dir.join("definitions/10-topology.json")).unwrap();
    std::fs::write(dir.join("definitions/20-users.json"), definitions().to_string()).unwrap();
    let own = format!(
        "definitions.local.path = {}\ndisk_free_limit.absolute = 50MB\nlisteners.ssl.default = 127.0.0.1:{tls_port}\n\
         ssl_options.cacertfile = {}\nssl_options.certfile = {}\nssl_options.keyfile = {}\n",
        at("definitions"),
        at("ca.pem"),
        at("broker.pem"),
        at("broker.key"),
    );
    std::fs::write(dir.join("conf.d/95-test.conf"), own).unwrap();
    std::fs::write(dir.join("rabbitmq.conf"), "log.file.level = info\n").unwrap();
    std::fs::write(dir.join("enabled_plugins"), "[].\n").unwrap();
    // Consumer timeouts are looked at this often; the default is a minute.
    std::fs::write(dir.join("advanced.config"), "[{rabbit,[{channel_tick_interval,1000}]}].\n").unwrap();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy/make-ca.sh");
    let ran = Command::new(script).arg(dir).args(["localhost", "127.0.0.1"]).output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
}

impl Drop for Node {
    fn drop(&mut self) {
        for mut launcher in self.launchers.drain(..).rev() {
            drop(launcher.stdin.take());
            let _ = launcher.wait();
        }
    }
}

/// The n-th made-up film.
pub fn job(n: u32) -> JobMessage {
    let film = format!("films:Film {n} (2020)/film.mkv").parse().unwrap();
    JobMessage::new(film, 1000 + u64::from(n), 7, Recipe::default(), "MEL".into())
}
