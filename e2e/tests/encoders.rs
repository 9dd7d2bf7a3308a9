//! Hardware encoders, played by libx265: a script takes the arguments of hevc_nvenc, and can be told what to do wrong.
//! With `DOVI_TEST_FFMPEG` another ffmpeg than the installed one does the work.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::job::{Encoder, FailureClass, FailureCode, Mode, Recipe};
use consumer::pipeline::{Context, FilmTask, Stage, StageError, Stop};
use dovi::au::AuReader;
use e2e::bench::{Bench, context, convert_with};
use e2e::films::{FilmSpec, Layers, make_film, truth};
use e2e::tool::ffmpeg_under_test;

/// What hevc_nvenc of Debian 12 says about its options.
const NVENC_HELP: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/../consumer/src/tools/ffmpeg/testdata/encoder-hevc_nvenc-5.1.txt");

/// Takes hevc_nvenc's arguments and lets libx265 do the work. `@EARLY@` is done before an encode, `@LAST@` are arguments
/// behind all others, `@BSF@` is what becomes of the bitstream filter, `@RUN@` runs the encode. libx265 of old builds does not
/// heed `-g`, so it is told in its own words.
const STAND_IN: &str = r#"#!/bin/sh
real='@REAL@'
case "$*" in
*-encoders*) "$real" "$@"; echo ' V....D hevc_nvenc           stands in'; exit ;;
*encoder=hevc_nvenc*) exec cat '@HELP@' ;;
*'-c:v hevc_nvenc'*) ;;
*) exec "$real" "$@" ;;
esac
echo "$*" >> '@LOG@'
case "$*" in *lavfi*) film=no ;; *) film=yes ;; esac
line="$*"
@EARLY@
left=$#
while [ $left -gt 0 ]; do
    arg=$1
    shift
    left=$((left - 1))
    case $arg in
    hevc_nvenc) set -- "$@" libx265 ;;
    p010le) set -- "$@" yuv420p10le ;;
    -preset) set -- "$@" -preset ultrafast; shift; left=$((left - 1)) ;;
    -tune | -tier | -level | -rc | -cq | -spatial_aq | -strict_gop | -aud | -temporal_aq | -rc-lookahead | -b_ref_mode)
        shift; left=$((left - 1)) ;;
    -bsf:v) @BSF@ ;;
    -g) gop=$1; set -- "$@" -g ;;
    -f) if [ "$1" = hevc ]; then set -- "$@" -x265-params keyint=$gop:open-gop=0:log-level=error @LAST@; fi; set -- "$@" -f ;;
    *) set -- "$@" "$arg" ;;
    esac
done
@RUN@
"#;

/// What the stand-in does otherwise than a working card.
#[derive(Default)]
struct Fault {
    early: &'static str,
    last: &'static str,
    bsf: Option<&'static str>,
    run: Option<String>,
}

struct Studio {
    bench: Bench,
    spec: FilmSpec,
    film: PathBuf,
}

impl Studio {
    fn new(frames: u64) -> Self {
        let bench = Bench::new().unwrap();
        let spec = FilmSpec::new("mel", Layers::Mel).frames(frames).size(320, 180);
        let film = bench.path("lib").join(&spec.path);
        make_film(&film, &spec).unwrap();
        Self { bench, spec, film }
    }

