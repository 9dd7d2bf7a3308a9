//! Judges what a run left behind. It reads the disk, the queues and the kernel's record of names; what the workers said, in
//! logs, exit codes or certificates, is believed only where it was proven otherwise.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use common::broker::{BrokerOptions, FailedQueue, depths};
use common::job::{Certificate, FailureReport, JobId};
use common::share::Folder;
use common::steps::Step;
use tokio::runtime::Runtime;

use super::conductor::Record;
use super::films::Film;
use super::ground::Ground;
use super::library::{self, Originals};
use super::output::Output;
use super::proof::{Pair, Proofs};
use super::watch::Names;
use super::world::tools;

/// What was found. Everything must be empty.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Films that are neither done nor rightly given up.
    pub lost: BTreeSet<String>,
    /// Films that ended twice.
    pub doubled: BTreeSet<String>,
    /// Files under a final name that are not what they should be.
    pub unproven: BTreeSet<String>,
    /// Originals that are not what they were.
    pub changed: BTreeSet<String>,
    /// Works on a film that were begun.
    pub starts: u64,
    /// So many may have been begun.
    pub allowed: u64,
    /// One line for each thing that is wrong, of whatever kind.
    pub violations: Vec<String>,
    /// Films whose result was proven.
    pub proven: u64,
    /// Films that were rightly given up.
    pub given_up: u64,
    /// Results of different content that were decoded and compared frame by frame.
    pub decoded: usize,
}

impl Verdict {
    /// Nothing is wrong.
    pub fn is_clean(&self) -> bool {
        self.violations.is_empty()
    }

    pub(super) fn wrong(&mut self, what: impl Into<String>) {
        self.violations.push(what.into());
    }
}

/// What the checker looks at.
pub struct Scene<'a> {
    /// The folders; no worker runs any more.
    pub ground: &'a Ground,
    /// What was queued and what happened.
    pub record: &'a Record,
    /// What names came into being among the results.
    pub names: &'a Names,
    /// The broker, which still runs.
    pub broker: &'a BrokerOptions,
    /// How many workers there were.
    pub workers: u64,
    /// The program that verifies a pair of films.
    pub verifier: &'a Path,
}

/// Judges.
///
/// # Errors
/// The checker itself cannot do its work.
pub fn check(scene: &Scene<'_>) -> Result<Verdict> {
    let mut verdict = Verdict::default();
    for complaint in &scene.record.complaints {
        verdict.wrong(complaint.clone());
    }
    let letters = queues(scene, &mut verdict)?;
    let good = ends(scene, &letters, &mut verdict)?;
    let done = good.iter().map(|(film, _)| film.job.id).collect();
    let originals = library::originals(scene, &done, &mut verdict);
    library::strangers(scene, &mut verdict);
    names(scene, &good, &mut verdict);
    proofs(scene, &good, &originals, &mut verdict)?;
    starts(scene, &mut verdict)?;
    leftovers(scene, &mut verdict)?;
    // What is wrong is to be looked at by a person, with nothing taken away.
    if scene.ground.mode() == Output::Replace && verdict.is_clean() {
        library::clear_trash(scene, good.len() as u64, &mut verdict)?;
    }
    Ok(verdict)
}

/// The dead letters by job; all other queues must be empty.
fn queues(scene: &Scene<'_>, verdict: &mut Verdict) -> Result<BTreeMap<JobId, u64>> {
    let runtime: Runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let depths = depths(scene.broker).await.context("look at the queues")?;
        for queue in depths.retry.iter().chain([&depths.films]) {
            if queue.ready > 0 || queue.consumers > 0 {
                verdict.wrong(format!(
                    "{}: {} messages and {} consumers are left",
                    queue.name, queue.ready, queue.consumers
                ));
            }
        }
        let failed = FailedQueue::open(scene.broker, 1_000_000).await.context("read the dead letters")?;
        let mut letters = BTreeMap::new();
        for (_, letter) in failed.entries() {
            match letter.id.parse::<JobId>() {
                Ok(job) => *letters.entry(job).or_default() += 1,
                Err(_) => verdict.wrong(format!("a dead letter of no job: {:?}", letter.id)),
            }
        }
        failed.close().await;
        Ok(letters)
    })
}

