//! Configuration: embedded defaults, then files, then the environment, then flags.

mod explain;
mod hours;
mod load;
mod notify;
mod output;
mod sections;
mod show;

pub use hours::{Closed, OutsideHours, Schedule};
pub use load::{ConfigError, Loaded, Overrides, load};
pub use notify::{MetricsConfig, NotifyConfig, TargetConfig, TargetKind, TargetSecrets, exposed_file};
pub use output::{FileDate, FileMode, FileOwner, Hardlinks, OutputConfig, OutputMode};
pub use sections::{
    BrokerConfig, Config, Decode, DoviBackend, DoviConfig, LibraryConfig, LogConfig, LogFormat, RetryConfig,
    ScratchConfig, ShareConfig, ToolsConfig, VerifyConfig, WatchConfig, WorkerConfig,
};
pub use show::{Row, rows};

/// The defaults file: every key with its meaning. It is also the text of docs/CONFIGURATION.md.
pub const DEFAULTS: &str = include_str!("defaults.toml");