    fn context(&self, fault: &Fault) -> Context {
        let path = self.bench.path("ffmpeg");
        let script = STAND_IN
            .replace("@HELP@", NVENC_HELP)
            .replace("@LOG@", self.log().to_str().unwrap())
            .replace("@EARLY@", fault.early)
            .replace("@LAST@", fault.last)
            .replace("@BSF@", fault.bsf.unwrap_or(r#"set -- "$@" "$arg""#))
            .replace("@RUN@", fault.run.as_deref().unwrap_or(r#"exec "$real" "$@""#))
            .replace("@REAL@", &ffmpeg_under_test());
        executable(&path, &script);
        context(path.to_str().unwrap(), &Stop::default(), Box::new(|_| ()))
    }

    fn log(&self) -> PathBuf {
        self.bench.path("log")
    }

    /// The command lines that the stand-in was given, those of tests and those of films.
    fn lines(&self) -> (Vec<String>, Vec<String>) {
        let text = fs::read_to_string(self.log()).unwrap_or_default();
        text.lines().map(str::to_owned).partition(|l| l.contains("lavfi"))
    }

    fn task(&self, encoder: Encoder) -> FilmTask {
        let task = self.bench.task(&self.film, Mode::Encode);
        FilmTask { recipe: Recipe { encoder, ..task.recipe }, ..task }
    }

    fn fails(&self, context: &Context, task: FilmTask) -> StageError {
        let error = convert_with(context, task, &Arc::default()).unwrap_err();
        assert_eq!(self.bench.left().unwrap(), [] as [PathBuf; 0], "{error}");
        error
    }
}

fn executable(path: &Path, script: &str) {
    fs::write(path, script).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

#[test]
fn a_film_goes_through_nvenc_from_end_to_end() {
    let studio = Studio::new(144);
    let context = studio.context(&Fault::default());
    let finished = convert_with(&context, studio.task(Encoder::Nvenc), &Arc::default()).unwrap();
    assert!(finished.certificate.holds(), "{:#?}", finished.certificate);
    let wrong = truth::wrong_frames(&finished.target, &studio.spec).unwrap();
    assert!(wrong.is_clean() && wrong.frames == 144, "{wrong:?}");
    let (tests, films) = studio.lines();
    // One before the film was looked at, one of the film's own size.
    assert_eq!((tests.len(), films.len()), (2, 1), "{tests:#?}");
    assert!(tests[0].contains("size=640x360") && tests[1].contains("size=320x180"), "{tests:#?}");
    // The film's own arguments, except for what is read.
    let after = |line: &str| line.split_once(" -an -sn ").unwrap().1.to_owned();
    assert_eq!(after(&tests[1]), after(&films[0]));
    for part in
        ["-c:v hevc_nvenc -pix_fmt p010le -preset p1 ", " -cq 18 -b:v 0 ", " -bf 3 ", " hevc_metadata="]
    {
        assert!(films[0].contains(part), "{part}: {}", films[0]);
    }

    // What was proven once is not proven again.
    fs::remove_file(&finished.target).unwrap();
    convert_with(&context, studio.task(Encoder::Nvenc), &Arc::default()).unwrap();
    let (tests, films) = studio.lines();
    assert_eq!((tests.len(), films.len()), (2, 2), "{tests:#?}");
}

/// Everything that a card can do wrong and that a film must not suffer from, with what is said about it.
#[test]
fn an_encoder_that_fails_its_test_never_sees_a_film() {
    let studio = Studio::new(72);
    let only_test = |early| Fault { early, ..Fault::default() };
    let last = |last| Fault { last, ..Fault::default() };
    // Inside the first picture's slice: an arithmetic decoder cannot make sense of it.
    let damaged = format!(
        r#""$real" "$@" > '{0}' && head -c 200 /dev/zero | tr '\0' '\377' |
           dd of='{0}' bs=1 seek=6000 conv=notrunc 2> /dev/null && cat '{0}'"#,
        studio.bench.path("damaged").display()
    );
    for (fault, words) in [
        (
            only_test(
                "echo '[hevc_nvenc @ 0x5] Cannot load libcuda.so.1' >&2; echo 'Conversion failed!' >&2; exit 1",
            ),
            "does not work here: Cannot load libcuda.so.1",
        ),
        (only_test("exit 3"), "exited with code 3"),
        (only_test("kill -9 $$"), "killed by signal 9"),
        (last("-pix_fmt yuv420p -profile:v main"), "luma bit depth is 8 instead of 10"),
        (last("-frames:v 20"), "produced 20 frames, 40 were planned"),
        (
            last("-x265-params keyint=1000:open-gop=0:log-level=error"),
            "has 1 key frames, at least 3 were asked for",
        ),
        (last("-s 640x352"), "height is 352 instead of 360"),
        (
            Fault { bsf: Some("shift; left=$((left - 1))"), last: "-color_trc bt709", ..Fault::default() },
            "transfer is 1 instead of 16",
        ),
        (Fault { run: Some(damaged), ..Fault::default() }, "the decoder complains about the test encode"),
    ] {
        let error = studio.fails(&studio.context(&fault), studio.task(Encoder::Nvenc));
        assert_eq!((error.code, error.stage), (FailureCode::EncodeUnsupported, Stage::Preflight), "{error}");
        assert_eq!(error.code.class(), FailureClass::Resource);
        assert!(error.message.contains("nvenc") && error.message.contains(words), "{words}: {error}");
        assert!(error.advice().contains("NVIDIA"), "{}", error.advice());
        assert_eq!(studio.lines().1, [] as [String; 0], "{words}: the film was begun");
    }
}

#[test]
fn what_this_ffmpeg_lacks_is_named() {
    let studio = Studio::new(72);
    // As the real one is asked, but the list of options ends early.
    let help = r#"case "$*" in *hevc_metadata*) exit ;; esac"#;
    let path = studio.bench.path("ffmpeg");
    executable(&path, &format!("#!/bin/sh\n{help}\nexec '{}' \"$@\"\n", ffmpeg_under_test()));
    let bare = context(path.to_str().unwrap(), &Stop::default(), Box::new(|_| ()));
    let error = studio.fails(&bare, studio.task(Encoder::Vaapi));
    assert_eq!(error.code, FailureCode::EncodeUnsupported, "{error}");
    // x265 needs no such filter.
    convert_with(&bare, studio.task(Encoder::X265), &Arc::default()).unwrap();

    let studio = Studio::new(72);
    let mut task = studio.task(Encoder::Nvenc);
    task.recipe.encoder_args = vec!["no-such-option=1".into()];
    let error = studio.fails(&studio.context(&Fault::default()), task);
    assert!(error.message.contains("does not know -no-such-option 1"), "{error}");
}

#[test]
fn an_older_card_works_without_b_frames() {
    let studio = Studio::new(72);
    let pascal = r#"case "$line" in *'-bf 3'*)
        echo '[hevc_nvenc @ 0x5] Max B-frames 3 exceed 0' >&2; exit 1 ;; esac"#;
    let context = studio.context(&Fault { early: pascal, ..Fault::default() });
    let finished = convert_with(&context, studio.task(Encoder::Nvenc), &Arc::default()).unwrap();
    assert!(finished.certificate.holds());
    let (tests, films) = studio.lines();
    assert_eq!((tests.len(), films.len()), (4, 1), "{tests:#?}");
    assert!(films[0].contains(" -bf 0 ") && !films[0].contains("b_ref_mode"), "{}", films[0]);
}

#[test]
fn a_card_that_cannot_do_the_films_size_is_found_before_the_film_is_encoded() {
    let studio = Studio::new(72);
    let small = r#"case "$line" in *size=320x180*)
        echo '[hevc_nvenc @ 0x5] InitializeEncoder failed: invalid param (8): Frame Dimension less than the minimum' >&2
        exit 1 ;; esac"#;
    let error = studio
        .fails(&studio.context(&Fault { early: small, ..Fault::default() }), studio.task(Encoder::Nvenc));
    assert_eq!(error.code, FailureCode::EncodeUnsupported, "{error}");
    assert!(error.message.contains("Frame Dimension less than the minimum"), "{error}");
    assert_eq!(studio.lines().1, [] as [String; 0]);
}

#[test]
fn options_of_the_recipe_that_spoil_the_encode_are_the_recipes_fault() {
    let studio = Studio::new(72);
    let context = studio.context(&Fault::default());
    let mut task = studio.task(Encoder::X265);
    task.recipe.x265_params = vec!["transfer=bt709".into()];
    let error = studio.fails(&context, task);
    assert_eq!((error.code, error.stage), (FailureCode::EncodeStream, Stage::Preflight), "{error}");
    assert_eq!(error.code.class(), FailureClass::Permanent);
    for words in ["recipe.x265_params (transfer=bt709)", "transfer is 1 instead of 16"] {
        assert!(error.message.contains(words), "{error}");
    }

    let mut task = studio.task(Encoder::Nvenc);
    task.recipe.encoder_args = vec!["frames=1".into(), "g=1000".into()];
    // No encoder has `frames`: this ffmpeg cannot do it, and no other can.
    assert!(studio.fails(&context, task.clone()).message.contains("-frames 1"));
    task.recipe.encoder_args.remove(0);
    let error = studio.fails(&context, task);
    assert!(error.message.contains("recipe.encoder_args (g=1000)"), "{error}");
    assert!(error.message.contains("key frames"), "{error}");
}

#[test]
fn a_card_that_fails_in_the_middle_of_a_film_is_named_and_must_prove_itself_again() {
    let studio = Studio::new(72);
    let dies = r#"if [ $film = yes ]; then
            "$real" "$@" | head -c 30000
            echo '[hevc_nvenc @ 0x5] EncodePicture failed!: generic error (20)' >&2
            exit 1
        fi
        exec "$real" "$@""#;
    let context = studio.context(&Fault { run: Some(dies.into()), ..Fault::default() });
    for attempt in 1..=2 {
        let error = studio.fails(&context, studio.task(Encoder::Nvenc));
        assert_eq!((error.code, error.stage), (FailureCode::EncodeFailed, Stage::Encode), "{error}");
        assert!(error.message.starts_with("the encoder nvenc: ffmpeg exited with code 1"), "{error}");
        assert!(error.tool.unwrap().tail.iter().any(|l| l.contains("EncodePicture failed!")));
        assert_eq!(studio.lines().0.len(), 2 * attempt, "tested before each attempt");
    }
}

/// A wrong tag is found at the first picture, and ffmpeg does not live to encode the film: counted in the pictures that it
/// wrote until it was killed.
#[test]
fn a_wrong_tag_in_a_film_ends_its_encode_at_once() {
    const FRAMES: u64 = 600;
    let studio = Studio::new(FRAMES);
    let written = studio.bench.path("written");
    let keep = format!(r#""$real" "$@" | tee '{}'"#, written.display());
    // Only in films, or the tests would find it.
    let nvenc = Fault {
        bsf: Some(r#"if [ $film = yes ]; then shift; left=$((left - 1)); else set -- "$@" "$arg"; fi"#),
        last: "$(if [ $film = yes ]; then echo -color_trc bt709 -preset medium; fi)",
        run: Some(keep.clone()),
        ..Fault::default()
    };
    let x265 = format!(
        r#"#!/bin/sh
real='{0}'
case "$*" in
*lavfi* | *progress*) ;;
*'pipe:1'*) set -- $(echo "$*" | sed 's/open-gop=0/open-gop=0:transfer=bt709/g') ; {keep}; exit ;;
esac
exec '{0}' "$@"
"#,
        ffmpeg_under_test()
    );
    for encoder in [Encoder::Nvenc, Encoder::X265] {
        let context = match encoder {
            Encoder::X265 => {
                let path = studio.bench.path("ffmpeg");
                executable(&path, &x265);
                context(path.to_str().unwrap(), &Stop::default(), Box::new(|_| ()))
            }
            _ => studio.context(&nvenc),
        };
        let mut task = studio.task(encoder);
        task.recipe.preset = "medium".into();
        let error = studio.fails(&context, task);
        assert_eq!((error.code, error.stage), (FailureCode::EncodeStream, Stage::Encode), "{error}");
        let name = format!("the encoder {}: ", encoder.name());
        assert!(error.message.starts_with(&name) && error.message.contains("transfer is 1"), "{error}");
        let mut reader = AuReader::new(fs::File::open(&written).unwrap());
        let mut pictures = 0;
        while let Ok(Some(_)) = reader.next_au() {
            pictures += 1;
        }
        assert!(pictures < FRAMES / 4, "{encoder:?}: {pictures} pictures of {FRAMES} before it was stopped");
        println!("{encoder:?}: {pictures} pictures of {FRAMES} were written");
    }
}
