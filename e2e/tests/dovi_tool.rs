//! `dovi.backend = "dovi_tool"`: whole films with dovi_tool, with a stand-in that misplaces as it does, and with scripts that
//! fail in every way.
//!
//! dovi_tool is not a package of any distribution, so what needs it is run by hand:
//!
//! ```sh
//! DOVI_TEST_DOVI_TOOL=/path/to/dovi_tool cargo test -p e2e --test dovi_tool -- --ignored
//! ```

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use common::config::{DoviBackend, ToolsConfig};
use common::job::{FailureCode, Mode};
use consumer::exit::Exit;
use consumer::pipeline::{Context, FilmTask, Finished, Stage, StageError, Stop, Toolbox, Watch};
use e2e::bench::{Bench, OnProgress, context, convert_with};
use e2e::films::{FilmSpec, Gop, Layers, Storage, Timing, make_film, truth};

const FRAMES: u64 = 72;
const STAND_IN: &str = env!("CARGO_BIN_EXE_dovi-tool-stand-in");

/// The real one.
fn real() -> PathBuf {
    std::env::var_os("DOVI_TEST_DOVI_TOOL").map_or("dovi_tool".into(), PathBuf::from)
}

fn with(dovi_tool: &Path, ffmpeg: &Path, stall: Duration, stop: &Stop, on: OnProgress) -> Context {
    let tools = ToolsConfig { dovi_tool: dovi_tool.into(), ffmpeg: ffmpeg.into(), ..ToolsConfig::default() };
    Context {
        tools: Arc::new(Toolbox::new(tools).with_backend(DoviBackend::DoviTool)),
        watch: Watch { stall, grace: Duration::from_secs(5), log: None },
        ..context("ffmpeg", stop, on)
    }
}

fn convert(dovi_tool: &Path, task: FilmTask) -> Result<Finished, StageError> {
    let patient = Duration::from_secs(120);
    let context = with(dovi_tool, Path::new("ffmpeg"), patient, &Stop::default(), Box::new(|_| ()));
    convert_with(&context, task, &Arc::default())
}

fn film(bench: &Bench, spec: &FilmSpec) -> PathBuf {
    let path = bench.path("lib").join(&spec.path);
    make_film(&path, &spec.clone().frames(FRAMES).size(320, 180)).unwrap();
    path
}

fn mel(name: &'static str) -> FilmSpec {
    FilmSpec::new(name, Layers::Mel).frames(FRAMES).size(320, 180)
}

