//! A film that was given up: its dead letter, its report on the share, or both.

use std::collections::BTreeMap;

use common::broker::FailedQueue;
use common::job::{FailureReport, JobId, JobMessage};
use common::share::{Folder, ShareState};

use crate::exit::Failure;
use crate::render::safe;

/// One film.
#[derive(Debug, Clone)]
pub(super) struct Item {
    /// The job's id, or what the message was called; may be empty for a message that was no job.
    pub id: String,
    pub job: Option<JobMessage>,
    pub report: Option<FailureReport>,
    /// The dead letter's number, while the queue is held.
    pub letter: Option<usize>,
    /// What the dead letter says, for a message that nobody of the fleet wrote.
    pub raw: Vec<u8>,
    /// Whether there is a report on the share.
    pub on_share: bool,
    pub discarded: bool,
}

impl Item {
    /// For people.
    pub fn film(&self) -> String {
        self.job.as_ref().map_or_else(|| "(no job)".into(), |j| j.film.to_string())
    }

    pub fn job_id(&self) -> Option<JobId> {
        self.id.parse().ok()
    }
}

/// Puts both together, oldest first.
///
/// A letter beats its report on the share; reports of malformed messages have no job and so no file there.
pub(super) fn read(share: &ShareState, queue: Option<&FailedQueue>) -> Result<Vec<Item>, Failure> {
    let listing = share.list::<FailureReport>(Folder::Failed)?;
    let mut reports: BTreeMap<JobId, FailureReport> = listing.entries.into_iter().collect();
    for warning in &listing.warnings {
        eprintln!("warning: {}", safe(warning));
    }
    let mut items = Vec::new();
    for (number, entry) in queue.into_iter().flat_map(FailedQueue::entries) {
        let shared = entry.id.parse().ok().and_then(|id: JobId| reports.remove(&id));
        let on_share = shared.is_some();
        let report = entry.report.clone().or(shared);
        let job = entry.job.clone().or_else(|| report.as_ref().and_then(|r| r.job.clone()));
        let (id, raw) = (entry.id.clone(), entry.raw.clone());
        items.push(Item { id, job, report, letter: Some(number), raw, on_share, discarded: false });
    }
    for (id, report) in reports {
        items.push(Item {
            id: id.to_string(),
            job: report.job.clone(),
            discarded: report.discarded_at.is_some(),
            report: Some(report),
            letter: None,
            raw: Vec::new(),
            on_share: true,
        });
    }
    items.sort_by_key(|i| i.report.as_ref().map(|r| r.at));
    Ok(items)
}

/// The one film whose id begins so.
pub(super) fn find<'a>(items: &'a [Item], id: &str) -> Result<&'a Item, Failure> {
    let fits: Vec<&Item> = items.iter().filter(|i| !id.is_empty() && i.id.starts_with(id)).collect();
    // The same film may have been given up twice: two letters of one job are one film.
    match fits.as_slice() {
        [first, rest @ ..] if rest.iter().all(|i| i.id == first.id) => Ok(first),
        [] => Err(Failure::usage(format!("no failed film has an id that begins with {:?}", safe(id)))
            .hint("`dovi-producer failed list` shows what is there")),
        _ => Err(Failure::usage(format!(
            "{} failed films have an id that begins with {:?}",
            fits.len(),
            safe(id)
        ))
        .hint("type more digits")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(id: &str) -> Item {
        Item {
            id: id.into(),
            job: None,
            report: None,
            letter: None,
            raw: vec![],
            on_share: true,
            discarded: false,
        }
    }

    #[test]
    fn a_short_id_must_be_unique() {
        let items = [item("3fa1"), item("3fb2"), item("3fb2"), item("")];
        assert_eq!(find(&items, "3fa").unwrap().id, "3fa1");
        assert_eq!(find(&items, "3fb").unwrap().id, "3fb2", "two letters of one job");
        for bad in ["3f", "4", ""] {
            assert!(find(&items, bad).is_err(), "{bad:?}");
        }
    }
}
