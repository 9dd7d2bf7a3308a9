//! What a person reads in every situation that a person gets into, kept in one page for each program: `tests/words.txt`.
//!
//! `DOVI_UPDATE_WORDS=1 cargo test -p producer --test words` writes the page anew; read every line of the difference.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One situation: its name, what was arranged, and what was typed.
pub struct Situation {
    pub name: &'static str,
    pub arrange: fn(&mut Place) -> bool,
    pub typed: &'static [&'static str],
}

/// A folder for one situation, with a library, results, scratch and a configuration of which lines can be changed.
pub struct Place {
    dir: tempfile::TempDir,
    config: Option<String>,
    env: Vec<(String, String)>,
    nobody: bool,
    mounts: Vec<PathBuf>,
}

/// Nothing is different.
pub fn plain(_: &mut Place) -> bool {
    true
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).unwrap();
        for folder in ["films", "converted", "scratch", "nas"] {
            fs::create_dir(dir.path().join(folder)).unwrap();
        }
        fs::write(dir.path().join("films/notes.mkv"), "these are notes, and no film\n").unwrap();
        fs::write(dir.path().join("nas/other"), "").unwrap();
        let at = |p: &str| dir.path().join(p).display().to_string();
        let config = format!(
            "[broker]\nurl = \"amqp://127.0.0.1:1/dovi\"\ntimeout_s = 3\n[library]\nstable_s = 0\n[library.roots]\nfilms = {:?}\n[share]\n\
             state_dir = {:?}\n[output]\ndir = {:?}\n[scratch]\ndir = {:?}\n",
            at("films"),
            at("nas/state"),
            at("converted"),
            at("scratch")
        );
        Self { dir, config: Some(config), env: Vec::new(), nobody: false, mounts: Vec::new() }
    }

    pub fn path(&self, p: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(p)
    }

    /// Replaces something in the configuration.
    pub fn change(&mut self, from: &str, to: &str) -> bool {
        let config = self.config.take().unwrap();
        assert!(config.contains(from), "{from:?} is not in the configuration");
        self.config = Some(config.replace(from, to));
        true
    }

    /// Adds lines to the configuration.
    pub fn add(&mut self, lines: &str) -> bool {
        self.config = self.config.take().map(|c| format!("{c}{lines}\n"));
        true
    }

    pub fn without_config(&mut self) -> bool {
        self.config = None;
        true
    }

    pub fn env(&mut self, key: &str, value: &str) -> bool {
        self.env.push((key.into(), value.into()));
        true
    }

    pub fn file(&self, p: &str, content: impl AsRef<[u8]>) -> bool {
        fs::write(self.path(p), content).is_ok()
    }

    /// The share's state folder, set up.
    pub fn share(&self) -> common::share::ShareState {
        let share = common::share::ShareState::new(self.path("nas/state"));
        share.init().unwrap();
        share
    }

    /// Nobody may write there: as root the program then runs as nobody.
    pub fn closed(&mut self, folder: &str) -> bool {
        fs::set_permissions(self.path(folder), fs::Permissions::from_mode(0o555)).unwrap();
        self.nobody = rustix::process::geteuid().is_root();
        true
    }

    /// A disk of this size; false where mounting is not allowed.
    pub fn disk(&mut self, folder: &str, size: &str) -> bool {
        let at = self.path(folder);
        let option = format!("size={size}");
        let done = Command::new("mount").args(["-t", "tmpfs", "-o", &option, "test"]).arg(&at).output();
        let done = done.is_ok_and(|o| o.status.success());
        if done {
            self.mounts.push(at);
        }
        done
    }

    /// What was typed and what came, with the names of this place and of this moment taken out.
    fn told(&self, program: &str, exe: &str, typed: &[&str]) -> String {
        let mut command = Command::new("timeout");
        command.args(["--signal=KILL", "60"]).arg(exe).args(typed).current_dir(self.dir.path());
        for (key, _) in std::env::vars_os().filter(|(k, _)| k.to_string_lossy().starts_with("DOVI")) {
            command.env_remove(key);
        }
        command.env("LC_ALL", "C.UTF-8").env("COLUMNS", "80").env_remove("RUST_BACKTRACE");
        command.envs(self.env.iter().cloned()).stdin(Stdio::null());
        if let Some(config) = &self.config {
            fs::write(self.path("dovi-fleet.toml"), config).unwrap();
        }
        if self.nobody {
            command.uid(65534).gid(65534);
        }
        let o = command.output().unwrap();
        let shown: Vec<String> = typed
            .iter()
            .map(|w| if w.contains([' ', '(']) { format!("'{w}'") } else { (*w).to_owned() })
            .collect();
        let text = format!("{}{}", String::from_utf8_lossy(&o.stdout), String::from_utf8_lossy(&o.stderr));
        let code = o.status.code().unwrap_or(-1);
        assert!(code != 101 && code != 70 && code != 137, "{typed:?}: {text}");
        let text = text.replace(&self.dir.path().display().to_string(), "/at");
        let text: String = text.lines().map(|l| format!("{}\n", l.trim_end())).collect();
        format!("$ {program} {}\n{}[{code}]\n", shown.join(" "), timeless(&text))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        for at in &self.mounts {
            let _ = Command::new("umount").arg("-l").arg(at).output();
        }
    }
}

