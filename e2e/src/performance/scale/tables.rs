//! The measurements of scale: one large library, one long queue.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use common::broker::{BrokerOptions, topology};
use common::job::{JobMessage, LibraryPath, Recipe};
use serde_json::Value;

use super::{raw, status};
use crate::broker::PrivateBroker;
use crate::films::Layers;
use crate::performance::cases::Lab;
use crate::performance::measure::{Cost, measure, paired};
use crate::performance::{Clip, Row, Table, Weight};

/// Files of the library, and how many of them are films.
const FILES: u64 = 100_000;
const FILMS: u64 = 10_000;
const WORKERS: u64 = 64;
/// The library's parts; the films of one of them are for one worker alone.
const PARTS: u64 = 10;
/// `status` of [`FILMS`] films, seconds.
const GOAL_STATUS_S: f64 = 1.0;
/// What a film costs beside its conversion, milliseconds.
const GOAL_MS: f64 = 20.0;

struct Site {
    broker: PrivateBroker,
    dir: PathBuf,
    config: PathBuf,
    certificate: PathBuf,
}

/// A library of many files, its first and second scan, and its queue emptied by one and by many workers.
///
/// # Errors
/// The broker or a program failed, or films are missing.
pub(in crate::performance) fn tables(lab: &mut Lab) -> Result<Table> {
    let (files, films, workers) = if lab.quick { (400, 40, 4) } else { (FILES, FILMS, WORKERS) };
    let site = Site::open(lab)?;
    site.library(lab, files, films)?;
    let mut rows = Vec::new();

    let first = site.scan(lab, &["scan"])?;
    queued(&first, films)?;
    let each = |cost: &Cost| format!("{films} films among them, {}", memory(cost.peak_rss as f64));
    rows.push(row(
        format!("first scan of {files} files, films queued"),
        vec![first.seconds],
        " s",
        None,
        each(&first),
    ));
    let mut again = Vec::new();
    for _ in 0..lab.pairs {
        let cost = site.scan(lab, &["scan"])?;
        queued(&cost, 0)?;
        again.push(cost);
    }
    let last = again.last().map(each).unwrap_or_default();
    rows.push(row("the same scan again".into(), again.iter().map(|c| c.seconds).collect(), " s", None, last));

    let many = site.drain(lab, workers)?;
    let number = |key: &str| many[key].as_f64().with_context(|| format!("{key} in {many}"));
    ensure!(number("films")? >= films as f64, "{many}");
    let shares: Vec<u64> = serde_json::from_value(many["by_worker"].clone())?;
    let (few, most) = (shares.iter().min().copied().unwrap_or(0), shares.iter().max().copied().unwrap_or(0));
    let per_film = number("seconds")? * 1e3 / number("films")?;
    rows.push(row(
        format!("{workers} workers, {films} films that need no work: time for each"),
        vec![per_film],
        " ms",
        Some((true, GOAL_MS)),
        format!("films for one worker: {few} to {most}"),
    ));
    rows.push(row(
        "memory of all of them at the end against a tenth of the way".into(),
        vec![number("memory")? / number("memory_early")?],
        "",
        None,
        memory(number("memory")?),
    ));
    let mut gaps = Vec::new();
    for pair in 0..lab.pairs {
        let part = site.dir.join("lib").join(format!("part {}", pair as u64 % PARTS));
        let part = part.to_str().context("a temporary folder in UTF-8")?;
        queued(&site.scan(lab, &["rescan", "--force", part])?, films / PARTS)?;
        let one = site.drain(lab, 1)?;
        gaps.push(one["gap_ms"].as_f64().context("gap_ms")?);
    }
    rows.push(row(
        "one worker alone, from one such film to the next".into(),
        gaps,
        " ms",
        Some((true, GOAL_MS)),
        "lease, journal, announcement, certificate, acknowledgement, each on disk".into(),
    ));
    rows.push(site.status(lab, films)?);
    rows.push(site.publishing(lab, if lab.quick { 20 } else { 2000 })?);
    site.broker.stop()?;
    let commands = vec![
        "dovi-producer scan; dovi-producer rescan --force PATH; dovi-producer status --json".to_owned(),
        "bench work drain --workers N CONFIG CERTIFICATE".to_owned(),
    ];
    Ok(Table { title: "Scale", commands, rows, load: String::new() })
}

impl Site {
    fn open(lab: &mut Lab) -> Result<Self> {
        let dir = lab.folder("scale")?;
        let broker = PrivateBroker::start(&lab.folder("broker")?)?;
        broker.add_vhost("scale")?;
        for name in ["lib", "out", "scratch"] {
            fs::create_dir(dir.join(name))?;
        }
        let at = |p: &str| dir.join(p).display().to_string();
        let text = format!(
            "[broker]\nurl = {:?}\n[library.roots]\nfilms = {:?}\n[share]\nstate_dir = {:?}\n[output]\ndir = {:?}\n\
             [scratch]\ndir = {:?}\n[recipe]\nmode = \"copy\"\n[log]\nlevel = \"warn\"\n",
            broker.admin_url("scale"),
            at("lib"),
            at("state"),
            at("out"),
            at("scratch")
        );
        let config = dir.join("config.toml");
        fs::write(&config, text)?;
        let certificate = dir.join("certificate.json");
        Ok(Self { broker, dir, config, certificate })
    }