fn script(bench: &Bench, name: &str, text: &str) -> PathBuf {
    let path = bench.path(name);
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

/// A dovi_tool that does `run` in one of its commands, and what the stand-in does in all others.
fn faulty(bench: &Bench, command: &str, run: &str) -> PathBuf {
    let text = format!(
        "output() {{ for last; do :; done; echo \"$last\"; }}\n\
         case \"$*\" in\n*{command}*) {run} ;;\n*) exec '{STAND_IN}' \"$@\" ;;\nesac"
    );
    script(bench, "dovi_tool", &text)
}

/// A task whose encode has leading pictures behind each IDR.
fn radl(bench: &Bench, source: &Path) -> FilmTask {
    let mut task = bench.task(source, Mode::Encode);
    let params = ["keyint=16", "min-keyint=16", "scenecut=0", "b-adapt=0", "bframes=4", "radl=3"];
    task.recipe.x265_params = params.map(String::from).into();
    task
}

/// By ffmpeg's and mkvmerge's word, and by the certificate.
#[track_caller]
fn proven(spec: &FilmSpec, source: &Path, finished: &Finished) {
    let name = spec.name;
    let wrong = truth::wrong_frames(&finished.target, spec).unwrap();
    assert!(wrong.is_clean() && wrong.frames > 0, "{name}: {wrong:?}");
    if spec.recipe.storage == Storage::SingleTrack {
        let tracks = truth::tracks_equal(source, &finished.target).unwrap();
        assert!(tracks.is_equal(), "{name}: {tracks:#?}");
    }
    let nals = truth::nal_counts(&finished.target).unwrap();
    assert_eq!((nals.get(&62), nals.get(&63)), (Some(&wrong.frames), None), "{name}");
    let c = &finished.certificate;
    assert!(c.holds() && c.wrong_frames == 0, "{name}: {c:#?}");
    assert!(c.checks.iter().any(|check| check.name == "payload"), "{name}: {c:#?}");
    assert!(c.tools.dovi_tool.starts_with("2.") && !c.tools.ffmpeg.is_empty(), "{name}: {:?}", c.tools);
}

/// Nothing is published and the number of wrong frames is told, with what helps.
#[track_caller]
fn misplaced(bench: &Bench, result: Result<Finished, StageError>, wrong: Option<u64>) -> String {
    let error = result.unwrap_err();
    assert_eq!((error.code, error.stage), (FailureCode::ProofAlignment, Stage::Verify), "{error}");
    let count = |n| format!("{n} of {FRAMES} frames have a wrong rpu");
    assert!(wrong.is_none_or(|n| error.message.contains(&count(n))), "{error}");
    assert!(error.advice().contains("dovi.backend = \"internal\""), "{}", error.advice());
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
    error.message
}

#[test]
fn a_dovi_tool_that_is_absent_or_old_or_none_is_named_with_its_setting() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let old = script(&bench, "old", "echo 'dovi_tool 1.5.6'");
    let other = script(&bench, "other", "echo 'hdr10plus_tool 1.7.0'");
    for (tool, word) in [
        (PathBuf::from("/nonexistent/dovi_tool"), "/nonexistent/dovi_tool"),
        (old, "1.5.6"),
        (other, "is no dovi_tool"),
    ] {
        for mode in [Mode::Copy, Mode::Encode] {
            let error = convert(&tool, bench.task(&source, mode)).unwrap_err();
            assert_eq!((error.code, error.stage), (FailureCode::ToolMissing, Stage::Preflight), "{error}");
            assert!(error.message.contains(word) && error.message.contains("tools.dovi_tool"), "{error}");
            assert!(error.advice().contains("dovi.backend"), "{}", error.advice());
            assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
        }
    }
    let program = std::ffi::OsString::from("dovi-consumer");
    let words =
        ["convert", "--set", "dovi.backend=dovi_tool", "--set", "tools.dovi_tool=/nonexistent/x", "-o"];
    let args = words.iter().map(Into::into).chain([bench.path("out").into(), source.into()]);
    assert_eq!(consumer::run(std::iter::once(program).chain(args)), Exit::Environment);
}

#[test]
fn a_dovi_tool_that_fails_is_named_by_how_it_failed() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let (copy, encode) = (Mode::Copy, Mode::Encode);
    for (mode, command, run, code, words) in [
        (copy, "convert", "echo Error: out of cheese >&2; exit 1", FailureCode::ToolFailed, "out of cheese"),
        (
            copy,
            "convert",
            "cat >/dev/null; echo Warning: no cheese; exit 1",
            FailureCode::ToolFailed,
            "no cheese",
        ),
        (copy, "convert", "exit 0", FailureCode::ToolFailed, "before it had read the film"),
        (copy, "convert", "cat >/dev/null", FailureCode::ToolFailed, "wrote nothing"),
        (copy, "convert", "kill -9 $$", FailureCode::ToolKilled, "signal 9"),
        (
            copy,
            "convert",
            "cat >/dev/null; echo 'Error: No space left on device (os error 28)' >&2; exit 1",
            FailureCode::DiskFull,
            "No space",
        ),
        (
            copy,
            "convert",
            "cat >/dev/null; head -c 5000 /dev/zero > \"$(output \"$@\")\"",
            FailureCode::MuxFailed,
            "",
        ),
        (encode, "extract-rpu", "echo Error: no rpus >&2; exit 1", FailureCode::ToolFailed, "no rpus"),
        (encode, "inject-rpu", "echo Error: no order >&2; exit 101", FailureCode::ToolFailed, "no order"),
        (encode, "inject-rpu", "exit 0", FailureCode::ToolFailed, "wrote nothing"),
    ] {
        let tool = faulty(&bench, command, run);
        let error = convert(&tool, bench.task(&source, mode)).unwrap_err();
        assert_eq!(error.code, code, "{run}: {error}");
        let tail = error.tool.as_ref().map(|t| t.tail.join("\n")).unwrap_or_default();
        assert!(error.message.contains(words) || tail.contains(words), "{run}: {error}\n{tail}");
        assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0], "{run}");
    }
}

