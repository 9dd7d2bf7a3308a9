//! The live picture.

use std::collections::HashMap;
use std::io::{IsTerminal, Write, stdout};

use common::job::JobId;

use super::{FilmState, Fleet, State};

/// A terminal of 24 lines, with room for what stands above.
const SCREEN: usize = 18;

/// Draws the fleet: the same lines again and again on a terminal, one line per change elsewhere.
pub struct View {
    terminal: bool,
    drawn: usize,
    said: HashMap<JobId, String>,
}

impl Default for View {
    fn default() -> Self {
        Self { terminal: stdout().is_terminal(), drawn: 0, said: HashMap::new() }
    }
}

impl View {
    /// Shows how things stand.
    ///
    /// # Errors
    /// Standard output is closed.
    pub fn draw(&mut self, fleet: &Fleet) -> std::io::Result<()> {
        let mut out = stdout().lock();
        if self.terminal {
            if self.drawn > 0 {
                write!(out, "\x1b[{}A\x1b[J", self.drawn)?;
            }
            let rows = rows(&fleet.films);
            for row in &rows {
                writeln!(out, "{row}")?;
            }
            self.drawn = rows.len();
        } else {
            for film in &fleet.films {
                let word = stage(film);
                if self.said.get(&film.job.id) != Some(&word) {
                    writeln!(out, "{}", row(film).trim_end())?;
                    self.said.insert(film.job.id, word);
                }
            }
        }
        out.flush()
    }
}

/// All films, or where they would not fit on a screen, those in work and a count of the others.
fn rows(films: &[FilmState]) -> Vec<String> {
    if films.len() <= SCREEN {
        return films.iter().map(row).collect();
    }
    let count = |is: fn(&State) -> bool| films.iter().filter(|f| is(&f.state)).count();
    let (done, failed) = (count(|s| matches!(s, State::Done(_))), count(|s| matches!(s, State::Failed(_))));
    let working = films.iter().filter(|f| matches!(f.state, State::Working(_)));
    let mut rows: Vec<String> = working.map(row).collect();
    rows.push(format!("  {done} done, {failed} failed, {} to go", films.len() - done - failed));
    rows
}

fn stage(film: &FilmState) -> String {
    match &film.state {
        State::Waiting => "waiting".into(),
        State::Working(lease) if lease.progress.stage.is_empty() => "starting".into(),
        State::Working(lease) => lease.progress.stage.clone(),
        State::Done(_) => "done".into(),
        State::Failed(report) => format!("failed: {}", report.code),
    }
}

fn row(film: &FilmState) -> String {
    let name = fit(&film.job.film.file_name(), 38);
    let stage = stage(film);
    match &film.state {
        State::Working(lease) => {
            let at = &lease.progress;
            let fps = at.fps.map(|f| format!("{f:.0} fps")).unwrap_or_default();
            format!("  {name} {:<9} {stage:<9} {:>3.0} % {fps:>9}", lease.worker, at.percent)
        }
        State::Done(c) => format!("  {name} {:<9} {stage}", c.worker),
        State::Failed(r) => format!("  {name} {:<9} {stage}", r.worker),
        State::Waiting => format!("  {name} {:<9} {stage}", ""),
    }
}

/// Exactly `width` characters; a name that is longer loses its middle, since endings tell films apart.
pub(super) fn fit(name: &str, width: usize) -> String {
    let clean: Vec<char> = name.chars().map(|c| if c.is_control() { '?' } else { c }).collect();
    if clean.len() <= width {
        return format!("{:<width$}", clean.into_iter().collect::<String>());
    }
    let (head, tail) = (width / 2, width - width / 2 - 1);
    let start: String = clean[..head].iter().collect();
    let end: String = clean[clean.len() - tail..].iter().collect();
    format!("{start}…{end}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_have_their_width_whatever_they_are() {
        for name in ["", "a", "ä very long name of a film (2019) [remux].mkv", "line\nbreak \x1b[31m red"] {
            let fitted = fit(name, 20);
            assert_eq!(fitted.chars().count(), 20, "{fitted:?}");
            assert!(!fitted.chars().any(char::is_control));
        }
        assert_eq!(fit("0123456789", 5), "01…89");
    }
}
