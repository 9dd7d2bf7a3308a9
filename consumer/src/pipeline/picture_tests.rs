use super::*;

const STEP: i64 = 41_708_333;

/// A bright disc of soft edge on a gradient; `x` is where it is, `light` scales all of it above black.
fn picture(n: i64, x: f64, light: f64) -> SmallFrame {
    let luma = (0..WIDTH * HEIGHT).map(|i| {
        let (column, row) = ((i % WIDTH) as f64, (i / WIDTH) as f64);
        let distance = ((column - x).powi(2) + (row - 45.0).powi(2)).sqrt();
        let disc = 400.0 * (1.0 - (distance - 20.0) / 10.0).clamp(0.0, 1.0);
        (64.0 + light * (column + disc)) as u16
    });
    SmallFrame {
        pts_ns: n * STEP / 1_000_000 * 1_000_000,
        luma: luma.collect(),
        chroma: vec![512; WIDTH * HEIGHT / 2],
    }
}

/// The disc moves by a sample and a half from picture to picture.
fn moving(n: i64) -> SmallFrame {
    picture(n, 20.0 + 1.5 * n as f64, 1.0)
}

fn film(frames: i64, show: impl Fn(i64) -> SmallFrame) -> Vec<SmallFrame> {
    (0..frames).map(show).collect()
}

/// Noise that the same seed repeats, as a coarse quantiser would add it.
fn noisy(mut frame: SmallFrame, size: u16) -> SmallFrame {
    let mut state = 1u32;
    for sample in &mut frame.luma {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        *sample = sample.saturating_add((state >> 16) as u16 % (size + 1)).saturating_sub(size / 2);
    }
    frame
}

fn all(source: &[SmallFrame], result: &[SmallFrame]) -> Judgement {
    let times: Vec<i64> = source.iter().map(|f| f.pts_ns).collect();
    let found: Vec<Found> = places(&times).iter().map(|p| compare(p, source, result)).collect();
    judge(&found)
}

fn wrong(result: impl Fn(i64) -> SmallFrame) -> String {
    let judged = all(&film(72, moving), &film(72, result));
    assert!(judged.wrong.is_some(), "{}", judged.found());
    judged.found()
}

#[test]
fn places_hold_the_first_and_the_last_pictures_and_lie_apart() {
    let times: Vec<i64> = (0..1000).collect();
    let spread = places(&times);
    assert_eq!(spread.len(), PLACES);
    assert_eq!(spread[0], Place { times: (0..18).collect(), compared: 0..12 });
    assert_eq!(spread[9].compared(), (988..1000).collect::<Vec<i64>>());
    let begins: Vec<i64> = spread.iter().map(|p| p.compared()[0]).collect();
    assert!(begins.windows(2).all(|w| (109..=110).contains(&(w[1] - w[0]))), "{begins:?}");
    assert!(
        spread[1..9].iter().all(|p| p.times.len() == RUN + 2 * REACH && p.compared == (REACH..REACH + RUN))
    );
}

#[test]
fn a_short_film_is_compared_whole_and_an_empty_one_has_no_places() {
    assert!(places(&[]).is_empty());
    assert_eq!(places(&[7]), [Place { times: vec![7], compared: 0..1 }]);
    for frames in 1..60 {
        let spread = places(&(0..frames).collect::<Vec<i64>>());
        let seen: std::collections::BTreeSet<i64> =
            spread.iter().flat_map(|p| p.compared().to_vec()).collect();
        assert_eq!(seen.len() as i64, frames);
    }
}

#[test]
fn a_coarse_copy_passes_and_is_in_time() {
    let judged = all(&film(72, moving), &film(72, |n| noisy(moving(n), 60)));
    assert!(judged.wrong.is_none(), "{}", judged.found());
    assert!(
        judged.found().starts_with("72 pictures at 6 places") && judged.found().contains("in time at 6"),
        "{}",
        judged.found()
    );
}

