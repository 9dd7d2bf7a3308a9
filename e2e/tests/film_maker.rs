//! Are the generated films what they claim to be? Judged by ffprobe, mkvmerge and `dolby_vision`.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dolby_vision::rpu::dovi_rpu::DoviRpu;
use dolby_vision::rpu::rpu_data_nlq::DoviELType;
use e2e::films::truth::{hdr10plus_numbers, light, nal_counts, rpus, tracks_equal, wrong_frames};
use e2e::films::{
    Cm, Container, ExtraVideo, FileDamage, FilmSet, FilmSpec, Gop, Layers, LibraryOptions, RpuDamage,
    Storage, make_film, make_library,
};
use e2e::tool;
use serde_json::Value;
use tempfile::TempDir;

const FRAMES: u64 = 96;

/// The full library, made once for all tests of this file.
fn library() -> &'static (TempDir, Vec<FilmSpec>) {
    static LIBRARY: OnceLock<(TempDir, Vec<FilmSpec>)> = OnceLock::new();
    LIBRARY.get_or_init(|| {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let options =
            LibraryOptions { set: FilmSet::Full, frames: FRAMES, width: 320, height: 180, only: Vec::new() };
        let specs = make_library(dir.path(), &options).expect("the full library");
        (dir, specs)
    })
}

fn film(name: &str) -> (PathBuf, &'static FilmSpec) {
    let (dir, specs) = library();
    let spec = specs.iter().find(|s| s.name == name).unwrap_or_else(|| panic!("no film {name}"));
    (dir.path().join(&spec.path), spec)
}

fn probe(path: &Path) -> Value {
    let mut command = tool::ffprobe();
    command.args(["-of", "json", "-show_streams", "-count_packets", "-i"]).arg(tool::file_url(path));
    tool::run_json(&mut command).expect("ffprobe reads the film")
}

/// Profile, EL flag and RPU flag of a stream's Dolby Vision configuration record.
fn record(stream: &Value) -> Option<(u64, bool, bool)> {
    let data = stream["side_data_list"].as_array()?.iter().find(|d| d["dv_profile"].is_u64())?;
    Some((data["dv_profile"].as_u64()?, data["el_present_flag"] == 1, data["rpu_present_flag"] == 1))
}

#[test]
fn containers_declare_what_the_recipe_says() {
    let (dir, specs) = library();
    for spec in specs.iter().filter(|s| s.recipe.file_damage == FileDamage::None) {
        let probed = probe(&dir.path().join(&spec.path));
        let r = &spec.recipe;
        let before = r.storage == Storage::DualElFirst || r.extra == ExtraVideo::CoverFirst;
        let stream = &probed["streams"][usize::from(before)];
        assert_eq!(stream["codec_name"], "hevc", "{}", spec.name);
        assert_eq!(stream["nb_read_packets"], spec.frame_count().to_string(), "{}", spec.name);
        let expected = match r.layers {
            _ if r.storage.is_dual() || r.container == Container::NoRecord => None,
            Layers::Hdr10 | Layers::Hlg | Layers::Sdr => None,
            // mkvmerge writes what its own reader makes of the first RPU.
            Layers::Profile4 => Some((4, true, true)),
            Layers::Profile81 | Layers::Profile82 | Layers::Profile84 => Some((8, false, true)),
            Layers::Profile5 => Some((5, false, true)),
            _ => Some((7, true, true)),
        };
        assert_eq!(record(stream), expected, "{}", spec.name);
        if matches!(r.storage, Storage::DualTrack | Storage::DualElFirst) {
            let second = &probed["streams"][usize::from(!before)];
            assert_eq!(record(second).map(|r| r.0), Some(7), "{}: {second}", spec.name);
            assert_eq!(second["nb_read_packets"], spec.frame_count().to_string());
        }
    }
}

