//! Reading and checking the configuration.

use std::path::{Path, PathBuf};

use ::config::{Config as Source, Environment, File, FileFormat};

use super::output::OutputMode;
use super::sections::{BrokerConfig, Config};
use super::{DEFAULTS, explain};

/// A configuration that cannot be used. Each message says which setting, what is wrong, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file named with `--config` is not there.
    #[error("the configuration file {0} does not exist")]
    NoFile(PathBuf),
    /// A syntax error, an unknown key or a value of the wrong type; the text names the file and the key.
    #[error("{text}")]
    Read {
        /// What is wrong, and where it was read.
        text: String,
        /// What it could be.
        hint: String,
    },
    /// A value that is of the right type but makes no sense.
    #[error("{}", named(key, problem))]
    Value {
        /// `section.key`
        key: &'static str,
        /// What is wrong and what would be right.
        problem: String,
    },
}

/// Most sentences begin with the setting's name themselves.
fn named(key: &str, problem: &str) -> String {
    if problem.starts_with(key) {
        problem.to_owned()
    } else {
        format!("the setting {key} is not usable: {problem}")
    }
}

/// Name and content of each layer, lowest first; the first are the defaults.
pub(super) type Layers = Vec<(String, Source)>;

/// Values from flags: `("share.state_dir", "/mnt/x")`.
pub type Overrides = Vec<(String, String)>;

/// A loaded configuration and the layers it came from, lowest first.
#[derive(Debug)]
pub struct Loaded {
    /// The result.
    pub config: Config,
    /// Name and content of each layer, for `config show`.
    pub(super) layers: Layers,
}

/// Reads all layers: defaults, system file, folder file, `--config` file, environment, flags.
///
/// # Errors
/// [`ConfigError`]; settings that only one program needs are checked where they are needed.
pub fn load(file: Option<&Path>, flags: &Overrides) -> Result<Loaded, ConfigError> {
    let unreadable = |from: &str| {
        let from = from.to_owned();
        move |e: ::config::ConfigError| explain::unreadable(&from, &e)
    };
    let mut layers = Layers::new();
    let defaults = Source::builder().add_source(File::from_str(DEFAULTS, FileFormat::Toml));
    layers.push(("default".into(), defaults.build().map_err(unreadable("the defaults"))?));

    let mut files: Vec<PathBuf> =
        ["/etc/dovi-fleet/config.toml", "dovi-fleet.toml"].map(PathBuf::from).into();
    files.retain(|f| f.exists());
    if let Some(f) = file {
        if !f.exists() {
            return Err(ConfigError::NoFile(f.to_owned()));
        }
        files.push(f.to_owned());
    }
    for f in files {
        let source = File::from(f.as_path()).format(FileFormat::Toml);
        let name = crate::text::safe_path(&f);
        let built = Source::builder().add_source(source).build().map_err(unreadable(&name))?;
        layers.push((name, built));
    }

    let environment =
        Environment::with_prefix("DOVI_FLEET").prefix_separator("__").separator("__").try_parsing(true);
    let built = Source::builder().add_source(environment).build().map_err(unreadable("the environment"))?;
    layers.push(("environment".into(), built));

    let mut given = Source::builder();
    for (key, value) in flags {
        given = given.set_override(key, value.as_str()).map_err(unreadable("--set"))?;
    }
    layers.push(("flag".into(), given.build().map_err(unreadable("--set"))?));

    let mut merged = Source::builder();
    for (_, layer) in &layers {
        merged = merged.add_source(layer.clone());
    }
    let whole = merged.build().and_then(Source::try_deserialize::<Config>);
    let config = whole.map_err(|e| explain::unfit(&layers, &e))?;
    check(&config)?;
    Ok(Loaded { config, layers })
}

