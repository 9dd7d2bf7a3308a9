//! Clearing away what dead workers left. Removes only what it can prove to be ours and dead, and leaves everything else.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use common::config::{Config, OutputMode};
use common::share::{ShareError, ShareState, TrashFolder, prune_trash, remove_leftover, server_time};
use tokio_util::sync::CancellationToken;

use crate::workspace::{Found, FoundPartial, find_ours, sweep};

/// Longest walk through the results' folders, and longest search in journals.
const PATIENCE: Duration = Duration::from_secs(600);
/// No writer keeps a temporary file for longer than a few calls of the system.
const TEMPORARY: Duration = Duration::from_secs(24 * 3600);
/// A worker that was not heard of for so long is no longer told of.
const FORGOTTEN: Duration = Duration::from_secs(30 * 24 * 3600);

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tidied {
    /// Scratch folders.
    pub scratch: u64,
    /// Unfinished results.
    pub partials: u64,
    /// Temporary files, in the state folder, among results and originals, and in scratch.
    pub temporary: u64,
    /// Entries of films that ended: in the queue, or reports of those that are done.
    pub entries: u64,
    /// Leases of films that ended.
    pub leases: u64,
    /// Files of workers.
    pub workers: u64,
    /// Of the outbox, what was sent or given up long ago.
    pub notices: u64,
    /// Originals in the trash whose time is over.
    pub originals: u64,
}

/// Where to tidy up.
#[derive(Debug, Clone)]
pub struct Janitor {
    share: ShareState,
    scratch: PathBuf,
    results: Vec<PathBuf>,
    stale: Duration,
    trash: Vec<TrashFolder>,
    /// How long originals stay there.
    keep: Option<Duration>,
}

impl Janitor {
    /// In the places of this configuration.
    pub fn new(config: &Config) -> Self {
        let results = match config.output.mode {
            OutputMode::Separate => vec![config.output.dir.clone()],
            _ => config.library.roots.values().cloned().collect(),
        };
        let (trash, keep) = (config.trash_folders(), config.output.keep_originals());
        Self {
            share: ShareState::new(&config.share.state_dir),
            scratch: config.scratch.path(),
            results,
            stale: config.worker.stale(),
            trash,
            keep,
        }
    }

    /// Tidies up once. Blocks, for minutes in a large library; ends soon after `stop`. What cannot be done now is left to the
    /// next time.
    pub fn run(&self, stop: &CancellationToken) -> Tidied {
        let mut tidied = Tidied { scratch: sweep(&self.scratch), ..Tidied::default() };
        let of_share = |what: &str, done: Result<u64, ShareError>| {
            done.unwrap_or_else(|e| {
                tracing::debug!(error = %e, "tidying up {what}");
                0
            })
        };
        tidied.temporary = of_share("temporary files", self.share.sweep(TEMPORARY).map(|s| s.removed));
        tidied.entries = of_share("old entries", self.share.drop_ended_entries());
        tidied.leases = of_share("leases", self.share.drop_ended_leases(self.stale * 2));
        tidied.workers = of_share("workers", self.share.sweep_workers(FORGOTTEN));
        tidied.notices = of_share("old notices", self.share.sweep_outbox(FORGOTTEN));
        tidied.originals = self.originals(stop);
        let until = Instant::now() + PATIENCE;
        let mut go_on = || !stop.is_cancelled() && Instant::now() < until;
        let mut found = Found::default();
        for dir in self.folders() {
            let mut more = find_ours(&dir, &mut go_on);
            found.partials.append(&mut more.partials);
            found.leftovers.append(&mut more.leftovers);
        }
        tidied.temporary += leftovers(found.leftovers, &mut go_on);
        tidied.partials = of_share("unfinished results", self.partials(found.partials, until, &mut go_on));
        if tidied != Tidied::default() {
            tracing::info!(
                scratch_folders = tidied.scratch,
                unfinished_results = tidied.partials,
                temporary_files = tidied.temporary,
                old_entries = tidied.entries,
                leases = tidied.leases,
                workers = tidied.workers,
                notices = tidied.notices,
                originals = tidied.originals,
                "removed what dead workers left"
            );
        }
        tidied
    }