/// Every film ends in exactly one of done and failed, a truncated one in failed and any other in done. Gives those that are done
/// with their certificates.
fn ends<'a>(
    scene: &Scene<'a>,
    letters: &BTreeMap<JobId, u64>,
    verdict: &mut Verdict,
) -> Result<Vec<(&'a Film, Certificate)>> {
    let state = scene.ground.state();
    let done = state.list::<Certificate>(Folder::Done)?;
    let failed = state.list::<FailureReport>(Folder::Failed)?;
    for warning in done.warnings.iter().chain(&failed.warnings) {
        verdict.wrong(format!("in the books: {warning}"));
    }
    let mut done: BTreeMap<JobId, Certificate> = done.entries.into_iter().collect();
    let mut failed: BTreeMap<JobId, FailureReport> = failed.entries.into_iter().collect();
    let mut good = Vec::new();
    for film in &scene.record.films.films {
        let (name, letters) = (name_of(&film.path), letters.get(&film.job.id).copied().unwrap_or_default());
        match (done.remove(&film.job.id), failed.remove(&film.job.id)) {
            (Some(_), Some(_)) => {
                verdict.wrong(format!("{name} is both done and given up"));
                verdict.doubled.insert(name);
            }
            (None, None) => {
                verdict.wrong(format!("{name} is neither done nor given up"));
                verdict.lost.insert(name);
            }
            (Some(_), None) if film.truncated => {
                verdict.wrong(format!("{name} is cut off, and certified all the same"));
                verdict.unproven.insert(name);
            }
            (Some(certificate), None) => {
                if letters > 0 {
                    verdict.wrong(format!("{name} is done and has {letters} dead letters"));
                }
                good.push((film, certificate));
            }
            (None, Some(report)) if film.truncated && report.code.as_str() == "source.truncated" => {
                if letters == 0 {
                    verdict.wrong(format!("{name} was given up, and has no dead letter"));
                }
                verdict.given_up += 1;
            }
            (None, Some(report)) => {
                verdict.wrong(format!("{name} was given up as {}: {}", report.code, report.summary));
                verdict.lost.insert(name);
            }
        }
    }
    for job in done.keys().chain(failed.keys()) {
        verdict.wrong(format!("{job} is in the books, and was never queued"));
    }
    Ok(good)
}

/// Each film that is done got its name once; nothing else lies among the results.
fn names(scene: &Scene<'_>, good: &[(&Film, Certificate)], verdict: &mut Verdict) {
    if scene.names.lost {
        verdict.wrong("the kernel's record of names has a hole");
    }
    let results: BTreeSet<String> = good.iter().map(|(film, _)| name_of(&film.result)).collect();
    let mut expected = results.clone();
    if scene.ground.mode() != Output::Separate {
        expected.extend(scene.record.films.films.iter().map(|f| name_of(&f.path)));
    }
    moves(scene, &results, verdict);
    let there: BTreeSet<String> = listing(&scene.ground.results()).into_iter().collect();
    for name in there.iter().filter(|name| !expected.contains(*name)) {
        verdict.wrong(format!("{name} lies among the results without a certificate"));
        verdict.unproven.insert(name.clone());
    }
    for (film, _) in good.iter().filter(|(film, _)| !there.contains(&name_of(&film.result))) {
        verdict.wrong(format!("{} is certified, and has no result", name_of(&film.path)));
        verdict.lost.insert(name_of(&film.path));
    }
}

/// By the kernel's record. Where a result takes its original's place, the name is given twice, first to the original, and taken
/// away once, which the kernel tells of an exchange in this order; in between it must not have led nowhere.
fn moves(scene: &Scene<'_>, results: &BTreeSet<String>, verdict: &mut Verdict) {
    let replace = scene.ground.mode() == Output::Replace;
    for (name, wrong) in wrong_moves(scene.names, results, replace) {
        verdict.wrong(format!("{name} {wrong}"));
        verdict.doubled.insert(name);
    }
    // In the other modes such a name was taken away, which is wrong enough.
    for name in scene.names.vacant.iter().filter(|_| replace) {
        verdict.wrong(format!("{name} led nowhere for a moment"));
    }
}

fn wrong_moves(names: &Names, results: &BTreeSet<String>, replace: bool) -> Vec<(String, String)> {
    let handed_over = |name: &String| u32::from(replace && results.contains(name));
    let given = names.given.iter().filter(|(name, times)| **times > 1 + handed_over(name));
    let taken = names.taken.iter().filter(|(name, times)| **times > handed_over(name));
    given
        .map(|(name, times)| (name.clone(), format!("was published {} times", times - u32::from(replace))))
        .chain(taken.map(|(name, times)| (name.clone(), format!("was taken away {times} times"))))
        .collect()
}

