//! How `watch` is, in a small file on this machine, for a health check that runs beside it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::render::{Pulse, duration};

/// Between two writes of the file.
const BEAT: Duration = Duration::from_secs(10);
/// A file that is older belongs to a program that is gone or hangs.
const SILENT: Duration = Duration::from_secs(60);
/// A scan that made no step for so long hangs: a mount that does not answer.
const HANGS: Duration = Duration::from_secs(15 * 60);

/// What `watch` is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Looking through the library.
    Scanning,
    /// Until something changes or the interval is over.
    Watching,
    /// Something that it needs is not there.
    Waiting,
}

/// The file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthFile {
    /// What it does.
    pub state: State,
    /// What it waits for; empty otherwise.
    pub why: String,
    /// When the file was written.
    pub at: Timestamp,
    /// When the scan last made a step, or the state changed.
    pub moved: Timestamp,
    /// End of the last scan that came to its end.
    pub scanned: Option<Timestamp>,
    /// Films that the last scan found.
    pub films: u64,
}

/// Keeps the file up to date for as long as it lives, and removes it then.
#[derive(Debug)]
pub struct Health {
    now: Arc<Mutex<HealthFile>>,
    path: Option<PathBuf>,
    beating: Option<tokio::task::JoinHandle<()>>,
}

impl Health {
    /// Begins to write, if there is a place to.
    pub fn begin(path: &Path, pulse: &Pulse) -> Self {
        let at = Timestamp::now();
        let first =
            HealthFile { state: State::Scanning, why: String::new(), at, moved: at, scanned: None, films: 0 };
        let now = Arc::new(Mutex::new(first));
        let path = (!path.as_os_str().is_empty()).then(|| path.to_owned());
        let beating = path.clone().map(|path| tokio::spawn(beat(path, now.clone(), pulse.clone())));
        Self { now, path, beating }
    }

    /// Another state; written at once.
    pub fn is(&self, state: State, why: &str) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (now.state, now.why, now.moved) = (state, why.to_owned(), Timestamp::now());
        if let Some(path) = &self.path {
            write(path, &mut now);
        }
    }

    /// A scan came to its end.
    pub fn scanned(&self, films: u64) {
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        (now.scanned, now.films) = (Some(Timestamp::now()), films);
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        if let Some(beating) = &self.beating {
            beating.abort();
        }
        if let Some(path) = &self.path {
            let _ = std::fs::remove_file(path);
        }
    }
}

async fn beat(path: PathBuf, now: Arc<Mutex<HealthFile>>, pulse: Pulse) {
    let mut steps = pulse.count();
    loop {
        {
            let mut now = now.lock().unwrap_or_else(PoisonError::into_inner);
            if std::mem::replace(&mut steps, pulse.count()) != pulse.count() {
                now.moved = Timestamp::now();
            }
            write(&path, &mut now);
        }
        tokio::time::sleep(BEAT).await;
    }
}

fn write(path: &Path, now: &mut HealthFile) {
    now.at = Timestamp::now();
    let written = serde_json::to_vec(now).map_err(std::io::Error::other);
    if let Err(e) =
        written.and_then(|json| common::share::write_file(path, &json).map_err(std::io::Error::other))
    {
        tracing::debug!(error = %e, "the health file cannot be written");
    }
}

/// What the file says about the program that writes it.
///
/// # Errors
/// The sentence that says what is wrong.
pub fn check(file: Option<&HealthFile>, now: Timestamp) -> Result<String, String> {
    let Some(file) = file else { return Err("`dovi-producer watch` does not run here".into()) };
    let since = |at: Timestamp| now.duration_since(at).unsigned_abs();
    if since(file.at) > SILENT {
        return Err(format!("`dovi-producer watch` was not heard of for {}", duration(since(file.at))));
    }
    match file.state {
        State::Waiting => Err(format!("waiting: {}", file.why)),
        State::Scanning if since(file.moved) > HANGS => {
            Err(format!("the scan made no step for {}: does a mount hang?", duration(since(file.moved))))
        }
        State::Scanning => Ok("scanning".into()),
        State::Watching => match file.scanned {
            Some(at) => {
                Ok(format!("watching; {} films at the last scan, {} ago", file.films, duration(since(at))))
            }
            None => Ok("watching".into()),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(state: State, at: Timestamp) -> HealthFile {
        HealthFile { state, why: "the share is gone".into(), at, moved: at, scanned: Some(at), films: 7 }
    }

    #[test]
    fn each_way_of_not_being_well_has_its_sentence() {
        let now = Timestamp::now();
        let ago = |d: Duration| now - jiff::SignedDuration::try_from(d).unwrap();
        let fine = check(Some(&file(State::Watching, ago(Duration::from_secs(5)))), now);
        assert_eq!(fine.unwrap(), "watching; 7 films at the last scan, 5 s ago");
        assert!(check(None, now).is_err());
        assert!(
            check(Some(&file(State::Watching, ago(SILENT * 2))), now).unwrap_err().contains("not heard of")
        );
        assert_eq!(check(Some(&file(State::Waiting, now)), now).unwrap_err(), "waiting: the share is gone");
        let hangs = HealthFile { moved: ago(HANGS * 2), ..file(State::Scanning, now) };
        assert!(check(Some(&hangs), now).unwrap_err().contains("no step for"));
        assert!(check(Some(&file(State::Scanning, now)), now).is_ok());
    }

    #[tokio::test]
    async fn the_file_is_there_as_long_as_the_program() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("health.json");
        let health = Health::begin(&path, &Pulse::default());
        health.scanned(3);
        health.is(State::Watching, "");
        let read: HealthFile = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
        assert_eq!((read.state, read.films), (State::Watching, 3));
        drop(health);
        assert!(!path.exists());
    }
}
