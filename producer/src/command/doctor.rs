//! `doctor`: is everything there, and what to do about what is not.

use std::fmt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use common::broker::{BrokerError, BrokerOptions, depths, exposed, topology};
use common::config::{Config, OutputMode};
use common::share::ShareState;
use serde::Serialize;

use super::Context;
use crate::cli::DoctorArgs;
use crate::exit::{Exit, Failure};
use crate::first_run::{self, Start};
use crate::library::Roots;
use crate::render::{Output, duration, safe_path};
use crate::submit::broker_options;

/// A clock that is off by more makes people misread the tables; nothing breaks.
const CLOCK_OFF: Duration = Duration::from_secs(60);

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Level {
    Ok,
    Warning,
    Failed,
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        })
    }
}

/// One thing that was looked at.
#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "check")]
struct Check {
    part: &'static str,
    level: Level,
    text: String,
    hint: Option<String>,
}

impl Check {
    fn ok(part: &'static str, text: impl Into<String>) -> Self {
        Self { part, level: Level::Ok, text: text.into(), hint: None }
    }

    fn warning(part: &'static str, text: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { part, level: Level::Warning, text: text.into(), hint: Some(hint.into()) }
    }

    fn failed(part: &'static str, failure: Failure) -> Self {
        Self { part, level: Level::Failed, text: failure.message, hint: failure.hint }
    }
}

pub(super) async fn run(args: &DoctorArgs, context: &Context) -> Result<Exit, Failure> {
    let (config, share) = context.fleet()?;
    let mut out = Output::new(args.json);
    let mut worst = Level::Ok;
    let mut checks = vec![Check::ok("config", format!("recipe: {}", config.recipe.summary()))];
    checks.extend(library(&config));
    checks.extend(state(&share));
    checks.extend(output(&config));
    for check in checks {
        tell(&mut out, &check, &mut worst)?;
    }
    for check in broker(&config).await {
        tell(&mut out, &check, &mut worst)?;
    }
    out.line(match worst {
        Level::Ok => "All is well.",
        Level::Warning => "It works; see the warnings.",
        Level::Failed => "Something must be put right first.",
    })?;
    Ok(if worst == Level::Failed { Exit::Environment } else { Exit::Ok })
}

fn tell(out: &mut Output, check: &Check, worst: &mut Level) -> Result<(), Failure> {
    if check.level == Level::Failed || *worst == Level::Ok {
        *worst = check.level;
    }
    out.object(check)?;
    out.line(&format!("{:<7}  {:<7}  {}", check.level, check.part, check.text))?;
    match &check.hint {
        Some(hint) => out.line(&format!("{:<16}  hint: {hint}", "")),
        None => Ok(()),
    }
}

fn library(config: &Config) -> Vec<Check> {
    let one = |(name, dir): (&String, &std::path::PathBuf)| match Roots::open(
        &[(name.clone(), dir.clone())].into(),
    ) {
        Ok(_) => Check::ok("library", format!("{name} = {}", safe_path(dir))),
        Err(e) => Check::failed("library", e.into()),
    };
    config.library.roots.iter().map(one).collect()
}

fn state(share: &ShareState) -> Vec<Check> {
    match first_run::look(share) {
        Ok(Start::Ready) => {}
        Ok(Start::First) => {
            let text = format!("{} does not exist yet", safe_path(share.dir()));
            return vec![Check::warning("share", text, "`dovi-producer setup` or the first scan makes it")];
        }
        Err(failure) => return vec![Check::failed("share", failure)],
    }
    let now = match share.now() {
        Ok(now) => now,
        Err(e) => return vec![Check::failed("share", e.into())],
    };
    let mut checks = vec![Check::ok("share", format!("{} can be written to", safe_path(share.dir())))];
    let here = SystemTime::now();
    let off = here.duration_since(now).unwrap_or_else(|e| e.duration());
    if off > CLOCK_OFF {
        let text = format!("its clock and the one of this machine differ by {}", duration(off));
        checks.push(Check::warning("share", text, "times in tables are off by that; run NTP on both"));
    }
    checks
}

/// The producer writes no results, so only what every machine can see is looked at.
fn output(config: &Config) -> Vec<Check> {
    if config.output.mode == OutputMode::Beside {
        let text = format!("beside the originals, with {:?} in the name", config.output.suffix);
        return vec![Check::ok("output", text)];
    }
    if config.output.mode == OutputMode::Replace {
        let text = "in the originals' place; the originals go to the trash".to_owned();
        return vec![Check::ok("output", text)];
    }
    let dir = &config.output.dir;
    let real = |p: &Path| p.canonicalize().unwrap_or_else(|_| p.to_owned());
    let inside = config.library.roots.iter().find(|(_, root)| real(root).starts_with(real(dir)));
    if let Some((name, _)) = inside {
        let text = format!("the library root {name} lies inside output.dir {}", safe_path(dir));
        let hint = "give the results a folder of their own, or set output.mode = \"beside\"";
        return vec![Check::failed("output", Failure::usage(text).hint(hint))];
    }
    if dir.is_dir() {
        return vec![Check::ok("output", format!("{} holds the results", safe_path(dir)))];
    }
    if dir.parent().is_some_and(Path::is_dir) {
        return vec![Check::ok("output", format!("{} will be made by the workers", safe_path(dir)))];
    }
    let text = format!("{} is not there on this machine, nor is its parent folder", safe_path(dir));
    vec![Check::warning(
        "output",
        text,
        "fine if only the workers mount it; else mount it, or correct output.dir",
    )]
}

async fn broker(config: &Config) -> Vec<Check> {
    let options = match broker_options(config) {
        Ok(options) => options,
        Err(failure) => return vec![Check::failed("broker", failure)],
    };
    let mut checks = Vec::new();
    if let Some(text) = exposed(&config.broker) {
        checks.push(Check::warning(
            "secret",
            text,
            "whoever reads it can queue films and empty the dead letters",
        ));
    }
    checks.extend(queues(&options).await);
    checks
}

async fn queues(options: &BrokerOptions) -> Vec<Check> {
    match topology::missing(options).await {
        Ok(missing) if missing.is_empty() => {}
        Ok(missing) if !missing.iter().any(|name| topology::is_needed(name)) => {
            let text = format!("{options} has no {}: `priority` does not work", missing.join(", "));
            return vec![Check::warning("broker", text, "run `dovi-producer setup`")];
        }
        Ok(missing) => {
            let text = format!("{options} has no {}", missing.join(", "));
            return vec![Check::failed(
                "broker",
                Failure::environment(text).hint("run `dovi-producer setup`"),
            )];
        }
        Err(e) => return vec![Check::failed("broker", e.into())],
    }
    let mut checks = vec![Check::ok("broker", format!("{options} takes the password and has all queues"))];
    match depths(options).await {
        Ok(d) if d.films.consumers == 0 => {
            let text = format!("no worker is connected ({} films are waiting)", d.films.ready);
            checks.push(Check::warning(
                "workers",
                text,
                "start `dovi-consumer run` on a machine that shall convert",
            ));
        }
        Ok(d) => checks.push(Check::ok("workers", format!("{} connected", d.films.consumers))),
        Err(e @ BrokerError::Forbidden { .. }) => {
            let hint = "status cannot show the queues with this user; see docs/SECURITY.md";
            checks.push(Check::warning("broker", e.to_string(), hint));
        }
        Err(e) => checks.push(Check::failed("broker", e.into())),
    }
    checks
}
