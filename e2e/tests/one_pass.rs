//! Copy mode reads a film once where it can and twice where it must, and what comes of it is the same.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::fs;

use common::job::{FailureCode, Mode};
use e2e::bench::{Bench, convert};
use e2e::films::{FilmSpec, Gop, Layers, RpuDamage, Timing, make_film, truth};

const FRAMES: u64 = 96;

fn stages(bench: &Bench, spec: &FilmSpec, missing_percent: f32) -> Vec<String> {
    let spec = spec.clone().frames(FRAMES).size(320, 180);
    let film = bench.path("lib").join(&spec.path);
    make_film(&film, &spec).unwrap();
    let mut task = bench.task(&film, Mode::Copy);
    task.recipe.max_missing_rpu_percent = missing_percent.into();
    let finished = convert(task).unwrap_or_else(|e| panic!("{}: {e}", spec.name));
    let wrong = truth::wrong_frames(&finished.target, &spec).unwrap();
    let filled = match spec.recipe.rpu_damage {
        RpuDamage::Missing { count, .. } => count,
        _ => 0,
    };
    assert_eq!(
        (wrong.wrong, wrong.missing, wrong.extra, wrong.wrong_pictures),
        (filled, 0, 0, 0),
        "{}: {wrong:?}",
        spec.name
    );
    assert!(wrong.frames > 0 && finished.certificate.holds(), "{}", spec.name);
    let nals = truth::nal_counts(&finished.target).unwrap();
    assert_eq!((nals.get(&62), nals.get(&63)), (Some(&wrong.frames), None), "{}", spec.name);
    assert_eq!(bench.left().unwrap(), std::slice::from_ref(&finished.target), "{}", spec.name);
    fs::remove_file(&finished.target).unwrap();
    finished.certificate.stages.into_iter().map(|s| s.stage).collect()
}

#[test]
fn a_film_whose_frames_carry_their_rpus_is_read_once() {
    let bench = Bench::new().unwrap();
    for spec in [
        FilmSpec::new("closed", Layers::Mel),
        FilmSpec::new("open", Layers::Fel).gop(Gop::Open),
        FilmSpec::new("joint", Layers::Mel).gop(Gop::OpenWithEos),
        FilmSpec::new("late", Layers::Mel).timing(Timing::StartsAt(84)),
        FilmSpec::new("variable", Layers::Mel).timing(Timing::Variable),
        FilmSpec::new("plus", Layers::Mel).hdr10plus(),
    ] {
        assert_eq!(stages(&bench, &spec, 0.0), ["copy", "mux", "verify"], "{}", spec.name);
    }
}

#[test]
fn gaps_and_rpus_in_a_track_of_their_own_need_a_second_read() {
    let bench = Bench::new().unwrap();
    let dual = FilmSpec::new("dual", Layers::Mel).dual_track();
    let gap = RpuDamage::Missing { first: 70, count: 2 };
    let gap = FilmSpec::new("gap", Layers::Mel).rpu_damage(gap, "rpu.missing");
    for (spec, percent) in [(dual, 0.0), (gap, 5.0)] {
        let read = stages(&bench, &spec, percent);
        assert_eq!(read.last().map(String::as_str), Some("verify"), "{}", spec.name);
        assert!(read.iter().filter(|s| *s == "copy" || *s == "prescan").count() == 2, "{read:?}");
    }
}

#[test]
fn a_film_found_damaged_on_the_way_leaves_nothing() {
    let bench = Bench::new().unwrap();
    let damage = RpuDamage::Garbage(70);
    let spec = FilmSpec::new("garbage", Layers::Mel).rpu_damage(damage, "rpu.invalid");
    let spec = spec.frames(480).size(320, 180);
    let film = bench.path("lib/garbage.mkv");
    make_film(&film, &spec).unwrap();
    let error = convert(bench.task(&film, Mode::Copy)).unwrap_err();
    assert_eq!(error.code, FailureCode::RpuInvalid, "{error}");
    assert!(bench.left().unwrap().is_empty());
}
