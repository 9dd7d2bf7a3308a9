//! Which films a person means.

use std::path::{Path, PathBuf};

use common::config::Config;
use common::job::{Certificate, FailureReport, JobId, JobMessage, LibraryPath};
use common::share::{Folder, JobState, ShareState};

use crate::exit::Failure;
use crate::ledger::Ledger;
use crate::library::Roots;
use crate::render::safe;

/// A film that was meant.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Meant {
    pub id: JobId,
    /// Its message, where the share has it.
    pub job: Option<JobMessage>,
    /// Its library path, as far as the share has it.
    film: Option<String>,
}

impl Meant {
    /// For people.
    pub fn film(&self) -> String {
        self.film.clone().unwrap_or_else(|| "(not known)".into())
    }
}

/// Everything that ever was queued and that the share still knows.
pub(super) struct Book {
    ledger: Ledger,
    queued: Vec<JobMessage>,
    share: ShareState,
    roots: std::collections::BTreeMap<String, PathBuf>,
}

impl Book {
    /// Reads the queue's entries.
    pub fn open(config: &Config, share: &ShareState) -> Result<Self, Failure> {
        let ledger = Ledger::open(share)?;
        let queued =
            share.list::<JobMessage>(Folder::Queued)?.entries.into_iter().map(|(_, job)| job).collect();
        Ok(Self { ledger, queued, share: share.clone(), roots: config.library.roots.clone() })
    }

    /// All that were named, each once; nothing is done yet.
    pub fn find_all(&self, typed: &[String]) -> Result<Vec<Meant>, Failure> {
        let mut all: Vec<Meant> = Vec::new();
        for typed in typed {
            for meant in self.find(typed)? {
                if !all.contains(&meant) {
                    all.push(meant);
                }
            }
        }
        Ok(all)
    }

    /// The films that `typed` names: the beginning of an id, or a place in the library.
    pub fn find(&self, typed: &str) -> Result<Vec<Meant>, Failure> {
        let is_id = !typed.is_empty() && typed.bytes().all(|b| b.is_ascii_hexdigit());
        if is_id {
            let typed = typed.to_ascii_lowercase();
            let states = [JobState::Queued, JobState::Leased, JobState::Failed, JobState::Done];
            let mut ids: Vec<JobId> = states.iter().flat_map(|s| self.ledger.jobs(*s)).collect();
            ids.retain(|id| id.to_string().starts_with(&typed));
            match ids.as_slice() {
                [] => {}
                [id] => return Ok(vec![self.meant(*id)]),
                more => {
                    let text = format!("{} films have an id that begins with {typed:?}", more.len());
                    return Err(Failure::usage(text).hint("type more digits"));
                }
            }
        }
        let place = self.place(typed, is_id)?;
        let below = |film: &LibraryPath| film.root() == place.0 && film.relative().starts_with(&place.1);
        let found: Vec<Meant> =
            self.queued.iter().filter(|job| below(&job.film)).map(|job| self.meant(job.id)).collect();
        if found.is_empty() {
            let text = format!("no film at {} is queued or in work", safe(typed));
            return Err(Failure::usage(text).hint(
                "`dovi-producer scan --dry-run PATH` says what it is; `status` shows what is in work",
            ));
        }
        Ok(found)
    }

    fn meant(&self, id: JobId) -> Meant {
        let queued = self.queued.iter().find(|job| job.id == id).cloned();
        let failed =
            || self.share.read::<FailureReport>(Folder::Failed, id).ok().flatten().and_then(|r| r.job);
        let done = || self.share.read::<Certificate>(Folder::Done, id).ok().flatten().and_then(|c| c.film);
        let job = queued.or_else(failed);
        let film = job.as_ref().map(|j| j.film.to_string()).or_else(done);
        Meant { id, job, film }
    }

    /// Root and place below it. A film that was deleted can still be named by its library path.
    fn place(&self, typed: &str, is_id: bool) -> Result<(String, PathBuf), Failure> {
        if let Ok(film) = typed.parse::<LibraryPath>()
            && self.roots.contains_key(film.root())
        {
            return Ok((film.root().to_owned(), film.relative().to_owned()));
        }
        let located = Roots::open(&self.roots).and_then(|roots| roots.locate(Path::new(typed)));
        match located {
            Ok(place) => {
                let below = place.path.strip_prefix(&place.root.dir).unwrap_or(Path::new("")).to_owned();
                Ok((place.root.name, below))
            }
            Err(_) if is_id => Err(Failure::usage(format!("no film has an id that begins with {typed:?}"))
                .hint("`dovi-producer status` and `failed list` show ids")),
            Err(e) => Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use common::config::load;
    use common::job::Recipe;

    use super::*;

    fn books() -> (tempfile::TempDir, Book, Vec<JobMessage>) {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path().join("state"));
        share.init().unwrap();
        let lib = dir.path().join("lib");
        std::fs::create_dir_all(lib.join("Series")).unwrap();
        let mut config = load(None, &vec![]).unwrap().config;
        config.library.roots = [("films".to_owned(), lib.clone())].into();
        let films = ["a.mkv", "Series/1.mkv", "Series/2.mkv", "Series of others/1.mkv"];
        let jobs: Vec<JobMessage> = films
            .iter()
            .map(|film| {
                let film = LibraryPath::new("films", Path::new(film)).unwrap();
                JobMessage::new(film, 1, 1, Recipe::default(), "MEL".into())
            })
            .collect();
        for job in &jobs {
            share.write(Folder::Queued, job.id, job).unwrap();
        }
        // The others were deleted since.
        std::fs::write(lib.join("a.mkv"), "x").unwrap();
        let book = Book::open(&config, &share).unwrap();
        (dir, book, jobs)
    }

    #[test]
    fn films_are_found_by_id_path_and_folder_also_when_their_file_is_gone() {
        let (dir, book, jobs) = books();
        let find = |typed: &str| -> Vec<JobId> {
            let mut ids: Vec<_> = book.find(typed).unwrap().into_iter().map(|m| m.id).collect();
            ids.sort_unstable();
            ids
        };
        let sorted = |jobs: &[JobMessage]| {
            let mut ids: Vec<_> = jobs.iter().map(|j| j.id).collect();
            ids.sort_unstable();
            ids
        };
        assert_eq!(find(&jobs[0].id.to_string()[..10]), [jobs[0].id]);
        assert_eq!(find(&jobs[0].id.to_string().to_uppercase()), [jobs[0].id]);
        assert_eq!(find("films:a.mkv"), [jobs[0].id]);
        assert_eq!(find(dir.path().join("lib/a.mkv").to_str().unwrap()), [jobs[0].id]);
        assert_eq!(find("films:Series"), sorted(&jobs[1..3]), "a folder is no beginning of a name");
        assert_eq!(find(dir.path().join("lib").to_str().unwrap()), sorted(&jobs));
        let typed = ["films:Series".to_owned(), "films:Series/1.mkv".to_owned()];
        assert_eq!(book.find_all(&typed).unwrap().len(), 2, "each once");
    }

    #[test]
    fn what_names_no_film_is_said_so() {
        let (_dir, book, _) = books();
        for (typed, words) in [
            ("films:b.mkv", "no film at films:b.mkv is queued or in work"),
            ("0000000000000000000000000000000000", "no film has an id that begins with"),
            ("no/such/file.mkv", "there is no no/such/file.mkv"),
            ("", "there is no "),
        ] {
            let failure = book.find(typed).unwrap_err();
            assert!(failure.message.starts_with(words) && failure.hint.is_some(), "{typed}: {failure:?}");
        }
    }
}
