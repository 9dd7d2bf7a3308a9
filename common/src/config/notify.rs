//! `[metrics]` and `[notify]`: who is told what, and where the secrets for it are.

use std::collections::BTreeMap;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::load::ConfigError;
use crate::job::Occasion;

/// `[metrics]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct MetricsConfig {
    pub listen: String,
}

impl MetricsConfig {
    /// Where to listen; `None`: nowhere.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: it is no address.
    pub fn address(&self) -> Result<Option<SocketAddr>, ConfigError> {
        let bad = |_| ConfigError::Value {
            key: "metrics.listen",
            problem: format!("{:?} is no address and port, as in \"127.0.0.1:9464\"", self.listen),
        };
        match self.listen.trim() {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(bad),
        }
    }
}

/// `[notify]`
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(missing_docs, reason = "defaults.toml documents every key")]
pub struct NotifyConfig {
    pub timeout_s: f64,
    pub retry_s: f64,
    pub give_up_h: f64,
    #[serde(default)]
    pub targets: BTreeMap<String, TargetConfig>,
}

/// What listens at a target's URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetKind {
    /// Anything that takes JSON by POST.
    Webhook,
    /// A webhook of a Discord channel.
    Discord,
    /// A topic of ntfy.
    Ntfy,
    /// Plex Media Server.
    Plex,
    /// Jellyfin.
    Jellyfin,
    /// Radarr.
    Radarr,
    /// Sonarr.
    Sonarr,
}

impl TargetKind {
    /// Whether it is told about files rather than people about films.
    pub fn is_media(self) -> bool {
        matches!(self, Self::Plex | Self::Jellyfin | Self::Radarr | Self::Sonarr)
    }
}

/// One line of `[notify.targets]`. `Debug` shows no secret.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TargetConfig {
    /// What listens there.
    pub kind: TargetKind,
    /// Where. Often a secret by itself.
    #[serde(default)]
    pub url: String,
    /// A file whose first line is the URL.
    #[serde(default)]
    pub url_file: PathBuf,
    /// What proves who we are there.
    #[serde(default)]
    pub token: String,
    /// A file whose first line is the token.
    #[serde(default)]
    pub token_file: PathBuf,
    /// What it is told; empty: everything that fits its kind.
    #[serde(default)]
    pub on: Vec<Occasion>,
    /// Library root = the folder in which the target sees that root's results.
    #[serde(default)]
    pub paths: BTreeMap<String, String>,
}

impl fmt::Debug for TargetConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TargetConfig").field("kind", &self.kind).field("on", &self.on).finish_non_exhaustive()
    }
}

/// URL and token of a target. `Debug` shows neither.
#[derive(Clone, PartialEq, Eq)]
pub struct TargetSecrets {
    /// Where it listens, without a slash at its end.
    pub url: String,
    /// What proves who we are; empty: nothing does.
    pub token: String,
}

impl fmt::Debug for TargetSecrets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TargetSecrets(hidden)")
    }
}

impl TargetConfig {
    /// Whether it is told of this.
    pub fn wants(&self, what: Occasion) -> bool {
        match self.kind.is_media() {
            true => what == Occasion::Done,
            false => self.on.is_empty() || self.on.contains(&what),
        }
    }

    /// What a person should know of it before it is needed: secrets that cannot be read, or that everybody can. `name` is the
    /// target's.
    pub fn warnings(&self, name: &str) -> Vec<String> {
        let open = [&self.url_file, &self.token_file].into_iter().filter_map(|file| exposed_file(file));
        self.secrets(name).err().map(|e| e.to_string()).into_iter().chain(open).collect()
    }

    /// URL and token, from their files where those are set. `name` is the target's.
    ///
    /// # Errors
    /// [`ConfigError::Value`]: a file cannot be read, or the URL is none. No secret is repeated.
    pub fn secrets(&self, name: &str) -> Result<TargetSecrets, ConfigError> {
        let url = first_line(name, "url_file", &self.url_file, &self.url)?;
        let token = first_line(name, "token_file", &self.token_file, &self.token)?;
        if !url.starts_with("http://") && !url.starts_with("https://") {
            return Err(bad(name, "its URL does not begin with http:// or https://"));
        }
        if self.kind.is_media() && token.is_empty() {
            return Err(bad(name, "it needs a token; set token_file to a file that holds it"));
        }
        Ok(TargetSecrets { url: url.trim_end_matches('/').to_owned(), token })
    }
}

fn first_line(name: &str, key: &str, file: &Path, plain: &str) -> Result<String, ConfigError> {
    if file.as_os_str().is_empty() {
        return Ok(plain.trim().to_owned());
    }
    match std::fs::read_to_string(file) {
        Ok(text) => Ok(text.lines().next().unwrap_or_default().trim().to_owned()),
        Err(e) => Err(bad(name, &format!("its {key} {} cannot be read: {e}", file.display()))),
    }
}

