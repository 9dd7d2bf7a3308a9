//! Whole films through the pipeline with real tools, judged from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::config::{Decode, ToolsConfig};
use common::job::{Certificate, FailureCode, FelPolicy, Mode, Recipe};
use common::share::Reservations;
use consumer::exit::Exit;
use consumer::pipeline::{
    self, Announcement, Context, FilmTask, Finished, Label, Ledger, Progress, Source, Stage, StageError,
    Stop, Toolbox, Watch, Watcher,
};
use e2e::films::{
    FilmSet, FilmSpec, Layers, LibraryOptions, Outcome, RpuDamage, make_film, make_library, truth,
};

const FRAMES: u64 = 72;

/// A library, a place for results, and a scratch folder, all gone at the end.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        ["lib", "out", "scratch"].iter().for_each(|d| fs::create_dir(dir.path().join(d)).unwrap());
        Self { dir }
    }

    fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.dir.path().join(name)
    }

    fn film(&self, spec: &FilmSpec) -> PathBuf {
        let path = self.path("lib").join(&spec.path);
        make_film(&path, &spec.clone().size(320, 180)).unwrap();
        path
    }

    fn task(&self, source: &Path, mode: Mode) -> FilmTask {
        FilmTask {
            source: source.to_owned(),
            expected: None,
            target: self.path("out").join("result.mkv"),
            scratch: self.path("scratch"),
            recipe: Recipe { mode, preset: "ultrafast".into(), ..Recipe::default() },
            token: "0123456789abcdef0123456789abcdef".into(),
            dead: Vec::new(),
            label: Label { worker: "test".into(), ..Label::default() },
        }
    }

    /// Every file below the folders for results and scratch.
    fn left(&self) -> Vec<PathBuf> {
        let mut all = Vec::new();
        let mut dirs = vec![self.path("out"), self.path("scratch")];
        while let Some(dir) = dirs.pop() {
            for entry in fs::read_dir(dir).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { dirs.push(path) } else { all.push(path) }
            }
        }
        all
    }
}

/// What the watcher does with progress.
type OnProgress = Box<dyn Fn(&Progress) + Send + Sync>;

struct Watching {
    on: OnProgress,
    notices: Mutex<Vec<String>>,
}

impl Watcher for Watching {
    fn progress(&self, p: &Progress) {
        (self.on)(p);
    }
    fn notice(&self, text: &str) {
        self.notices.lock().unwrap().push(text.to_owned());
    }
}

/// Books in memory that can be told to fail.
#[derive(Default)]
struct Books {
    announced: Mutex<Option<Announcement>>,
    concluded: Mutex<Option<Certificate>>,
    lost: bool,
    cut: bool,
}

impl Ledger for Books {
    fn announced(&self) -> Result<Option<Announcement>, StageError> {
        Ok(self.announced.lock().unwrap().clone())
    }
    fn announce(&self, a: &Announcement) -> Result<(), StageError> {
        *self.announced.lock().unwrap() = Some(a.clone());
        Ok(())
    }
    fn still_ours(&self) -> Result<(), StageError> {
        if self.lost { Err(StageError::new(Stage::Publish, FailureCode::LeaseLost, "lost")) } else { Ok(()) }
    }
    fn conclude(&self, c: &Certificate) -> Result<(), StageError> {
        if self.cut {
            return Err(StageError::new(Stage::Publish, FailureCode::ShareIo, "cut off"));
        }
        *self.concluded.lock().unwrap() = Some(c.clone());
        Ok(())
    }
}

