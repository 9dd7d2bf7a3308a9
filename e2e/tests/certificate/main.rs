//! What a proof sees: good results, broken in one place each, must fail for exactly that reason and no other.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod contents;
mod picture;
mod publish;
mod survives;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use common::job::Certificate;
use e2e::films::breaker::Breaker;
use e2e::films::{FilmSpec, Layers, make_film};

const CONSUMER: &str = env!("CARGO_BIN_EXE_consumer-under-test");
const FRAMES: u64 = 72;

/// How a result is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Mode {
    Copy,
    Encode,
}

const BOTH: [Mode; 2] = [Mode::Copy, Mode::Encode];

/// A film and what the program made of it, as bytes.
struct Made {
    source: Vec<u8>,
    results: BTreeMap<Mode, Vec<u8>>,
}

impl Made {
    fn of(spec: &FilmSpec, modes: &[Mode]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let source = dir.path().join("film.mkv");
        make_film(&source, &spec.clone().frames(FRAMES).size(320, 180)).unwrap();
        let result = |mode| {
            let result = dir.path().join(format!("{mode:?}.mkv"));
            convert(&source, &result, mode, &[]).unwrap();
            (mode, fs::read(result).unwrap())
        };
        Self { results: modes.iter().copied().map(result).collect(), source: fs::read(&source).unwrap() }
    }

    /// The film most breaks are tried on, made once.
    fn plain() -> &'static Self {
        static MADE: OnceLock<Made> = OnceLock::new();
        MADE.get_or_init(|| Self::of(&FilmSpec::new("mel", Layers::Mel), &BOTH))
    }

    /// A fresh copy of source and result.
    fn pair(&self, mode: Mode) -> Pair {
        let dir = tempfile::tempdir().unwrap();
        let (source, good) = (dir.path().join("source.mkv"), dir.path().join("good.mkv"));
        fs::write(&source, &self.source).unwrap();
        fs::write(&good, &self.results[&mode]).unwrap();
        let breaker = Breaker::new(&good, &dir.path().join("work")).unwrap();
        Pair { mode, source, good, breaker, _dir: dir }
    }
}

/// Runs `convert`; the error is its JSON report of the failure.
fn convert(
    source: &Path,
    result: &Path,
    mode: Mode,
    more: &[&str],
) -> Result<Certificate, serde_json::Value> {
    let mode = if mode == Mode::Copy { "copy" } else { "encode" };
    let fixed = ["convert", "--json", "--decode", "off", "--preset", "ultrafast", "--mode", mode];
    let mut args: Vec<&OsStr> = fixed.iter().chain(more).map(OsStr::new).collect();
    let scratch = result.with_extension("scratch");
    fs::create_dir_all(&scratch).unwrap();
    args.extend([OsStr::new("--scratch"), scratch.as_os_str(), OsStr::new("-o"), result.as_os_str()]);
    args.push(source.as_os_str());
    let (code, out) = run(&args);
    let mut printed: serde_json::Value = serde_json::from_str(&out).unwrap();
    if code == 0 { Ok(serde_json::from_value(printed["certificate"].take()).unwrap()) } else { Err(printed) }
}

/// Exit code and standard output.
fn run(args: &[&OsStr]) -> (i32, String) {
    let output = Command::new(CONSUMER).args(args).stdin(Stdio::null()).output().unwrap();
    let (out, said) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8_lossy(&output.stderr));
    assert!(!out.is_empty(), "{args:?} printed nothing: {said}");
    (output.status.code().unwrap(), out)
}

/// A film, its good result, and the means to break that.
struct Pair {
    mode: Mode,
    source: PathBuf,
    good: PathBuf,
    breaker: Breaker,
    _dir: tempfile::TempDir,
}

impl Pair {
    fn verify(&self, result: &Path) -> Certificate {
        let args = ["verify", "--json", "--decode", "off"].map(OsStr::new);
        let (code, out) = run(&[&args[..], &[self.source.as_os_str(), result.as_os_str()]].concat());
        let certificate: Certificate = serde_json::from_str(&out).unwrap();
        assert_eq!(code, i32::from(!certificate.holds()), "{certificate:#?}");
        certificate
    }

