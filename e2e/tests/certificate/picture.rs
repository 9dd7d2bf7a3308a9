//! Breaks in the film's own track.

use e2e::films::breaker::Picture;
use e2e::films::{FilmSpec, Layers};

use super::{BOTH, FRAMES, Made, Mode, Pair};

const RATE: &str = "24000/1001";

/// Changes the pictures of a fresh result; gives the pair and the broken film.
fn broken(mode: Mode, change: impl FnOnce(&mut Vec<Picture>)) -> (Pair, std::path::PathBuf) {
    let pair = Made::plain().pair(mode);
    let mut pictures = pair.breaker.pictures().unwrap();
    change(&mut pictures);
    let broken = pair.breaker.remux(&pictures, RATE).unwrap();
    (pair, broken)
}

/// Place in decode order of the picture shown as number `display`.
fn at(pictures: &[Picture], display: u64) -> usize {
    pictures.iter().position(|p| p.display == display).unwrap()
}

/// Gives each picture the RPU of the one shown at `from(display)`.
fn permute(pictures: &mut [Picture], from: impl Fn(u64) -> u64) {
    let old = pictures.to_vec();
    for picture in pictures {
        picture.set_rpu(old[at(&old, from(picture.display))].rpu().unwrap().clone());
    }
}

#[test]
fn rpus_shifted_by_one_frame() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| permute(p, |d| (d + FRAMES - 1) % FRAMES));
        let text = "72 of 72 frames have a wrong rpu: frame 0 has that of frame 71, \
                    frames 1 to 71 have that of the frame before";
        pair.fails(&broken, &[("alignment", &[text])]);
    }
}

#[test]
fn two_rpus_swapped() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| {
            permute(p, |d| match d {
                30 => 31,
                31 => 30,
                d => d,
            });
        });
        let text =
            "2 of 72 frames have a wrong rpu: frame 30 has that of frame 31, frame 31 has that of frame 30";
        pair.fails(&broken, &[("alignment", &[text])]);
    }
}

/// What follows comes one frame earlier, with its own RPUs, and the film ends earlier: all that is the same break.
#[test]
fn a_dropped_frame() {
    for mode in BOTH {
        let mut dropped = 0;
        let (pair, broken) = broken(mode, |p| {
            let victim =
                p.iter().position(|p| p.display > 20 && p.display % 24 > 4 && p.is_disposable()).unwrap();
            dropped = p.remove(victim).display;
        });
        let wrong = FRAMES - dropped;
        let alignment = format!(
            "{wrong} of 72 frames have a wrong rpu: frames {dropped} to 70 have that of the frame after, frame 71 has none"
        );
        let payload = format!(
            "the picture data are not those of the source's base layer; the first that differs is frame {dropped} …"
        );
        let mut expected: Vec<(&str, Vec<&str>)> = vec![
            (
                "frames",
                vec!["the number of frames is 71 instead of 72; nothing is shown at 2.961 s (frame 71)"],
            ),
            ("alignment", vec![&alignment]),
            ("payload", vec![&payload]),
        ];
        expected.retain(|(name, _)| *name != "payload" || mode == Mode::Copy);
        let expected: Vec<(&str, &[&str])> = expected.iter().map(|(n, t)| (*n, t.as_slice())).collect();
        pair.fails(&broken, &expected);
    }
}

#[test]
fn one_bit_of_a_slice() {
    let pair = Made::plain().pair(Mode::Copy);
    let pictures = pair.breaker.pictures().unwrap();
    let picture = &pictures[at(&pictures, 40)];
    let slice = picture.nals.iter().max_by_key(|n| n.len()).unwrap();
    let broken = pair.breaker.flip(slice).unwrap();
    let text = "the picture data are not those of the source's base layer; the first that differs is frame 40 (1.668 s)";
    pair.fails(&broken, &[("payload", &[text])]);
}

#[test]
fn a_nal_unit_of_the_enhancement_layer_left() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| p[7].add_el());
        pair.fails(&broken, &[("rpus", &["1 nal units of an enhancement layer"])]);
    }
}

#[test]
fn an_rpu_that_is_not_last() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| p[7].rpu_first());
        pair.fails(&broken, &[("rpus", &["1 rpus that are not last in their access unit"])]);
    }
}

#[test]
fn an_rpu_twice() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| p[7].double_rpu());
        pair.fails(&broken, &[("rpus", &["1 frames with their rpu more than once"])]);
    }
}