#[test]
fn every_frame_carries_its_number_twice() {
    let (dir, specs) = library();
    let readable = |s: &&FilmSpec| {
        let r = &s.recipe;
        let in_the_film = matches!(r.storage, Storage::SingleTrack | Storage::NoEl);
        // Names and containers have films of their own; the picture of the former is that of the first.
        r.file_damage == FileDamage::None && r.keeps_rpus() && in_the_film && !s.path.starts_with("hostile")
    };
    let mut seen = 0;
    for spec in specs.iter().filter(readable) {
        let report = wrong_frames(&dir.path().join(&spec.path), spec).unwrap();
        assert_eq!(report.frames, FRAMES, "{}", spec.name);
        let missing = (0..FRAMES).filter(|i| spec.recipe.lacks_rpu(*i)).count() as u64;
        let (wrong, extra) = match spec.recipe.rpu_damage {
            RpuDamage::Garbage(_) => (1, 0),
            RpuDamage::Duplicate(_) | RpuDamage::Twice(_) => (0, 1),
            _ => (0, 0),
        };
        let found = (report.wrong, report.missing, report.extra, report.wrong_areas);
        assert_eq!(found, (wrong, missing, extra, 0), "{}: {report:?}", spec.name);
        // A second half of another size has its numbers elsewhere.
        if spec.name != "new-size" {
            assert_eq!(report.wrong_pictures, 0, "{}: {report:?}", spec.name);
        }
        seen += 1;
    }
    assert!(seen > 40, "{seen} films");
}

#[test]
fn what_is_special_is_there() {
    let radl = nal_counts(&film("mel-radl").0).unwrap();
    let closed = nal_counts(&film("mel-closed-gop").0).unwrap();
    let sliced = nal_counts(&film("mel-slices").0).unwrap();
    let layered = nal_counts(&film("mel-temporal-layers").0).unwrap();
    let sum = |counts: &BTreeMap<u8, u64>, types: std::ops::Range<u8>| -> u64 {
        counts.iter().filter(|(ty, _)| types.contains(ty)).map(|(_, count)| count).sum()
    };
    let of = |name: &str, types| sum(&nal_counts(&film(name).0).unwrap(), types);
    // RADL 6 and 7, AUD 35, SPS 33, TSA 2 and 3 or TSA_N: pictures of the upper temporal layer (H.265 table 7-1).
    assert!(sum(&radl, 6..8) > 0 && sum(&closed, 6..8) == 0, "{radl:?}");
    assert_eq!((sum(&sliced, 0..32), sum(&closed, 0..32)), (3 * FRAMES, FRAMES));
    assert!(sum(&layered, 2..6) > 0, "{layered:?}");
    assert_eq!(
        (of("mel-no-aud", 35..36), of("record-only", 62..64), of("el-in-additions", 62..64)),
        (0, 0, 0)
    );
    assert_eq!(of("mel-without-el", 62..64), FRAMES);
    assert_eq!(of("time-equal", 36..37), 1);
    for (_, rpu) in rpus(&film("rpu-large").0).unwrap() {
        assert!(rpu.len() > 1023 && DoviRpu::parse_unspec62_nalu(&rpu).is_ok(), "{} bytes", rpu.len());
    }
    let kinds: Vec<_> = rpus(&film("mixed-layers").0).unwrap().iter().map(|(_, r)| el_type(r)).collect();
    let fel = kinds.iter().filter(|k| **k == Some(DoviELType::FEL)).count();
    assert!(fel > 0 && fel < kinds.len(), "{fel} of {}", kinds.len());
    assert!(light(&film("light-no-cll").0).unwrap().content.is_none());
    assert!(light(&film("mel-closed-gop").0).unwrap().content.is_some());
}