fn context(ffmpeg: &str, stop: &Stop, on: OnProgress) -> Context {
    let tools = ToolsConfig { ffmpeg: ffmpeg.into(), mkvmerge: "mkvmerge".into() };
    Context {
        tools: Arc::new(Toolbox::new(tools)),
        watch: Watch { stall: Duration::from_secs(120), grace: Duration::from_secs(5), log: None },
        decode: Decode::Off,
        space: Reservations::default(),
        watcher: Arc::new(Watching { on, notices: Mutex::default() }),
        stop: stop.clone(),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Runtime::new().unwrap()
}

fn convert_with(context: &Context, task: FilmTask, books: &Arc<Books>) -> Result<Finished, StageError> {
    runtime().block_on(pipeline::run(context, task, books.clone()))
}

fn convert(task: FilmTask) -> Result<Finished, StageError> {
    convert_with(&context("ffmpeg", &Stop::default(), Box::new(|_| ())), task, &Arc::default())
}

fn library(set: FilmSet, dir: &Path) -> Vec<FilmSpec> {
    make_library(dir, &LibraryOptions { set, frames: FRAMES, width: 320, height: 180, only: Vec::new() })
        .unwrap()
}

#[test]
fn every_healthy_film_becomes_a_proven_one_in_both_modes_and_no_other_does() {
    let bench = Bench::new();
    let lib = bench.path("lib");
    let specs = library(FilmSet::Full, &lib);
    let (mut done, mut refused) = (0, 0);
    for spec in &specs {
        let source = lib.join(&spec.path);
        let before = fs::read(&source).unwrap();
        // Names matter where they are told to a program: mkvmerge reads all of them in copy mode, ffmpeg these.
        let encode = !spec.path.starts_with("hostile")
            || ["name-dash", "name-bytes", "name-colon"].contains(&spec.name);
        for mode in if encode { &[Mode::Copy, Mode::Encode][..] } else { &[Mode::Copy] } {
            let mode = *mode;
            let name = format!("{} in mode {mode:?}", spec.name);
            let task = bench.task(&source, mode);
            let target = task.target.clone();
            let result = convert(task);
            match spec.expected.outcome {
                Outcome::Done => {
                    let finished = result.unwrap_or_else(|e| panic!("{name}: {e}"));
                    prove(&name, spec, &source, &finished);
                    assert_eq!(bench.left(), std::slice::from_ref(&target), "{name}");
                    fs::remove_file(&target).unwrap();
                    done += 1;
                }
                Outcome::Skipped | Outcome::Fails(_) => {
                    let want = match spec.expected.outcome {
                        Outcome::Fails(code) => code,
                        _ => "dv.not-profile7",
                    };
                    let error = result.expect_err(&name);
                    assert_eq!(error.code.as_str(), want, "{name}: {error}");
                    assert!(!error.message.is_empty() && !error.advice().is_empty(), "{name}");
                    assert_eq!(bench.left(), [] as [PathBuf; 0], "{name}");
                    refused += 1;
                }
            }
        }
        assert!(fs::read(&source).unwrap() == before, "{}: the original changed", spec.name);
    }
    assert!(done >= 30 && refused >= 18, "{done} done, {refused} refused");
}

/// By ffmpeg's and mkvmerge's word, without the code under test; and by the certificate.
fn prove(name: &str, spec: &FilmSpec, source: &Path, finished: &Finished) {
    let wrong = truth::wrong_frames(&finished.target, spec).unwrap();
    assert!(wrong.is_clean() && wrong.frames > 0, "{name}: {wrong:?}");
    if spec.recipe.storage == e2e::films::Storage::SingleTrack {
        let tracks = truth::tracks_equal(source, &finished.target).unwrap();
        assert!(tracks.is_equal() && tracks.tracks >= 3, "{name}: {tracks:#?}");
    }
    let nals = truth::nal_counts(&finished.target).unwrap();
    assert_eq!((nals.get(&62), nals.get(&63)), (Some(&wrong.frames), None), "{name}");
    let c = &finished.certificate;
    assert!(c.holds() && c.checks.len() == 8, "{name}: {c:#?}");
    assert_eq!((c.frames, c.wrong_frames), (wrong.frames, 0), "{name}");
    assert_eq!(Some(c.verdict.as_str()), spec.expected.verdict, "{name}");
    let date = |p: &Path| fs::metadata(p).unwrap().modified().unwrap();
    assert_eq!(date(source), date(&finished.target), "{name}");
    if spec.recipe.hdr10plus {
        let numbers = truth::hdr10plus_numbers(&finished.target).unwrap();
        assert!(numbers.iter().all(Option::is_some), "{name}: {numbers:?}");
    }
}

#[test]
fn policies_decide_and_say_which_setting_it_is() {
    let bench = Bench::new();
    let expanding = bench.film(&FilmSpec::new("expanding", Layers::FelExpanding).frames(72));
    let refused = convert(bench.task(&expanding, Mode::Copy)).unwrap_err();
    assert_eq!(refused.code, FailureCode::FelExpanding);
    assert!(refused.message.contains("nits") && refused.advice().contains("fel_expanding"), "{refused}");

    let mut task = bench.task(&expanding, Mode::Copy);
    task.recipe.fel_expanding = FelPolicy::Allow;
    let forced = convert(task).unwrap();
    assert!(
        forced.certificate.holds()
            && forced.certificate.notices.iter().any(|n| n.contains("enhancement layer"))
    );

    fs::remove_file(&forced.target).unwrap();
    let fel = bench.film(&FilmSpec::new("fel", Layers::Fel).frames(72));
    let mut task = bench.task(&fel, Mode::Copy);
    task.recipe.fel = FelPolicy::Refuse;
    assert_eq!(convert(task).unwrap_err().code, FailureCode::FelRefused);
}

#[test]
fn a_small_gap_is_filled_only_if_the_recipe_allows_it() {
    let bench = Bench::new();
    let damage = RpuDamage::Missing { first: 30, count: 3 };
    let spec =
        FilmSpec::new("gap", Layers::Mel).frames(FRAMES).size(320, 180).rpu_damage(damage, "rpu.missing");
    let film = bench.film(&spec);
    assert_eq!(convert(bench.task(&film, Mode::Encode)).unwrap_err().code, FailureCode::RpuMissing);
    let mut task = bench.task(&film, Mode::Encode);
    task.recipe.max_missing_rpu_percent = 5.0;
    let finished = convert(task).unwrap();
    // The three carry the number of the frame before; every other frame its own.
    let wrong = truth::wrong_frames(&finished.target, &spec).unwrap();
    assert_eq!((wrong.wrong, wrong.missing, wrong.extra, wrong.wrong_pictures), (3, 0, 0, 0), "{wrong:?}");
    assert!(finished.certificate.notices.iter().any(|n| n.contains("3 frames had no rpu")));
}

#[test]
fn nothing_is_ever_replaced() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let task = bench.task(&film, Mode::Copy);
    fs::write(&task.target, "somebody's file").unwrap();
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::OutputExists);
    assert_eq!(fs::read(&task.target).unwrap(), b"somebody's file");
    assert_eq!(bench.left(), [task.target]);
}