    /// Films are names of a few files: what is in them is measured elsewhere.
    fn library(&self, lab: &mut Lab, files: u64, films: u64) -> Result<()> {
        const FOLDERS: u64 = 200;
        let film = self.dir.join("film.mkv");
        Clip::encode(&lab.path(""), Layers::Mel, Weight::LIGHT)?.film(&film, 1)?;
        let old = SystemTime::now() - Duration::from_secs(3600);
        fs::File::options().write(true).open(&film)?.set_modified(old)?;
        let (_, certificate) = lab.convert(&["--mode", "copy"], &film, &self.dir.join("result.mkv"))?;
        fs::write(&self.certificate, certificate.to_string())?;
        for n in 0..files {
            let dir = self
                .dir
                .join("lib")
                .join(format!("part {}", n % PARTS))
                .join(format!("folder {}", n % FOLDERS));
            fs::create_dir_all(&dir)?;
            if n < films {
                fs::hard_link(&film, dir.join(format!("film {n}.mkv")))?;
            } else {
                let kind = ["jpg", "nfo", "srt", "txt"][(n % 4) as usize];
                fs::write(dir.join(format!("file {n}.{kind}")), "something")?;
            }
        }
        Ok(())
    }

    fn scan(&self, lab: &Lab, args: &[&str]) -> Result<Cost> {
        let mut command = Command::new(&lab.producer);
        command.args(args).arg("--json").arg("--config").arg(&self.config).current_dir(&self.dir);
        measure(vec![command], true, &[0])
    }

    fn drain(&self, lab: &Lab, workers: u64) -> Result<Value> {
        let workers = workers.to_string();
        let args = [Path::new("--workers"), Path::new(&workers), &self.config, &self.certificate];
        Ok(lab.said("drain", &args)?.1)
    }

    /// Books of their own: queued, done and failed films side by side.
    fn status(&self, lab: &Lab, films: u64) -> Result<Row> {
        let state = self.dir.join("books");
        status::books(&state, films, &self.certificate)?;
        let state = format!("share.state_dir={}", state.display());
        let mut costs = Vec::new();
        for _ in 0..lab.pairs {
            let cost = self.scan(lab, &["status", "--set", &state])?;
            let said: Value = serde_json::from_str(&cost.printed)?;
            ensure!(said["counts"]["done"] == films / 2, "{}", cost.printed);
            costs.push(cost);
        }
        let also = costs.last().map(|c| memory(c.peak_rss as f64)).unwrap_or_default();
        Ok(row(
            format!("status of {films} films, of which half are done"),
            costs.iter().map(|c| c.seconds).collect(),
            " s",
            Some((true, GOAL_STATUS_S)),
            also,
        ))
    }

    fn publishing(&self, lab: &Lab, count: u64) -> Result<Row> {
        self.broker.add_vhost("publish")?;
        let url = self.broker.admin_url("publish");
        let options = BrokerOptions::new(&url, "", "")?;
        let runtime = tokio::runtime::Runtime::new()?;
        runtime.block_on(topology::declare(&options))?;
        let film = LibraryPath::new("films", Path::new("part 0/folder 0/film 0.mkv"))?;
        let job = JobMessage::new(film, 1, 1, Recipe::default(), "MEL".into());
        let cost = |seconds| Cost { seconds, ..Cost::default() };
        let pairs = paired(
            lab.pairs,
            || runtime.block_on(raw::ours(&options, &job, count)).map(cost),
            || runtime.block_on(raw::bare(&url, &job, count)).map(cost),
        )?;
        let rate = pairs.ours.iter().map(|c| count as f64 / c.seconds).fold(0.0, f64::max);
        Ok(Row {
            what: format!("publishing {count} jobs"),
            with: "lapin alone, confirmed one at a time".into(),
            ratios: pairs.ratios(|c| c.seconds),
            goal: None,
            unit: "",
            also: format!("{rate:.0} messages a second"),
        })
    }
}

fn queued(cost: &Cost, films: u64) -> Result<()> {
    let named = cost.printed.lines().filter(|l| l.contains("\"action\":\"queue\"")).count() as u64;
    ensure!(named >= films && (films > 0 || named == 0), "{named} films queued, {films} expected");
    Ok(())
}

fn memory(bytes: f64) -> String {
    format!("{:.0} MB of memory", bytes / 1e6)
}

fn row(what: String, ratios: Vec<f64>, unit: &'static str, goal: Option<(bool, f64)>, also: String) -> Row {
    Row { what, with: "the clock".into(), ratios, goal, unit, also }
}
