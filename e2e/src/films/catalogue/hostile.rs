//! The same healthy film under names that break careless programs.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use crate::films::spec::{FilmSpec, Layers};

pub(super) fn films() -> Vec<FilmSpec> {
    let names: [(&'static str, &'static str, &[u8]); 11] = [
        ("name-dash", "begins like an option", b"-i.mkv"),
        ("name-at", "begins like an option file", b"@options.mkv"),
        ("name-plus", "begins like an append", b"+append.mkv"),
        ("name-spaces", "leading, doubled and trailing spaces", b"  two  spaces .mkv"),
        (
            "name-quotes",
            "all that a shell would act upon",
            b"it's \"quoted\" `id` $(id) \\ ; & | * ? [x].mkv",
        ),
        ("name-newline", "a line break", b"new\nline.mkv"),
        ("name-umlaut", "characters beyond ASCII", "Über die Brücke 🎬 橋.mkv".as_bytes()),
        ("name-bytes", "bytes that are not UTF-8", b"caf\xe9 latin1.mkv"),
        ("name-colon", "looks like a protocol to ffmpeg", b"a:b.mkv"),
        ("name-percent", "looks like a format string", b"100%d %s %41 {name}.mkv"),
        ("name-nested", "folders that look like options", b"deep/-er/@and/+deeper/still/film.mkv"),
    ];
    names
        .into_iter()
        .map(|(name, what, bytes)| {
            let file = PathBuf::from(OsString::from_vec(bytes.to_vec()));
            FilmSpec::new(name, Layers::Mel).shows(what).at(PathBuf::from("hostile").join(file))
        })
        .collect()
}