    /// Where results are made and originals go; each once, without those that lie in another one.
    fn folders(&self) -> Vec<PathBuf> {
        let mut folders = self.results.clone();
        folders.extend(self.trash.iter().map(|t| t.dir.clone()).filter(|dir| dir.is_dir()));
        folders.push(self.scratch.clone());
        let all = folders.clone();
        let is_inside = |n: usize, dir: &PathBuf| {
            all.iter().enumerate().any(|(m, other)| dir.starts_with(other) && (dir != other || m < n))
        };
        folders.into_iter().enumerate().filter(|(n, dir)| !is_inside(*n, dir)).map(|(_, dir)| dir).collect()
    }

    /// What was replaced long ago, with a proven result in its place.
    fn originals(&self, stop: &CancellationToken) -> u64 {
        let Some(keep) = self.keep else { return 0 };
        let mut removed = 0;
        for folder in self.trash.iter().take_while(|_| !stop.is_cancelled()) {
            match prune_trash(&self.share, folder, keep) {
                Ok(pruned) => {
                    removed += pruned.removed;
                    pruned
                        .kept
                        .iter()
                        .for_each(|kept| tracing::info!("an original stays in the trash: {kept}"));
                }
                Err(e) => tracing::debug!(dir = %folder.dir.display(), error = %e, "clearing the trash"),
            }
        }
        removed
    }

    /// An unfinished result is ours if our own journals know its token as an attempt, and dead if that attempt has lost its
    /// lease: whoever has no lease publishes nothing. It must also have been left alone for twice the stale time, by the
    /// clock of the disk it lies on.
    fn partials(
        &self,
        found: Vec<FoundPartial>,
        until: Instant,
        go_on: &mut dyn FnMut() -> bool,
    ) -> Result<u64, ShareError> {
        let old: Vec<FoundPartial> = found.into_iter().filter(|found| self.is_old(&found.path)).collect();
        if old.is_empty() {
            return Ok(0);
        }
        let tokens: HashSet<String> = old.iter().map(|found| found.token.clone()).collect();
        let jobs = self.share.jobs_of_tokens(&tokens, until)?;
        let mut removed = 0;
        for found in old {
            if !go_on() {
                break;
            }
            let Some(job) = jobs.get(&found.token) else {
                tracing::debug!(path = %found.path.display(), "an unfinished result of nobody we know stays");
                continue;
            };
            // Once more after the lease: it may have been written to meanwhile.
            if !self.share.has_lost_its_lease(*job, &found.token)? || !self.is_old(&found.path) {
                continue;
            }
            match fs::remove_file(&found.path) {
                Ok(()) => {
                    tracing::info!(path = %found.path.display(), %job, "removed an unfinished result");
                    removed += 1;
                }
                Err(e) => {
                    tracing::debug!(path = %found.path.display(), error = %e, "an unfinished result stays");
                }
            }
        }
        Ok(removed)
    }

    fn is_old(&self, path: &Path) -> bool {
        let then =
            fs::symlink_metadata(path).ok().filter(fs::Metadata::is_file).and_then(|m| m.modified().ok());
        let now = path.parent().and_then(|dir| server_time(dir).ok());
        let quiet = now.zip(then).and_then(|(now, then)| now.duration_since(then).ok());
        quiet.is_some_and(|quiet| quiet > self.stale * 2)
    }
}

