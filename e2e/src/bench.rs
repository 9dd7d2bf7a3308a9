//! Whole films through the consumer's pipeline, without worker and broker: for tests.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use common::config::{Decode, ToolsConfig};
use common::job::{Certificate, FailureCode, Mode, Recipe};
use common::share::Reservations;
use consumer::pipeline::{
    self, Announcement, Context, FilmTask, Finished, Label, Ledger, Progress, Publishing, Stage, StageError,
    Stop, Toolbox, Watch, Watcher,
};

use crate::tool::ffmpeg_under_test;

/// A library, a place for results, and a scratch folder, all gone at the end.
pub struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    /// An empty one.
    ///
    /// # Errors
    /// The temporary folder cannot be made.
    pub fn new() -> Result<Self> {
        let dir = tempfile::tempdir().context("make a temporary folder")?;
        for name in ["lib", "out", "scratch"] {
            fs::create_dir(dir.path().join(name)).with_context(|| format!("make {name}"))?;
        }
        Ok(Self { dir })
    }

    /// A path below its folder: `lib/…`, `out/…`, `scratch/…`.
    pub fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The task to convert `source` to `out/result.mkv`.
    pub fn task(&self, source: &Path, mode: Mode) -> FilmTask {
        FilmTask {
            source: source.to_owned(),
            expected: None,
            target: self.path("out").join("result.mkv"),
            publishing: Publishing::default(),
            scratch: self.path("scratch"),
            recipe: Recipe { mode, preset: "ultrafast".into(), ..Recipe::default() },
            token: "0123456789abcdef0123456789abcdef".into(),
            dead: Vec::new(),
            label: Label { worker: "test".into(), ..Label::default() },
        }
    }

    /// Every file below the folders for results and scratch.
    ///
    /// # Errors
    /// A folder cannot be read.
    pub fn left(&self) -> Result<Vec<PathBuf>> {
        let mut all = Vec::new();
        let mut dirs = vec![self.path("out"), self.path("scratch")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(&dir).with_context(|| format!("read {}", dir.display()))? {
                let path = entry?.path();
                if path.is_dir() { dirs.push(path) } else { all.push(path) }
            }
        }
        Ok(all)
    }
}

/// What a watcher does with progress.
pub type OnProgress = Box<dyn Fn(&Progress) + Send + Sync>;

struct Watching {
    on: OnProgress,
}

impl Watcher for Watching {
    fn progress(&self, p: &Progress) {
        (self.on)(p);
    }
    fn notice(&self, _: &str) {}
}

/// Books in memory that can be told to fail.
#[derive(Default)]
pub struct Books {
    /// What was announced.
    pub announced: Mutex<Option<Announcement>>,
    /// What was concluded.
    pub concluded: Mutex<Option<Certificate>>,
    /// The film belongs to somebody else by now.
    pub lost: bool,
    /// The certificate cannot be written.
    pub cut: bool,
}

fn put<T>(place: &Mutex<Option<T>>, value: T) {
    *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
}

impl Ledger for Books {
    fn announced(&self) -> Result<Option<Announcement>, StageError> {
        Ok(self.announced.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }
    fn announce(&self, a: &Announcement) -> Result<(), StageError> {
        put(&self.announced, a.clone());
        Ok(())
    }
    fn still_ours(&self) -> Result<(), StageError> {
        if self.lost { Err(StageError::new(Stage::Publish, FailureCode::LeaseLost, "lost")) } else { Ok(()) }
    }
    fn conclude(&self, c: &Certificate) -> Result<(), StageError> {
        if self.cut {
            return Err(StageError::new(Stage::Publish, FailureCode::ShareIo, "cut off"));
        }
        put(&self.concluded, c.clone());
        Ok(())
    }
}

/// What a pipeline needs beside its task; `ffmpeg` may be a stand-in.
pub fn context(ffmpeg: &str, stop: &Stop, on: OnProgress) -> Context {
    let tools = ToolsConfig { ffmpeg: ffmpeg.into(), ..ToolsConfig::default() };
    Context {
        tools: Arc::new(Toolbox::new(tools)),
        watch: Watch { stall: Duration::from_secs(120), grace: Duration::from_secs(5), log: None },
        decode: Decode::Off,
        space: Reservations::default(),
        watcher: Arc::new(Watching { on }),
        stop: stop.clone(),
    }
}

/// Converts one film and waits for it.
///
/// # Errors
/// As [`pipeline::run`]; a bug's code if there are no threads to run it on.
pub fn convert_with(context: &Context, task: FilmTask, books: &Arc<Books>) -> Result<Finished, StageError> {
    let runtime = tokio::runtime::Runtime::new()
        .map_err(|e| StageError::new(Stage::Preflight, FailureCode::BugPanic, format!("no threads: {e}")))?;
    runtime.block_on(pipeline::run(context, task, books.clone()))
}

/// [`convert_with`] with nothing special.
///
/// # Errors
/// As [`convert_with`].
pub fn convert(task: FilmTask) -> Result<Finished, StageError> {
    // What an encoder has shown once it need not show again before every film.
    static TOOLS: OnceLock<Arc<Toolbox>> = OnceLock::new();
    let fresh = context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ()));
    let tools = TOOLS.get_or_init(|| fresh.tools.clone()).clone();
    convert_with(&Context { tools, ..fresh }, task, &Arc::default())
}
