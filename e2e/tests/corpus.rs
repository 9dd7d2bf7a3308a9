//! Every film of the corpus, judged and converted in both modes, and docs/CORPUS.md beside it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use common::job::Mode;
use consumer::pipeline::{Context, Finished, Stop};
use dovi::film::ScanOptions;
use e2e::bench::{self, Bench};
use e2e::films::{
    FilmSet, FilmSpec, Grade, LibraryOptions, Light, Outcome, Shown, Studio, edges, page, truth,
};
use e2e::tool::ffmpeg_under_test;

const FRAMES: u64 = 72;
/// Films that are worked on at the same time; their tools have threads of their own.
const WORKERS: usize = 2;

fn specs() -> Vec<FilmSpec> {
    let options =
        LibraryOptions { set: FilmSet::Full, frames: FRAMES, width: 320, height: 180, only: only() };
    options.specs().unwrap()
}

/// While looking for a fault: `DOVI_TEST_FILMS=fel,p5 cargo test …`.
fn only() -> Vec<String> {
    let names = std::env::var("DOVI_TEST_FILMS").unwrap_or_default();
    names.split(',').filter(|n| !n.is_empty()).map(str::to_owned).collect()
}

#[test]
fn every_film_ends_as_the_corpus_says_in_both_modes() {
    let dir = tempfile::tempdir().unwrap();
    let specs = specs();
    let mut studio = Studio::open().unwrap();
    let films: Vec<(PathBuf, FilmSpec)> = specs
        .into_iter()
        .map(|spec| {
            let path = dir.path().join(&spec.path);
            studio.make(&path, &spec).unwrap();
            (path, spec)
        })
        .collect();
    // One for all: it asks each tool only once what it can do.
    let context = bench::context(&ffmpeg_under_test(), &Stop::default(), Box::new(|_| ()));
    let queue = Mutex::new(films.iter());
    let faults = Mutex::new(Vec::new());
    let proven = Mutex::new((0, 0));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let Some((path, spec)) = queue.lock().unwrap().next() else { return };
                    let mut found = Vec::new();
                    let (done, refused) = judge(&context, path, spec, &mut found);
                    // Shown at once by --nocapture.
                    found.iter().for_each(|fault| eprintln!("{}: {fault}", spec.name));
                    let mut sums = proven.lock().unwrap();
                    *sums = (sums.0 + done, sums.1 + refused);
                    faults.lock().unwrap().extend(found.into_iter().map(|f| format!("{}: {f}", spec.name)));
                }
            });
        }
    });
    let faults = faults.into_inner().unwrap();
    assert!(faults.is_empty(), "{} faults\n{}", faults.len(), faults.join("\n"));
    let (done, refused) = proven.into_inner().unwrap();
    assert!(!only().is_empty() || (done >= 85 && refused >= 50), "{done} converted, {refused} refused");
}

/// Looks at a film in every way, writes down what is not as it should be, and counts what was converted and refused.
fn judge(context: &Context, path: &Path, spec: &FilmSpec, faults: &mut Vec<String>) -> (usize, usize) {
    let before = fs::read(path).unwrap();
    verdicts(path, spec, faults);
    let (mut done, mut refused) = (0, 0);
    for (mode, expected) in [(Mode::Copy, spec.expected.copy), (Mode::Encode, spec.expected.outcome)] {
        // Names matter where they are told to a program: mkvmerge reads all of them in copy mode, ffmpeg these.
        let named = spec.path.starts_with("hostile")
            && !["name-dash", "name-bytes", "name-colon"].contains(&spec.name);
        if mode == Mode::Encode && named {
            continue;
        }
        let bench = Bench::new().unwrap();
        let task = bench.task(path, mode);
        let target = task.target.clone();
        let mut say = |what: String| faults.push(format!("{mode:?}: {what}"));
        match (bench::convert_with(context, task, &Arc::default()), expected.code()) {
            (Ok(finished), None) => {
                done += 1;
                prove(spec, mode, path, &finished).into_iter().for_each(&mut say);
                if bench.left().unwrap() != [target] {
                    say(format!("more is left than the result: {:?}", bench.left().unwrap()));
                }
            }
            (Err(error), Some(code)) => {
                refused += 1;
                if error.code.as_str() != code {
                    say(format!("should be refused with {code}, not with {error}"));
                }
                if error.message.is_empty() || error.advice().is_empty() {
                    say("refused without a word".to_owned());
                }
                let points_to_copy = error.advice().contains("copy");
                if mode == Mode::Encode && spec.expected.copy == Outcome::Done && !points_to_copy {
                    say(format!("the hint does not say that copy mode can do it: {}", error.advice()));
                }
                if !bench.left().unwrap().is_empty() {
                    say(format!("refused, but left {:?}", bench.left().unwrap()));
                }
            }
            (Ok(_), Some(code)) => say(format!("converted instead of refused with {code}")),
            (Err(error), None) => say(format!("refused: {error}")),
        }
    }
    if fs::read(path).unwrap() != before {
        faults.push("the source changed".to_owned());
    }
    (done, refused)
}