/// Each result is proven by other programs than those that made it.
fn proofs(
    scene: &Scene<'_>,
    good: &[(&Film, Certificate)],
    originals: &Originals,
    verdict: &mut Verdict,
) -> Result<()> {
    let proofs = Proofs::new(scene.verifier, scene.ground, &scene.record.films.masters);
    // A film without its original was complained about: it cannot be compared.
    let pair = |film: &'_ Film| originals.get(&film.job.id).cloned();
    let pairs: Vec<Pair<'_>> = good
        .iter()
        .filter(|(film, _)| film.result.exists())
        .filter_map(|(film, _)| Some(Pair { film, original: pair(film)? }))
        .collect();
    let found = proofs.of(&pairs)?;
    verdict.decoded = found.decoded;
    for (Pair { film, .. }, wrong) in pairs.iter().zip(found.wrong) {
        match wrong {
            None => verdict.proven += 1,
            Some(wrong) => {
                verdict.wrong(format!("{}: {wrong}", name_of(&film.result)));
                verdict.unproven.insert(name_of(&film.result));
            }
        }
    }
    for (film, certificate) in good {
        let is = consumer::pipeline::Source::of(&film.result).ok();
        let fits = certificate.holds()
            && certificate.job == Some(film.job.id)
            && certificate.wrong_frames == 0
            && certificate.source.size == film.job.size
            && is.is_some_and(|is| is.size == certificate.result.size);
        if !fits {
            verdict.wrong(format!("the certificate of {} does not hold", name_of(&film.path)));
            verdict.unproven.insert(name_of(&film.result));
        }
        // `output.mtime`: the result has its original's date.
        if is.is_some_and(|is| is.mtime_ns != film.job.mtime_ns) {
            verdict.wrong(format!("{} has another date than its original", name_of(&film.result)));
            verdict.unproven.insert(name_of(&film.result));
        }
    }
    Ok(())
}

/// By the record of steps: an attempt that came to the encoder, or to the copy, was begun.
fn starts(scene: &Scene<'_>, verdict: &mut Verdict) -> Result<()> {
    let record = fs::read_to_string(scene.ground.inbox().record()).context("read the record of steps")?;
    let begun: BTreeSet<&str> = record
        .lines()
        .filter_map(|line| {
            let mut words = line.splitn(3, ' ').skip(1);
            let step = words.next()?;
            [Step::Copy, Step::Encode].iter().any(|s| s.name() == step).then(|| words.next()).flatten()
        })
        .collect();
    verdict.starts = begun.len() as u64;
    let extra: u64 = scene.record.fired.iter().map(|f| f.may_restart(scene.workers)).sum();
    verdict.allowed = scene.record.films.films.len() as u64 + extra;
    if verdict.starts > verdict.allowed {
        verdict.wrong(format!("{} works were begun, {} at most may be", verdict.starts, verdict.allowed));
    }
    if verdict.starts < verdict.proven {
        verdict
            .wrong(format!("{} films are done and only {} works were begun", verdict.proven, verdict.starts));
    }
    Ok(())
}

/// Nothing of an attempt is left: no lease, claim, partial, temporary file, announcement, scratch folder or process.
fn leftovers(scene: &Scene<'_>, verdict: &mut Verdict) -> Result<()> {
    let state = scene.ground.state();
    for folder in ["leases", "queued"] {
        for name in fs::read_dir(state.dir().join(folder)).context("list the books")? {
            verdict.wrong(format!("{folder}/{} is left", name?.file_name().display()));
        }
    }
    let share = scene.ground.share();
    let ours = [scene.ground.marker(), scene.ground.trash()];
    visit(&share, &mut |path| {
        let name = name_of(path);
        if !ours.iter().any(|ours| ours == path) && (name.starts_with('.') || name == "announced.json") {
            verdict.wrong(format!("{} is left", path.strip_prefix(&share).unwrap_or(path).display()));
        }
    });
    for worker in fs::read_dir(scene.ground.path("scratch")).context("list the scratch disks")? {
        for left in fs::read_dir(worker?.path()).context("list a scratch disk")? {
            verdict.wrong(format!("{} is left in scratch", left?.path().display()));
        }
    }
    for pid in tools(scene.ground) {
        verdict.wrong(format!("process {pid}, a tool of a worker, still runs"));
    }
    Ok(())
}

/// Everything below a folder, folders before what is in them.
pub(super) fn visit(dir: &Path, see: &mut dyn FnMut(&Path)) {
    for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
        let path = entry.path();
        see(&path);
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            visit(&path, see);
        }
    }
}

/// Names in a folder that are not hidden.
pub(super) fn listing(dir: &Path) -> Vec<String> {
    let names = fs::read_dir(dir).into_iter().flatten().flatten();
    names.map(|e| e.file_name().to_string_lossy().into_owned()).filter(|n| !n.starts_with('.')).collect()
}

/// The last part of a path.
pub(super) fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_given_once_and_where_results_replace_once_more() {
        let wrong = |given: u32, taken: u32, done: bool, replace: bool| {
            let name = "film".to_owned();
            let names = Names {
                given: [(name.clone(), given)].into(),
                taken: (taken > 0).then(|| (name.clone(), taken)).into_iter().collect(),
                ..Names::default()
            };
            wrong_moves(&names, &done.then_some(name).into_iter().collect(), replace).len()
        };
        for (replace, handed_over) in [(false, 0), (true, 1)] {
            assert_eq!(wrong(1 + handed_over, handed_over, true, replace), 0);
            assert_eq!(wrong(2 + handed_over, 1 + handed_over, true, replace), 2);
            assert_eq!(wrong(1, 0, false, replace), 0);
            assert_eq!(wrong(2, 1, false, replace), 2, "exchanged and not done");
        }
    }
}
