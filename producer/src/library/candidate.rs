//! What a file is: read from its own bytes, several files at a time.

use std::fs::File;
use std::path::Path;

use common::job::{Extent, FailureCode, Recipe};
use common::media::{self, Decision};
use futures::stream::{self, Stream, StreamExt};

use super::Found;
use super::walk::mtime_ns;

/// What a file turned out to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Candidate {
    /// `MEL`, `P8.1`, `damaged`, …
    pub verdict: String,
    /// Whether the recipe wants it.
    pub decision: Decision,
    /// The main figures behind the verdict.
    pub evidence: Option<String>,
    /// How much picture it holds, as far as its container says.
    pub extent: Option<Extent>,
    /// Whether the file changed while it was read.
    pub changed: bool,
}

/// Looks into each wanted file, `parallel` at a time, and yields the answers in the order of `found`.
pub fn read_candidates(
    found: Vec<(Found, bool)>,
    recipe: &Recipe,
    parallel: usize,
) -> impl Stream<Item = (Found, Option<Candidate>)> + use<> {
    let recipe = recipe.clone();
    stream::iter(found)
        .map(move |(found, wanted)| {
            let recipe = recipe.clone();
            async move {
                if !wanted {
                    return (found, None);
                }
                let file = found.clone();
                let read = tokio::task::spawn_blocking(move || read(&file, &recipe)).await;
                let candidate = read.unwrap_or_else(|_| Candidate {
                    verdict: "unknown".into(),
                    decision: Decision::skip(
                        FailureCode::BugPanic,
                        "the program failed on this file: please report it",
                    ),
                    evidence: None,
                    extent: None,
                    changed: false,
                });
                (found, Some(candidate))
            }
        })
        .buffered(parallel.max(1))
}

fn read(found: &Found, recipe: &Recipe) -> Candidate {
    let (mut evidence, mut extent) = (None, None);
    let (verdict, decision) = match look(&found.path) {
        Ok(sample) => {
            evidence = Some(sample.evidence.summary());
            let (width, height) = (sample.width, sample.height);
            extent = sample.evidence.frames_of.map(|frames| Extent { width, height, frames });
            media::decide_sample(&sample, recipe)
        }
        Err(Unread::File(e)) => {
            let code = if e.kind() == std::io::ErrorKind::NotFound {
                FailureCode::SourceMissing
            } else {
                FailureCode::SourceUnreadable
            };
            ("unreadable".into(), Decision::skip(code, e.to_string()))
        }
        Err(Unread::Content(e)) => {
            let (word, decision) = media::refused(&e);
            (word.to_owned(), decision)
        }
    };
    let now = std::fs::metadata(&found.path).ok().map(|m| (m.len(), mtime_ns(&m)));
    Candidate {
        verdict,
        decision,
        evidence,
        extent,
        changed: now.is_some_and(|now| now != (found.size, found.mtime_ns)),
    }
}

enum Unread {
    File(std::io::Error),
    Content(dovi::film::ScanError),
}

fn look(path: &Path) -> Result<dovi::film::Sample, Unread> {
    let file = File::open(path).map_err(Unread::File)?;
    dovi::film::sample(file).map_err(Unread::Content)
}
