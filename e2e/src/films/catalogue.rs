//! The films of the two sets.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use super::spec::{Cm, FileDamage, FilmSpec, Gop, Layers, RpuDamage, Timing};

/// `Title (year)/Title (year) - 2160p.mkv`.
fn shelf(title: &str) -> PathBuf {
    PathBuf::from(title).join(format!("{title} - 2160p.mkv"))
}

/// Nine films for a demonstration: five to convert, three to leave alone or refuse, one broken.
pub fn demo() -> Vec<FilmSpec> {
    vec![
        FilmSpec::new("mel-closed-gop", Layers::Mel).at(shelf("The Long Harbour (2019)")),
        FilmSpec::new("mel-open-gop", Layers::Mel).gop(Gop::Open).at(shelf("Northern Static (2021)")),
        FilmSpec::new("fel", Layers::Fel).at(shelf("Glass Orchard (2017)")),
        FilmSpec::new("fel-expanding", Layers::FelExpanding).at(shelf("Midnight Refinery (2022)")),
        FilmSpec::new("mel-cmv29", Layers::Mel).cm(Cm::V29).at(shelf("Paper Lanterns (2016)")),
        FilmSpec::new("hdr10", Layers::Hdr10).at(shelf("Salt Road (2018)")),
        FilmSpec::new("p81", Layers::Profile81).at(shelf("Second Tide (2023)")),
        FilmSpec::new("truncated", Layers::Mel)
            .gop(Gop::Open)
            .file_damage(FileDamage::Truncated(60), "source.truncated")
            .at(shelf("Copper Sky (2020)")),
        FilmSpec::new("hostile-name", Layers::Mel)
            .at("Who's \"Afraid\" of @ + Ümläut 🎬 (2015)/- & $(x) [100%].mkv"),
    ]
}

/// Every kind there is.
pub fn full() -> Vec<FilmSpec> {
    let mut films = kinds();
    films.extend(damaged());
    films.extend(hostile());
    films
}

/// Healthy films of every kind.
fn kinds() -> Vec<FilmSpec> {
    vec![
        FilmSpec::new("mel-closed-gop", Layers::Mel),
        FilmSpec::new("mel-open-gop", Layers::Mel).gop(Gop::Open),
        FilmSpec::new("mel-cra-start", Layers::Mel).gop(Gop::OpenFromCra),
        FilmSpec::new("mel-eos", Layers::Mel).gop(Gop::OpenWithEos),
        FilmSpec::new("mel-cmv29", Layers::Mel).cm(Cm::V29),
        FilmSpec::new("mel-vfr", Layers::Mel).timing(Timing::Variable),
        FilmSpec::new("mel-offset", Layers::Mel).timing(Timing::StartsAt(84)),
        FilmSpec::new("mel-letterbox", Layers::Mel).letterbox(44),
        FilmSpec::new("mel-hdr10plus", Layers::Mel).hdr10plus(),
        FilmSpec::new("mel-dual-track", Layers::Mel).dual_track(),
        FilmSpec::new("fel", Layers::Fel),
        FilmSpec::new("fel-cmv29", Layers::Fel).cm(Cm::V29).gop(Gop::Open),
        FilmSpec::new("fel-expanding", Layers::FelExpanding),
        FilmSpec::new("p81", Layers::Profile81),
        FilmSpec::new("p5", Layers::Profile5),
        FilmSpec::new("hdr10", Layers::Hdr10),
        FilmSpec::new("sdr", Layers::Sdr),
    ]
}

/// Films with something wrong.
fn damaged() -> Vec<FilmSpec> {
    let mel = |name| FilmSpec::new(name, Layers::Mel);
    vec![
        mel("truncated").file_damage(FileDamage::Truncated(60), "source.truncated"),
        mel("empty").file_damage(FileDamage::Empty, "source.empty"),
        mel("not-matroska").file_damage(FileDamage::NotMatroska, "source.not-matroska"),
        mel("rpu-missing").rpu_damage(RpuDamage::Missing { first: 30, count: 20 }, "rpu.missing"),
        mel("rpu-garbage").rpu_damage(RpuDamage::Garbage(41), "rpu.invalid"),
        mel("rpu-duplicate").rpu_damage(RpuDamage::Duplicate(33), "rpu.duplicate"),
    ]
}

/// The same healthy film under names that break careless programs.
fn hostile() -> Vec<FilmSpec> {
    let names: [(&'static str, &[u8]); 11] = [
        ("name-dash", b"-i.mkv"),
        ("name-at", b"@options.mkv"),
        ("name-plus", b"+append.mkv"),
        ("name-spaces", b"  two  spaces .mkv"),
        ("name-quotes", b"it's \"quoted\" `id` $(id) \\ ; & | * ? [x].mkv"),
        ("name-newline", b"new\nline.mkv"),
        ("name-umlaut", "Über die Brücke 🎬 橋.mkv".as_bytes()),
        ("name-bytes", b"caf\xe9 latin1.mkv"),
        ("name-colon", b"a:b.mkv"),
        ("name-percent", b"100%d %s %41 {name}.mkv"),
        ("name-nested", b"deep/-er/@and/+deeper/still/film.mkv"),
    ];
    names
        .into_iter()
        .map(|(name, bytes)| {
            let file = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            FilmSpec::new(name, Layers::Mel).at(PathBuf::from("hostile").join(file))
        })
        .collect()
}
