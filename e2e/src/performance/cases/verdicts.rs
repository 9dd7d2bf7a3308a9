//! How many films a second are told apart.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};

use super::lab::Lab;
use crate::films::Layers;
use crate::performance::measure::measure;
use crate::performance::{Clip, Row, Table, Weight};

const GOAL: f64 = 500.0;
const FILMS: usize = 500;

pub(super) fn tables(lab: &mut Lab) -> Result<Table> {
    let films = if lab.quick { 20 } else { FILMS };
    let small = lab.folder("library")?;
    for layers in [Layers::Mel, Layers::Fel] {
        let film = if lab.quick {
            lab.film(layers, 4)?
        } else {
            let film = lab.path("small.mkv");
            Clip::encode(&lab.path(""), layers, Weight::LIGHT)?.film(&film, 3)?;
            film
        };
        for n in 0..films / 2 {
            fs::copy(&film, small.join(format!("{layers:?} {n}.mkv")))?;
        }
    }
    let large = lab.folder("large")?;
    let film = lab.film(Layers::Mel, if lab.quick { 4 } else { 100 })?;
    for n in 0..films / 5 {
        fs::hard_link(&film, large.join(format!("{n}.mkv")))?;
    }
    let mut rows = Vec::new();
    for (name, dir) in [("small films", &small), ("films at a disc's rate", &large)] {
        let mut rates = Vec::new();
        let mut count = 0.0;
        for _ in 0..lab.pairs.max(2) {
            let done = lab.work("sample", &[dir])?;
            rates.push(done.count / done.cost.seconds);
            count = done.count;
        }
        // The first run brings the files into memory.
        rates.remove(0);
        rows.push(row(
            format!("verdicts of {name}, one thread"),
            rates,
            Some((false, GOAL)),
            format!("{count} films"),
        ));
    }
    // A scan leaves files alone that may still be copied.
    let old = SystemTime::now() - Duration::from_secs(3600);
    for entry in fs::read_dir(&small)? {
        File::options().write(true).open(entry?.path())?.set_modified(old)?;
    }
    let mut rates = Vec::new();
    for _ in 0..lab.pairs {
        let cost = measure(vec![dry_run(lab, &small)], true, &[0])?;
        let named = cost.printed.lines().filter(|l| l.contains("\"verdict\"")).count();
        ensure!(named >= films, "{named} of {films} films in a dry run: {}", cost.printed);
        rates.push(films as f64 / cost.seconds);
    }
    rows.push(row(
        "dovi-producer scan --dry-run, from start to end".into(),
        rates,
        Some((false, GOAL)),
        format!("{films} small films"),
    ));
    let commands = vec!["bench work sample DIR".to_owned(), "dovi-producer scan --dry-run --json".to_owned()];
    Ok(Table { title: "Verdicts", commands, rows, load: String::new() })
}

fn row(what: String, ratios: Vec<f64>, goal: Option<(bool, f64)>, also: String) -> Row {
    Row { what, with: "the clock".into(), ratios, goal, unit: "/s", also }
}

fn dry_run(lab: &Lab, library: &Path) -> Command {
    let mut command = Command::new(&lab.producer);
    command.args(["scan", "--dry-run", "--json"]).current_dir(lab.path(""));
    for (key, path) in [
        ("library.roots.films", library),
        ("share.state_dir", &lab.path("state")),
        ("output.dir", &lab.path("converted")),
    ] {
        command.arg("--set").arg(format!("{key}={}", path.display()));
    }
    command
}
