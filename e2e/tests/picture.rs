//! The decoded pictures as part of the proof: what passes, what is found, and whose fault a failure is.
//! With `DOVI_TEST_FFMPEG` another ffmpeg than the installed one does the work.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::config::Decode;
use common::job::{Certificate, Check, FailureCode, Mode};
use consumer::exit::Exit;
use consumer::pipeline::{Context, FilmTask, Finished, Stage, StageError, Stop, verify_pair};
use e2e::bench::{Bench, OnProgress, context, convert_with};
use e2e::films::{FilmSpec, Gop, Layers, Timing, make_film};
use e2e::tool::ffmpeg_under_test;

const FRAMES: u64 = 72;

fn mel(name: &'static str) -> FilmSpec {
    FilmSpec::new(name, Layers::Mel).frames(FRAMES).size(320, 180)
}

fn film(bench: &Bench, spec: &FilmSpec) -> PathBuf {
    let path = bench.path("lib").join(&spec.path);
    make_film(&path, spec).unwrap();
    path
}

fn with(decode: Decode, ffmpeg: &str) -> Context {
    Context { decode, ..context(ffmpeg, &Stop::default(), Box::new(|_| ())) }
}

fn convert(context: &Context, task: FilmTask) -> Result<Finished, StageError> {
    convert_with(context, task, &Arc::default())
}

/// A small and poor encode: the hardest case that must pass.
fn poor(bench: &Bench, source: &Path) -> FilmTask {
    let mut task = bench.task(source, Mode::Encode);
    task.recipe.crf = 40.0;
    task
}

fn check<'a>(certificate: &'a Certificate, name: &str) -> &'a Check {
    certificate
        .checks
        .iter()
        .find(|c| c.name == name)
        .unwrap_or_else(|| panic!("no {name}: {certificate:#?}"))
}

/// An ffmpeg that does something else where its arguments match `pattern` of a shell's `case`; `$real` is the true one.
fn stand_in(bench: &Bench, pattern: &str, instead: &str) -> String {
    let path = bench.path("ffmpeg");
    let real = ffmpeg_under_test();
    let script = format!(
        "#!/bin/sh\nreal='{real}'\ncase \"$*\" in\n{pattern}) ;;\n\
         *) exec \"$real\" \"$@\" ;;\nesac\n{instead}\n"
    );
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Only the encode of a film, with a filter in front of the encoder.
fn filtered(bench: &Bench, filter: &str) -> String {
    // The output's name comes last, so every argument but that one is kept in its place.
    let instead = format!(
        "left=$#\nwhile [ $left -gt 1 ]; do set -- \"$@\" \"$1\"; shift; left=$((left - 1)); done\n\
         output=$1; shift\nexec \"$real\" \"$@\" -vf \"{filter}\" \"$output\""
    );
    stand_in(bench, "*lib*'-f hevc'*", &instead)
}

/// Only the extraction of pictures of films in this folder.
fn extraction(bench: &Bench, folder: &str, instead: &str) -> String {
    stand_in(bench, &format!("*{folder}*rawvideo*"), instead)
}

#[test]
fn pictures_of_every_clock_and_structure_are_found_equal_and_in_time() {
    let bench = Bench::new().unwrap();
    for spec in [
        mel("closed"),
        mel("open").gop(Gop::Open),
        mel("cra").gop(Gop::OpenFromCra),
        mel("eos").gop(Gop::OpenWithEos),
        mel("vfr").timing(Timing::Variable),
        mel("offset").timing(Timing::StartsAt(1500)),
        mel("bars").letterbox(44),
        mel("dual").dual_track(),
        mel("long").frames(240),
    ] {
        let source = film(&bench, &spec);
        let finished = convert(&with(Decode::Sample, &ffmpeg_under_test()), poor(&bench, &source)).unwrap();
        let picture = check(&finished.certificate, "picture");
        let words: Vec<&str> = picture.found.split_whitespace().collect();
        // A short film is compared whole.
        let shown = spec.decodable().len();
        let compared = if spec.name == "long" { 120 } else { shown };
        assert!(picture.ok && words[0].parse::<usize>().unwrap() >= compared, "{}: {picture:?}", spec.name);
        assert!(picture.found.contains("; in time at"), "{}: {picture:?}", spec.name);
        fs::remove_file(&finished.target).unwrap();
    }
}

#[test]
fn an_encoder_that_was_shown_other_pictures_is_found_out() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    for (filter, said) in [
        // All of them one later, the last one lost.
        ("tpad=start=1:start_mode=clone,trim=end_frame=72", "1 picture earlier"),
        ("trim=start_frame=1,tpad=stop=1:stop_mode=clone", "1 picture later"),
        // One lost on the way, the last one twice.
        ("select='not(eq(n,30))',tpad=stop=1:stop_mode=clone", "1 picture later"),
        ("drawbox=color=black:t=fill", "has brightness"),
        ("drawbox=color=black:t=fill:enable='between(n,40,40)'", "the picture at 1.668 s"),
        ("lutyuv=y=0:u=0:v=0", "has brightness"),
        ("lutyuv=y='64+val*876/1023'", "instead of"),
        ("lutyuv=y='(val-64)*1023/876'", "instead of"),
        ("hflip", "the picture at 0.000 s"),
    ] {
        let error = convert(&with(Decode::Sample, &filtered(&bench, filter)), poor(&bench, &source))
            .expect_err(filter);
        assert_eq!(
            (error.code, error.stage),
            (FailureCode::ProofPicture, Stage::Verify),
            "{filter}: {error}"
        );
        assert!(error.message.contains(said), "{filter}: {error}");
        assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0], "{filter}");
    }
    // None of it is seen without a look at the pictures: the proof that these tests test something.
    let unseen = filtered(&bench, "hflip");
    assert!(convert(&with(Decode::Off, &unseen), poor(&bench, &source)).unwrap().certificate.holds());
}

