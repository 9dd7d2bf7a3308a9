//! The closing table.

use std::fmt::Write;

use super::view::fit;
use super::{FilmState, State};

/// What an independent look at a result found: ffmpeg's and mkvmerge's word, not that of the code that made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// Frames whose picture or metadata is not the one that belongs there, missing and extra ones counted too.
    pub wrong_frames: u64,
    /// Differences in sound, subtitles, chapters, attachments and tags.
    pub differences: Vec<String>,
}

/// One film of the table.
#[derive(Debug, Clone)]
pub struct Line {
    /// The film and how it ended.
    pub film: FilmState,
    /// The independent look; none where nobody knows what the film should be.
    pub checked: Option<Result<Checked, String>>,
}

impl Line {
    /// True if an independent look found something wrong, or could not be taken.
    pub fn is_wrong(&self) -> bool {
        match &self.checked {
            Some(Ok(c)) => c.wrong_frames > 0 || !c.differences.is_empty(),
            Some(Err(_)) => true,
            None => false,
        }
    }
}

/// The table, ready to print.
pub fn summary(lines: &[Line]) -> String {
    let head = ["verdict", "result", "frames", "wrong", "size before → after", "seconds"];
    let mut out = row(&fit("film", FILM), head);
    for Line { film, checked } in lines {
        let name = fit(&film.job.film.file_name(), FILM);
        let queued = film.job.verdict.as_str();
        out += &match &film.state {
            State::Done(c) => {
                let wrong = match checked {
                    None => "-".to_owned(),
                    Some(Ok(c)) => c.wrong_frames.to_string(),
                    Some(Err(_)) => "?".to_owned(),
                };
                let sizes = format!("{} → {}", bytes(c.source.size), bytes(c.result.size));
                let seconds: f64 = c.stages.iter().map(|s| s.seconds).sum();
                let result = if c.holds() { "Profile 8.1" } else { "NOT PROVEN" };
                row(
                    &name,
                    [&c.verdict, result, &c.frames.to_string(), &wrong, &sizes, &format!("{seconds:.1}")],
                )
            }
            State::Failed(r) => row(
                &name,
                [queued, r.code.as_str(), "-", "-", &bytes(r.job.as_ref().map_or(0, |j| j.size)), "-"],
            ),
            State::Waiting | State::Working(_) => row(&name, [queued, "not finished", "-", "-", "-", "-"]),
        };
        match checked {
            Some(Ok(c)) => c.differences.iter().for_each(|d| {
                let _ = writeln!(out, "    differs: {d}");
            }),
            Some(Err(why)) => {
                let _ = writeln!(out, "    could not be checked: {why}");
            }
            None => {}
        }
    }
    out
}

const FILM: usize = 34;

fn row(film: &str, [verdict, result, frames, wrong, sizes, seconds]: [&str; 6]) -> String {
    format!("  {film} {verdict:<13} {result:<16} {frames:>6} {wrong:>5} {sizes:>21} {seconds:>7}\n")
}

fn bytes(n: u64) -> String {
    let mut value = n as f64;
    for unit in ["B", "kB", "MB"] {
        if value < 1000.0 {
            return if unit == "B" { format!("{n} B") } else { format!("{value:.1} {unit}") };
        }
        value /= 1000.0;
    }
    format!("{value:.2} GB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_read_well() {
        assert_eq!(
            [0, 999, 1000, 12_345_678, 61_203_283_968].map(bytes),
            ["0 B", "999 B", "1.0 kB", "12.3 MB", "61.20 GB"]
        );
    }
}