#[test]
fn an_rpu_missing() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| {
            let at = at(p, 33);
            p[at].nals.pop();
        });
        pair.fails(
            &broken,
            &[
                ("rpus", &["1 frame without rpu, the first is frame 33"]),
                ("alignment", &["1 of 72 frames have a wrong rpu: frame 33 has none"]),
            ],
        );
    }
}

/// Other bytes and another meaning: both are seen.
#[test]
fn another_active_area() {
    for mode in BOTH {
        let (pair, broken) = broken(mode, |p| {
            let at = at(p, 50);
            p[at].set_active_area([0, 0, 90, 90]).unwrap();
        });
        let alignment =
            "1 of 72 frames have a wrong rpu: frame 50 has one that belongs to no frame of the source";
        pair.fails(
            &broken,
            &[
                ("alignment", &[alignment]),
                (
                    "levels",
                    &[
                        "1 frames whose active area (L5) leaves nothing of the picture, the first is frame 50",
                        "1 frame with another active area (L5), the first is frame 50",
                    ],
                ),
            ],
        );
    }
}

#[test]
fn a_film_at_25_frames_per_second() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let pictures = pair.breaker.pictures().unwrap();
        let broken = pair.breaker.remux(&pictures, "25/1").unwrap();
        pair.fails(
            &broken,
            &[(
                "timing",
                &[
                    "frame 1 is shown at 0.040 s instead of 0.042 s; 71 of 72 frames are off, by up to 121.000 ms",
                    "the nominal frame duration is 40.000 ms instead of 41.708 ms",
                ],
            )],
        );
    }
}

#[test]
fn the_light_level_lost() {
    for mode in BOTH {
        let lose = |p: &mut Vec<Picture>| p.iter_mut().for_each(Picture::drop_light_level);
        let lost = "the light level (MaxCLL, MaxFALL) is no longer in the stream (SEI), only in";
        let (pair, both) = broken(mode, lose);
        pair.fails(&both, &[("hdr10", &[&format!("{lost} the rpus (level 6)")])]);
        let light = ["--edit", "track:v1", "--set", "max-content-light=1000", "--set", "max-frame-light=400"];
        let stream = pair.breaker.edit(&light).unwrap();
        pair.fails(&stream, &[("hdr10", &[&format!("{lost} the container")])]);
    }
}

#[test]
fn a_container_that_contradicts_the_stream() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.edit(&["--edit", "track:v1", "--set", "max-content-light=999"]).unwrap();
        let text = "stream and container disagree on the content light: sei 1000,400, container 999,400";
        pair.fails(&broken, &[("hdr10", &[text])]);
    }
}

#[test]
fn hdr10plus_lost() {
    let made = Made::of(&FilmSpec::new("plus", Layers::Mel).hdr10plus(), &BOTH);
    for mode in BOTH {
        let pair = made.pair(mode);
        let mut pictures = pair.breaker.pictures().unwrap();
        pair.holds(&pair.breaker.remux(&pictures, RATE).unwrap());
        let one = at(&pictures, 9);
        pictures[one].drop_hdr10plus();
        let broken = pair.breaker.remux(&pictures, RATE).unwrap();
        pair.fails(&broken, &[("hdr10", &["1 frame lost their HDR10+ metadata, the first is frame 9"])]);
        pictures.iter_mut().for_each(Picture::drop_hdr10plus);
        let broken = pair.breaker.remux(&pictures, RATE).unwrap();
        pair.fails(&broken, &[("hdr10", &["72 frames lost their HDR10+ metadata, the first is frame 0"])]);
    }
}

#[test]
fn a_dvcc_record() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let broken = pair.breaker.replace(b"dvvC", b"dvcC").unwrap();
        let text =
            "the Dolby Vision record is a dvcC, which players take for profile 7 or below, instead of a dvvC";
        pair.fails(&broken, &[("profile", &[text])]);
    }
}

#[test]
fn compatibility_id_2() {
    for mode in BOTH {
        let pair = Made::plain().pair(mode);
        let good = std::fs::read(&pair.good).unwrap();
        let at = good.windows(4).position(|w| w == b"dvvC").unwrap();
        // Version 1.0; the level varies with the size of the picture, so it is taken from the film.
        let from = at + good[at..].windows(3).position(|w| w == [1, 0, 0x10]).unwrap();
        let broken = pair.breaker.patch(|bytes| bytes[from + 4] = bytes[from + 4] & 0x0F | 0x20).unwrap();
        pair.fails(&broken, &[("profile", &["the record's compatibility id is 2 instead of 1"])]);
    }
}
