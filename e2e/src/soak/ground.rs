//! Where a run takes place: share, scratch disks, tools and configuration, all below one folder.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use common::share::{ResultsFolder, ShareState};

use super::inbox::Inbox;
use super::output::Output;
use crate::tool;

/// The library root's name.
pub(super) const ROOT: &str = "films";
/// A lease that stands still for so long belongs to a dead worker.
pub const STALE: Duration = Duration::from_secs(6);
/// Seconds between heartbeats. The broker gives a silent worker up after three of them.
pub const HEARTBEAT: u16 = 3;
/// Whoever is frozen or cut off, is so for the time after which both the broker and the lease's observers gave it up: they hand
/// its film to somebody else, who watches the lease for the stale time.
pub const FROZEN: Duration = Duration::from_secs(3 * HEARTBEAT as u64 + STALE.as_secs() + 4);
/// Of the share's disk and of the small scratch disk, in bytes, where they can be made.
const SHARE_SIZE: u64 = 12 << 30;
const SCRATCH_SIZE: u64 = 256 << 20;

/// The folders of a run.
#[derive(Debug)]
pub struct Ground {
    dir: PathBuf,
    mode: Output,
    mounts: Vec<PathBuf>,
}

impl Ground {
    /// Makes the folders below `dir`, on small disks of their own where this user may mount some.
    ///
    /// # Errors
    /// They cannot be made.
    pub fn prepare(dir: &Path, tool_program: &Path, mode: Output) -> Result<Self> {
        let dir = tool::absolute(dir)?;
        let mut ground = Self { dir, mode, mounts: Vec::new() };
        for name in ["disk", "scratch/w1", "logs", "tools", "broker", "masters"] {
            fs::create_dir_all(ground.path(name)).with_context(|| format!("make {name}"))?;
        }
        for (place, size) in [("disk", SHARE_SIZE), ("scratch/w1", SCRATCH_SIZE)] {
            let path = ground.path(place);
            if mount(&path, size).is_ok() {
                ground.mounts.push(path);
            }
        }
        for name in ["ffmpeg", "mkvmerge"] {
            symlink(tool_program, ground.path("tools").join(name))?;
        }
        fs::create_dir_all(ground.library())?;
        fs::create_dir_all(ground.results())?;
        ground.state().init()?;
        ground.inbox().init()?;
        Ok(ground)
    }

    /// Writes the configuration of all workers.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, url: &str) -> Result<()> {
        let at = |path: PathBuf| path.display().to_string();
        let config = format!(
            "[broker]\nurl = {url:?}\nheartbeat_s = {HEARTBEAT}\ntimeout_s = 5\nretry_delays_s = [1, 1, 1]\n\
             [library.roots]\n{ROOT} = {:?}\n[share]\nstate_dir = {:?}\n[output]\nmode = \"{}\"\ndir = {:?}\n\
             [worker]\nbeat_s = 0.3\nstale_s = {}\nstall_s = 8\ngrace_s = 2\npause_s = 0.5\nill_after = 50\n\
             [retry]\nmax_attempts = 1000\nmax_crashes = 1000\n[tools]\nffmpeg = {:?}\nmkvmerge = {:?}\n",
            at(self.library()),
            at(self.share().join("state")),
            self.mode,
            if self.mode == Output::Separate { at(self.output()) } else { String::new() },
            STALE.as_secs(),
            at(self.path("tools/ffmpeg")),
            at(self.path("tools/mkvmerge")),
        );
        fs::write(self.config(), config).context("write the configuration")
    }

    /// A place below the run's folder.
    pub fn path(&self, place: &str) -> PathBuf {
        self.dir.join(place)
    }

    /// The configuration.
    pub fn config(&self) -> PathBuf {
        self.path("config.toml")
    }

    /// What all workers share.
    pub fn share(&self) -> PathBuf {
        self.path("disk/share")
    }

    /// The films.
    pub fn library(&self) -> PathBuf {
        self.share().join("library")
    }

    /// The folder of results.
    pub fn output(&self) -> PathBuf {
        self.share().join("out")
    }

    /// What marks it.
    pub fn marker(&self) -> PathBuf {
        ResultsFolder::new(self.output()).marker()
    }

    /// The folder in which results get their names.
    pub fn results(&self) -> PathBuf {
        match self.mode {
            Output::Separate => self.output().join(ROOT),
            Output::Beside | Output::Replace => self.library(),
        }
    }

    /// Where originals go whose place a result takes.
    pub fn trash(&self) -> PathBuf {
        self.library().join(".dovi-fleet-trash")
    }

    /// Where results go.
    pub fn mode(&self) -> Output {
        self.mode
    }

    /// The fleet's books.
    pub fn state(&self) -> ShareState {
        ShareState::new(self.share().join("state"))
    }

    /// Where faults are laid out; not on the share.
    pub fn inbox(&self) -> Inbox {
        Inbox::at(&self.path("inbox"))
    }

    /// The scratch folder of a worker.
    pub fn scratch(&self, worker: &str) -> PathBuf {
        self.path("scratch").join(worker)
    }

    /// Whether disks can be made full.
    pub fn has_disks(&self) -> bool {
        self.mounts.len() == 2
    }

    /// Saves the fleet's books, and the names on the share, from a disk that goes away with this value.
    pub fn keep(&self) {
        let listing = tool::run(tool::command("ls").arg("-laR").arg(self.path("disk")));
        let kept = listing.and_then(|text| Ok(fs::write(self.path("share-listing.txt"), text)?));
        let mut copy = tool::command("cp");
        copy.arg("-a").arg(self.state().dir()).arg(self.path("state-kept"));
        if let Err(e) = kept.and_then(|()| tool::run(&mut copy)) {
            eprintln!("the books could not be kept: {e:#}");
        }
    }

    /// Leaves the disk at `place` no free block. Files that are there may be rewritten in their place only.
    ///
    /// # Errors
    /// It is no disk of ours, or grows faster than it can be filled.
    pub fn fill(&self, place: &str) -> Result<()> {
        let path = self.path(place);
        let mut result = Ok(());
        for _ in 0..20 {
            // Shrinking below what is in use is refused. A size of 0 would be none at all (tmpfs(5)).
            result = remount(&path, used(&path)?.max(4096));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Gives the disk at `place` its room back.
    ///
    /// # Errors
    /// It is no disk of ours.
    pub fn free(&self, place: &str) -> Result<()> {
        remount(&self.path(place), if place == "disk" { SHARE_SIZE } else { SCRATCH_SIZE })
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        for path in &self.mounts {
            // Lazily: whoever still stands in it keeps it until then.
            let _ = tool::run(tool::command("umount").arg("-l").arg(path));
        }
    }
}

fn mount(path: &Path, size: u64) -> Result<()> {
    let mut command = tool::command("mount");
    command.args(["-t", "tmpfs", "-o", &format!("size={size}"), "dovi-soak"]).arg(path);
    tool::run(&mut command).map(drop)
}

fn remount(path: &Path, size: u64) -> Result<()> {
    let mut command = tool::command("mount");
    command.args(["-o", &format!("remount,size={size}")]).arg(path);
    tool::run(&mut command).map(drop)
}

/// Bytes in use.
fn used(path: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(path).context("ask the disk")?;
    Ok((stat.f_blocks - stat.f_bfree) * stat.f_frsize)
}