#[test]
fn a_film_that_changed_or_went_away_is_refused() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let now = Source::of(&film).unwrap();
    let mut task = bench.task(&film, Mode::Copy);
    task.expected = Some(Source { size: now.size - 1, ..now });
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::SourceChanged);
    task.expected = Some(Source { mtime_ns: now.mtime_ns + 1, ..now });
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::SourceChanged);
    fs::remove_file(&film).unwrap();
    assert_eq!(convert(task).unwrap_err().code, FailureCode::SourceMissing);
}

#[test]
fn a_film_that_is_lost_before_it_gets_its_name_gets_none() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let books = Arc::new(Books { lost: true, ..Books::default() });
    let context = context("ffmpeg", &Stop::default(), Box::new(|_| ()));
    let error = convert_with(&context, bench.task(&film, Mode::Copy), &books).unwrap_err();
    assert_eq!(error.code, FailureCode::LeaseLost);
    assert_eq!(bench.left(), [] as [PathBuf; 0]);
}

#[test]
fn a_crash_between_name_and_certificate_is_repaired_by_the_next_attempt() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let context = context("ffmpeg", &Stop::default(), Box::new(|_| ()));
    let cut = Arc::new(Books { cut: true, ..Books::default() });
    let task = bench.task(&film, Mode::Encode);
    assert_eq!(convert_with(&context, task.clone(), &cut).unwrap_err().code, FailureCode::ShareIo);
    assert_eq!(bench.left(), std::slice::from_ref(&task.target));
    let announced = cut.announced.lock().unwrap().take();

    // Somebody put another file of the same length there: not ours.
    let ours = fs::read(&task.target).unwrap();
    let mut other = ours.clone();
    let middle = other.len() / 2;
    other[middle] ^= 0xff;
    fs::write(&task.target, &other).unwrap();
    let books = Arc::new(Books { announced: Mutex::new(announced.clone()), ..Books::default() });
    assert_eq!(convert_with(&context, task.clone(), &books).unwrap_err().code, FailureCode::OutputExists);
    assert!(books.concluded.lock().unwrap().is_none());

    fs::write(&task.target, &ours).unwrap();
    let books = Arc::new(Books { announced: Mutex::new(announced), ..Books::default() });
    let finished = convert_with(&context, task, &books).unwrap();
    assert!(finished.adopted && books.concluded.lock().unwrap().as_ref().unwrap().holds());
}

#[test]
fn partial_results_of_dead_attempts_go_and_those_of_others_stay() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let mut task = bench.task(&film, Mode::Copy);
    let (dead, living) =
        (bench.path("out/.result.mkv.dead.partial"), bench.path("out/.result.mkv.living.partial"));
    [&dead, &living].iter().for_each(|p| fs::write(p, "x").unwrap());
    task.dead = vec!["dead".into()];
    convert(task).unwrap();
    assert!(!dead.exists() && living.exists());
}

