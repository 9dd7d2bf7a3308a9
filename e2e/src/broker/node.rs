//! A private RabbitMQ node: starting, hurting and ending it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use super::management::{self, ADMIN, percent};
use super::places::{Extras, Places};
use crate::{tool, wait};

/// A cold start takes 6 to 8 s on two idle cores (measured), much longer beside encoders.
const START: Duration = Duration::from_secs(120);
const STOP: Duration = Duration::from_secs(30);

/// A running (or killed, or stopped) node. Dropping it kills what it started; its folder stays.
#[derive(Debug)]
pub struct PrivateBroker {
    places: Places,
    epmd: Option<Child>,
    node: Option<Child>,
}

impl PrivateBroker {
    /// Starts a node that keeps all its files in `dir` and waits until it takes connections.
    ///
    /// # Errors
    /// RabbitMQ or Erlang is not installed, or the node does not come up (with the end of its log).
    pub fn start(dir: &Path) -> Result<Self> {
        Self::start_with(dir, &Extras::default())
    }

    /// [`start`](Self::start) with more than plain ports, or other users.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_with(dir: &Path, extras: &Extras) -> Result<Self> {
        let mut broker = Self { places: Places::prepare(dir, extras)?, epmd: None, node: None };
        if let Err(first) = broker.boot() {
            // Another program may have taken one of the ports between looking and binding.
            broker.end(Signal::KILL)?;
            broker.places = Places::prepare(dir, extras)?;
            broker.boot().with_context(|| format!("second attempt; the first failed: {first:#}"))?;
        }
        Ok(broker)
    }

    /// Where clients connect, as this user.
    pub fn url(&self, vhost: &str, user: &str, password: &str) -> String {
        let (user, password, vhost) = (percent(user), percent(password), percent(vhost));
        format!("amqp://{user}:{password}@127.0.0.1:{}/{vhost}", self.places.ports.amqp)
    }

    /// Where clients connect as the administrator.
    pub fn admin_url(&self, vhost: &str) -> String {
        self.url(vhost, ADMIN, ADMIN)
    }

    /// `127.0.0.1:port` of plain AMQP.
    pub fn address(&self) -> String {
        format!("127.0.0.1:{}", self.places.ports.amqp)
    }

    /// The port where AMQP speaks TLS, if it was asked to.
    pub fn amqps_port(&self) -> u16 {
        self.places.ports.amqps
    }

    /// The port where the management plugin speaks TLS, if it was asked to.
    pub fn https_port(&self) -> u16 {
        self.places.ports.management_tls
    }

    /// Base address of the management plugin.
    pub fn management_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.places.ports.management)
    }

    /// The node's process id, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.node.as_ref().map(Child::id)
    }

    /// One request to the management plugin as administrator (`path` begins with `/api/`): status and body.
    ///
    /// # Errors
    /// The node is down or answers no HTTP.
    pub fn api(&self, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
        management::request(self.places.ports.management, method, path, body)
    }

    /// Makes a virtual host, open to the administrator.
    ///
    /// # Errors
    /// The node is down or refuses.
    pub fn add_vhost(&self, name: &str) -> Result<()> {
        self.demand("PUT", &format!("/api/vhosts/{}", percent(name)), &json!({}))?;
        self.grant(name, ADMIN, ".*", ".*", ".*")
    }

    /// Makes a user; `tags` as in `monitoring` or `administrator`, none for a plain one.
    ///
    /// # Errors
    /// The node is down or refuses.
    pub fn add_user(&self, user: &str, password: &str, tags: &str) -> Result<()> {
        self.demand(
            "PUT",
            &format!("/api/users/{}", percent(user)),
            &json!({"password": password, "tags": tags}),
        )
    }

    /// Gives a user rights in a virtual host, as regular expressions over names.
    ///
    /// # Errors
    /// The node is down or refuses.
    pub fn grant(&self, vhost: &str, user: &str, configure: &str, write: &str, read: &str) -> Result<()> {
        let path = format!("/api/permissions/{}/{}", percent(vhost), percent(user));
        self.demand("PUT", &path, &json!({"configure": configure, "write": write, "read": read}))
    }

    fn demand(&self, method: &str, path: &str, body: &Value) -> Result<()> {
        management::demand(self.places.ports.management, method, path, Some(body)).map(drop)
    }

    /// Runs `rabbitmqctl` against this node; takes about 2 s.
    ///
    /// # Errors
    /// The node is down or refuses.
    pub fn ctl(&self, args: &[&str]) -> Result<String> {
        let output = tool::run(self.places.script("rabbitmqctl").arg("--quiet").args(args))?;
        Ok(String::from_utf8_lossy(&output).into_owned())
    }

    /// Cuts every client off, as a broker being drained does; clients may come back at once.
    ///
    /// # Errors
    /// The node is down.
    pub fn close_all_connections(&self) -> Result<()> {
        self.ctl(&["close_all_connections", "closed by the test"]).map(drop)
    }

    /// Kills the node as a power cut would; its files stay for [`restart`](Self::restart).
    ///
    /// # Errors
    /// The node is not running.
    pub fn kill9(&mut self) -> Result<()> {
        self.signal(Signal::KILL)?;
        self.reap()
    }

    /// Freezes the node: connections stay open and nothing answers.
    ///
    /// # Errors
    /// The node is not running.
    pub fn sigstop(&self) -> Result<()> {
        self.signal(Signal::STOP)
    }

    /// Lets a frozen node go on.
    ///
    /// # Errors
    /// The node is not running.
    pub fn sigcont(&self) -> Result<()> {
        self.signal(Signal::CONT)
    }

    /// Starts the node again on the same ports and files, after an orderly end if it still runs.
    ///
    /// # Errors
    /// The node does not come up.
    pub fn restart(&mut self) -> Result<()> {
        if self.node.is_some() {
            self.signal(Signal::TERM)?;
            self.reap()?;
        }
        self.boot()
    }

    /// Ends the node in good order and waits until nothing of it runs.
    ///
    /// # Errors
    /// It does not end in time (it is then killed when dropped).
    pub fn stop(mut self) -> Result<()> {
        self.end(Signal::TERM)?;
        wait::until(STOP, "the node's last process to end", || self.processes().is_empty())
    }

    /// Ids of all processes that run in this node's environment: the node, its helpers, its port mapper.
    pub fn processes(&self) -> Vec<u32> {
        let mark = [b"RABBITMQ_MNESIA_BASE=", self.places.dir.as_os_str().as_bytes(), b"/data\0"].concat();
        let of_node = |pid: &u32| {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
            environment.windows(mark.len()).any(|w| w == mark)
        };
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        entries.filter_map(|e| e.file_name().to_str()?.parse().ok()).filter(of_node).collect()
    }

    fn boot(&mut self) -> Result<()> {
        if self.epmd.is_none() {
            self.epmd = Some(self.spawn(self.places.epmd(), "epmd.log")?);
        }
        self.node = Some(self.spawn(self.places.script("rabbitmq-server"), "console.log")?);
        let mut ended = None;
        wait::until(START, "the broker to take connections", || {
            ended = self.node.as_mut().and_then(|node| node.try_wait().ok().flatten());
            ended.is_some() || self.is_ready()
        })
        .with_context(|| self.log_tail())?;
        if let Some(status) = ended {
            self.node = None;
            bail!("the broker ended with {status}: {}", self.log_tail());
        }
        Ok(())
    }

    /// Own process group: an interrupt from the keyboard reaches the tests, which then end the node themselves.
    fn spawn(&self, mut command: Command, log: &str) -> Result<Child> {
        let log = File::options().create(true).append(true).open(self.places.dir.join("log").join(log))?;
        command.process_group(0).stdout(log.try_clone()?).stderr(Stdio::from(log));
        command.spawn().with_context(|| format!("start {}", command.get_program().display()))
    }

    /// The management plugin answers, and the AMQP listener opens with a method frame. That listener comes last.
    fn is_ready(&self) -> bool {
        let amqp = || -> std::io::Result<bool> {
            let mut stream = TcpStream::connect(("127.0.0.1", self.places.ports.amqp))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"AMQP\0\0\x09\x01")?;
            let mut frame = [0];
            stream.read_exact(&mut frame)?;
            Ok(frame == [1])
        };
        amqp().unwrap_or(false)
            // 401: definitions gave it other users than ours.
            && self.api("GET", "/api/overview", None).is_ok_and(|(status, _)| matches!(status, 200 | 401))
    }

    fn log_tail(&self) -> String {
        let log = fs::read_to_string(self.places.dir.join("log/console.log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        let node = self.node.as_ref().context("the broker is not running")?;
        kill_process(Pid::from_child(node), signal).context("signal the broker")
    }

    /// Waits for a node that was told to end.
    fn reap(&mut self) -> Result<()> {
        let node = self.node.as_mut().context("the broker is not running")?;
        wait::until(STOP, "the broker to end", || node.try_wait().is_ok_and(|status| status.is_some()))?;
        self.node = None;
        Ok(())
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        if self.node.is_some() {
            self.signal(signal)?;
            self.reap()?;
        }
        if let Some(mut epmd) = self.epmd.take() {
            epmd.kill().and_then(|()| epmd.wait()).context("end the port mapper")?;
        }
        Ok(())
    }
}

impl Drop for PrivateBroker {
    fn drop(&mut self) {
        for mut child in [self.node.take(), self.epmd.take()].into_iter().flatten() {
            // Fails only for a process that has ended already.
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