/// What is wrong with a file of secrets that everybody on this machine may read.
pub fn exposed_file(file: &Path) -> Option<String> {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata(file).ok()?.permissions().mode();
    (mode & 0o004 != 0).then(|| {
        let file = crate::text::safe_path(file);
        format!("{file} can be read by everybody on this machine: chmod 600 {file}")
    })
}

fn bad(name: &str, problem: &str) -> ConfigError {
    ConfigError::Value { key: "notify.targets", problem: format!("{name}: {problem}") }
}

impl NotifyConfig {
    /// `timeout_s` as a duration.
    pub fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_s)
    }

    /// `retry_s` as a duration.
    pub fn retry(&self) -> Duration {
        Duration::from_secs_f64(self.retry_s)
    }

    /// `give_up_h` as a duration.
    pub fn give_up(&self) -> Duration {
        Duration::from_secs_f64(self.give_up_h * 3600.0)
    }

    /// What can be checked without reading a secret.
    pub(super) fn check(&self, roots: &BTreeMap<String, PathBuf>) -> Result<(), ConfigError> {
        let value = |key, problem| Err(ConfigError::Value { key, problem });
        for (key, v) in [("notify.timeout_s", self.timeout_s), ("notify.retry_s", self.retry_s)] {
            if !(0.01..=600.0).contains(&v) {
                return value(key, format!("{v} is not a number of seconds between 0.01 and 600"));
            }
        }
        if !(0.001..=720.0).contains(&self.give_up_h) {
            return value(
                "notify.give_up_h",
                format!("{} is not a number of hours between 0.001 and 720", self.give_up_h),
            );
        }
        for (name, target) in &self.targets {
            if name.len() > 64 || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_".contains(&b)) {
                return Err(bad(name, "a name has at most 64 letters, digits, - and _"));
            }
            if target.url.is_empty() && target.url_file.as_os_str().is_empty() {
                return Err(bad(name, "it has no url; set url, or url_file if the URL is a secret"));
            }
            if target.kind.is_media() && target.token.is_empty() && target.token_file.as_os_str().is_empty() {
                return Err(bad(name, "it needs a token; set token_file to a file that holds it"));
            }
            let strange = |root: &&String| !roots.is_empty() && !roots.contains_key(*root);
            if let Some(root) = target.paths.keys().find(strange) {
                return Err(bad(name, &format!("its paths name {root}, which is no library root")));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::{load, rows};
    use super::*;

    fn flags(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    #[test]
    fn secrets_come_from_files_and_are_shown_nowhere() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("url");
        std::fs::write(&file, "https://discord.com/api/webhooks/1/s3cret/\nnoise\n").unwrap();
        let given = flags(&[
            ("notify.targets.chat.kind", "discord"),
            ("notify.targets.chat.url_file", file.to_str().unwrap()),
            ("notify.targets.tv.kind", "plex"),
            ("notify.targets.tv.url", "http://nas:32400/x?X-Plex-Token=s3cret"),
            ("notify.targets.tv.token", "s3cret"),
            ("notify.targets.tv.paths.films", "/data/films"),
        ]);
        let loaded = load(None, &given).unwrap();
        let targets = &loaded.config.notify.targets;
        let chat = targets["chat"].secrets("chat").unwrap();
        assert_eq!(chat.url, "https://discord.com/api/webhooks/1/s3cret");
        assert_eq!(targets["tv"].secrets("tv").unwrap().token, "s3cret");
        assert_eq!(targets["tv"].paths["films"], "/data/films");
        let shown = format!("{:?} {chat:?} {:?}", loaded.config, rows(&loaded));
        assert!(!shown.contains("s3cret") && shown.contains("http://nas:32400/(hidden)"), "{shown}");
        std::fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        assert!(targets["chat"].warnings("chat")[0].contains("chmod 600"));
        std::fs::remove_file(&file).unwrap();
        assert_eq!(targets["chat"].warnings("chat").len(), 1);
        assert!(targets["chat"].secrets("chat").unwrap_err().to_string().contains("url_file"));
        assert!(targets["chat"].wants(Occasion::Ill) && !targets["tv"].wants(Occasion::Ill));
    }

    #[test]
    fn what_cannot_work_is_named() {
        let fails = |pairs: &[(&str, &str)]| load(None, &flags(pairs)).unwrap_err().to_string();
        let kind = ("notify.targets.a.kind", "plex");
        assert!(fails(&[kind]).contains("a: it has no url"));
        assert!(fails(&[kind, ("notify.targets.a.url", "http://h")]).contains("a: it needs a token"));
        assert!(fails(&[("notify.targets.a.kind", "telegraph")]).contains("telegraph"));
        assert!(fails(&[("notify.timeout_s", "0")]).contains("notify.timeout_s"));
        assert!(fails(&[("metrics.listen", "9464")]).contains("metrics.listen"));
        let odd = [
            ("notify.targets.a.kind", "ntfy"),
            ("notify.targets.a.url", "http://h/t"),
            ("notify.targets.a.paths.fims", "/x"),
            ("library.roots.films", "/lib"),
        ];
        assert!(fails(&odd).contains("fims"));
    }
}
