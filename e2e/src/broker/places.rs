//! Where a private node lives: scripts, folders, ports, configuration and environment.

use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};

use crate::tool;

/// The broker settings of the deployment; what the private node must override is left out.
const FLEET_CONF: &str = "deploy/rabbitmq/90-fleet.conf";
/// The same where the deployment's file is absent: no delivery times out while a film is encoded (7 days).
const FALLBACK_CONF: &str = "consumer_timeout = 604800000\nloopback_users.guest = true\n";
/// Keys of the deployment that name its ports, files and disks.
const OVERRIDDEN: [&str; 5] = ["definitions.", "disk_free_limit", "listeners", "management.", "log."];

/// Loopback ports of one node.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ports {
    pub amqp: u16,
    pub management: u16,
    pub epmd: u16,
    pub amqps: u16,
    pub management_tls: u16,
    distribution: u16,
    ctl: u16,
}

impl Ports {
    /// Ports nobody listens on right now.
    fn free() -> Result<Self> {
        // All are held at once, so that they differ.
        let held: Vec<TcpListener> = (0..7)
            .map(|_| TcpListener::bind("127.0.0.1:0"))
            .collect::<Result<_, _>>()
            .context("find free ports")?;
        let port = |at: usize| -> Result<u16> { Ok(held[at].local_addr()?.port()) };
        Ok(Self {
            amqp: port(0)?,
            management: port(1)?,
            epmd: port(2)?,
            distribution: port(3)?,
            ctl: port(4)?,
            amqps: port(5)?,
            management_tls: port(6)?,
        })
    }
}

/// What a node has besides plain ports and its administrator.
#[derive(Debug, Clone, Default)]
pub struct Extras {
    /// A folder that `deploy/make-ca.sh` filled: the node then also speaks TLS, both AMQP and HTTP.
    pub tls: Option<PathBuf>,
    /// Definitions to load at the first start. The node then has only the users in them, and no administrator of ours.
    pub definitions: Option<PathBuf>,
}

impl Extras {
    fn conf(&self, ports: &Ports) -> String {
        let mut conf = String::new();
        if let Some(dir) = &self.tls {
            let dir = dir.display();
            for (prefix, port) in [("ssl_options", ports.amqps), ("management.ssl", ports.management_tls)] {
                for (key, file) in
                    [("cacertfile", "ca.pem"), ("certfile", "broker.pem"), ("keyfile", "broker.key")]
                {
                    conf += &format!("{prefix}.{key} = {dir}/{file}\n");
                }
                let listener = if prefix == "ssl_options" {
                    "listeners.ssl.1 = 127.0.0.1:"
                } else {
                    "management.ssl.port = "
                };
                conf += &format!("{listener}{port}\n");
            }
            conf += "ssl_options.verify = verify_none\nmanagement.ssl.ip = 127.0.0.1\n";
        }
        if let Some(file) = &self.definitions {
            conf += &format!(
                "definitions.import_backend = local_filesystem\ndefinitions.local.path = {}\n",
                file.display()
            );
        }
        conf
    }
}

/// Everything a node needs before its first start.
#[derive(Debug)]
pub(super) struct Places {
    pub dir: PathBuf,
    pub ports: Ports,
    scripts: PathBuf,
    node_name: String,
}

impl Places {
    /// Writes the configuration of a new node below `dir`.
    pub(super) fn prepare(dir: &Path, extras: &Extras) -> Result<Self> {
        tool::require(&["erl", "epmd"])?;
        let dir = tool::absolute(dir)?;
        static NODES: AtomicU32 = AtomicU32::new(0);
        let number = NODES.fetch_add(1, Ordering::Relaxed);
        let places = Self {
            scripts: scripts()?,
            ports: Ports::free()?,
            node_name: format!("dovi-{}-{number}@localhost", std::process::id()),
            dir,
        };
        for folder in ["home", "data", "log"] {
            fs::create_dir_all(places.dir.join(folder)).context("make the broker's folders")?;
        }
        // Erlang refuses a cookie that others may read.
        let cookie = places.dir.join("home/.erlang.cookie");
        if !cookie.exists() {
            fs::write(&cookie, format!("DOVI{}X{number}", std::process::id()))?;
            fs::set_permissions(&cookie, Permissions::from_mode(0o400))?;
        }
        let Ports { amqp, management, .. } = places.ports;
        let own = format!(
            "listeners.tcp.1 = 127.0.0.1:{amqp}\nmanagement.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}\n\
             disk_free_limit.absolute = 50MB\ncollect_statistics_interval = 1000\n"
        );
        fs::write(places.dir.join("rabbitmq.conf"), fleet_conf() + &own + &extras.conf(&places.ports))?;
        // Ack timeouts are checked every 60 s by default, too seldom for a test that wants to see one.
        fs::write(places.dir.join("advanced.config"), "[{rabbit, [{channel_tick_interval, 2000}]}].\n")?;
        fs::write(places.dir.join("enabled_plugins"), "[rabbitmq_management].\n")?;
        fs::write(places.dir.join("env.conf"), "")?;
        Ok(places)
    }