#[test]
fn a_film_that_is_stopped_leaves_nothing() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(480));
    for (at, mode) in [
        (Stage::Prescan, Mode::Encode),
        (Stage::Encode, Mode::Encode),
        (Stage::Copy, Mode::Copy),
        (Stage::Mux, Mode::Copy),
        (Stage::Verify, Mode::Copy),
    ] {
        let stop = Stop::default();
        let stopper = stop.clone();
        let on: OnProgress = Box::new(move |p| {
            if p.stage == at {
                stopper.stop(FailureCode::Shutdown);
            }
        });
        let error = convert_with(&context("ffmpeg", &stop, on), bench.task(&film, mode), &Arc::default())
            .unwrap_err();
        assert_eq!((error.code, error.stage), (FailureCode::Shutdown, at), "{error}");
        assert_eq!(bench.left(), [] as [PathBuf; 0], "stopped in {at}");
    }
}

/// A script that is asked like ffmpeg and does `encode` when it should encode.
fn fake_ffmpeg(bench: &Bench, encode: &str) -> String {
    let path = bench.path("ffmpeg");
    let script =
        format!("#!/bin/sh\ncase \"$*\" in\n*pipe:1*) {encode} ;;\n*) exec ffmpeg \"$@\" ;;\nesac\n");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_encoder_that_fails_is_named_by_how_it_failed() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    for (encode, code) in [
        ("exec ffmpeg -t 2 \"$@\"", FailureCode::EncodeFrames),
        ("ffmpeg \"$@\" | head -c 90000; exit 1", FailureCode::EncodeFailed),
        ("echo 'out of cheese' >&2; exit 3", FailureCode::EncodeFailed),
        ("kill -9 $$", FailureCode::ToolKilled),
        ("head -c 5000 /dev/zero", FailureCode::EncodeStream),
    ] {
        let context = context(&fake_ffmpeg(&bench, encode), &Stop::default(), Box::new(|_| ()));
        let error = convert_with(&context, bench.task(&film, Mode::Encode), &Arc::default()).unwrap_err();
        assert_eq!(error.code, code, "{encode}: {error}");
        assert_eq!(bench.left(), [] as [PathBuf; 0], "{encode}");
        if encode.starts_with("echo") {
            assert!(error.tool.unwrap().tail.contains(&"out of cheese".to_owned()));
        }
    }
}

#[test]
fn a_wrong_colour_or_size_is_found_at_the_first_picture() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let mut task = bench.task(&film, Mode::Encode);
    task.recipe.x265_params = vec!["transfer=bt709".into()];
    let error = convert(task).unwrap_err();
    assert_eq!(error.code, FailureCode::EncodeStream, "{error}");
    assert!(error.message.contains("transfer"), "{error}");
    assert_eq!(bench.left(), [] as [PathBuf; 0]);
}

fn cli(args: &[&Path]) -> Exit {
    let program = std::ffi::OsString::from("dovi-consumer");
    consumer::run(std::iter::once(program).chain(args.iter().map(|a| a.as_os_str().to_owned())))
}

#[test]
fn the_command_line_converts_verifies_and_tells_by_its_exit_code() {
    let bench = Bench::new();
    let film = bench.film(&FilmSpec::new("mel", Layers::Mel).frames(72));
    let empty = bench.path("lib/empty.mkv");
    fs::write(&empty, "").unwrap();
    let p = Path::new;
    let out = bench.path("new/");
    let (result, certificate) = (out.join("mel [DV8].mkv"), out.join("mel [DV8].mkv.certificate.json"));
    let convert = |more: &[&Path]| {
        let all = [&[p("convert"), p("--mode"), p("copy"), p("-o"), &out, p("--scratch")], more].concat();
        cli(&all)
    };
    let scratch = bench.path("scratch");
    assert_eq!(convert(&[&scratch, &film, &empty]), Exit::Some, "one of two");
    let written: Certificate = serde_json::from_slice(&fs::read(&certificate).unwrap()).unwrap();
    assert!(written.holds());
    assert_eq!(cli(&[p("verify"), &film, &result]), Exit::Ok);
    assert_eq!(cli(&[p("verify"), &film, &film]), Exit::Some, "a Profile 7 film is no result");
    assert_eq!(convert(&[&scratch, &film]), Exit::Some, "it exists");
    fs::remove_file(&result).unwrap();
    let missing = [&scratch, p("--set"), p("tools.mkvmerge=/nonexistent/mkvmerge"), &film];
    assert_eq!(convert(&missing), Exit::Environment);
    assert_eq!(convert(&[&scratch, p("--crf"), p("99"), &film]), Exit::Usage);
    assert_eq!(
        cli(&[p("run"), p("--set"), p("library.roots.films=/nonexistent")]),
        Exit::Usage,
        "no share set"
    );
    assert!(!result.exists());
}
