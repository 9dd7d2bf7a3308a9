//! What goes over `dovi.events`: for those who listen now. Losing it loses nothing.
//!
//! Fields are only ever added. A listener ignores fields it does not know, and states and stages that it does not know.

use serde::{Deserialize, Serialize};

use super::{JobId, LibraryPath};

/// The version that this program writes.
pub const EVENT_VERSION: u32 = 1;

/// Under `film.<job>`: what came of a delivery.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FilmEvent {
    /// Format version, [`EVENT_VERSION`].
    pub v: u32,
    /// Who says so.
    pub worker: String,
    /// The job.
    pub job: JobId,
    /// The film.
    pub film: LibraryPath,
    /// `done`, `busy` (another worker has it) or `failed`.
    pub state: String,
    /// The failure code, if it failed.
    #[serde(default)]
    pub code: Option<String>,
    /// What happens to a film that failed: `given-up`, `retry` or `back` (not counted); else none.
    #[serde(default)]
    pub next: Option<String>,
    /// Which attempt this was, from 1.
    #[serde(default)]
    pub attempt: u32,
    /// When.
    pub at: jiff::Timestamp,
}

/// Under `progress.<worker>.<job>`: how far a film is. Every two seconds at most, and at the begin of each stage.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProgressEvent {
    /// Format version, [`EVENT_VERSION`].
    pub v: u32,
    /// Who says so.
    pub worker: String,
    /// The job.
    pub job: JobId,
    /// The film.
    pub film: LibraryPath,
    /// `prescan`, `encode`, `copy`, `mux`, `verify`, `publish`, ….
    pub stage: String,
    /// Of the whole film, 0 to 100.
    pub percent: f32,
    /// Frames done in this stage, where it counts frames.
    #[serde(default)]
    pub frames: Option<u64>,
    /// Frames in all.
    #[serde(default)]
    pub of: Option<u64>,
    /// Frames per second over the last seconds.
    #[serde(default)]
    pub fps: Option<f32>,
    /// Seconds until this stage is done.
    #[serde(default)]
    pub eta_s: Option<u64>,
    /// When.
    pub at: jiff::Timestamp,
}

/// Under `worker.<name>`: a worker came, went, or changed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WorkerEvent {
    /// Format version, [`EVENT_VERSION`].
    pub v: u32,
    /// The worker.
    pub worker: String,
    /// `start`, `ill`, `well`, `stop`, ….
    pub state: String,
    /// The program's version.
    pub version: String,
    /// The failure code of an illness.
    #[serde(default)]
    pub code: Option<String>,
    /// Why it takes no films.
    #[serde(default)]
    pub why: Option<String>,
    /// When.
    pub at: jiff::Timestamp,
}