/// Sample and scan give the verdict, or refuse with the code of the outcome; both with what they can see.
fn verdicts(path: &Path, spec: &FilmSpec, faults: &mut Vec<String>) {
    let open = || BufReader::new(File::open(path).unwrap());
    let sampled = dovi::film::sample(open()).map(|s| s.verdict);
    let scanned = dovi::film::scan(open(), &ScanOptions::default(), &mut |_| ControlFlow::Continue(()));
    let codes = [spec.expected.outcome.code(), spec.expected.copy.code()];
    for (who, result) in [("sample", sampled), ("scan", scanned.map(|s| s.verdict))] {
        match (result, spec.expected.verdict) {
            (Ok(verdict), Some(expected)) if verdict.to_string() != expected => {
                faults.push(format!("{who}: verdict {verdict}, not {expected}"));
            }
            (Ok(verdict), None) if who == "scan" => {
                faults.push(format!("{who}: verdict {verdict} where there should be none"));
            }
            (Err(error), _) if !codes.contains(&Some(error.code())) => {
                faults.push(format!("{who}: {} ({error}), not {codes:?}", error.code()));
            }
            _ => {}
        }
    }
}

/// By ffmpeg's and mkvmerge's word, without the code under test; and by the certificate.
fn prove(spec: &FilmSpec, mode: Mode, source: &Path, finished: &Finished) -> Vec<String> {
    let mut faults = Vec::new();
    let mut hold = |holds: bool, what: String| {
        if !holds {
            faults.push(what);
        }
    };
    let result = &finished.target;
    let wrong = truth::wrong_frames(result, spec).unwrap();
    // What is filled carries the number of the frame before: all that lack an RPU, and no other.
    let filled = (0..FRAMES).filter(|i| spec.recipe.lacks_rpu(*i)).count() as u64;
    let found = (wrong.wrong, wrong.missing, wrong.extra, wrong.wrong_pictures, wrong.wrong_areas);
    hold(found == (filled, 0, 0, 0, 0) && wrong.frames > 0, format!("{wrong:?}"));
    let frames = if mode == Mode::Copy { FRAMES } else { spec.decodable().len() as u64 };
    hold(wrong.frames == frames, format!("{} frames, not {frames}", wrong.frames));

    let tracks = truth::tracks_equal(source, result).unwrap();
    hold(tracks.is_equal() && tracks.tracks >= 4, format!("{tracks:#?}"));
    let shift = truth::time_shift_ms(source, result, spec).unwrap();
    hold(shift <= 1, format!("a picture is shown {shift} ms from its time"));
    let nals = truth::nal_counts(result).unwrap();
    hold((nals.get(&62), nals.get(&63)) == (Some(&wrong.frames), None), format!("NAL units {nals:?}"));
    if mode == Mode::Encode && spec.recipe.grade == Grade::Pq {
        let (light, expected) = (truth::light(result).unwrap(), expected_light(spec));
        hold(light == expected, format!("HDR10 values {light:?}, not {expected:?}"));
    }
    if spec.recipe.hdr10plus {
        let numbers = truth::hdr10plus_numbers(result).unwrap();
        hold(numbers.iter().all(Option::is_some), format!("HDR10+ {numbers:?}"));
    }

    let c = &finished.certificate;
    let broken: Vec<_> = c.checks.iter().filter(|check| !check.ok).collect();
    hold(c.holds() && c.checks.len() >= 12, format!("{} checks, broken {broken:#?}", c.checks.len()));
    hold((c.frames, c.wrong_frames) == (wrong.frames, 0), format!("certificate of {} frames", c.frames));
    hold(Some(c.verdict.as_str()) == spec.expected.verdict, format!("certificate for {}", c.verdict));
    if let Some(words) = spec.expected.notice {
        hold(c.notices.iter().any(|n| n.contains(words)), format!("no notice {words:?}: {:?}", c.notices));
    }
    let date = |p: &Path| fs::metadata(p).unwrap().modified().unwrap();
    hold(date(source) == date(result), "another date than the source's".to_owned());
    faults
}