const STAGES: [&str; 7] = ["preflight ", "prescan ", "encode ", "copy ", "mux ", "verify ", "publish "];

/// Seconds, sizes and dates of this run.
fn timeless(text: &str) -> String {
    let one = |line: &str| -> String {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        for n in 1..words.len() {
            let unit = words[n].trim_end_matches([',', '.', ';', ':', ')']);
            let number = words[n - 1].trim_start_matches('(').parse::<f64>().is_ok();
            if number && ["s", "min", "ms", "GB", "MB"].contains(&unit) && words[n - 1].contains('.') {
                let bracket = if words[n - 1].starts_with('(') { "(" } else { "" };
                words[n - 1] = format!("{bracket}N");
            }
        }
        words.join(" ")
    };
    // How far a stage came is a matter of seconds, and a report's width one of the place's.
    let progress = |l: &&str| {
        !l.split_once(' ').is_some_and(|(_, rest)| {
            rest.trim_start().contains(" %") && STAGES.iter().any(|s| l.starts_with(s))
        })
    };
    let lines: String = text.lines().filter(progress).map(|l| one(&dateless(l)) + "\n").collect();
    [30, 24].iter().fold(lines, |text, n| text.replace(&format!("\n{}", " ".repeat(*n)), " "))
}

/// `2026-01-02 03:04:05` as `DATE TIME`.
fn dateless(line: &str) -> String {
    // Where something lay in memory.
    let line = line.split(' ').map(|w| if w.starts_with("0x") && w.ends_with(']') { "0x0]" } else { w });
    let line = &line.collect::<Vec<_>>().join(" ");
    let like = |w: &str, pattern: &str| {
        w.len() == pattern.len()
            && w.chars().zip(pattern.chars()).all(|(c, p)| if p == '0' { c.is_ascii_digit() } else { c == p })
    };
    let word = |w: &str| match w {
        w if like(w, "0000-00-00") => "DATE".to_owned(),
        w if like(w, "00:00:00") => "TIME".to_owned(),
        w => w.to_owned(),
    };
    line.split(' ').map(word).collect::<Vec<_>>().join(" ")
}

/// What did not work says what to do: in a hint, or in the way of the command line's parser.
fn helps(told: &str) -> bool {
    let ways = ["hint: ", "hint  ", "Usage: ", "For more information, try"];
    told.trim_end().ends_with("[0]") || ways.iter().any(|w| told.contains(w))
}

/// Goes through all situations and compares each with its place on the page.
pub fn compare(program: &str, exe: &str, page: &Path, situations: &[Situation]) {
    let old = fs::read_to_string(page).unwrap_or_default();
    let old: Vec<(&str, &str)> = old.split("== ").skip(1).filter_map(|s| s.split_once('\n')).collect();
    let (mut new, mut wrong) = (String::new(), Vec::new());
    for s in situations {
        let mut place = Place::new();
        let kept = old.iter().find(|(name, _)| *name == s.name).map(|(_, text)| text.trim_end());
        let told = if (s.arrange)(&mut place) {
            place.told(program, exe, s.typed)
        } else {
            eprintln!("{}: not tested here (mounting is not allowed)", s.name);
            kept.unwrap_or_default().to_owned()
        };
        if !helps(&told) {
            wrong.push(format!("== {}\n{told}-- says not what to do", s.name));
        } else if kept != Some(told.trim_end()) {
            wrong.push(format!("== {}\n{told}-- on the page:\n{}", s.name, kept.unwrap_or("nothing")));
        }
        new += &format!("== {}\n{}\n\n", s.name, told.trim_end());
    }
    if std::env::var_os("DOVI_UPDATE_WORDS").is_some() {
        fs::write(page, new).unwrap();
        wrong.retain(|w| w.ends_with("says not what to do"));
    } else {
        assert_eq!(
            old.len(),
            situations.len(),
            "situations on the page that are no more, or the same name twice"
        );
    }
    assert!(wrong.is_empty(), "DOVI_UPDATE_WORDS=1 writes the page anew\n{}", wrong.join("\n"));
}