#[test]
fn containers_are_built_as_asked_for() {
    let bytes = |name: &str| fs::read(film(name).0).unwrap();
    let has = |name: &str, what: &[u8]| bytes(name).windows(what.len()).any(|w| w == what);
    // Cues; a cluster of unknown size; an RPU in a frame whose header is elsewhere.
    let cues = [0x1C, 0x53, 0xBB, 0x6B];
    assert!(has("mel-closed-gop", &cues));
    for name in ["file-no-cues", "file-live", "file-voids"] {
        assert!(!has(name, &cues), "{name}");
    }
    assert!(has("file-live", &[0x1F, 0x43, 0xB6, 0x75, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]));
    for (name, algorithm) in [("file-zlib", "0"), ("file-stripped", "3")] {
        let mut command = tool::command("mkvmerge");
        let file = tool::run_json(command.arg("-J").arg(film(name).0)).unwrap();
        let packed = &file["tracks"][0]["properties"]["content_encoding_algorithms"];
        assert_eq!(packed, algorithm, "{name}");
    }
    // All of them hold the same pictures.
    for name in ["file-zlib", "file-stripped", "file-no-cues", "file-live", "file-voids", "no-record"] {
        assert_eq!(rpus(&film(name).0).unwrap(), rpus(&film("mel-closed-gop").0).unwrap(), "{name}");
    }
}

fn el_type(rpu: &[u8]) -> Option<DoviELType> {
    DoviRpu::parse_unspec62_nalu(rpu).expect("an RPU of the film maker").el_type
}

#[test]
fn layers_and_rpus_are_of_the_promised_kind() {
    for name in
        ["mel-closed-gop", "mel-open-gop", "mel-cmv29", "fel", "fel-cmv29", "fel-expanding", "p81", "p5"]
    {
        let (path, spec) = film(name);
        let el_nals = nal_counts(&path).unwrap().get(&63).copied().unwrap_or_default();
        assert_eq!(el_nals >= FRAMES, spec.recipe.layers.has_el(), "{name}: {el_nals} EL NAL units");
        let all = rpus(&path).unwrap();
        assert_eq!(all.len() as u64, FRAMES, "{name}");
        for (place, nal) in all {
            let rpu =
                DoviRpu::parse_unspec62_nalu(&nal).unwrap_or_else(|e| panic!("{name}, frame {place}: {e}"));
            let (profile, el) = match spec.recipe.layers {
                Layers::Mel => (7, Some(DoviELType::MEL)),
                Layers::Fel | Layers::FelExpanding => (7, Some(DoviELType::FEL)),
                Layers::Profile5 => (5, None),
                _ => (8, None),
            };
            assert_eq!((rpu.dovi_profile, rpu.el_type), (profile, el), "{name}, frame {place}");
            let v40 = rpu.vdr_dm_data.unwrap().cmv40_metadata.is_some();
            assert_eq!(v40, spec.recipe.cm == Cm::V40, "{name}, frame {place}");
        }
    }
}

#[test]
fn hdr10plus_messages_count_and_are_what_ffmpeg_takes_for_such() {
    let path = film("mel-hdr10plus").0;
    let numbers = hdr10plus_numbers(&path).unwrap();
    assert!(numbers.into_iter().eq((0..FRAMES).map(Some)));
    let mut command = tool::ffprobe();
    command.args([
        "-select_streams",
        "v:0",
        "-show_frames",
        "-show_entries",
        "side_data=side_data_type",
        "-i",
    ]);
    let text = String::from_utf8(tool::run(command.arg(tool::file_url(&path))).unwrap()).unwrap();
    assert_eq!(text.matches("SMPTE2094-40").count() as u64, FRAMES);
    assert!(hdr10plus_numbers(&film("mel-closed-gop").0).unwrap().iter().all(Option::is_none));
}

#[test]
fn joints_and_first_pictures_are_as_on_discs() {
    // IDR_W_RADL 19, IDR_N_LP 20, CRA 21, RASL 8 and 9, EOS 36 (H.265 table 7-1).
    for (name, idr, cra, eos) in [
        ("mel-closed-gop", FRAMES / 24, 0, 0),
        ("mel-open-gop", 1, FRAMES / 24 - 1, 0),
        ("mel-cra-start", 0, FRAMES.div_ceil(24), 0),
        ("mel-eos", 1, FRAMES / 24 - 1, 1),
    ] {
        let (path, spec) = film(name);
        let counts = nal_counts(&path).unwrap();
        let of = |types: &[u8]| types.iter().filter_map(|t| counts.get(t)).sum::<u64>();
        assert_eq!((of(&[19, 20]), of(&[21]), of(&[36])), (idr, cra, eos), "{name}: {counts:?}");
        assert_eq!(of(&[8, 9]) > 0, spec.recipe.gop != Gop::Closed, "{name}: {counts:?}");
    }
}