    fn holds(&self, result: &Path) -> Certificate {
        let certificate = self.verify(result);
        assert!(certificate.holds(), "{:?}: {:#?}", self.mode, certificate.checks);
        certificate
    }

    /// Exactly these checks fail, in this order, and each says exactly what is given, one text per difference. A text
    /// that ends with `…` is the beginning of one.
    fn fails(&self, result: &Path, expected: &[(&str, &[&str])]) {
        let certificate = self.verify(result);
        let failed = certificate.checks.iter().filter(|c| !c.ok);
        let found: Vec<(&str, &[String])> =
            failed.map(|c| (c.name.as_str(), c.differences.as_slice())).collect();
        let matches = |want: &&str, found: &String| match want.strip_suffix('…') {
            Some(start) => found.starts_with(start),
            None => *want == found,
        };
        let same = found.len() == expected.len()
            && found.iter().zip(expected).all(|((name, texts), (want, wants))| {
                name == want
                    && texts.len() == wants.len()
                    && wants.iter().zip(*texts).all(|(want, found)| matches(want, found))
            });
        assert!(same, "{:?}: expected {expected:#?}, found {found:#?}", self.mode);
        assert_eq!(certificate.wrong_frames > 0, expected.iter().any(|e| e.0 == "alignment"));
    }
}

#[test]
fn unbroken_results_hold_with_figures_for_programs() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let certificate = pair.holds(&pair.good);
        let names: Vec<&str> = certificate.checks.iter().map(|c| c.name.as_str()).collect();
        let mut want = vec!["frames", "rpus", "alignment", "levels", "profile", "payload", "hdr10", "timing"];
        want.extend(["tracks", "chapters", "attachments", "tags"]);
        // What an encoder of somebody else should have written, nobody knows.
        want.retain(|n| *n != "payload" || mode == Mode::Copy);
        assert_eq!(names, want);
        let figure = |check: &str, name: &str| {
            let check = certificate.checks.iter().find(|c| c.name == check).unwrap();
            check.figures.get(name).cloned().unwrap_or_else(|| panic!("{check:?} lacks {name}"))
        };
        for (check, name, value) in [
            ("frames", "planned", 72),
            ("frames", "packets", 72),
            ("frames", "number_of_frames_tag", 72),
            ("rpus", "profile_8", 72),
            ("rpus", "not_last", 0),
            ("alignment", "wrong", 0),
            ("levels", "scene_cuts", 3),
            ("profile", "profile", 8),
            ("profile", "compatibility", 1),
            ("hdr10", "max_cll", 1000),
            ("chapters", "chapters", 3),
            ("tags", "tags", 3),
        ] {
            assert_eq!(figure(check, name), value, "{check} {name}");
        }
        assert_eq!(figure("tracks", "tracks").as_array().unwrap().len(), 4);
        assert_eq!(figure("attachments", "attachments")[0]["blake3"].as_str().unwrap().len(), 64);
    }
}

/// The breaks below take results apart and put them together again: that alone breaks nothing.
#[test]
fn a_result_put_together_again_holds() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let pictures = pair.breaker.pictures().unwrap();
        assert_eq!(pictures.len() as u64, FRAMES);
        pair.holds(&pair.breaker.remux(&pictures, "24000/1001").unwrap());
    }
}

#[test]
fn the_source_is_no_result() {
    let pair = Made::plain().pair(Mode::Copy);
    pair.fails(
        &pair.source,
        &[
            (
                "rpus",
                &[
                    "81 nal units of an enhancement layer",
                    "72 rpus of profile 7 instead of 8",
                    "72 rpus that need an enhancement layer (nlq)",
                ],
            ),
            (
                "alignment",
                &["72 of 72 frames have a wrong rpu: frames 0 to 71 have the source's own, not converted"],
            ),
            (
                "profile",
                &[
                    "the Dolby Vision record is a dvcC, which players take for profile 7 or below, instead of a dvvC",
                    "the record's profile is 7 instead of 8",
                    "the record's compatibility id is 6 instead of 1",
                    "the record's \"enhancement layer present\" is yes instead of no",
                ],
            ),
        ],
    );
}
