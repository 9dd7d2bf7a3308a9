//! Damaged films through both programs: each ends in bounded time and memory as a failure with a name, or, where the
//! damage is legal or in nothing that is needed, as a proven film. Nothing is left behind and no source is touched.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod cases;
mod tree;

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use cases::{Case, Expect, Film};
use e2e::films::{FilmSpec, Layers, make_film, truth};
use e2e::wait;
use serde_json::Value;
use tree::Tree;

/// Longest time for one film of three seconds; it takes one, unless the machine has much else to do.
const DEADLINE: Duration = Duration::from_secs(60);
/// Private memory of a program: its heap, and the stacks of its threads. The kernel enforces it.
const MEMORY: u64 = 200 << 20;

const CONSUMER: &str = env!("CARGO_BIN_EXE_consumer-under-test");
const PRODUCER: &str = env!("CARGO_BIN_EXE_producer-under-test");

fn spec(film: Film) -> FilmSpec {
    let spec = FilmSpec::new("healthy", Layers::Mel).frames(72).size(320, 180);
    if film == Film::Dual { spec.dual_track() } else { spec }
}

/// The healthy films, made once.
fn healthy(film: Film) -> Tree {
    static FILMS: OnceLock<[Tree; 2]> = OnceLock::new();
    let films = FILMS.get_or_init(|| {
        let dir = tempfile::tempdir().unwrap();
        [Film::Single, Film::Dual].map(|film| {
            let path = dir.path().join("film.mkv");
            make_film(&path, &spec(film)).unwrap();
            Tree::read(&fs::read(path).unwrap())
        })
    });
    films[film as usize].clone()
}

/// Runs a program with bounded memory to its end.
///
/// # Panics
/// At the deadline, after killing it.
fn run(program: &str, memory: u64, args: &[&OsStr]) -> Output {
    let mut command = Command::new("prlimit");
    command.arg(format!("--data={memory}")).args(["--core=0", "--", program]).args(args);
    command.env("RUST_BACKTRACE", "0").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // The reports are a few kilobytes, so they fit into the pipes until the program has ended.
    let mut child = command.spawn().unwrap();
    let ended = wait::until(DEADLINE, "the end of a program", || child.try_wait().unwrap().is_some());
    if ended.is_err() {
        child.kill().unwrap();
    }
    let output = child.wait_with_output().unwrap();
    ended.unwrap_or_else(|e| panic!("{e}: {program} {args:?}: {}", String::from_utf8_lossy(&output.stderr)));
    output
}

/// A place for one film.
struct Bench {
    dir: tempfile::TempDir,
}

impl Bench {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        ["lib", "out", "scratch"].iter().for_each(|d| fs::create_dir(dir.path().join(d)).unwrap());
        Self { dir }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
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

    fn convert(&self, source: &Path) -> Output {
        let (out, scratch) = (self.path("out/result.mkv"), self.path("scratch"));
        let o = OsStr::new;
        let args = ["convert", "--json", "--mode", "copy", "-o"].map(o);
        let rest = [out.as_os_str(), o("--scratch"), scratch.as_os_str(), source.as_os_str()];
        run(CONSUMER, MEMORY, &[&args[..], &rest].concat())
    }
}

/// What went wrong with one case, if anything.
fn judge(case: &Case) -> Result<(), String> {
    let bench = Bench::new();
    let source = bench.path("lib/film.mkv");
    let damaged = (case.damage)(healthy(case.film));
    fs::write(&source, &damaged).unwrap();
    let begun = Instant::now();
    let output = bench.convert(&source);
    let time = begun.elapsed();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let report: Value =
        serde_json::from_slice(&output.stdout).map_err(|e| format!("no report: {e}: {said}"))?;
    if fs::read(&source).unwrap() != damaged {
        return Err("the source was touched".into());
    }
    if time > DEADLINE {
        return Err(format!("took {time:?}"));
    }
    match case.expect {
        Expect::Fails(code) => {
            if report["code"] != code || output.status.code() != Some(1) {
                return Err(format!("not {code} but {report} ({})", output.status));
            }
            let words = |key: &str| report[key].as_str().is_some_and(|text| !text.is_empty());
            if !(words("summary") && words("hint")) {
                return Err(format!("no words for people: {report}"));
            }
            let left = bench.left();
            if left.is_empty() { Ok(()) } else { Err(format!("left behind: {left:?}")) }
        }
        Expect::Converts => {
            if output.status.code() != Some(0) || report["certificate"]["wrong_frames"] != 0 {
                return Err(format!("no proven film: {report} ({})", output.status));
            }
            let wrong = truth::wrong_frames(&bench.path("out/result.mkv"), &spec(case.film));
            let wrong = wrong.map_err(|e| e.to_string())?;
            if wrong.is_clean() && wrong.frames == 72 { Ok(()) } else { Err(format!("{wrong:?}")) }
        }
    }
}

/// All films of a table through `convert`, one program each, and through `inspect`, one program for all.
fn judge_all(cases: &[Case]) {
    let wrong: Vec<String> =
        cases.iter().filter_map(|c| judge(c).err().map(|e| format!("{}: {e}", c.name))).collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));

    let bench = Bench::new();
    let files: Vec<PathBuf> = cases.iter().map(|c| bench.path(&format!("lib/{}.mkv", c.name))).collect();
    for (case, file) in cases.iter().zip(&files) {
        fs::write(file, (case.damage)(healthy(case.film))).unwrap();
    }
    for how in [&["inspect", "--json"][..], &["inspect", "--json", "--full"]] {
        let how = how.iter().map(OsStr::new);
        let args: Vec<&OsStr> = how.chain(files.iter().map(|f| f.as_os_str())).collect();
        let output = run(PRODUCER, MEMORY, &args);
        let said = String::from_utf8_lossy(&output.stdout);
        let answers = said.lines().filter(|line| serde_json::from_str::<Value>(line).is_ok()).count();
        assert_eq!(answers, files.len(), "{said}\n{}", String::from_utf8_lossy(&output.stderr));
        assert!(matches!(output.status.code(), Some(0 | 1)), "{}", output.status);
    }
}

#[test]
fn files_that_end_too_early() {
    judge_all(cases::TRUNCATIONS);
}

#[test]
fn files_whose_sizes_and_places_lie() {
    judge_all(cases::LIES);
}

#[test]
fn files_with_holes_noise_and_impossible_times() {
    judge_all(cases::SCARS);
}

#[test]
fn tracks_that_are_not_what_they_say() {
    judge_all(cases::TRACK_CASES);
}

#[test]
fn frames_that_are_no_frames() {
    judge_all(cases::FRAMES);
}

/// Without this the tests above could not fail for memory.
#[test]
fn the_limit_on_memory_bites() {
    let copy = |megabytes: u64| {
        let size = format!("bs={megabytes}M");
        let args = ["if=/dev/zero", "of=/dev/null", &size, "count=1"].map(OsStr::new);
        run("dd", MEMORY, &args).status.success()
    };
    assert!(copy(100) && !copy(300), "dd takes one buffer of that size");
}
