//! The compose files and what is said about their settings.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn files() -> Vec<PathBuf> {
    let more = fs::read_dir(root().join("deploy/compose")).unwrap().map(|e| e.unwrap().path());
    let more = more.filter(|p| p.extension().is_some_and(|e| e == "yml"));
    [root().join("docker-compose.yml")].into_iter().chain(more).collect()
}

/// `${NAME:-default}` and `${NAME:?}` → name and default.
fn variables(text: &str) -> impl Iterator<Item = (&str, Option<&str>)> {
    text.split("${").skip(1).map(|rest| {
        let inside = rest.split('}').next().unwrap();
        match inside.split_once(":-") {
            Some((name, default)) => (name, Some(default)),
            None => (inside.trim_end_matches(":?"), None),
        }
    })
}

#[test]
fn every_setting_of_the_compose_files_is_explained_with_its_default() {
    let example = fs::read_to_string(root().join(".env.example")).unwrap();
    let explained: BTreeMap<&str, &str> =
        example.lines().filter_map(|l| l.strip_prefix('#')?.split_once('=')).collect();
    let files = files();
    assert!(files.len() >= 4, "{files:?}");
    for file in files {
        // Comments show values for .env, too.
        let text = fs::read_to_string(&file).unwrap();
        let text: String =
            text.replace("$$", "").lines().filter(|l| !l.trim_start().starts_with('#')).collect();
        for (name, default) in variables(&text) {
            let value = explained.get(name);
            assert!(value.is_some(), "{}: {name} is not in .env.example", file.display());
            if let Some(default) = default {
                assert_eq!(value, Some(&default), "{}: the default of {name}", file.display());
            }
        }
    }
}

#[test]
fn every_service_that_stays_has_a_health_check_and_keeps_its_log_small() {
    let text = fs::read_to_string(root().join("docker-compose.yml")).unwrap();
    let services = text.split_once("\nservices:\n").unwrap().1.split_once("\nvolumes:\n").unwrap().0;
    let mut found = Vec::new();
    // A service's name stands alone, two spaces in.
    let mut rest = format!("\n{services}");
    while let Some(at) = rest.find("\n  ").filter(|_| !rest.is_empty()) {
        rest = rest[at + 3..].to_owned();
        let Some((name, _)) =
            rest.split_once(":\n").filter(|(n, _)| n.chars().all(|c| c.is_ascii_alphabetic()))
        else {
            continue;
        };
        let end = rest.find("\n\n").unwrap_or(rest.len());
        found.push((name.to_owned(), rest[..end].to_owned()));
        rest = rest[end..].to_owned();
    }
    let names: Vec<&str> = found.iter().map(|(n, _)| n.as_str()).collect();
    assert_eq!(names, ["rabbitmq", "folders", "worker", "watch", "producer"]);
    for (name, body) in &found {
        let stays = body.contains("restart: unless-stopped");
        assert_eq!(stays, body.contains("healthcheck:"), "{name}");
        assert!(body.contains("logging: *logging") || body.contains("<<: *fleet"), "{name}");
    }
    assert!(text.contains("max-size:"));
}