/// What the film maker put in: the mastering display of all films, and the light of most.
fn expected_light(spec: &FilmSpec) -> truth::Light {
    let fractions = [
        "34000/50000",
        "16000/50000",
        "13250/50000",
        "34500/50000",
        "7500/50000",
        "3000/50000",
        "15635/50000",
        "16450/50000",
        "1/10000",
        "10000000/10000",
    ];
    truth::Light {
        mastering: Some(fractions.map(str::to_owned).to_vec()),
        content: (spec.recipe.light != Light::NoCll).then_some((1000, 400)),
    }
}

#[test]
fn the_page_is_what_the_catalogue_says() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/CORPUS.md");
    let written = fs::read_to_string(path).unwrap();
    assert!(written == page(), "docs/CORPUS.md is out of date: run `make docs`");
}

#[test]
fn every_film_stands_for_a_case_and_every_case_is_shown() {
    let options = LibraryOptions { set: FilmSet::Full, ..LibraryOptions::default() };
    let specs = options.specs().unwrap();
    let names: BTreeSet<&str> = specs.iter().map(|s| s.name).collect();
    assert_eq!(names.len(), specs.len(), "two films have the same name");
    assert!(names.len() >= 60, "{} films", names.len());
    let nameless: Vec<&str> = specs.iter().filter(|s| s.shows.is_empty()).map(|s| s.name).collect();
    assert!(nameless.is_empty(), "nobody says what these show: {nameless:?}");

    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut named = BTreeSet::new();
    for edge in edges() {
        assert!(!edge.shown.is_empty(), "nothing shows {:?}", edge.case);
        for shown in edge.shown {
            match shown {
                Shown::Film(name) => {
                    assert!(
                        names.contains(name),
                        "{:?} names the film {name}, which does not exist",
                        edge.case
                    );
                    named.insert(name);
                }
                Shown::Test(file, function) => {
                    let text = fs::read_to_string(root.join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
                    assert!(is_test(&text, function), "{file} has no test {function}");
                }
                Shown::NotCovered(reason) => assert!(reason.len() > 20, "{reason:?} is no reason"),
            }
        }
    }
    let idle: Vec<&&str> = names.difference(&named).collect();
    assert!(idle.is_empty(), "films that stand for no case: {idle:?}");
}

/// A function of that name follows a `#[test]`, with nothing but attributes between.
fn is_test(text: &str, function: &str) -> bool {
    let head = format!("fn {function}(");
    let Some(at) = text.find(&head) else { return false };
    let before = text[..at].lines().rev().skip(usize::from(!text[..at].ends_with('\n')));
    let attributes: Vec<&str> = before.take_while(|l| l.trim_start().starts_with("#[")).collect();
    attributes.iter().any(|l| l.contains("test"))
}