    /// A script of the package, in this node's environment. The `/usr/sbin` wrappers would switch users.
    pub(super) fn script(&self, name: &str) -> Command {
        let mut command = tool::command(&self.scripts.join(name).to_string_lossy());
        self.environment(&mut command);
        command
    }

    /// The port mapper, in the foreground and for this node alone, so that no daemon outlives it.
    pub(super) fn epmd(&self) -> Command {
        let mut command = tool::command("epmd");
        self.environment(&mut command);
        command.args(["-port", &self.ports.epmd.to_string(), "-address", "127.0.0.1"]);
        command
    }

    fn environment(&self, command: &mut Command) {
        for (name, _) in std::env::vars_os().filter(|(n, _)| n.as_encoded_bytes().starts_with(b"RABBITMQ_")) {
            command.env_remove(name);
        }
        let at = |name: &str| self.dir.join(name);
        let ports = &self.ports;
        command
            .env("HOME", at("home"))
            .env("ERL_EPMD_PORT", ports.epmd.to_string())
            .env("ERL_EPMD_ADDRESS", "127.0.0.1")
            .env("ERL_CRASH_DUMP_SECONDS", "0")
            // As under systemd, the script then turns into the Erlang machine: the child's pid is the node's.
            .env("RUNNING_UNDER_SYSTEMD", "true")
            .env("RABBITMQ_CONF_ENV_FILE", at("env.conf"))
            .env("RABBITMQ_NODENAME", &self.node_name)
            .env("RABBITMQ_NODE_PORT", ports.amqp.to_string())
            .env("RABBITMQ_DIST_PORT", ports.distribution.to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MIN", ports.ctl.to_string())
            .env("RABBITMQ_CTL_DIST_PORT_MAX", ports.ctl.saturating_add(10).to_string())
            .env("RABBITMQ_MNESIA_BASE", at("data"))
            .env("RABBITMQ_LOG_BASE", at("log"))
            .env("RABBITMQ_CONFIG_FILE", at("rabbitmq.conf"))
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", at("advanced.config"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", at("enabled_plugins"))
            .env("RABBITMQ_PID_FILE", at("node.pid"))
            // One scheduler that does not spin: the cores belong to the encoders.
            .env(
                "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS",
                "+S 1:1 +sbwt none +sbwtdcpu none -kernel inet_dist_use_interface {127,0,0,1}",
            )
            .env("RABBITMQ_CTL_ERL_ARGS", "+S 1:1 +sbwt none");
    }
}

/// The settings of the deployment that also hold for a private node.
fn fleet_conf() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("..").join(FLEET_CONF);
    let Ok(text) = fs::read_to_string(path) else { return FALLBACK_CONF.to_owned() };
    let ours = |line: &&str| !OVERRIDDEN.iter().any(|key| line.trim_start().starts_with(key));
    text.lines().filter(ours).map(|line| format!("{line}\n")).collect()
}

/// The folder named in `DOVI_TEST_RABBITMQ_BIN`, for tests against another version; otherwise that of the newest installed
/// server's own scripts.
fn scripts() -> Result<PathBuf> {
    if let Some(dir) = std::env::var_os("DOVI_TEST_RABBITMQ_BIN").map(PathBuf::from) {
        if dir.join("rabbitmq-server").is_file() {
            return Ok(dir);
        }
        bail!("DOVI_TEST_RABBITMQ_BIN is {}, where there is no rabbitmq-server", dir.display());
    }
    let mut found: Vec<PathBuf> = Vec::new();
    for lib in ["/usr/lib/rabbitmq/lib", "/usr/local/lib/rabbitmq/lib"] {
        let versions = fs::read_dir(lib).into_iter().flatten().flatten();
        found.extend(versions.map(|v| v.path().join("sbin")));
    }
    found.push(PathBuf::from("/opt/rabbitmq/sbin"));
    found.retain(|dir| dir.join("rabbitmq-server").is_file());
    found.sort();
    match found.pop() {
        Some(dir) => Ok(dir),
        None => bail!("RabbitMQ is not installed: apt-get install rabbitmq-server (it need not run)"),
    }
}