#[test]
fn a_source_that_cannot_be_read_any_more_is_not_the_result_s_fault() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let silent = extraction(&bench, "lib", "exit 0");
    let error = convert(&with(Decode::Sample, &silent), poor(&bench, &source)).unwrap_err();
    assert_eq!(error.code, FailureCode::SourceUnreadable, "{error}");
    assert!(error.message.contains("0 of 72 pictures"), "{error}");

    let broken = extraction(&bench, "lib", "echo 'Input/output error' >&2; exit 1");
    let error = convert(&with(Decode::Sample, &broken), poor(&bench, &source)).unwrap_err();
    assert_eq!(error.code, FailureCode::ToolFailed, "{error}");
    assert!(error.tool.unwrap().tail.contains(&"Input/output error".to_owned()));

    let gone = extraction(&bench, "lib", &format!("rm -f '{}'; exec \"$real\" \"$@\"", source.display()));
    let error = convert(&with(Decode::Sample, &gone), poor(&bench, &source)).unwrap_err();
    assert_eq!(error.code, FailureCode::SourceMissing, "{error}");
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
}

#[test]
fn a_result_that_gives_no_pictures_is() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let silent = extraction(&bench, "out", "exit 0");
    let error = convert(&with(Decode::Sample, &silent), poor(&bench, &source)).unwrap_err();
    assert_eq!(error.code, FailureCode::ProofPicture, "{error}");
    assert!(error.message.contains("pictures that do not come out of the decoder: 72"), "{error}");
}

#[test]
fn a_copy_needs_no_pictures_and_so_no_ffmpeg() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let none = with(Decode::Sample, "/nonexistent/ffmpeg");
    let finished = convert(&none, bench.task(&source, Mode::Copy)).unwrap();
    let picture = check(&finished.certificate, "picture");
    assert!(picture.ok && picture.found.contains("by the hash of all slices"), "{picture:?}");

    fs::remove_file(&finished.target).unwrap();
    let error =
        convert(&with(Decode::Full, "/nonexistent/ffmpeg"), bench.task(&source, Mode::Copy)).unwrap_err();
    assert_eq!((error.code, error.stage), (FailureCode::ToolMissing, Stage::Preflight), "{error}");
}

#[test]
fn the_whole_result_is_decoded_and_its_frames_are_counted() {
    let bench = Bench::new().unwrap();
    for (spec, mode, decoded) in [
        (mel("closed"), Mode::Encode, 72),
        (mel("cra").gop(Gop::OpenFromCra), Mode::Encode, 69),
        (mel("cra").gop(Gop::OpenFromCra), Mode::Copy, 69),
        (mel("eos").gop(Gop::OpenWithEos), Mode::Copy, 67),
    ] {
        let source = film(&bench, &spec);
        let parts = Arc::new(Mutex::new(Vec::new()));
        let seen = parts.clone();
        let on: OnProgress = Box::new(move |p| {
            if p.stage == Stage::Verify {
                seen.lock().unwrap().push(p.part);
            }
        });
        let context = Context { decode: Decode::Full, ..context(&ffmpeg_under_test(), &Stop::default(), on) };
        let finished =
            convert(&context, FilmTask { recipe: poor(&bench, &source).recipe, ..bench.task(&source, mode) });
        let finished = finished.unwrap_or_else(|e| panic!("{} {mode:?}: {e}", spec.name));
        let decode = check(&finished.certificate, "decode");
        assert_eq!(decode.found, format!("{decoded} frames decoded without complaint"), "{}", spec.name);
        assert!(check(&finished.certificate, "picture").ok);
        let parts = parts.lock().unwrap();
        assert!(parts.is_sorted() && parts.last() == Some(&1.0), "{} {mode:?}: {parts:?}", spec.name);
        fs::remove_file(&finished.target).unwrap();
    }
}

