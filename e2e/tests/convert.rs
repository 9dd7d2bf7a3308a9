//! Whole films through the pipeline with real tools, judged from outside.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::job::{Certificate, FailureCode, FelPolicy, Mode};
use consumer::exit::Exit;
use consumer::pipeline::{Source, Stage, Stop};
use e2e::bench::{Bench, Books, OnProgress, context, convert, convert_with};
use e2e::films::{FilmSpec, Layers, RpuDamage, make_film, truth};
use e2e::tool::ffmpeg_under_test;

const FRAMES: u64 = 72;

fn bench() -> Bench {
    Bench::new().unwrap()
}

fn film(bench: &Bench, spec: &FilmSpec) -> PathBuf {
    let path = bench.path("lib").join(&spec.path);
    make_film(&path, &spec.clone().size(320, 180)).unwrap();
    path
}

fn left(bench: &Bench) -> Vec<PathBuf> {
    bench.left().unwrap()
}

#[test]
fn policies_decide_and_say_which_setting_it_is() {
    let bench = bench();
    let expanding = film(&bench, &FilmSpec::new("expanding", Layers::FelExpanding).frames(72));
    let refused = convert(bench.task(&expanding, Mode::Copy)).unwrap_err();
    assert_eq!(refused.code, FailureCode::FelExpanding);
    assert!(refused.message.contains("nits") && refused.advice().contains("fel_expanding"), "{refused}");

    let mut task = bench.task(&expanding, Mode::Copy);
    task.recipe.fel_expanding = FelPolicy::Allow;
    let forced = convert(task).unwrap();
    let certificate = &forced.certificate;
    let told = certificate.notices.iter().any(|n| n.contains("enhancement layer"));
    assert!(certificate.holds() && told, "{certificate:#?}");

    fs::remove_file(&forced.target).unwrap();
    let fel = film(&bench, &FilmSpec::new("fel", Layers::Fel).frames(72));
    let mut task = bench.task(&fel, Mode::Copy);
    task.recipe.fel = FelPolicy::Refuse;
    assert_eq!(convert(task).unwrap_err().code, FailureCode::FelRefused);
}

#[test]
fn a_small_gap_is_filled_only_if_the_recipe_allows_it() {
    let bench = bench();
    let damage = RpuDamage::Missing { first: 30, count: 3 };
    let spec =
        FilmSpec::new("gap", Layers::Mel).frames(FRAMES).size(320, 180).rpu_damage(damage, "rpu.missing");
    let film = film(&bench, &spec);
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
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    let task = bench.task(&film, Mode::Copy);
    fs::write(&task.target, "somebody's file").unwrap();
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::OutputExists);
    assert_eq!(fs::read(&task.target).unwrap(), b"somebody's file");
    assert_eq!(left(&bench), [task.target]);
}

#[test]
fn a_film_that_changed_or_went_away_is_refused() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    let now = Source::of(&film).unwrap();
    let mut task = bench.task(&film, Mode::Copy);
    task.expected = Some(Source { size: now.size - 1, ..now });
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::SourceChanged);
    task.expected = Some(Source { mtime_ns: now.mtime_ns + 1_000_000, ..now });
    assert_eq!(convert(task.clone()).unwrap_err().code, FailureCode::SourceChanged);
    fs::remove_file(&film).unwrap();
    assert_eq!(convert(task).unwrap_err().code, FailureCode::SourceMissing);
}

#[test]
fn a_film_that_is_lost_before_it_gets_its_name_gets_none() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    let books = Arc::new(Books { lost: true, ..Books::default() });
    let context = context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ()));
    let error = convert_with(&context, bench.task(&film, Mode::Copy), &books).unwrap_err();
    assert_eq!(error.code, FailureCode::LeaseLost);
    assert_eq!(left(&bench), [] as [PathBuf; 0]);
}

#[test]
fn a_crash_between_name_and_certificate_is_repaired_by_the_next_attempt() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    let context = context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ()));
    let cut = Arc::new(Books { cut: true, ..Books::default() });
    let task = bench.task(&film, Mode::Encode);
    assert_eq!(convert_with(&context, task.clone(), &cut).unwrap_err().code, FailureCode::ShareIo);
    assert_eq!(left(&bench), std::slice::from_ref(&task.target));
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
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
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
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(480));
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
        let error =
            convert_with(&context(&ffmpeg_under_test(), &stop, on), bench.task(&film, mode), &Arc::default())
                .unwrap_err();
        assert_eq!((error.code, error.stage), (FailureCode::Shutdown, at), "{error}");
        assert_eq!(left(&bench), [] as [PathBuf; 0], "stopped in {at}");
    }
}

/// A script that is asked like ffmpeg, passes the test encode, and does `encode` when it should encode a film.
fn fake_ffmpeg(bench: &Bench, encode: &str) -> String {
    let path = bench.path("ffmpeg");
    let real = ffmpeg_under_test();
    let encode = encode.replace("ffmpeg", &real);
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in\n*lavfi* | *progress*) exec {real} \"$@\" ;;\n\
         *pipe:1*) {encode} ;;\n*) exec {real} \"$@\" ;;\nesac\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn an_encoder_that_fails_is_named_by_how_it_failed() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    for (encode, code) in [
        ("exec ffmpeg -t 2 \"$@\"", FailureCode::EncodeFrames),
        ("ffmpeg \"$@\" | head -c 90000; exit 1", FailureCode::EncodeFailed),
        ("echo 'out of cheese' >&2; exit 3", FailureCode::EncodeFailed),
        ("kill -9 $$", FailureCode::ToolKilled),
        ("head -c 5000 /dev/zero", FailureCode::EncodeFailed),
    ] {
        let context = context(&fake_ffmpeg(&bench, encode), &Stop::default(), Box::new(|_| ()));
        let error = convert_with(&context, bench.task(&film, Mode::Encode), &Arc::default()).unwrap_err();
        assert_eq!(error.code, code, "{encode}: {error}");
        assert_eq!(left(&bench), [] as [PathBuf; 0], "{encode}");
        if encode.starts_with("echo") {
            assert!(error.tool.unwrap().tail.contains(&"out of cheese".to_owned()));
        }
    }
}

#[test]
fn a_wrong_colour_or_size_is_found_at_the_first_picture() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
    let mut task = bench.task(&film, Mode::Encode);
    task.recipe.x265_params = vec!["transfer=bt709".into()];
    let error = convert(task).unwrap_err();
    assert_eq!(error.code, FailureCode::EncodeStream, "{error}");
    assert!(error.message.contains("transfer"), "{error}");
    assert_eq!(left(&bench), [] as [PathBuf; 0]);
}

fn cli(args: &[&Path]) -> Exit {
    let program = std::ffi::OsString::from("dovi-consumer");
    consumer::run(std::iter::once(program).chain(args.iter().map(|a| a.as_os_str().to_owned())))
}

#[test]
fn the_command_line_converts_verifies_and_tells_by_its_exit_code() {
    let bench = bench();
    let film = film(&bench, &FilmSpec::new("mel", Layers::Mel).frames(72));
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
