//! What the figures were measured on.

use std::fs;
use std::path::Path;
use std::process::Command;

use crate::tool;

/// The machine and its programs, as far as they matter.
#[derive(Debug, Clone)]
pub struct Machine {
    /// Name and value.
    pub facts: Vec<(&'static str, String)>,
}

impl Machine {
    /// This one.
    pub fn look(dovi_tool: Option<&Path>) -> Self {
        let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let line = |text: &str, label: &str| {
            let found = text.lines().find(|l| l.starts_with(label)).and_then(|l| l.split_once(':'));
            found.map_or_else(|| "unknown".to_owned(), |(_, v)| v.trim().to_owned())
        };
        let cores = std::thread::available_parallelism().map_or(0, usize::from);
        let cpu = line(&read("/proc/cpuinfo"), "model name");
        let memory = line(&read("/proc/meminfo"), "MemTotal");
        let gib =
            memory.split_whitespace().next().and_then(|kb| kb.parse::<f64>().ok()).unwrap_or(0.0) / 1048576.0;
        let mut facts = vec![
            ("processor", format!("{cores} cores, {cpu}")),
            ("memory", format!("{gib:.0} GiB")),
            ("kernel", read("/proc/sys/kernel/osrelease").trim().to_owned()),
            ("ffmpeg", first_line(tool::command("ffmpeg").arg("-version"))),
            ("mkvmerge", first_line(tool::command("mkvmerge").arg("--version"))),
        ];
        if let Some(path) = dovi_tool {
            facts.push(("dovi_tool", first_line(Command::new(path).arg("--version"))));
        }
        facts.push(("dovi-fleet", format!("{} ({})", env!("CARGO_PKG_VERSION"), build())));
        Self { facts }
    }
}

impl Machine {
    /// How busy it is now: the load average of the last minute.
    pub fn load() -> String {
        let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
        load.split_whitespace().next().unwrap_or("unknown").to_owned()
    }
}

fn build() -> &'static str {
    if cfg!(debug_assertions) { "debug build: for trying the harness only" } else { "release build" }
}

fn first_line(command: &mut Command) -> String {
    let output = tool::run(command).unwrap_or_default();
    String::from_utf8_lossy(&output).lines().next().unwrap_or("unknown").to_owned()
}
