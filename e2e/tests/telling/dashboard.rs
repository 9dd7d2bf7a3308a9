//! Every query of the dashboard file against a real Prometheus that asked a real worker. With `DOVI_DASHBOARD_SHOTS` set to a
//! folder, the worker works for some minutes, and Chromium photographs Prometheus' own graphs of some of them.

use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use common::http::encoded;
use common::job::{Mode, Recipe};
use e2e::prometheus::{Prometheus, dashboard_queries};
use e2e::{tool, wait};

const SHOTS: &str = "DOVI_DASHBOARD_SHOTS";

fn shots() -> Option<PathBuf> {
    std::env::var_os(SHOTS).map(PathBuf::from)
}

/// Of the film that Prometheus sees in work.
pub fn frames() -> u64 {
    if shots().is_some() { 960 } else { 480 }
}

pub fn recipe() -> Recipe {
    let preset = if shots().is_some() { "medium" } else { "veryfast" };
    Recipe { mode: Mode::Encode, preset: preset.into(), ..Recipe::default() }
}

pub fn every_query_has_an_answer(prometheus: &Prometheus) {
    let queries = dashboard_queries("5m").unwrap();
    assert!(queries.len() > 20, "{queries:#?}");
    // What came last is seen at the next look.
    let empty = || -> Vec<_> {
        queries.iter().filter(|(_, query)| prometheus.series(query).unwrap().is_empty()).collect()
    };
    let all = wait::until(Duration::from_secs(20), "data for every query", || empty().is_empty());
    all.unwrap_or_else(|e| panic!("{e}: {:#?}", empty()));
    let rules = prometheus.rules().unwrap();
    assert!(rules.len() >= 10 && rules.iter().all(|(_, health)| health == "ok"), "{rules:?}");
    if let Some(folder) = shots() {
        photograph(prometheus, &folder);
    }
}

fn photograph(prometheus: &Prometheus, folder: &PathBuf) {
    std::fs::create_dir_all(folder).unwrap();
    for (name, panels) in [
        ("prometheus-speed", ["Speed", "How far films are"]),
        ("prometheus-results", ["Films by result", "Queues"]),
    ] {
        let queries = dashboard_queries("5m").unwrap();
        let query = |title: &str| queries.iter().find(|(t, _)| t == title).expect("such a panel").1.clone();
        let graphs: Vec<_> = panels
            .iter()
            .enumerate()
            .map(|(n, title)| format!("g{n}.expr={}&g{n}.tab=0&g{n}.range_input=1m", encoded(&query(title))))
            .collect();
        let profile = tempfile::tempdir().unwrap();
        let mut chromium = tool::command("chromium");
        chromium
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--disable-quic",
                "--no-first-run",
                "--disable-sync",
            ])
            .args(["--disable-background-networking", "--disable-component-update", "--hide-scrollbars"])
            .args(["--window-size=1100,1580", "--virtual-time-budget=15000"])
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(format!("--screenshot={}", folder.join(format!("{name}.png")).display()))
            .arg(format!("{}/graph?{}", prometheus.url(), graphs.join("&")))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        assert!(chromium.status().unwrap().success());
    }
}
