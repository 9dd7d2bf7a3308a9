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
        match judge(film, moved, &places) {
            Ok(place) => drop(found.insert(film.job.id, place)),
            Err(wrong) => {
                verdict.wrong(format!("the original {name} {wrong}"));
                if wrong == NOWHERE {
                    verdict.lost.insert(name.clone());
                }
                verdict.changed.insert(name);
            }
        }
    }
    for place in trash.values().flatten() {
        verdict.wrong(format!("{} in the trash is of no film that was queued", name_of(place)));
    }
    found
}

const NOWHERE: &str = "is neither under its name nor in the trash";

/// Where the original is, which `moved` to the trash if its film is done, or what is wrong; `places` are its names in the trash.
fn judge(film: &Film, moved: bool, places: &[PathBuf]) -> Result<PathBuf, String> {
    let kept = is_same(film, &film.path);
    match (moved, places) {
        (false, []) if kept => Ok(film.path.clone()),
        (false, []) if film.path.exists() => Err("was changed".to_owned()),
        (true, []) if kept => Err("still has the place that its result should have".to_owned()),
        (_, []) => Err(NOWHERE.to_owned()),
        (false, _) => Err(format!("is in the trash {} times, and its film is not done", places.len())),
        (true, [place]) if !is_same(film, place) => Err("was changed in the trash".to_owned()),
        (true, [place]) if kept => Err(format!("is under its name and in the trash: {}", name_of(place))),
        (true, [place]) => wrong_record(film, place).map_or_else(|| Ok(place.clone()), Err),
        (true, _) => Err(format!("is in the trash {} times", places.len())),
    }
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
    use common::job::{JobMessage, LibraryPath, Recipe};
    use common::share::FileIdentity;

    use super::*;

    /// A film that is there, and the two names it may have in the trash.
    fn film(dir: &Path) -> (Film, [PathBuf; 2]) {
        let at = |name: &str| dir.join(name);
        fs::write(at("film.mkv"), "the original").unwrap();
        let now = Source::of(&at("film.mkv")).unwrap();
        let name = LibraryPath::new(ROOT, Path::new("film.mkv")).unwrap();
        let job = JobMessage::new(name, now.size, now.mtime_ns, Recipe::default(), "MEL".into());
        let hash = hash(&at("film.mkv")).unwrap();
        let (path, result) = (at("film.mkv"), at("film.mkv"));
        let places = ["0", "1"].map(|n| at(&format!("film.mkv.00000000000{n}.original")));
        (Film { job, path, result, master: 0, truncated: false, hash }, places)
    }

    /// As a worker does it, with a result that is longer.
    fn replace(film: &Film, place: &Path) {
        let original = FileIdentity::of(&film.path).unwrap();
        fs::rename(&film.path, place).unwrap();
        fs::write(&film.path, "a proven result").unwrap();
        let record = TrashRecord {
            v: 1,
            film: film.job.film.clone(),
            job: film.job.id,
            original,
            result: FileIdentity::of(&film.result).unwrap(),
            worker: "w1".into(),
            at: jiff::Timestamp::UNIX_EPOCH,
        };
        fs::write(place.with_extension("json"), serde_json::to_vec(&record).unwrap()).unwrap();
    }

    #[test]
    fn an_original_is_under_its_name_or_in_the_trash_and_nowhere_else() {
        let dir = tempfile::tempdir().unwrap();
        let (film, [place, other]) = film(dir.path());
        let one = std::slice::from_ref(&place);
        assert_eq!(judge(&film, false, &[]), Ok(film.path.clone()));
        let wrong = |moved, places: &[PathBuf]| judge(&film, moved, places).unwrap_err();
        assert!(wrong(true, &[]).contains("still has the place"));
        fs::copy(&film.path, &other).unwrap();
        assert!(wrong(false, std::slice::from_ref(&other)).contains("not done"));

        replace(&film, &place);
        assert_eq!(judge(&film, true, one), Ok(place.clone()));
        assert!(wrong(false, &[]).contains("was changed"));
        assert_eq!(wrong(true, &[]), NOWHERE);
        assert!(wrong(true, &[place.clone(), other]).contains("2 times"));
        fs::write(place.with_extension("json"), "{}").unwrap();
        assert!(wrong(true, one).contains("record"));
        fs::remove_file(&film.path).unwrap();
        assert_eq!(wrong(false, &[]), NOWHERE);
        fs::write(&place, "the Original").unwrap();
        assert!(wrong(true, one).contains("changed in the trash"));
    }

    #[test]
    fn names_in_the_trash_are_known_by_their_form() {
        assert_eq!(kind_of("film-1.mkv.0123456789ab.original"), Some(("film-1.mkv", "original")));
        assert_eq!(kind_of("film-1.mkv.0123456789ab.json"), Some(("film-1.mkv", "json")));
        for other in ["film-1.mkv", "film-1.mkv.012345678.json", ".film-1.mkv.0123456789ab.json.aa.tmp"] {
            assert_eq!(kind_of(other), None, "{other}");
        }
    }
}
