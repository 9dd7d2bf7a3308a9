//! Proves results without the code that made them.
//!
//! Every result is read by ffmpeg (the hash and the time of every packet of every track) and by mkvmerge (all it knows of the
//! container). Results that are equal in both are the same film; one of each is decoded and compared with the original, picture
//! by picture and RPU by RPU ([`truth`]), and goes through the fleet's own `verify`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result};
use common::job::Mode;
use serde_json::Value;

use super::films::{Film, Master};
use super::ground::Ground;
use crate::films::truth;
use crate::tool;

/// Results are read so many at a time.
const READERS: usize = 2;
/// What mkvmerge says that is another in every file.
const OWN: [&str; 7] = [
    "uid",
    "segment_uid",
    "date_local",
    "date_utc",
    "file_name",
    "writing_application",
    "muxing_application",
];

/// A result and the original that it was made of.
pub(super) struct Pair<'a> {
    /// The film.
    pub film: &'a Film,
    /// Where its original lies now.
    pub original: PathBuf,
}

/// The proof of many results.
pub(super) struct Proofs<'a> {
    verifier: &'a Path,
    ground: &'a Ground,
    masters: &'a [Master],
}

/// What came of it.
pub(super) struct Found {
    /// For each result what is wrong with it, if anything.
    pub wrong: Vec<Option<String>>,
    /// How many were decoded.
    pub decoded: usize,
}

impl<'a> Proofs<'a> {
    pub(super) fn new(verifier: &'a Path, ground: &'a Ground, masters: &'a [Master]) -> Self {
        Self { verifier, ground, masters }
    }

    /// Proves them all.
    pub(super) fn of(&self, films: &[Pair<'_>]) -> Result<Found> {
        let prints = in_parallel(films, |pair| fingerprint(pair.film))?;
        let mut kinds: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        let mut wrong: Vec<Option<String>> = Vec::with_capacity(films.len());
        for (n, print) in prints.iter().enumerate() {
            if let Ok(print) = print {
                kinds.entry(print).or_default().push(n);
            }
            wrong.push(print.as_ref().err().map(ToString::to_string));
        }
        let kinds: Vec<Vec<usize>> = kinds.into_values().collect();
        let judged = in_parallel(&kinds, |kind| self.judge(&films[kind[0]]).map_err(|e| format!("{e:#}")))?;
        for (kind, judged) in kinds.iter().zip(judged) {
            let said = judged.unwrap_or_else(Some);
            kind.iter().for_each(|n| wrong[*n].clone_from(&said));
        }
        Ok(Found { wrong, decoded: kinds.len() })
    }

    /// What is wrong with a result, frame by frame.
    fn judge(&self, pair: &Pair<'_>) -> Result<Option<String>> {
        let (film, original) = (pair.film, &pair.original);
        let spec = &self.masters[film.master].spec;
        let frames = truth::wrong_frames(&film.result, spec)?;
        if !frames.is_clean() {
            return Ok(Some(format!("{frames:?}")));
        }
        let tracks = truth::tracks_equal(original, &film.result)?;
        if !tracks.is_equal() {
            return Ok(Some(tracks.differences.join("; ")));
        }
        let mut command = tool::command(&self.verifier.to_string_lossy());
        command.arg("verify").arg(original).arg(&film.result).arg("--config").arg(self.ground.config());
        Ok(tool::run(&mut command).err().map(|e| e.to_string()))
    }
}

/// The same for two results of the same content: which master they are of and in which mode, every packet, and the container.
fn fingerprint(film: &Film) -> Result<String, String> {
    let mut packets = tool::ffmpeg();
    packets.arg("-i").arg(tool::file_url(&film.result));
    packets.args([
        "-map",
        "0:v",
        "-map",
        "0:a?",
        "-map",
        "0:s?",
        "-c",
        "copy",
        "-f",
        "framehash",
        "-hash",
        "md5",
        "-",
    ]);
    let mut container = tool::command("mkvmerge");
    container.arg("-J").arg(&film.result);
    let mut read = || -> Result<String> {
        let packets = tool::run(&mut packets)?;
        let mut container = tool::run_json(&mut container)?;
        strip(&mut container);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&packets).update(container.to_string().as_bytes());
        let mode = if film.job.recipe.mode == Mode::Copy { "copy" } else { "encode" };
        Ok(format!("{} {mode} {}", film.master, hasher.finalize().to_hex()))
    };
    read().map_err(|e| format!("it cannot be read: {e:#}"))
}

fn strip(value: &mut Value) {
    match value {
        Value::Object(map) => {
            OWN.iter().for_each(|key| drop(map.remove(*key)));
            map.values_mut().for_each(strip);
        }
        Value::Array(all) => all.iter_mut().for_each(strip),
        _ => {}
    }
}

/// Does the same for each, in their order.
fn in_parallel<T: Sync, R: Send>(all: &[T], work: impl Fn(&T) -> R + Sync) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let done: Mutex<Vec<(usize, R)>> = Mutex::default();
    std::thread::scope(|scope| {
        for _ in 0..READERS {
            scope.spawn(|| {
                loop {
                    let n = next.fetch_add(1, Ordering::SeqCst);
                    let Some(item) = all.get(n) else { return };
                    let result = work(item);
                    if let Ok(mut done) = done.lock() {
                        done.push((n, result));
                    }
                }
            });
        }
    });
    let mut done = done.into_inner().ok().context("a reader panicked")?;
    done.sort_by_key(|(n, _)| *n);
    Ok(done.into_iter().map(|(_, result)| result).collect())
}