#[test]
fn a_decode_that_complains_or_ends_early_is_no_proof() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let harmless =
        "Application provided invalid, non monotonically increasing dts to muxer in stream 0: 7 >= 7";
    for (instead, said) in [
        ("exec \"$real\" -t 2 \"$@\"".to_owned(), Some("frames come out of the decoder instead of 72")),
        (
            "echo '[hevc] oops' >&2; exec \"$real\" \"$@\"".to_owned(),
            Some("the decoder complains: [hevc] oops"),
        ),
        (format!("echo '[null] {harmless}' >&2; exec \"$real\" \"$@\""), None),
    ] {
        let ffmpeg = stand_in(&bench, "*/out/*'-f null'*", &instead);
        let result = convert(&with(Decode::Full, &ffmpeg), poor(&bench, &source));
        match said {
            Some(said) => {
                let error = result.unwrap_err();
                assert_eq!(error.code, FailureCode::ProofDecode, "{error}");
                assert!(error.message.contains(said), "{error}");
            }
            None => assert!(result.unwrap().certificate.holds()),
        }
    }
}

#[test]
fn a_stuck_or_unwanted_extraction_ends() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let stuck = extraction(&bench, "out", "exec sleep 600");
    let mut context = with(Decode::Sample, &stuck);
    context.watch.stall = Duration::from_secs(3);
    let error = convert(&context, poor(&bench, &source)).unwrap_err();
    assert_eq!(error.code, FailureCode::ToolStalled, "{error}");
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);

    let stop = Stop::default();
    let stopper = stop.clone();
    // The pictures come after the read.
    let on: OnProgress = Box::new(move |p| {
        if p.stage == Stage::Verify && p.part >= 0.8 {
            stopper.stop(FailureCode::Shutdown);
        }
    });
    let context = Context { decode: Decode::Sample, ..e2e::bench::context(&stuck, &stop, on) };
    let error = convert(&context, poor(&bench, &source)).unwrap_err();
    assert_eq!((error.code, error.stage), (FailureCode::Shutdown, Stage::Verify), "{error}");
    assert_eq!(bench.left().unwrap(), [] as [PathBuf; 0]);
}

fn pair(decode: Decode, source: &Path, result: &Path) -> Certificate {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(verify_pair(&with(decode, &ffmpeg_under_test()), source, result, "test")).unwrap()
}

/// Offset of the largest picture's middle.
fn inside_a_slice(film: &Path) -> u64 {
    let mut reader = dovi::matroska::MatroskaReader::open(fs::File::open(film).unwrap()).unwrap();
    let video = reader.header().tracks[0].number;
    let (mut buffer, mut largest) = (Vec::new(), (0, 0));
    while let Some(block) = reader.next_block(&mut |t| t == video, &mut buffer).unwrap() {
        largest = largest.max((buffer.len() as u64, block.offset));
    }
    largest.1 + largest.0 / 2
}

#[test]
fn flipped_bits_inside_a_slice_are_found_by_the_checksums_in_the_stream() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let finished =
        convert(&with(Decode::Full, &ffmpeg_under_test()), bench.task(&source, Mode::Encode)).unwrap();
    let whole = pair(Decode::Full, &source, &finished.target);
    assert!(whole.holds(), "{whole:#?}");
    let at = usize::try_from(inside_a_slice(&finished.target)).unwrap();
    let mut bytes = fs::read(&finished.target).unwrap();
    // A single bit: without a checksum just another picture.
    bytes[at] ^= 0x10;
    fs::write(&finished.target, bytes).unwrap();
    let damaged = pair(Decode::Full, &source, &finished.target);
    let decode = check(&damaged, "decode");
    assert!(
        !decode.ok
            && decode.found.contains("the decoder complains")
            && (decode.found.contains("checksum") || decode.found.contains("MD5")),
        "{damaged:#?}"
    );
    // By the structure alone nothing is wrong with it.
    let unseen = pair(Decode::Off, &source, &finished.target);
    assert!(unseen.holds(), "{unseen:#?}");
}

#[test]
fn the_command_line_says_how_much_is_decoded() {
    let bench = Bench::new().unwrap();
    let source = film(&bench, &mel("mel"));
    let (out, scratch) = (bench.path("out/new.mkv"), bench.path("scratch"));
    let cli = |args: &[&str]| {
        consumer::run(
            std::iter::once("dovi-consumer").chain(args.iter().copied()).map(std::ffi::OsString::from),
        )
    };
    let (film, out, scratch) = (source.to_str().unwrap(), out.to_str().unwrap(), scratch.to_str().unwrap());
    let convert =
        ["convert", "--preset", "ultrafast", "-o", out, "--scratch", scratch, "--decode", "full", film];
    assert_eq!(cli(&convert), Exit::Ok);
    let written = fs::read(format!("{out}.certificate.json")).unwrap();
    let written: Certificate = serde_json::from_slice(&written).unwrap();
    assert!(check(&written, "picture").ok && check(&written, "decode").ok);
    for how in ["off", "sample", "full"] {
        assert_eq!(cli(&["verify", "--decode", how, film, out]), Exit::Ok, "{how}");
    }
    assert_eq!(cli(&["verify", "--decode", "all", film, out]), Exit::Usage);
}
