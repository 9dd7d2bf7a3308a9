//! Are the generated films what they claim to be? Judged by ffprobe, mkvmerge and `dolby_vision`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use dolby_vision::rpu::dovi_rpu::DoviRpu;
use dolby_vision::rpu::rpu_data_nlq::DoviELType;
use e2e::films::truth::{hdr10plus_numbers, nal_counts, rpus, tracks_equal, wrong_frames};
use e2e::films::{
    Cm, FileDamage, FilmSet, FilmSpec, Gop, Layers, LibraryOptions, RpuDamage, Storage, make_film,
    make_library,
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
        let options = LibraryOptions { set: FilmSet::Full, frames: FRAMES, ..LibraryOptions::default() };
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
        let stream = &probed["streams"][0];
        assert_eq!(stream["codec_name"], "hevc", "{}", spec.name);
        assert_eq!(stream["nb_read_packets"], spec.frame_count().to_string(), "{}", spec.name);
        let expected = match spec.recipe.layers {
            Layers::Hdr10 | Layers::Sdr => None,
            _ if spec.recipe.storage == Storage::DualTrack => None,
            Layers::Mel | Layers::Fel | Layers::FelExpanding => Some((7, true, true)),
            Layers::Profile81 => Some((8, false, true)),
            Layers::Profile5 => Some((5, false, true)),
        };
        assert_eq!(record(stream), expected, "{}", spec.name);
        if spec.recipe.storage == Storage::DualTrack {
            let second = &probed["streams"][1];
            assert_eq!(record(second).map(|r| r.0), Some(7), "{}: {second}", spec.name);
            assert_eq!(second["nb_read_packets"], spec.frame_count().to_string());
        }
    }
}

#[test]
fn every_frame_carries_its_number_twice() {
    let (dir, specs) = library();
    let readable = |s: &&FilmSpec| s.recipe.file_damage == FileDamage::None && s.recipe.layers.has_rpu();
    for spec in specs.iter().filter(readable).filter(|s| s.recipe.storage == Storage::SingleTrack) {
        let report = wrong_frames(&dir.path().join(&spec.path), spec).unwrap();
        assert_eq!(report.frames, FRAMES, "{}", spec.name);
        let (wrong, missing, extra) = match spec.recipe.rpu_damage {
            RpuDamage::None => (0, 0, 0),
            RpuDamage::Missing { count, .. } => (0, count, 0),
            RpuDamage::Garbage(_) => (1, 0, 0),
            RpuDamage::Duplicate(_) => (0, 0, 1),
        };
        let found = (report.wrong, report.missing, report.extra, report.wrong_pictures);
        assert_eq!(found, (wrong, missing, extra, 0), "{}: {report:?}", spec.name);
    }
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
