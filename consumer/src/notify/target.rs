//! One target: its secrets, its paths, and whether it took a notice.

use std::time::Duration;

use common::config::{ConfigError, TargetConfig, TargetKind};
use common::http::{Answer, Client, Request};
use common::job::{NewFile, Notice, Occasion};

use super::{arr, jellyfin, people, plex};

/// Longest wait that a server can ask for.
const LONGEST: Duration = Duration::from_secs(3600);

/// Why a notice did not arrive. Holds no secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undelivered {
    /// What is wrong, in one sentence.
    pub problem: String,
    /// How long the server asks to be left alone.
    pub wait: Option<Duration>,
    /// It will never arrive, however often it is tried.
    pub is_final: bool,
}

impl Undelivered {
    pub(super) fn again(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), wait: None, is_final: false }
    }

    pub(super) fn never(problem: impl Into<String>) -> Self {
        Self { problem: problem.into(), wait: None, is_final: true }
    }
}

impl From<ConfigError> for Undelivered {
    fn from(e: ConfigError) -> Self {
        Self::again(e.to_string())
    }
}

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Target {
    /// The name below `[notify.targets]`.
    pub name: String,
    config: TargetConfig,
    client: Client,
}

impl Target {
    /// One line of `[notify.targets]`.
    pub fn new(name: impl Into<String>, config: TargetConfig, client: Client) -> Self {
        Self { name: name.into(), config, client }
    }

    /// What listens there.
    pub fn kind(&self) -> TargetKind {
        self.config.kind
    }

    /// Whether it is told of this.
    pub fn wants(&self, what: Occasion) -> bool {
        self.config.wants(what)
    }

    /// Tells it. Blocks, for a few times `notify.timeout_s` at most. Files with secrets are read each time, so that a corrected
    /// one counts.
    ///
    /// # Errors
    /// It did not take it.
    pub fn tell(&self, notice: &Notice) -> Result<(), Undelivered> {
        let to = self.config.secrets(&self.name)?;
        match self.config.kind {
            TargetKind::Webhook => self.ask(people::webhook(&to, notice)).map(drop),
            TargetKind::Discord => self.ask(people::discord(&to, notice)).map(drop),
            TargetKind::Ntfy => {
                let request = people::ntfy(&to, notice)
                    .ok_or_else(|| Undelivered::again("its URL has no topic: write https://ntfy.sh/TOPIC"))?;
                self.ask(request).map(drop)
            }
            // Whether it answers, and takes the token.
            TargetKind::Plex if notice.result.is_none() => self.ask(plex::sections(&to)).map(drop),
            TargetKind::Jellyfin if notice.result.is_none() => {
                let info = Request::new("GET", format!("{}/System/Info", to.url), 1 << 20);
                self.ask(info.header("Authorization", format!("MediaBrowser Token=\"{}\"", to.token)))
                    .map(drop)
            }
            TargetKind::Radarr | TargetKind::Sonarr if notice.result.is_none() => {
                let status = Request::new("GET", format!("{}/api/v3/system/status", to.url), 1 << 20);
                self.ask(status.header("X-Api-Key", &to.token)).map(drop)
            }
            kind => {
                let Some(path) = notice.result.as_ref().map(|r| self.seen(r)) else { return Ok(()) };
                match kind {
                    TargetKind::Jellyfin => self.ask(jellyfin::updated(&to, &path)).map(drop),
                    TargetKind::Plex => {
                        let folder = above(&path);
                        let key = plex::section_of(&self.ask(plex::sections(&to))?.body, folder)?;
                        self.ask(plex::refresh(&to, &key, folder)).map(drop)
                    }
                    _ => {
                        let list = self.ask(arr::list(&to, kind))?.body;
                        self.ask(arr::command(&to, &arr::rescan(&list, kind, &path)?)).map(drop)
                    }
                }
            }
        }
    }

    fn ask(&self, request: Request) -> Result<Answer, Undelivered> {
        let answer = self.client.send(request).map_err(|e| Undelivered::again(e.to_string()))?;
        let status = answer.status;
        let problem = match status {
            200..=299 => return Ok(answer),
            300..=399 => format!(
                "it answers {status}, moved: set the URL that it leads to (redirects are not followed)"
            ),
            401 | 403 => format!("it answers {status}: the token or the URL is not the right one"),
            404 => "it answers 404: nothing is there; check the URL".into(),
            429 => "it answers 429: too many requests".into(),
            _ => format!("it answers {status}"),
        };
        Err(Undelivered { problem, wait: answer.retry_after.map(|w| w.min(LONGEST)), is_final: false })
    }

    /// The file as the target sees it.
    fn seen(&self, file: &NewFile) -> String {
        let Some(base) = self.config.paths.get(&file.root) else { return file.path.clone() };
        // A server on Windows.
        if base.contains('\\') && !base.contains('/') {
            return format!("{}\\{}", base.trim_end_matches('\\'), file.relative.replace('/', "\\"));
        }
        format!("{}/{}", base.trim_end_matches('/'), file.relative)
    }
}

/// The folder of a path.
fn above(path: &str) -> &str {
    path.rfind(['/', '\\']).map_or(path, |at| &path[..at.max(1)])
}

/// Whether a path is a folder or lies below it.
pub(super) fn is_below(path: &str, folder: &str) -> bool {
    let folder = folder.trim_end_matches(['/', '\\']);
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '\\']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_the_path_that_the_server_sees() {
        let file = NewFile {
            root: "films".into(),
            relative: "A (2020)/A [DV8].mkv".into(),
            path: "/mnt/out/films/A (2020)/A [DV8].mkv".into(),
            source_bytes: 2,
            result_bytes: 1,
        };
        let seen = |root: &str, base: &str| {
            let config = TargetConfig {
                kind: TargetKind::Plex,
                url: String::new(),
                url_file: Default::default(),
                token: String::new(),
                token_file: Default::default(),
                on: Vec::new(),
                paths: [(root.to_owned(), base.to_owned())].into(),
            };
            let client = Client::new(None, Duration::from_secs(1)).unwrap();
            Target::new("t", config, client).seen(&file)
        };
        assert_eq!(seen("films", "/data/films/"), "/data/films/A (2020)/A [DV8].mkv");
        assert_eq!(seen("films", "D:\\films"), "D:\\films\\A (2020)\\A [DV8].mkv");
        assert_eq!(seen("other", "/x"), file.path);
        assert_eq!(above("/data/A/B.mkv"), "/data/A");
        assert_eq!(above("D:\\A\\B.mkv"), "D:\\A");
        assert!(is_below("/a/b", "/a/") && is_below("/a", "/a") && !is_below("/ab", "/a"));
    }
}
