//! docs/CORPUS.md, made from the catalogue.

use std::fmt::Write as _;

use super::catalogue::{Shown, edges};
use super::library::{FilmSet, LibraryOptions};

const INTRODUCTION: &str = "\
# The corpus

The cases this system knows, and the films that show what it does about each. Every film is made by the film maker (`e2e/src/films`)
with ffmpeg and mkvmerge, so all of this can be repeated on any machine:

```sh
cargo run -p e2e --bin make-library -- DIR --set full              # all of them
cargo run -p e2e --bin make-library -- DIR --set full --only fel   # one
```

`e2e/tests/corpus.rs` makes each film, asks for its verdict by sample and by full scan, converts it in both modes, and compares with
this table: the certificate must hold, and every frame must have its own picture, RPU and time by ffmpeg's and mkvmerge's word; a
refusal must have exactly this code, and leave nothing behind. The source must be the same bytes afterwards.

This page is generated (`make docs`); the test also keeps it equal to the catalogue. The pictures are test cards and the
enhancement layers no true residual, so nothing here speaks of picture quality, nor of what real discs do beyond these cases.
";

/// The whole page.
pub fn page() -> String {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n## Cases\n\n| case | what is done | shown by |\n|---|---|---|\n");
    for edge in edges() {
        let shown: Vec<String> = edge.shown.iter().map(|shown| words(*shown)).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(page, "| {} | {} | {} |", edge.case, edge.rule, shown.join("; "));
    }
    page.push_str("\n## Films\n\n| film | what is special | verdict | encode mode | copy mode |\n|---|---|---|---|---|\n");
    let options = LibraryOptions { set: FilmSet::Full, ..LibraryOptions::default() };
    for film in options.specs().unwrap_or_default() {
        let notice = film.expected.notice.map(|n| format!(", notice \"{n}\"")).unwrap_or_default();
        let verdict = film.expected.verdict.unwrap_or("–");
        let (encode, copy) = (film.expected.outcome.words(), film.expected.copy.words());
        let _ = writeln!(
            page,
            "| `{}` | {} | {verdict} | {encode}{notice} | {copy}{notice} |",
            film.name, film.shows
        );
    }
    page
}

fn words(shown: Shown) -> String {
    match shown {
        Shown::Film(name) => format!("`{name}`"),
        Shown::Test(file, function) => format!("`{function}` in {file}"),
        Shown::NotCovered(reason) => format!("not covered: {reason}"),
    }
}
