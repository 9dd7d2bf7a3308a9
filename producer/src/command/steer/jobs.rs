//! Which films a person means.

use std::path::{Path, PathBuf};

use common::config::Config;
use common::job::{FailureReport, JobId, JobMessage, LibraryPath};
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
}

impl Meant {
    /// For people.
    pub fn film(&self) -> String {
        self.job.as_ref().map_or_else(|| "(not known)".into(), |j| j.film.to_string())
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
        Meant { id, job: queued.or_else(failed) }
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
