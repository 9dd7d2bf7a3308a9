//! Making the checks, one after the other, the fast ones first as their table has them.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::time::Instant;

use serde::Serialize;
use serde_json::Value;

use super::print;
use super::{Check, Finding, Level};
use crate::exit::{Exit, Failure};
use crate::text::{safe, without_numbers};

/// What was asked for.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One JSON object per line.
    pub json: bool,
    /// Only name the checks.
    pub list: bool,
    /// Leave out what takes a second or more.
    pub fast: bool,
    /// Only these checks; none: all.
    pub only: Vec<String>,
}

/// A finding as scripts get it: docs/MESSAGES.md.
#[derive(Serialize)]
#[serde(tag = "type", rename = "check")]
struct Line<'a> {
    part: &'a str,
    check: &'a str,
    level: Level,
    text: &'a str,
    measured: &'a BTreeMap<&'static str, Value>,
    hint: Option<&'a str>,
}

/// The last line for scripts.
#[derive(Serialize)]
#[serde(tag = "type", rename = "totals")]
struct Totals {
    ok: usize,
    skipped: usize,
    warning: usize,
    failed: usize,
    seconds: f64,
}

/// A check as `--list --json` shows it.
#[derive(Serialize)]
#[serde(tag = "type", rename = "about")]
struct About<'a> {
    part: &'a str,
    check: &'a str,
    about: &'a str,
    needs: &'a [&'a str],
    slow: bool,
    worst: Level,
}

/// Makes the checks that were asked for, each in its turn, and prints what they find. [`Exit::Environment`] if one has failed.
///
/// # Errors
/// An unknown name in `only`; standard output is closed or fails.
pub async fn examine<W>(table: &[Check<W>], world: &W, options: &Options) -> Result<Exit, Failure> {
    if let Some(name) = options.only.iter().find(|n| table.iter().all(|c| c.name != n.as_str())) {
        let names: Vec<_> = table.iter().map(|c| c.name).collect();
        let text = format!("there is no check called {name:?}");
        return Err(Failure::usage(text).hint(format!("the checks are: {}", names.join(", "))));
    }
    let chosen = |c: &&Check<W>| options.only.is_empty() || options.only.iter().any(|n| n == c.name);
    let out = Printer { json: options.json, colour: colour() };
    if options.list {
        table.iter().filter(chosen).try_for_each(|c| out.about(c))?;
        return Ok(Exit::Ok);
    }
    let began = Instant::now();
    let mut blocked: Vec<&str> = Vec::new();
    let mut counts = [0; 4];
    for check in table.iter().filter(chosen).filter(|c| !(options.fast && c.slow)) {
        let missing = check.needs.iter().find(|n| blocked.contains(n));
        let findings = match missing {
            Some(needed) => vec![Finding::skipped(format!("it needs {needed}")).blocking()],
            None => (check.look)(world).await,
        };
        for finding in findings {
            debug_assert!(finding.level <= check.worst, "{} says worse than it may: {finding:?}", check.name);
            if finding.blocks {
                blocked.push(check.name);
            }
            counts[finding.level as usize] += 1;
            out.finding(check, finding)?;
        }
    }
    let [ok, skipped, warning, failed] = counts;
    let seconds = (began.elapsed().as_secs_f64() * 10.0).round() / 10.0;
    out.totals(&Totals { ok, skipped, warning, failed, seconds })?;
    Ok(if failed > 0 { Exit::Environment } else { Exit::Ok })
}

/// On a terminal that can, unless NO_COLOR or its like says no.
fn colour() -> bool {
    io::stdout().is_terminal() && anstream::AutoStream::choice(&io::stdout()) != anstream::ColorChoice::Never
}

struct Printer {
    json: bool,
    colour: bool,
}

impl Printer {
    fn about<W>(&self, c: &Check<W>) -> Result<(), Failure> {
        if self.json {
            let Check { part, name, about, needs, slow, worst, .. } = *c;
            return object(&About { part, check: name, about, needs, slow, worst });
        }
        write(&print::about(c.name, c.about, c.slow))
    }

    /// Whatever a file name or a program's own words hold, no terminal obeys it.
    fn finding<W>(&self, check: &Check<W>, found: Finding) -> Result<(), Failure> {
        let found = Finding {
            text: without_numbers(&safe(&found.text)),
            hint: found.hint.as_deref().map(safe),
            ..found
        };
        if self.json {
            let Finding { level, text, measured, hint, .. } = &found;
            let (part, check, hint) = (check.part, check.name, hint.as_deref());
            return object(&Line { part, check, level: *level, text, measured, hint });
        }
        write(&print::lines(check.name, &found, self.colour))
    }

    fn totals(&self, t: &Totals) -> Result<(), Failure> {
        if self.json {
            return object(t);
        }
        let Totals { ok, skipped, warning, failed, seconds } = t;
        let verdict = match (failed, warning) {
            (0, 0) => "Ready.",
            (0, _) => "Ready; see the warnings.",
            _ => "Not ready: what failed must be put right first.",
        };
        let warnings = if *warning == 1 { "1 warning".into() } else { format!("{warning} warnings") };
        let counts = format!("{ok} ok, {skipped} skipped, {warnings}, {failed} failed");
        write(&format!("\n{counts} in {seconds:.1} s\n{verdict}\n"))
    }
}

fn object(value: &impl Serialize) -> Result<(), Failure> {
    let text = serde_json::to_string(value)
        .map_err(|e| Failure::new(Exit::Bug, "a finding has no JSON form").because(&e))?;
    write(&format!("{text}\n"))
}

fn write(text: &str) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
        Err(e) => {
            let text = "standard output cannot be written";
            Err(Failure::environment(text).hint("check the disk that it goes to").because(&e))
        }
        Ok(()) => Ok(()),
    }
}
