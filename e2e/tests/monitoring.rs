//! The files of `deploy/prometheus` and `deploy/grafana` and the page about them, against the figures that a worker really has.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use common::broker::{Events, QueueDepth};
use common::job::JobId;
use common::share::WorkerState;
use consumer::metrics::Metrics;
use consumer::notify::{Sent, Tally};
use consumer::pipeline::{Progress, Stage};
use e2e::prometheus::dashboard_queries;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn read(file: &str) -> String {
    fs::read_to_string(root().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"))
}

/// Every figure that a worker can have, by name.
fn figures() -> BTreeSet<String> {
    let metrics = Metrics::new("w", 1, std::env::temp_dir()).unwrap();
    // Some appear only when there is something to say.
    metrics.queues(Some(&[QueueDepth { name: "dovi.films", ready: 1, consumers: 1 }]));
    metrics.state(WorkerState::Ill, Some("disk.full"));
    metrics.tried("tv", Sent::Ok);
    let job: JobId = "0".repeat(32).parse().unwrap();
    let eta = Some(Duration::from_secs(1));
    let frames = Some((1, 2));
    metrics.progress(
        job,
        &Progress { stage: Stage::Encode, percent: 1.0, part: 0.1, frames, fps: Some(1.0), eta },
    );
    let text = String::from_utf8(metrics.text(&Events::off()).unwrap()).unwrap();
    // Prometheus has labels of these names, and would call ours exported_job.
    assert!(!text.contains("job=\"") && !text.contains("instance=\""), "{text}");
    text.lines().filter_map(|l| l.strip_prefix("# TYPE ")?.split(' ').next()).map(str::to_owned).collect()
}

/// Words of a text that look like figures of ours, without what Prometheus adds to histograms.
fn named(text: &str) -> BTreeSet<String> {
    text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'))
        .filter(|word| word.starts_with("dovi_") && *word != "dovi_tool")
        .map(|word| {
            let parts = ["_bucket", "_sum", "_count"];
            parts.iter().find_map(|p| word.strip_suffix(p)).unwrap_or(word).to_owned()
        })
        .collect()
}

#[test]
fn every_figure_is_explained_and_every_figure_that_is_asked_for_is_there() {
    let figures = figures();
    assert!(figures.len() > 20, "{figures:?}");
    let queries: String =
        dashboard_queries("1h").unwrap().into_iter().map(|(_, query)| query + "\n").collect();
    for (file, text) in [
        ("the dashboard", queries),
        ("alerts.yml", read("deploy/prometheus/alerts.yml")),
        ("docs/MONITORING.md", read("docs/MONITORING.md")),
    ] {
        let strange: Vec<_> = named(&text).difference(&figures).cloned().collect();
        assert!(strange.is_empty(), "{file} names figures that no worker has: {strange:?}");
    }
    let explained = named(&read("docs/MONITORING.md"));
    let silent: Vec<_> = figures.difference(&explained).collect();
    assert!(silent.is_empty(), "docs/MONITORING.md does not explain {silent:?}");
}

#[test]
fn every_alert_has_a_test() {
    let (alerts, tests) = (read("deploy/prometheus/alerts.yml"), read("deploy/prometheus/alerts.test.yml"));
    let names: Vec<_> = alerts.lines().filter_map(|l| l.trim().strip_prefix("- alert: ")).collect();
    assert!(names.len() >= 10, "{names:?}");
    for name in names {
        let raised =
            tests.contains(&format!("alertname: {name}\n        exp_alerts:\n          - exp_labels"));
        let silent = tests.contains(&format!("alertname: {name}, exp_alerts: [] }}"));
        assert!(raised && silent, "{name}: once raised, once not");
    }
}

#[test]
fn promtool_takes_the_files() {
    for args in [
        ["check", "rules", "alerts.yml"],
        ["test", "rules", "alerts.test.yml"],
        ["check", "config", "prometheus.yml"],
    ] {
        let mut command = Command::new("promtool");
        command.args(args).current_dir(root().join("deploy/prometheus"));
        // Not everybody has it; whoever makes a release does.
        let Ok(output) = command.output() else { return };
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "promtool {args:?}: {said}");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_can_load() {
    let dashboard: serde_json::Value = serde_json::from_str(&read("deploy/grafana/dovi-fleet.json")).unwrap();
    assert!(dashboard["uid"].is_string() && dashboard["schemaVersion"].as_u64().unwrap() >= 39);
    let panels = dashboard["panels"].as_array().unwrap();
    let ids: BTreeSet<u64> = panels.iter().map(|p| p["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "each panel has its own id");
    let mut taken: Vec<(u64, u64, u64, u64, &str)> = Vec::new();
    for panel in panels {
        let at = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (x, y, w, h) = (at("x"), at("y"), at("w"), at("h"));
        let title = panel["title"].as_str().unwrap();
        assert!(x + w <= 24, "{title} is wider than the page");
        let over =
            |o: &&(u64, u64, u64, u64, &str)| x < o.0 + o.2 && o.0 < x + w && y < o.1 + o.3 && o.1 < y + h;
        assert!(taken.iter().find(over).is_none(), "{title} lies over another panel");
        taken.push((x, y, w, h, title));
        if panel["type"] != "row" {
            assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title} takes the chosen Prometheus");
            assert!(!panel["targets"].as_array().unwrap().is_empty(), "{title}");
        }
    }
}