#[test]
fn a_result_with_too_few_frames_is_not_published() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    // The stand-in's work, and of that three quarters.
    let run = format!(
        "'{STAND_IN}' \"$@\" || exit 1; f=$(output \"$@\"); n=$(stat -c %s \"$f\"); truncate -s $((n * 3 / 4)) \"$f\""
    );
    for (mode, command) in [(Mode::Copy, "convert"), (Mode::Encode, "inject-rpu")] {
        let error = convert(&faulty(&bench, command, &run), bench.task(&source, mode)).unwrap_err();
        assert!(error.code.as_str().starts_with("proof."), "{command}: {error}");
        assert!(error.advice().contains("dovi.backend"), "{command}: {}", error.advice());
        assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0], "{command}");
    }
}

#[test]
fn of_two_programs_the_stuck_one_is_named() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let stuck_ffmpeg = script(
        &bench,
        "ffmpeg",
        "case \"$*\" in\n*copyinkf*) head -c 9000 /dev/zero; exec sleep 600 ;;\n*) exec ffmpeg \"$@\" ;;\nesac",
    );
    let ffmpeg = PathBuf::from("ffmpeg");
    std::thread::scope(|scope| {
        for (mode, command, run, ffmpeg, name) in [
            (Mode::Copy, "convert", "exec sleep 600", &ffmpeg, "dovi_tool"),
            (Mode::Copy, "convert", "cat >/dev/null; exec sleep 600", &ffmpeg, "dovi_tool"),
            (Mode::Copy, "nothing", "", &stuck_ffmpeg, "ffmpeg"),
            (Mode::Encode, "inject-rpu", "exec sleep 600", &ffmpeg, "dovi_tool"),
        ] {
            let source = &source;
            scope.spawn(move || {
                let bench = Bench::new().unwrap();
                let tool = faulty(&bench, command, run);
                // Long enough for ffmpeg to start, and for x265 to give its first frame, on a busy machine.
                let stall = Duration::from_secs(if mode == Mode::Copy { 6 } else { 20 });
                let context = with(&tool, ffmpeg, stall, &Stop::default(), Box::new(|_| ()));
                let error = convert_with(&context, bench.task(source, mode), &Arc::default()).unwrap_err();
                assert_eq!(error.code, FailureCode::ToolStalled, "{run}: {error}");
                assert!(error.message.starts_with(name), "{run}: {error}");
                assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0], "{run}");
            });
        }
    });
}

#[test]
fn a_source_that_ends_on_the_way_is_not_blamed_on_dovi_tool() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let broken = script(
        &bench,
        "ffmpeg",
        "case \"$*\" in\n*copyinkf*) ffmpeg \"$@\" | head -c 20000; echo 'Input/output error' >&2; exit 1 ;;\n\
         *) exec ffmpeg \"$@\" ;;\nesac",
    );
    let stand_in = Path::new(STAND_IN);
    let context = with(stand_in, &broken, Duration::from_secs(60), &Stop::default(), Box::new(|_| ()));
    let error = convert_with(&context, bench.task(&source, Mode::Copy), &Arc::default()).unwrap_err();
    assert_eq!(error.code, FailureCode::ToolFailed, "{error}");
    assert!(error.message.starts_with("ffmpeg") && error.message.contains("Input/output error"), "{error}");
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
}

#[test]
fn a_stop_ends_both_programs() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let tool = faulty(&bench, "convert", "exec sleep 600");
    let stop = Stop::default();
    let stopper = stop.clone();
    let on: OnProgress = Box::new(move |p| {
        if p.stage == Stage::Copy {
            stopper.stop(FailureCode::Shutdown);
        }
    });
    let context = with(&tool, Path::new("ffmpeg"), Duration::from_secs(120), &stop, on);
    let error = convert_with(&context, bench.task(&source, Mode::Copy), &Arc::default()).unwrap_err();
    assert_eq!((error.code, error.stage), (FailureCode::Shutdown, Stage::Copy), "{error}");
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
}

#[test]
fn where_the_order_is_right_the_result_is_proven() {
    let bench = Bench::new().unwrap();
    for spec in [mel("closed"), mel("open").gop(Gop::Open)] {
        let source = film(&bench, &spec);
        for mode in [Mode::Copy, Mode::Encode] {
            let finished = convert(Path::new(STAND_IN), bench.task(&source, mode)).unwrap();
            proven(&spec, &source, &finished);
            assert_eq!(finished.certificate.tools.dovi_tool, "2.3.1-stand-in");
            assert_eq!(bench.left().unwrap(), std::slice::from_ref(&finished.target));
            fs::remove_file(&finished.target).unwrap();
        }
    }
}