#[test]
fn damage_is_where_it_was_asked_for() {
    let whole = fs::metadata(film("mel-closed-gop").0).unwrap().len();
    let (path, spec) = film("truncated");
    assert_eq!(fs::metadata(&path).unwrap().len(), whole * 60 / 100);
    let report = wrong_frames(&path, spec).unwrap();
    assert!(report.missing > FRAMES / 5 && report.wrong == 0, "{report:?}");
    assert_eq!(fs::metadata(film("empty").0).unwrap().len(), 0);
    assert!(!fs::read(film("not-matroska").0).unwrap().starts_with(&[0x1A, 0x45, 0xDF, 0xA3]));
}

#[test]
fn a_shifted_film_is_not_clean() {
    let (path, spec) = film("mel-closed-gop");
    let dir = tempfile::tempdir().unwrap();
    let cut = dir.path().join("cut.mkv");
    let mut command = tool::command("mkvmerge");
    command.args(["--split", "parts:00:00:01-", "-A", "-S", "--output"]).arg(&cut).arg(&path);
    tool::run_accepting(&mut command, &[0, 1]).unwrap();
    let report = wrong_frames(&cut, spec).unwrap();
    assert_eq!(report.frames + report.missing, FRAMES, "{report:?}");
    assert!(report.wrong == report.frames && report.wrong_pictures > report.frames, "{report:?}");
    // Right numbers of another film are wrong here, too.
    let other = film("fel-expanding").1;
    assert_eq!(wrong_frames(&path, other).unwrap().wrong, FRAMES);
    assert_eq!(wrong_frames(&film("hdr10").0, spec).unwrap().missing, FRAMES);
}

#[test]
fn track_comparison_sees_what_a_remux_changes() {
    let source = film("mel-closed-gop").0;
    let dir = tempfile::tempdir().unwrap();
    let remux = |name: &str, args: &[&str]| {
        let to = dir.path().join(name);
        let mut command = Command::new("mkvmerge");
        command.args(["--output"]).arg(&to).args(args).arg(&source);
        tool::run_accepting(&mut command, &[0, 1]).unwrap();
        tracks_equal(&source, &to).unwrap()
    };
    let same = remux("same.mkv", &[]);
    assert!(same.is_equal() && same.tracks == 4, "{same:?}");
    for (name, args) in [
        ("title", &["--title", "another"][..]),
        ("sync", &["--sync", "1:40"]),
        ("name", &["--track-name", "2:Kommentar"]),
        ("flag", &["--forced-display-flag", "4:no"]),
        ("subtitles", &["-S"]),
        ("chapters", &["--no-chapters"]),
        ("attachments", &["-M"]),
        ("tags", &["--no-global-tags"]),
    ] {
        let report = remux(&format!("{name}.mkv"), args);
        assert!(!report.is_equal(), "{name} went unnoticed");
    }
}

#[test]
fn the_same_recipe_makes_the_same_bytes() {
    let dir = tempfile::tempdir().unwrap();
    let spec = FilmSpec::new("fel", Layers::Fel).frames(72).size(320, 180);
    let made = ["a.mkv", "b.mkv"].map(|name| {
        make_film(&dir.path().join(name), &spec).unwrap();
        fs::read(dir.path().join(name)).unwrap()
    });
    assert!(made[0] == made[1], "{} and {} bytes", made[0].len(), made[1].len());
}

#[test]
fn long_films_keep_their_numbers_apart() {
    let spec = FilmSpec::new("long", Layers::Mel).frames(200_000);
    for frame in [0, 799, 800, 1599, 1600, 199_999] {
        let l1 = spec.expected_l1(frame);
        assert!(l1.max > l1.avg && l1.max < 3079, "{l1:?}");
        assert_eq!(spec.frame_of(l1), Some(frame));
    }
    assert_eq!(FilmSpec::new("other", Layers::FelExpanding).frame_of(spec.expected_l1(5)), None);
}
