//! The demo's folder.

use std::fs::{self, File};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use rustix::fs::{FlockOperation, flock};

const MARKER: &str = ".dovi-fleet-demo";

/// The recipe of the demo's films.
#[derive(Debug, Clone)]
pub struct Recipe {
    /// `encode` or `copy`
    pub mode: String,
    /// x265 preset
    pub preset: String,
    /// x265 constant rate factor
    pub crf: f32,
}

/// A folder that belongs to one running demo.
#[derive(Debug)]
pub struct Workspace {
    root: PathBuf,
    library: Option<PathBuf>,
    /// Holds the lock: two demos in one folder would wipe each other's files.
    _marker: File,
}

impl Workspace {
    /// Takes the folder over: makes it, or empties one that an earlier demo made. What was converted from somebody's
    /// own films is never removed: the same library goes on where it was, another one needs another folder.
    ///
    /// # Errors
    /// The folder holds something else, another demo runs in it, or it cannot be written to.
    pub fn open(root: &Path, library: Option<&Path>) -> Result<Self> {
        let library = library
            .map(|l| l.canonicalize().with_context(|| format!("the library {} cannot be read", l.display())));
        let library = library.transpose()?;
        fs::create_dir_all(root).with_context(|| format!("the folder {} cannot be made", root.display()))?;
        let root = root.canonicalize()?;
        let marker_path = root.join(MARKER);
        if !marker_path.exists() && fs::read_dir(&root)?.next().is_some() {
            bail!(
                "{} is not empty and was not made by the demo; name another folder with --dir",
                root.display()
            );
        }
        let mut marker =
            File::options().read(true).write(true).create(true).truncate(false).open(&marker_path)?;
        if flock(&marker, FlockOperation::NonBlockingLockExclusive).is_err() {
            bail!("another demo runs in {}; name another folder with --dir", root.display());
        }
        let mut of = String::new();
        marker.read_to_string(&mut of)?;
        let wanted = library.as_deref().map(|l| l.display().to_string()).unwrap_or_default();
        if !of.is_empty() && of != wanted {
            bail!(
                "{} holds what an earlier run converted from {of}; move it away, or name another folder with --dir",
                root.display()
            );
        }
        // The broker's data goes with every run. What it had queued is queued again; what is done stays done.
        let kept: &[&str] = if of.is_empty() { &[MARKER] } else { &[MARKER, "results", "share"] };
        empty(&root, kept)?;
        if !of.is_empty() {
            empty(&root.join("share"), &["sentinel", "done", "logs"])?;
        }
        marker.rewind()?;
        marker.set_len(0)?;
        marker.write_all(wanted.as_bytes())?;
        let workspace = Self { root, library, _marker: marker };
        for dir in [
            workspace.results(),
            workspace.share(),
            workspace.logs(),
            workspace.scratch(),
            workspace.broker(),
        ] {
            fs::create_dir_all(dir)?;
        }
        Ok(workspace)
    }

    /// The films: the person's own, or where the made-up ones are to be.
    pub fn library(&self) -> PathBuf {
        self.library.clone().unwrap_or_else(|| self.root.join("library"))
    }

    /// True if the films are somebody's own.
    pub fn is_own_library(&self) -> bool {
        self.library.is_some()
    }

    /// The converted films.
    pub fn results(&self) -> PathBuf {
        self.root.join("results")
    }

    /// `share.state_dir`
    pub fn share(&self) -> PathBuf {
        self.root.join("share")
    }

    /// The programs' log lines.
    pub fn logs(&self) -> PathBuf {
        self.root.join("logs")
    }

    /// The private broker's data.
    pub fn broker(&self) -> PathBuf {
        self.root.join("broker")
    }

    /// The configuration file.
    pub fn config(&self) -> PathBuf {
        self.root.join("dovi-fleet.toml")
    }

    fn scratch(&self) -> PathBuf {
        self.root.join("scratch")
    }

    /// Writes the configuration that both programs are run with.
    ///
    /// # Errors
    /// A path that is not UTF-8, or an I/O error.
    pub fn write_config(&self, url: &str, username: &str, password: &str, recipe: &Recipe) -> Result<()> {
        let text = |path: PathBuf| match path.to_str() {
            Some(t) => Ok(quoted(t)),
            None => bail!("the path {} is not UTF-8; move the demo or the library elsewhere", path.display()),
        };
        let toml = format!(
            "# Written by the demo. Use it with --config to look around while the demo runs.\n\
             [broker]\nurl = {}\nusername = {}\npassword = {}\n\n\
             [library]\n# The made-up films were written a moment ago.\nstable_s = {}\n\n\
             [library.roots]\nfilms = {}\n\n\
             [share]\nstate_dir = {}\n\n[output]\ndir = {}\n\n[scratch]\ndir = {}\n\n\
             [recipe]\nmode = {}\npreset = {}\ncrf = {:.1}\n\n\
             [worker]\nbeat_s = 0.5\nstale_s = 60\n",
            quoted(url),
            quoted(username),
            quoted(password),
            if self.is_own_library() { 60 } else { 0 },
            text(self.library())?,
            text(self.share())?,
            text(self.results())?,
            text(self.scratch())?,
            quoted(&recipe.mode),
            quoted(&recipe.preset),
            recipe.crf,
        );
        fs::write(self.config(), toml)?;
        Ok(())
    }
}

/// A TOML basic string: JSON's escapes are a subset of TOML's.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

fn empty(dir: &Path, except: &[&str]) -> Result<()> {
    let entries = match fs::read_dir(dir) {
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if except.iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        let path = entry.path();
        let removed =
            if entry.file_type()?.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        removed.with_context(|| format!("{} cannot be removed", path.display()))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_is_not_ours_is_left_alone() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("thesis.txt"), "x").unwrap();
        assert!(
            Workspace::open(dir.path(), None).unwrap_err().to_string().contains("was not made by the demo")
        );
        assert!(dir.path().join("thesis.txt").exists());
    }

    #[test]
    fn made_up_films_are_wiped_and_what_came_from_own_films_is_kept() {
        let (dir, films) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let result = |w: &Workspace| w.results().join("film.mkv");
        let w = Workspace::open(dir.path(), None).unwrap();
        assert!(Workspace::open(dir.path(), None).unwrap_err().to_string().contains("another demo runs"));
        fs::write(result(&w), "x").unwrap();
        drop(w);
        let w = Workspace::open(dir.path(), Some(films.path())).unwrap();
        assert!(!result(&w).exists());
        fs::write(result(&w), "x").unwrap();
        drop(w);
        assert!(result(&Workspace::open(dir.path(), Some(films.path())).unwrap()).exists());
        assert!(Workspace::open(dir.path(), None).unwrap_err().to_string().contains("move it away"));
        assert!(dir.path().join("results/film.mkv").exists());
    }

    #[test]
    fn the_configuration_is_one_that_the_programs_read() {
        let dir = tempfile::tempdir().unwrap();
        let w = Workspace::open(&dir.path().join("a \"quoted\" folder"), None).unwrap();
        let recipe = Recipe { mode: "copy".into(), preset: "fast".into(), crf: 30.0 };
        w.write_config("amqp://127.0.0.1:1/dovi", "u", "p\\\"", &recipe).unwrap();
        let config = common::config::load(Some(&w.config()), &Vec::new()).unwrap().config;
        assert_eq!(config.library.roots["films"], w.library());
        assert_eq!(config.broker.password, "p\\\"");
        config.require_fleet().unwrap();
    }
}