#[test]
fn pictures_that_come_early_or_late_are_told_with_their_distance() {
    for (by, said) in [
        (1, "1 picture later"),
        (-1, "1 picture earlier"),
        (3, "3 pictures later"),
        (-6, "6 pictures earlier"),
    ] {
        let found = wrong(|n| SmallFrame { pts_ns: moving(n).pts_ns, ..moving(n + by) });
        assert!(found.contains(said), "{by}: {found}");
    }
    // One lost in the middle: right before, one off behind.
    let found = wrong(|n| SmallFrame { pts_ns: moving(n).pts_ns, ..moving(if n < 36 { n } else { n + 1 }) });
    assert!(found.contains("1 picture later"), "{found}");
    assert!(found.starts_with("at 1.5"), "{found}");
}

#[test]
fn where_nothing_moves_nothing_is_said_of_time() {
    let still = |n: i64| picture(n, 80.0, 1.0);
    let judged = all(&film(72, still), &film(72, |n| noisy(still(n), 60)));
    assert!(
        judged.wrong.is_none() && judged.found().ends_with("no motion that would show a shift in time"),
        "{}",
        judged.found()
    );
}

#[test]
fn a_fade_that_runs_late_is_no_shift() {
    let fade = |n: i64| picture(n, 80.0, (n as f64 / 72.0).clamp(0.0, 1.0));
    let late = |n: i64| SmallFrame { pts_ns: fade(n).pts_ns, ..fade(n - 4) };
    let judged = all(&film(72, fade), &film(72, late));
    assert!(judged.wrong.is_none(), "{}", judged.found());
}

#[test]
fn a_single_black_picture_is_found() {
    let found = wrong(|n| if n == 40 { picture(n, 0.0, 0.0) } else { moving(n) });
    assert!(found.starts_with("the picture at 1.668 s has brightness 64 instead of"), "{found}");
}

#[test]
fn a_green_picture_a_wrong_range_and_another_film_are_found() {
    let each = |f: fn(f64) -> f64| {
        move |n: i64| {
            let mut frame = moving(n);
            frame.luma.iter_mut().for_each(|s| *s = f(f64::from(*s)) as u16);
            frame
        }
    };
    let full = wrong(each(|s| ((s - 64.0) * 1023.0 / 876.0).max(0.0)));
    assert!(full.contains("brightness") || full.contains("black"), "{full}");
    let limited = wrong(each(|s| 64.0 + s * 876.0 / 1023.0));
    assert!(limited.contains("brightness") || limited.contains("black"), "{limited}");
    let green = wrong(|n| SmallFrame { chroma: vec![0; WIDTH * HEIGHT / 2], ..moving(n) });
    assert!(green.contains("blue difference 0 instead of 512"), "{green}");
    let mirrored = wrong(|n| {
        let frame = moving(n);
        let luma = frame.luma.chunks(WIDTH).flat_map(|row| row.iter().rev().copied()).collect();
        SmallFrame { luma, ..frame }
    });
    assert!(mirrored.contains("structure") || mirrored.contains("dB"), "{mirrored}");
}

#[test]
fn a_picture_that_never_comes_is_the_result_s_fault_and_one_the_source_lacks_is_not() {
    let (source, mut result) = (film(72, moving), film(72, moving));
    result.remove(30);
    let judged = all(&source, &result);
    assert!(
        judged.wrong.is_some()
            && judged
                .found()
                .starts_with("pictures that do not come out of the decoder: 1, the first at 1.251 s"),
        "{}",
        judged.found()
    );
    let place = &places(&source.iter().map(|f| f.pts_ns).collect::<Vec<_>>())[2];
    let found = compare(place, &source[..30], &result);
    assert_eq!((found.frames, found.missing.len(), found.unlike), (6, 0, None));
    assert_eq!(compare(place, &[], &result).frames, 0);
}

#[test]
fn times_rounded_to_another_millisecond_are_the_same() {
    let late = |n: i64| SmallFrame { pts_ns: moving(n).pts_ns + 1_000_000, ..moving(n) };
    assert_eq!(all(&film(72, moving), &film(72, late)).wrong, None);
    let other = |n: i64| SmallFrame { pts_ns: moving(n).pts_ns + 20_000_000, ..moving(n) };
    assert!(all(&film(72, moving), &film(72, other)).wrong.is_some());
}
