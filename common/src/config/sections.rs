//! The configuration as types; every field is documented in `defaults.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::hours::{OutsideHours, Schedule, list_or_text};
use super::notify::{MetricsConfig, NotifyConfig};
use super::output::OutputConfig;
use crate::job::{LibraryPath, PathError, Recipe};

/// All settings.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// `[broker]`
    pub broker: BrokerConfig,
    /// `[library]`
    pub library: LibraryConfig,
    /// `[watch]`
    pub watch: WatchConfig,
    /// `[share]`
    pub share: ShareConfig,
    /// `[output]`
    pub output: OutputConfig,
    /// `[scratch]`
    pub scratch: ScratchConfig,
    /// `[recipe]`
    pub recipe: Recipe,
    /// `[worker]`
    pub worker: WorkerConfig,
    /// `[retry]`
    pub retry: RetryConfig,
    /// `[dovi]`
    pub dovi: DoviConfig,
    /// `[tools]`
    pub tools: ToolsConfig,
    /// `[verify]`
    pub verify: VerifyConfig,
    /// `[log]`
    pub log: LogConfig,
    /// `[metrics]`
    pub metrics: MetricsConfig,
    /// `[notify]`
    pub notify: NotifyConfig,
}

/// `[broker]`
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct BrokerConfig {
    pub url: String,
    pub username: String,
    pub password: String,
    pub password_file: PathBuf,
    pub ca_file: PathBuf,
    pub heartbeat_s: u16,
    pub timeout_s: u64,
    pub retry_delays_s: [u32; 3],
}

impl std::fmt::Debug for BrokerConfig {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The URL may carry a password too, so only the parts that never do are printed.
        f.debug_struct("BrokerConfig").field("username", &self.username).finish_non_exhaustive()
    }
}

/// `[library]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct LibraryConfig {
    pub extensions: Vec<String>,
    pub stable_s: u64,
    #[serde(default)]
    pub roots: BTreeMap<String, PathBuf>,
}

impl LibraryConfig {
    /// Where a library path lies on this machine.
    ///
    /// # Errors
    /// [`PathError::UnknownRoot`], or [`PathError::Escapes`] for a link that leads out of the root.
    pub fn resolve(&self, film: &LibraryPath) -> Result<PathBuf, PathError> {
        let root =
            self.roots.get(film.root()).ok_or_else(|| PathError::UnknownRoot(film.root().to_owned()))?;
        film.below(root)
    }
}

/// `[watch]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct WatchConfig {
    pub interval_s: f64,
    pub quiet_s: f64,
    pub events: bool,
    pub health_file: PathBuf,
}

impl WatchConfig {
    /// `interval_s` as a duration.
    pub fn interval(&self) -> Duration {
        Duration::from_secs_f64(self.interval_s)
    }

    /// `quiet_s` as a duration.
    pub fn quiet(&self) -> Duration {
        Duration::from_secs_f64(self.quiet_s)
    }
}

/// `[share]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct ShareConfig {
    pub state_dir: PathBuf,
}

/// `[scratch]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct ScratchConfig {
    pub dir: PathBuf,
}

/// `[worker]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct WorkerConfig {
    pub name: String,
    pub beat_s: f64,
    pub stale_s: f64,
    pub stall_s: f64,
    pub grace_s: f64,
    pub pause_s: f64,
    pub ill_after: u32,
    pub ill_fast_s: f64,
    pub janitor_h: f64,
    #[serde(deserialize_with = "list_or_text")]
    pub hours: Vec<String>,
    pub outside_hours: OutsideHours,
    #[serde(deserialize_with = "list_or_text")]
    pub quiet: Vec<String>,
    pub timezone: String,
}

/// `[retry]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct RetryConfig {
    pub max_attempts: u32,
    pub max_crashes: u32,
}

/// Who puts Dolby Vision metadata into the new stream.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DoviBackend {
    /// This program: by picture order count, in the same pass.
    #[default]
    Internal,
    /// The program dovi_tool, `tools.dovi_tool`.
    DoviTool,
}

/// `[dovi]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct DoviConfig {
    pub backend: DoviBackend,
}

/// `[tools]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct ToolsConfig {
    pub ffmpeg: PathBuf,
    pub mkvmerge: PathBuf,
    pub vaapi_device: PathBuf,
    pub dovi_tool: PathBuf,
}

impl Default for ToolsConfig {
    /// The names that `defaults.toml` has.
    fn default() -> Self {
        Self {
            ffmpeg: "ffmpeg".into(),
            mkvmerge: "mkvmerge".into(),
            vaapi_device: "/dev/dri/renderD128".into(),
            dovi_tool: "dovi_tool".into(),
        }
    }
}

/// How much of the result is decoded for the proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Decode {
    /// Nothing: the proof is from the bytes.
    Off,
    /// Some pictures, compared with the source's.
    Sample,
    /// As `Sample`, and every frame once for the decoder's complaints.
    Full,
}

/// `[verify]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct VerifyConfig {
    pub decode: Decode,
}

/// Shape of log lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogFormat {
    /// For people.
    Text,
    /// For collectors.
    Json,
}

/// `[log]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct LogConfig {
    pub level: String,
    pub format: LogFormat,
}

impl WorkerConfig {
    /// The configured name, or the host's.
    pub fn display_name(&self) -> String {
        if self.name.is_empty() {
            rustix::system::uname().nodename().to_string_lossy().into_owned()
        } else {
            self.name.clone()
        }
    }

    /// `stale_s` as a duration.
    pub fn stale(&self) -> Duration {
        Duration::from_secs_f64(self.stale_s)
    }

    /// `beat_s` as a duration.
    pub fn beat(&self) -> Duration {
        Duration::from_secs_f64(self.beat_s)
    }

    /// `stall_s` as a duration.
    pub fn stall(&self) -> Duration {
        Duration::from_secs_f64(self.stall_s)
    }

    /// `grace_s` as a duration.
    pub fn grace(&self) -> Duration {
        Duration::from_secs_f64(self.grace_s)
    }

    /// `pause_s` as a duration.
    pub fn pause(&self) -> Duration {
        Duration::from_secs_f64(self.pause_s)
    }

    /// `ill_fast_s` as a duration.
    pub fn ill_fast(&self) -> Duration {
        Duration::from_secs_f64(self.ill_fast_s)
    }

    /// When it works.
    ///
    /// # Errors
    /// The setting that cannot be used, and what is wrong with it. None, once the configuration was loaded.
    pub fn schedule(&self) -> Result<Schedule, (&'static str, String)> {
        Schedule::new(&self.hours, &self.quiet, self.outside_hours, &self.timezone)
    }

    /// `janitor_h` as a duration.
    pub fn janitor(&self) -> Duration {
        Duration::from_secs_f64(self.janitor_h * 3600.0)
    }
}

impl ScratchConfig {
    /// The configured folder, or the system's temporary one. Absolute, for programs that run in another folder.
    pub fn path(&self) -> PathBuf {
        let dir = if self.dir.as_os_str().is_empty() { std::env::temp_dir() } else { self.dir.clone() };
        std::path::absolute(&dir).unwrap_or(dir)
    }
}
