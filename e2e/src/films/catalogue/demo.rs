//! A few films with plausible names.

use std::path::PathBuf;

use crate::films::spec::{Cm, FileDamage, FilmSpec, Gop, Layers};

/// `Title (year)/Title (year) - 2160p.mkv`.
fn shelf(title: &str) -> PathBuf {
    PathBuf::from(title).join(format!("{title} - 2160p.mkv"))
}

/// Nine films for a demonstration: five to convert, three to leave alone or refuse, one broken.
pub(in crate::films) fn demo() -> Vec<FilmSpec> {
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