fn check(c: &Config) -> Result<(), ConfigError> {
    let bad = |key, problem: String| Err(ConfigError::Value { key, problem });
    if let Err(problem) = c.recipe.validate() {
        return bad("recipe", problem);
    }
    let w = &c.worker;
    for (key, v) in [
        ("worker.beat_s", w.beat_s),
        ("worker.stale_s", w.stale_s),
        ("worker.stall_s", w.stall_s),
        ("worker.grace_s", w.grace_s),
        ("worker.pause_s", w.pause_s),
        ("worker.ill_fast_s", w.ill_fast_s),
        ("watch.interval_s", c.watch.interval_s),
        ("watch.quiet_s", c.watch.quiet_s),
    ] {
        if !(0.01..=1e7).contains(&v) {
            return bad(key, format!("{v} is not a number of seconds between 0.01 and 10000000"));
        }
    }
    if !(0.01..=1e4).contains(&w.janitor_h) {
        return bad(
            "worker.janitor_h",
            format!("{} is not a number of hours between 0.01 and 10000", w.janitor_h),
        );
    }
    if let Err((key, problem)) = w.schedule() {
        return bad(key, problem);
    }
    if w.ill_after == 0 {
        return bad("worker.ill_after", "it must be at least 1".into());
    }
    if w.stale_s < 3.0 * w.beat_s {
        return bad("worker.stale_s", format!("{} s is less than three beats of {} s", w.stale_s, w.beat_s));
    }
    if c.retry.max_attempts == 0 || c.retry.max_crashes == 0 {
        return bad("retry", "max_attempts and max_crashes must be at least 1".into());
    }
    if c.broker.retry_delays_s.contains(&0) {
        return bad("broker.retry_delays_s", "a delay of 0 s would make failing films spin".into());
    }
    if c.output.mode == OutputMode::Beside && c.output.suffix.is_empty() {
        return bad(
            "output.suffix",
            "with mode = \"beside\" it must not be empty, or the result would have the original's name"
                .into(),
        );
    }
    if c.output.suffix.contains(['/', '\0']) {
        return bad("output.suffix", "it must not contain a slash".into());
    }
    c.metrics.address()?;
    c.notify.check(&c.library.roots)?;
    if !c.output.trash_dir.as_os_str().is_empty() && !c.output.trash_dir.is_absolute() {
        return bad("output.trash_dir", "it must be an absolute path, or empty".into());
    }
    Ok(())
}

impl Config {
    /// Checks what every command that touches the fleet needs: roots, share, and an output folder.
    ///
    /// # Errors
    /// [`ConfigError::Value`] with the setting that is missing.
    pub fn require_fleet(&self) -> Result<(), ConfigError> {
        let bad = |key, problem: &str| Err(ConfigError::Value { key, problem: problem.into() });
        if self.library.roots.is_empty() {
            return bad(
                "library.roots",
                "no library root is set; add `films = \"/path/to/films\"` under [library.roots]",
            );
        }
        if self.share.state_dir.as_os_str().is_empty() {
            return bad(
                "share.state_dir",
                "it is not set; name a folder on the share that producer and workers can write to",
            );
        }
        if self.output.mode == OutputMode::Separate && self.output.dir.as_os_str().is_empty() {
            return bad(
                "output.dir",
                "it is not set; name the folder for the results, or set output.mode = \"beside\"",
            );
        }
        Ok(())
    }
}

impl BrokerConfig {
    /// The password, from `password_file` if that is set.
    ///
    /// # Errors
    /// [`ConfigError::Value`] where the file cannot be read.
    pub fn secret(&self) -> Result<String, ConfigError> {
        if self.password_file.as_os_str().is_empty() {
            return Ok(self.password.clone());
        }
        match std::fs::read_to_string(&self.password_file) {
            Ok(text) => Ok(text.lines().next().unwrap_or_default().trim().to_owned()),
            Err(e) => Err(ConfigError::Value {
                key: "broker.password_file",
                problem: format!("{} cannot be read: {e}", self.password_file.display()),
            }),
        }
    }
}