/// Removes those that are old by the clock of the disk they lie on.
fn leftovers(found: Vec<PathBuf>, go_on: &mut dyn FnMut() -> bool) -> u64 {
    let mut clocks = HashMap::new();
    let mut removed = 0;
    for path in found {
        let Some(dir) = path.parent().map(Path::to_owned).filter(|_| go_on()) else { break };
        let now = *clocks.entry(dir).or_insert_with_key(|dir| server_time(dir).ok());
        if now.is_some_and(|now| remove_leftover(&path, now, TEMPORARY)) {
            tracing::debug!(path = %path.display(), "removed what somebody left who died");
            removed += 1;
        }
    }
    removed
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::symlink;
    use std::time::SystemTime;

    use common::config::load;
    use common::job::JobId;
    use common::share::{Acquire, Entry, Event, Journal, Lease, LeaseObserver, Owner};

    use super::*;
    use crate::workspace::partial_name;

    struct Place {
        dir: tempfile::TempDir,
        janitor: Janitor,
    }

    impl Place {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let at = |name: &str| dir.path().join(name).display().to_string();
            let flags = [
                ("share.state_dir", at("state")),
                ("output.dir", at("out")),
                ("scratch.dir", at("scratch")),
                ("library.roots.films", at("lib")),
            ];
            let config = load(None, &flags.map(|(k, v)| (k.to_owned(), v)).into()).unwrap().config;
            let janitor = Janitor::new(&config);
            janitor.share.init().unwrap();
            ["out/films/deep", "scratch", "lib"]
                .iter()
                .for_each(|d| fs::create_dir_all(dir.path().join(d)).unwrap());
            Self { dir, janitor }
        }

        fn job(n: u8) -> JobId {
            format!("{n:032x}").parse().unwrap()
        }

        /// An attempt that is written down, and its lease.
        fn attempt(&self, n: u8) -> Lease {
            let observer = LeaseObserver::new(self.janitor.share.clone(), Owner::here("w"));
            let claimed = observer.acquire(Self::job(n), Duration::from_secs(60)).unwrap();
            let Acquire::Mine(lease) = claimed else { panic!("{claimed:?}") };
            let start = Entry {
                run: lease.token().to_owned(),
                attempt: 1,
                worker: "w".into(),
                host: "h".into(),
                event: Event::Start,
                at: jiff::Timestamp::now(),
            };
            Journal::open(&self.janitor.share, Self::job(n)).unwrap().append(&start).unwrap();
            lease
        }

        fn partial(&self, name: &str, token: &str, age_s: u64) -> PathBuf {
            let path = partial_name(&self.dir.path().join("out/films/deep").join(name), token);
            let then = SystemTime::now() - Duration::from_secs(age_s);
            File::create(&path).unwrap().set_modified(then).unwrap();
            path
        }
    }

    const OLD: u64 = 3600;

    #[test]
    fn only_partials_of_our_own_dead_attempts_go() {
        let place = Place::new();
        let (dead, alive, fresh) = (place.attempt(1), place.attempt(2), place.attempt(3));
        let gone = place.partial("dead.mkv", dead.token(), OLD);
        let kept = [
            place.partial("alive.mkv", alive.token(), OLD),
            place.partial("fresh.mkv", fresh.token(), 10),
            place.partial("of another fleet.mkv", &"ab".repeat(16), OLD),
        ];
        // Neighbours that only look like it.
        let folder = place.dir.path().join("out/films/deep");
        let film = folder.join("film.mkv");
        fs::write(&film, "x").unwrap();
        let link = partial_name(&folder.join("link.mkv"), dead.token());
        symlink(&film, &link).unwrap();
        let holder = partial_name(&folder.join("folder.mkv"), dead.token());
        fs::create_dir(&holder).unwrap();
        let visible = folder.join(format!("x.{}.partial", dead.token()));
        fs::write(&visible, "x").unwrap();
        dead.release().unwrap();
        fresh.release().unwrap();

        let tidied = place.janitor.run(&CancellationToken::new());
        assert_eq!(tidied, Tidied { partials: 1, ..Tidied::default() });
        assert!(!gone.exists());
        assert!(kept.iter().chain([&film, &holder, &visible]).all(|p| p.exists()) && link.is_symlink());
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 7, "no probe stays behind");
    }

    #[test]
    fn files_of_an_instant_go_after_a_day_wherever_a_worker_died() {
        let place = Place::new();
        let at = |path: &str| {
            let path = place.dir.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let hex = "0123456789abcdef";
        let dead = [
            at(&format!("out/films/deep/.clock.{hex}.tmp")),
            at("out/films/deep/.Film [DV8].mkv.claim"),
            at(&format!("out/films/deep/.Film [DV8].mkv.claim.{hex}")),
            at(&format!("lib/.dovi-fleet-trash/a/.clock.{hex}.tmp")),
            at(&format!("lib/.dovi-fleet-trash/a/.dovi-fleet-probe.{hex}.b.tmp")),
            at("scratch/.dovi-fleet-doctor.17.speed"),
            at(&format!("state/workers/.clock.{hex}.tmp")),
        ];
        // In this mode nothing of ours is made among the films.
        let kept = [at(&format!("lib/.clock.{hex}.tmp")), at("out/films/deep/Film [DV8].mkv")];
        let date = |paths: &[PathBuf], age| {
            let then = SystemTime::now() - Duration::from_secs(age);
            paths.iter().for_each(|p| File::create(p).unwrap().set_modified(then).unwrap());
        };
        date(&kept, 90_000);
        date(&dead, 80_000);
        assert_eq!(place.janitor.run(&CancellationToken::new()), Tidied::default());
        date(&dead, 90_000);
        let stopped = CancellationToken::new();
        stopped.cancel();
        assert_eq!(place.janitor.run(&stopped).temporary, 1, "a walk ends when the worker does");
        date(&dead, 90_000);
        let tidied = place.janitor.run(&CancellationToken::new());
        assert_eq!(tidied, Tidied { temporary: dead.len() as u64, ..Tidied::default() });
        assert!(dead.iter().all(|p| !p.exists()) && kept.iter().all(|p| p.exists()));
    }

    #[test]
    fn in_replace_mode_they_are_sought_among_the_films_and_in_a_trash_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name).display().to_string();
        let flags = [
            ("share.state_dir", at("state")),
            ("output.mode", "replace".into()),
            ("output.trash_dir", at("trash")),
            ("scratch.dir", at("lib/scratch")),
            ("library.roots.films", at("lib")),
        ];
        let config = load(None, &flags.map(|(k, v)| (k.to_owned(), v)).into()).unwrap().config;
        let janitor = Janitor::new(&config);
        janitor.share.init().unwrap();
        let hex = "0123456789abcdef";
        let dead = [
            dir.path().join(format!("lib/a/.dovi-fleet-probe.{hex}.a.tmp")),
            dir.path().join(format!("trash/films/a/.dovi-fleet-probe.{hex}.b.tmp")),
        ];
        for path in &dead {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "second").unwrap();
            let then = SystemTime::now() - Duration::from_secs(90_000);
            File::options().write(true).open(path).unwrap().set_modified(then).unwrap();
        }
        assert_eq!(janitor.folders(), [dir.path().join("lib"), dir.path().join("trash/films")]);
        assert_eq!(janitor.run(&CancellationToken::new()).temporary, 2);
        assert!(dead.iter().all(|p| !p.exists()));
    }

    #[test]
    fn without_the_share_nothing_is_proven_and_nothing_goes() {
        let place = Place::new();
        let lease = place.attempt(1);
        let partial = place.partial("dead.mkv", lease.token(), OLD);
        lease.release().unwrap();
        fs::rename(place.dir.path().join("state"), place.dir.path().join("away")).unwrap();
        fs::create_dir(place.dir.path().join("state")).unwrap();
        assert_eq!(place.janitor.run(&CancellationToken::new()), Tidied::default());
        assert!(partial.exists());
        fs::remove_dir(place.dir.path().join("state")).unwrap();
        fs::rename(place.dir.path().join("away"), place.dir.path().join("state")).unwrap();
        assert_eq!(place.janitor.run(&CancellationToken::new()).partials, 1);
    }
}
