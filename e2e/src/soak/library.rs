//! Judges the library: where the originals lie, whether they are what they were, and what else lies there.
//!
//! Where the result takes the original's place, the original of a film that is done lies in the trash, once, beside a record that
//! says so; of any other film it lies under its own name, and nothing of it is in the trash.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use common::job::JobId;
use common::share::{TrashFolder, TrashRecord, prune_trash};
use consumer::pipeline::Source;

use super::checker::{Scene, Verdict, listing, name_of, visit};
use super::films::{Film, hash};
use super::ground::ROOT;
use super::output::Output;

/// Where the original of each film lies, for those that are there as they were.
pub(super) type Originals = BTreeMap<JobId, PathBuf>;

/// Looks at every original; `done` are the films that have a certificate.
pub(super) fn originals(scene: &Scene<'_>, done: &BTreeSet<JobId>, verdict: &mut Verdict) -> Originals {
    let mut trash = read_trash(scene, verdict);
    let mut found = Originals::new();
    for film in &scene.record.films.films {
        let (name, places) = (name_of(&film.path), trash.remove(&name_of(&film.path)).unwrap_or_default());
        let moved = scene.ground.mode() == Output::Replace && done.contains(&film.job.id);
        let wrong = match (moved, &places[..]) {
            (false, []) if is_same(film, &film.path) => {
                found.insert(film.job.id, film.path.clone());
                None
            }
            (false, []) if !film.path.exists() => {
                verdict.lost.insert(name.clone());
                Some("is neither under its name nor in the trash".to_owned())
            }
            (false, []) => Some("was changed".to_owned()),
            (false, _) => Some(format!("is in the trash {} times, and its film is not done", places.len())),
            (true, [place]) if !is_same(film, place) => Some("was changed in the trash".to_owned()),
            (true, [place]) if is_same(film, &film.path) => {
                Some(format!("is under its name and in the trash: {}", name_of(place)))
            }
            (true, [place]) => {
                found.insert(film.job.id, place.clone());
                wrong_record(film, place)
            }
            (true, []) if is_same(film, &film.path) => {
                Some("still has the place that its result should have".to_owned())
            }
            (true, []) => {
                verdict.lost.insert(name.clone());
                Some("is neither under its name nor in the trash".to_owned())
            }
            (true, _) => Some(format!("is in the trash {} times", places.len())),
        };
        if let Some(wrong) = wrong {
            verdict.wrong(format!("the original {name} {wrong}"));
            verdict.changed.insert(name);
        }
    }
    for place in trash.values().flatten() {
        verdict.wrong(format!("{} in the trash is of no film that was queued", name_of(place)));
    }
    found
}

/// What lies in the library under names that nothing should have there. Results without a certificate are found elsewhere.
pub(super) fn strangers(scene: &Scene<'_>, verdict: &mut Verdict) {
    if scene.ground.mode() != Output::Separate {
        return;
    }
    let known: BTreeSet<String> = scene.record.films.films.iter().map(|f| name_of(&f.path)).collect();
    for name in listing(&scene.ground.library()).into_iter().filter(|n| !known.contains(n)) {
        verdict.wrong(format!("{name} lies in the library"));
    }
}

/// Clears the trash as workers do after `output.trash_days`: every original of a film that is done goes, since its certificate and
/// its result are there, and nothing else stays. The last thing that is done: it destroys what was judged.
///
/// # Errors
/// The trash cannot be cleared.
pub(super) fn clear_trash(scene: &Scene<'_>, done: u64, verdict: &mut Verdict) -> anyhow::Result<()> {
    let (dir, library) = (scene.ground.trash(), scene.ground.library());
    let folder = TrashFolder { dir: dir.clone(), root: ROOT.to_owned(), library };
    let pruned = prune_trash(&scene.ground.state(), &folder, Duration::ZERO)?;
    for kept in &pruned.kept {
        verdict.wrong(format!("clearing the trash kept {kept}"));
    }
    if pruned.removed != done {
        verdict.wrong(format!("clearing the trash removed {} originals of {done}", pruned.removed));
    }
    visit(&dir, &mut |path| {
        verdict.wrong(format!("{} is left in the cleared trash", name_of(path)));
    });
    Ok(())
}

/// The originals in the trash by the names of their films. Every original has its record and every record its original.
fn read_trash(scene: &Scene<'_>, verdict: &mut Verdict) -> BTreeMap<String, Vec<PathBuf>> {
    let mut originals: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
    visit(&scene.ground.trash(), &mut |path| {
        let name = name_of(path);
        match kind_of(&name) {
            Some((film, "original")) => {
                originals.entry(film.to_owned()).or_default().push(path.to_owned());
                if !path.with_extension("json").is_file() {
                    verdict.wrong(format!("{name} in the trash has no record"));
                }
            }
            Some((_, "json")) if path.with_extension("original").is_file() => {}
            Some((_, "json")) => verdict.wrong(format!("the record {name} in the trash is of nothing")),
            _ => verdict.wrong(format!("{name} is left in the trash")),
        }
    });
    originals
}

/// `<film>.<12 digits>.<kind>`
fn kind_of(name: &str) -> Option<(&str, &str)> {
    let (rest, kind) = name.rsplit_once('.')?;
    let (film, token) = rest.rsplit_once('.')?;
    let is_token = token.len() == 12 && token.bytes().all(|b| b.is_ascii_hexdigit());
    (is_token && !film.starts_with('.')).then_some((film, kind))
}

/// By content, size and date.
fn is_same(film: &Film, at: &Path) -> bool {
    fs::symlink_metadata(at).is_ok_and(|m| m.is_file())
        && Source::of(at).is_ok_and(|now| (now.size, now.mtime_ns) == (film.job.size, film.job.mtime_ns))
        && hash(at).is_ok_and(|now| now == film.hash)
}

/// The record is what putting back and clearing go by.
fn wrong_record(film: &Film, place: &Path) -> Option<String> {
    let read = fs::read(place.with_extension("json")).ok();
    let Some(record) = read.and_then(|bytes| serde_json::from_slice::<TrashRecord>(&bytes).ok()) else {
        return Some("has a record in the trash that cannot be read".to_owned());
    };
    let fits = record.v == 1
        && record.film == film.job.film
        && record.job == film.job.id
        && record.original.is_at(place).unwrap_or(false)
        && record.result.is_at(&film.result).unwrap_or(false);
    (!fits).then(|| "has a record in the trash that says something else".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_in_the_trash_are_known_by_their_form() {
        assert_eq!(kind_of("film-1.mkv.0123456789ab.original"), Some(("film-1.mkv", "original")));
        assert_eq!(kind_of("film-1.mkv.0123456789ab.json"), Some(("film-1.mkv", "json")));
        for other in ["film-1.mkv", "film-1.mkv.012345678.json", ".film-1.mkv.0123456789ab.json.aa.tmp"] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }
}
