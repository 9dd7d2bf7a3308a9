//! A place in which a case is arranged, and the program that then looks at it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use common::share::ShareState;
use e2e::broker::PrivateBroker;
use serde_json::Value;

/// Which program looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Program {
    Producer,
    Consumer,
}

pub const BOTH: &[Program] = &[Program::Consumer, Program::Producer];
pub const WORKER: &[Program] = &[Program::Consumer];
pub const PRODUCER: &[Program] = &[Program::Producer];

/// One check under one circumstance.
pub struct Case {
    pub programs: &'static [Program],
    pub check: &'static str,
    /// The worst of what it must find.
    pub level: &'static str,
    /// Words that its text or its hint must have.
    pub says: &'static str,
    /// Makes the circumstance; false where this machine cannot have it.
    pub arrange: fn(&mut Bench) -> bool,
}

/// Runs every case, and tells all that are not as they should be.
pub fn play(cases: &[Case], broker: Option<&PrivateBroker>) {
    let mut wrong = Vec::new();
    for case in cases {
        for program in case.programs {
            let mut bench = Bench::new(broker);
            bench.program = *program;
            if !(case.arrange)(&mut bench) {
                eprintln!(
                    "{} {}: not tested here (mounting is not allowed, or a program is missing)",
                    case.check, case.level
                );
                continue;
            }
            if let Err(why) = bench.judge(case) {
                wrong.push(format!("{program:?} {} should be {}: {why}", case.check, case.level));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

const LEVELS: [&str; 4] = ["ok", "skipped", "warning", "failed"];

fn rank(level: &Value) -> usize {
    LEVELS.iter().position(|l| *level == *l).unwrap()
}

/// A small fleet, and how the program is started.
pub struct Bench<'a> {
    pub dir: tempfile::TempDir,
    pub broker: Option<&'a PrivateBroker>,
    pub program: Program,
    settings: Vec<String>,
    arguments: Vec<String>,
    env: Vec<(String, String)>,
    user: Option<u32>,
    mounts: Vec<PathBuf>,
    /// What must live as long as the program looks.
    pub kept: Vec<Box<dyn std::any::Any>>,
}

impl<'a> Bench<'a> {
    /// A library with one film's name, a share that was set up, results, scratch; everything as it should be.
    pub fn new(broker: Option<&'a PrivateBroker>) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self {
            dir,
            broker,
            program: Program::Consumer,
            settings: Vec::new(),
            arguments: Vec::new(),
            env: Vec::new(),
            user: None,
            mounts: Vec::new(),
            kept: Vec::new(),
        };
        fs::set_permissions(bench.dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["lib", "out", "scratch"] {
            fs::create_dir(bench.path(folder)).unwrap();
        }
        fs::write(bench.path("lib/film.mkv"), "film").unwrap();
        ShareState::new(bench.path("state")).init().unwrap();
        for (key, folder) in [
            ("library.roots.films", "lib"),
            ("share.state_dir", "state"),
            ("output.dir", "out"),
            ("scratch.dir", "scratch"),
        ] {
            bench.set_path(key, folder);
        }
        bench.set("recipe.preset", "ultrafast");
        bench.set("broker.timeout_s", "5");
        bench.set("broker.url", "amqp://127.0.0.1:1/dovi");
        bench
    }

    pub fn path(&self, p: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(p)
    }

    /// A setting; a later one of the same name wins.
    pub fn set(&mut self, key: &str, value: &str) {
        self.settings.retain(|s| !s.starts_with(&format!("{key}=")));
        self.settings.push(format!("{key}={value}"));
    }

    pub fn set_path(&mut self, key: &str, p: &str) {
        let path = self.path(p).display().to_string();
        self.set(key, &path);
    }

    pub fn unset(&mut self, key: &str) {
        self.settings.retain(|s| !s.starts_with(&format!("{key}=")));
    }

    pub fn setting(&self, key: &str) -> &str {
        let found = self.settings.iter().find_map(|s| s.strip_prefix(key)?.strip_prefix('='));
        found.unwrap_or_default()
    }

    pub fn argument(&mut self, words: &[&str]) {
        self.arguments.extend(words.iter().map(|w| (*w).to_owned()));
    }

    pub fn env(&mut self, key: &str, value: &str) {
        self.env.push((key.into(), value.into()));
    }

    /// The program runs as nobody, where this test runs as root: root may do everything.
    pub fn as_nobody(&mut self) {
        self.user = rustix::process::geteuid().is_root().then_some(65534);
    }

    /// A script in place of a program.
    pub fn script(&mut self, key: &str, text: &str) -> bool {
        let path = self.path(format!("{}.sh", key.replace('.', "-")));
        fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        self.set(key, &path.display().to_string());
        true
    }

    /// A tmpfs on a folder; false where mounting is not allowed.
    pub fn mount(&mut self, folder: &str, options: &str) -> bool {
        let at = self.path(folder);
        fs::create_dir_all(&at).unwrap();
        let done = run(Command::new("mount").args(["-t", "tmpfs", "-o", options, "test"]).arg(&at));
        if done {
            self.mounts.push(at);
        }
        done
    }

    /// What is mounted there turns read-only.
    pub fn read_only(&mut self, folder: &str) -> bool {
        run(Command::new("mount").args(["-o", "remount,ro"]).arg(self.path(folder)))
    }

    /// The program as it is started, without the command.
    fn command(&self, program: Program, args: &[&str]) -> Output {
        let exe = match program {
            Program::Producer => env!("CARGO_BIN_EXE_producer-under-test"),
            Program::Consumer => env!("CARGO_BIN_EXE_consumer-under-test"),
        };
        // A check that hangs is a finding, not the end of all tests.
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).arg(exe).arg("doctor").args(args).args(&self.arguments);
        for setting in &self.settings {
            command.args(["--set", setting]);
        }
        for (key, _) in std::env::vars_os().filter(|(k, _)| k.to_string_lossy().starts_with("DOVI_FLEET")) {
            command.env_remove(key);
        }
        command.env("LC_ALL", "C.UTF-8").envs(self.env.iter().cloned()).current_dir(self.dir.path());
        if let Some(user) = self.user {
            command.uid(user).gid(user);
        }
        command.stdin(Stdio::null()).output().unwrap()
    }

    pub fn run(&self, args: &[&str]) -> Output {
        self.command(self.program, args)
    }

    /// What `--list` says.
    pub fn list(&self, program: Program) -> Vec<Value> {
        lines(&self.command(program, &["--list", "--json"]))
    }

    fn judge(&self, case: &Case) -> Result<(), String> {
        let output = self.run(&["--json", "--only", case.check]);
        let all = lines(&output);
        let text =
            String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        let findings: Vec<&Value> = all.iter().filter(|l| l["type"] == "check").collect();
        let worst =
            findings.iter().max_by_key(|f| rank(&f["level"])).ok_or_else(|| format!("no finding: {text}"))?;
        if worst["level"] != case.level || worst["check"] != case.check {
            return Err(text);
        }
        let said = format!("{} {}", worst["text"], worst["hint"]);
        if !said.contains(case.says) {
            return Err(format!("{:?} is not in {text}", case.says));
        }
        let helps = worst["hint"].as_str().is_some_and(|h| h.len() > 10);
        if !helps && matches!(case.level, "warning" | "failed") {
            return Err(format!("no hint in {text}"));
        }
        let exit = if case.level == "failed" { 3 } else { 0 };
        if output.status.code() != Some(exit) {
            return Err(format!("exit {:?}: {text}", output.status.code()));
        }
        // Nothing stays behind.
        let left = walk(self.dir.path());
        left.iter()
            .find(|p| p.contains("dovi-fleet-doctor"))
            .map_or(Ok(()), |p| Err(format!("{p} was left behind")))
    }
}

impl Drop for Bench<'_> {
    fn drop(&mut self) {
        for at in self.mounts.iter().rev() {
            run(Command::new("umount").arg("-l").arg(at));
        }
    }
}

pub fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|l| serde_json::from_str(l).unwrap_or_else(|e| panic!("{e}: {text}"))).collect()
}

fn run(command: &mut Command) -> bool {
    command.output().is_ok_and(|o| o.status.success())
}

fn walk(dir: &Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        all.push(entry.path().display().to_string());
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(walk(&entry.path()));
        }
    }
    all
}
