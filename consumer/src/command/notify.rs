//! `notify test`, `notify list`: who is told, and what could not be told.

use common::config::{Config, TargetKind};
use common::http::Client;
use common::share::{OutboxEntry, ShareState};
use common::text;
use serde_json::json;

use super::{load_config, quiet_log};
use crate::cli::Global;
use crate::exit::{Exit, Failure};
use crate::notify::{Target, test_notice};

const NOBODY: &str = "nobody is named below [notify.targets]";

/// Tells everybody, or those named, that this is a test.
pub(super) async fn test(global: &Global, names: &[String], json: bool) -> Result<Exit, Failure> {
    let config = load_config(global, &[])?;
    quiet_log(&config, global);
    let mut exit = Exit::Ok;
    for target in chosen(&config, names)? {
        let notice = test_notice(&config.worker.display_name());
        let (name, kind) = (target.name.clone(), word(target.kind()));
        let told = tokio::task::spawn_blocking(move || target.tell(&notice)).await;
        let problem = match told {
            Ok(Ok(())) => None,
            Ok(Err(e)) => Some(e.problem),
            Err(e) => Some(e.to_string()),
        };
        if problem.is_some() {
            exit = Exit::Some;
        }
        match &problem {
            _ if json => println!(
                "{}",
                json!({"type": "told", "target": name, "kind": kind, "ok": problem.is_none(), "problem": problem})
            ),
            None => println!("ok      {name} ({kind})"),
            Some(problem) => println!("FAILED  {name} ({kind}): {}", text::safe(problem)),
        }
    }
    Ok(exit)
}

fn chosen(config: &Config, names: &[String]) -> Result<Vec<Target>, Failure> {
    let targets = &config.notify.targets;
    if targets.is_empty() {
        return Err(Failure::usage(NOBODY).hint("docs/MONITORING.md has examples for every kind"));
    }
    if let Some(strange) = names.iter().find(|n| !targets.contains_key(*n)) {
        let known: Vec<_> = targets.keys().map(String::as_str).collect();
        return Err(Failure::usage(format!("there is no target {}", text::safe(strange)))
            .hint(format!("the configuration has: {}", known.join(", "))));
    }
    let client = Client::new(None, config.notify.timeout())
        .map_err(|e| Failure::environment(format!("TLS cannot be used: {e}")))?;
    let wanted = targets.iter().filter(|(name, _)| names.is_empty() || names.contains(name));
    Ok(wanted.map(|(name, target)| Target::new(name, target.clone(), client.clone())).collect())
}

fn word(kind: TargetKind) -> String {
    format!("{kind:?}").to_lowercase()
}

/// What waits, and what was given up.
pub(super) fn list(global: &Global, json: bool) -> Result<Exit, Failure> {
    let config = load_config(global, &[])?;
    quiet_log(&config, global);
    config.require_fleet()?;
    let (waiting, given_up) = ShareState::new(&config.share.state_dir).outbox()?;
    if waiting.is_empty() && given_up.is_empty() && !json {
        println!("nothing waits to be told, and nothing was given up");
    }
    for (state, entries) in [("waiting", &waiting), ("given up", &given_up)] {
        for entry in entries {
            if json {
                println!("{}", object(state, entry));
            } else {
                println!("{}", line(state, entry));
            }
        }
    }
    Ok(Exit::Ok)
}

fn object(state: &str, entry: &OutboxEntry) -> serde_json::Value {
    json!({
        "type": "notice", "state": state, "target": entry.target, "event": entry.notice.event,
        "title": entry.notice.title, "tries": entry.tries, "problem": entry.problem,
        "created_at": entry.created_at, "owner": entry.owner,
    })
}

/// `given up  2026-11-23 20:00  tv     Done: A (2020); 12 tries, the last: it answers 503`
fn line(state: &str, entry: &OutboxEntry) -> String {
    let tries = match (entry.tries, &entry.problem) {
        (0, None) => "not tried yet".to_owned(),
        (n, Some(problem)) => format!("{} tries, the last: {problem}", n.max(1)),
        (n, None) => format!("{n} tries"),
    };
    let at = entry.created_at.strftime("%Y-%m-%d %H:%MZ");
    text::safe(&format!("{state:8}  {at}  {}  {}; {tries}", entry.target, entry.notice.title))
}