#[test]
fn misplaced_metadata_is_not_published() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let by_order = misplaced(&bench, convert(Path::new(STAND_IN), radl(&bench, &source)), None);
    assert!(!by_order.starts_with("alignment: 0 of"), "{by_order}");
    let shifted = script(&bench, "shifted", &format!("exec '{STAND_IN}' --shift \"$@\""));
    misplaced(&bench, convert(&shifted, bench.task(&source, Mode::Copy)), Some(FRAMES));
    // The last frame gets the last RPU, which is its own.
    misplaced(&bench, convert(&shifted, bench.task(&source, Mode::Encode)), Some(FRAMES - 1));
}

#[test]
fn films_it_cannot_do_are_refused_before_the_encode() {
    let bench = Bench::new().unwrap();
    for (spec, word) in
        [(mel("cra").gop(Gop::OpenFromCra), "69 of 72 frames"), (mel("plus").hdr10plus(), "HDR10+")]
    {
        let source = film(&bench, &spec);
        let error = convert(Path::new(STAND_IN), bench.task(&source, Mode::Encode)).unwrap_err();
        assert_eq!((error.code, error.stage), (FailureCode::SourceUnsupported, Stage::Encode), "{error}");
        assert!(error.message.contains(word) && error.advice().contains("internal"), "{error}");
        assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
        let finished = convert(Path::new(STAND_IN), bench.task(&source, Mode::Copy)).unwrap();
        proven(&spec, &source, &finished);
        fs::remove_file(&finished.target).unwrap();
    }
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn dovi_tool_makes_proven_films_of_every_kind_it_can() {
    let bench = Bench::new().unwrap();
    let both = &[Mode::Copy, Mode::Encode][..];
    for (spec, modes) in [
        (mel("closed"), both),
        (mel("open").gop(Gop::Open), both),
        (FilmSpec::new("fel", Layers::Fel).frames(FRAMES).size(320, 180), both),
        (mel("dual").dual_track(), both),
        (mel("vfr").timing(Timing::Variable), both),
        (mel("offset").timing(Timing::StartsAt(84)), both),
        (mel("cra").gop(Gop::OpenFromCra), &both[..1]),
        (mel("eos").gop(Gop::OpenWithEos), &both[..1]),
        (mel("plus").hdr10plus(), &both[..1]),
    ] {
        let source = film(&bench, &spec);
        for mode in modes {
            let finished = convert(&real(), bench.task(&source, *mode))
                .unwrap_or_else(|e| panic!("{} {mode:?}: {e} {:?}", spec.name, e.tool));
            proven(&spec, &source, &finished);
            assert_eq!(bench.left().unwrap(), std::slice::from_ref(&finished.target));
            fs::remove_file(&finished.target).unwrap();
        }
    }
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn dovi_tool_misplaces_behind_an_idr_and_nothing_is_published() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let its = misplaced(&bench, convert(&real(), radl(&bench, &source)), None);
    let stand_ins = misplaced(&bench, convert(Path::new(STAND_IN), radl(&bench, &source)), None);
    assert_eq!(its, stand_ins);
    println!("{its}");
    // The same encode with our injector.
    let internal = context("ffmpeg", &Stop::default(), Box::new(|_| ()));
    let finished = convert_with(&internal, radl(&bench, &source), &Arc::default()).unwrap();
    assert_eq!(finished.certificate.wrong_frames, 0);
    assert_eq!(finished.certificate.tools.dovi_tool, "");
    assert!(truth::wrong_frames(&finished.target, &mel("mel")).unwrap().is_clean());
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn a_copy_by_either_backend_has_the_same_certificate() {
    let bench = Bench::new().unwrap();
    for spec in [mel("closed"), mel("open").gop(Gop::Open)] {
        let source = film(&bench, &spec);
        let internal = context("ffmpeg", &Stop::default(), Box::new(|_| ()));
        let ours = convert_with(&internal, bench.task(&source, Mode::Copy), &Arc::default()).unwrap();
        fs::remove_file(&ours.target).unwrap();
        let theirs = convert(&real(), bench.task(&source, Mode::Copy)).unwrap();
        fs::remove_file(&theirs.target).unwrap();
        assert_eq!(ours.certificate.checks, theirs.certificate.checks, "{}", spec.name);
    }
}
