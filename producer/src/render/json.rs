//! The objects that `--json` prints, one per line; docs/MESSAGES.md describes them for scripts.

use common::job::{FailureCode, JobId};
use serde::Serialize;

use crate::library::Warning;

/// What happens to a film.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// It is queued by this run (or would be: `--dry-run`).
    Queue,
    /// It is left alone, see the code and the reason.
    Skip,
    /// It is too young, somebody may still be copying it.
    Wait,
    /// It was queued before.
    Queued,
    /// A worker has it.
    Running,
    /// It is published and proven.
    Done,
    /// It was given up before.
    Failed,
}

impl Action {
    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Skip => "skip",
            Self::Wait => "wait",
            Self::Queued => "queued already",
            Self::Running => "running",
            Self::Done => "done",
            Self::Failed => "failed",
        }
    }
}

/// One film of a scan.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "type", rename = "film")]
pub struct FilmLine {
    /// `root:relative/path`
    pub film: String,
    /// On this machine; bytes outside UTF-8 as `\xff`.
    pub path: String,
    /// `MEL`, `FEL`, `P8.1`, …; none if the file was not looked into.
    pub verdict: Option<String>,
    /// What happens to it.
    pub action: Action,
    /// Why it is skipped, as a stable code.
    pub code: Option<FailureCode>,
    /// Why, for people.
    pub reason: String,
    /// The main figures behind the verdict; none if the file was not looked into.
    pub evidence: Option<String>,
    /// The job of the file as it lies there now.
    pub job: JobId,
    /// Bytes.
    pub size: u64,
}

impl FilmLine {
    /// The line for people.
    pub fn text(&self) -> String {
        let verdict = self.verdict.as_deref().unwrap_or("-");
        let size = super::bytes(self.size);
        let film = super::safe(&self.film);
        format!("{verdict:<13}  {:<14}  {size:>8}  {film}  ({})", self.action.words(), self.reason)
    }

    /// The names of the columns of [`FilmLine::text`].
    pub fn head() -> String {
        format!("{:<13}  {:<14}  {:>8}  FILM  (REASON)", "VERDICT", "ACTION", "SIZE")
    }
}

/// Something that was passed over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "warning")]
pub struct WarningLine {
    /// On this machine.
    pub path: String,
    /// What is wrong with it.
    pub text: String,
    /// Whether films may have been missed.
    pub missed: bool,
}

impl From<&Warning> for WarningLine {
    fn from(w: &Warning) -> Self {
        Self { path: super::safe_path(&w.path), text: w.text.clone(), missed: w.missed }
    }
}

/// The end of a scan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename = "totals")]
pub struct TotalsLine {
    /// Whether nothing was changed.
    pub dry_run: bool,
    /// Possible films that were found.
    pub films: u64,
    /// Queued by this run (or would be).
    pub queue: u64,
    /// Their bytes.
    pub queue_bytes: u64,
    /// Left alone.
    pub skip: u64,
    /// Too young.
    pub wait: u64,
    /// Queued before.
    pub queued: u64,
    /// In work.
    pub running: u64,
    /// Done before.
    pub done: u64,
    /// Given up before.
    pub failed: u64,
    /// Not looked at, because the limit was reached.
    pub beyond_limit: u64,
    /// Results of ours that were passed over.
    pub ours: u64,
    /// Places that could not be read, so that films may have been missed.
    pub missed: u64,
}

impl TotalsLine {
    /// Counts a film.
    pub fn add(&mut self, film: &FilmLine) {
        let count = match film.action {
            Action::Queue => {
                self.queue_bytes += film.size;
                &mut self.queue
            }
            Action::Skip => &mut self.skip,
            Action::Wait => &mut self.wait,
            Action::Queued => &mut self.queued,
            Action::Running => &mut self.running,
            Action::Done => &mut self.done,
            Action::Failed => &mut self.failed,
        };
        *count += 1;
    }

    /// The lines for people.
    pub fn text(&self) -> String {
        let queue = if self.dry_run { "would be queued" } else { "queued now" };
        let films = if self.films == 1 { "film" } else { "films" };
        let mut text = format!("{} {films}: {} {queue}", self.films, self.queue);
        if self.queue > 0 {
            text += &format!(" ({})", super::bytes(self.queue_bytes));
        }
        for (n, what) in [
            (self.queued, "queued already"),
            (self.running, "running"),
            (self.done, "done"),
            (self.failed, "failed"),
            (self.skip, "skipped"),
            (self.wait, "still being copied"),
            (self.beyond_limit, "not looked at (limit reached)"),
        ] {
            if n > 0 {
                text += &format!(", {n} {what}");
            }
        }
        if self.ours > 0 {
            text += &format!("; passed over {} results of ours", self.ours);
        }
        if self.missed > 0 {
            text += &format!("; {} places could not be read", self.missed);
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use common::job::Recipe;

    use super::*;

    fn line(name: &str, action: Action) -> FilmLine {
        let film: common::job::LibraryPath = format!("films:{name}").parse().unwrap();
        FilmLine {
            job: JobId::of(&film, 7, 9, &Recipe::default()),
            film: film.to_string(),
            path: format!("/films/{name}"),
            verdict: Some("MEL".into()),
            action,
            code: None,
            reason: "new".into(),
            evidence: None,
            size: 61_200_000_000,
        }
    }

    #[test]
    fn a_film_is_one_line_whatever_its_name() {
        let text = line("Evil%0A%1B[31m (2020)/x.mkv", Action::Queue).text();
        assert_eq!(text, "MEL            queue            61.2 GB  films:Evil%0A%1B[31m (2020)/x.mkv  (new)");
        assert_eq!(FilmLine::head().find("FILM"), text.find("films:"));
    }

    #[test]
    fn json_has_stable_names() {
        let json = serde_json::to_value(line("a.mkv", Action::Queued)).unwrap();
        assert_eq!(
            (&json["type"], &json["action"], &json["size"]),
            (&"film".into(), &"queued".into(), &61_200_000_000u64.into())
        );
        assert_eq!(json["code"], serde_json::Value::Null);
    }

    #[test]
    fn every_field_is_documented() {
        let doc = include_str!("../../../docs/MESSAGES.md");
        let warning = WarningLine { path: String::new(), text: String::new(), missed: false };
        let film = serde_json::to_value(line("a.mkv", Action::Queue)).unwrap();
        let totals = serde_json::to_value(TotalsLine::default()).unwrap();
        for object in [film, totals, serde_json::to_value(warning).unwrap()] {
            for key in object.as_object().unwrap().keys() {
                assert!(doc.contains(&format!("`{key}`")), "docs/MESSAGES.md lacks `{key}`");
            }
        }
    }

    #[test]
    fn totals_name_only_what_there_is() {
        let mut totals = TotalsLine { films: 3, ..TotalsLine::default() };
        for action in [Action::Queue, Action::Done, Action::Done] {
            totals.add(&line("a.mkv", action));
        }
        assert_eq!(totals.text(), "3 films: 1 queued now (61.2 GB), 2 done");
        totals.dry_run = true;
        assert!(totals.text().starts_with("3 films: 1 would be queued"), "{}", totals.text());
    }
}
