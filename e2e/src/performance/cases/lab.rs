//! Where the measurements find films and programs.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::Options;
use crate::films::Layers;
use crate::performance::baseline::Converter;
use crate::performance::measure::{Cost, measure, warm};
use crate::performance::{Clip, Weight};
use crate::tool;

/// A temporary folder with films, and the programs under test.
pub(in crate::performance) struct Lab {
    dir: TempDir,
    clips: HashMap<Layers, Clip>,
    films: HashMap<(Layers, u64), PathBuf>,
    weight: Weight,
    pub(in crate::performance) pairs: usize,
    pub(in crate::performance) quick: bool,
    pub(super) converter: Converter,
    bench: PathBuf,
    pub(super) consumer: PathBuf,
    pub(in crate::performance) producer: PathBuf,
}

impl Lab {
    pub(super) fn open(options: &Options) -> Result<Self> {
        tool::require(&["ffmpeg", "mkvmerge"])?;
        let dir = tempfile::Builder::new().prefix("dovi-bench-").tempdir_in(&options.dir);
        let dir = dir.with_context(|| format!("make a folder in {}", options.dir.display()))?;
        let bench = std::env::current_exe()?;
        // The same programs under names of this package: cargo builds them together, so none is older than the others.
        let beside = |name: &str| {
            let path = bench.with_file_name(name);
            ensure!(path.is_file(), "{} is missing: cargo build --release -p e2e --bins", path.display());
            Ok(path)
        };
        let (consumer, producer) = (beside("consumer-under-test")?, beside("producer-under-test")?);
        let converter = match &options.dovi_tool {
            Some(path) => Converter::DoviTool(path.clone()),
            None => Converter::StandIn(bench.clone()),
        };
        Ok(Self {
            dir,
            clips: HashMap::new(),
            films: HashMap::new(),
            weight: if options.quick { Weight::LIGHT } else { Weight::DISC },
            pairs: options.pairs,
            quick: options.quick,
            converter,
            bench,
            consumer,
            producer,
        })
    }

    pub(in crate::performance) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// An empty folder of this name.
    pub(in crate::performance) fn folder(&self, name: &str) -> Result<PathBuf> {
        let path = self.path(name);
        if path.exists() {
            fs::remove_dir_all(&path)?;
        }
        fs::create_dir(&path)?;
        Ok(path)
    }

    /// A film of two seconds times `repeats`, made at the first call, and in memory.
    pub(super) fn film(&mut self, layers: Layers, repeats: u64) -> Result<PathBuf> {
        if let Some(made) = self.films.get(&(layers, repeats)) {
            warm(made)?;
            return Ok(made.clone());
        }
        let path = self.path(&format!("{layers:?} {repeats}.mkv"));
        if !self.clips.contains_key(&layers) {
            self.clips.insert(layers, Clip::encode(self.dir.path(), layers, self.weight)?);
        }
        self.clips.get(&layers).context("a clip was made")?.film(&path, repeats)?;
        self.films.insert((layers, repeats), path.clone());
        warm(&path)?;
        Ok(path)
    }

    /// Runs one piece of work of [`super::super::work`] and gives its own word on what it took.
    pub(super) fn work(&self, what: &str, files: &[&Path]) -> Result<Done> {
        let (cost, said) = self.said(what, files)?;
        let number = |key: &str| said[key].as_f64().with_context(|| format!("{key} in {said}"));
        Ok(Done {
            cost: Cost { seconds: number("seconds")?, peak_rss: number("peak_rss")? as u64, ..cost },
            bytes: number("bytes")?,
            count: number("count")?,
        })
    }

    /// Runs a piece of work and gives what it printed.
    pub(in crate::performance) fn said(&self, what: &str, args: &[&Path]) -> Result<(Cost, Value)> {
        let mut command = Command::new(&self.bench);
        command.args(["work", what]).args(args);
        let cost = measure(vec![command], true, &[0])?;
        let said = serde_json::from_str(&cost.printed).context("a line of JSON from a piece of work")?;
        Ok((cost, said))
    }

    /// `dovi-consumer` with arguments, away from the user's own configuration.
    pub(super) fn consumer(&self, args: &[&str]) -> Command {
        let mut command = Command::new(&self.consumer);
        command.args(args).current_dir(self.dir.path());
        command
    }

    /// Converts `film` to `result` with further arguments; gives the cost and the certificate.
    pub(in crate::performance) fn convert(
        &self,
        args: &[&str],
        film: &Path,
        result: &Path,
    ) -> Result<(Cost, Value)> {
        let mut convert = self.consumer(&["convert", "--json"]);
        convert.args(args).arg("--scratch").arg(self.dir.path()).arg("--output").arg(result).arg(film);
        let cost = measure(vec![convert], true, &[0])?;
        let said: Value = serde_json::from_str(&cost.printed).context("JSON of a conversion")?;
        Ok((cost, said["certificate"].clone()))
    }

    /// Checks that `result` is `film` in Profile 8.1, whoever made it.
    pub(super) fn verify(&self, film: &Path, result: &Path) -> Result<()> {
        let mut verify = self.consumer(&["verify", "--json"]);
        verify.arg(film).arg(result);
        measure(vec![verify], true, &[0]).map(drop)
    }
}

/// A piece of work.
pub(super) struct Done {
    pub(super) cost: Cost,
    pub(super) bytes: f64,
    pub(super) count: f64,
}
