//! When the queue will be empty, for scripts and people.

use std::time::Duration;

use serde::Serialize;

use crate::forecast::Forecast;

/// What is known about the end of the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Known {
    /// There is nothing in it.
    Empty,
    /// No worker takes films.
    NoWorker,
    /// Not enough films with this recipe are finished.
    NotYet,
    /// A range.
    Range,
}

/// When the queue will be empty: the middle 80 % of what may be, see [`crate::forecast`].
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Eta {
    /// What is known.
    pub known: Known,
    /// Seconds from now; one end in ten is earlier.
    pub low_s: Option<u64>,
    /// Half of them are.
    pub likely_s: Option<u64>,
    /// One in ten is later.
    pub high_s: Option<u64>,
    /// The same as times.
    pub from: Option<jiff::Timestamp>,
    /// The same as times.
    pub to: Option<jiff::Timestamp>,
    /// Finished films that this was learned from.
    pub learned_from: u64,
    /// The recipe of which too few films are finished.
    pub recipe: Option<String>,
    /// How many it takes.
    pub need: Option<u64>,
    /// Films that are worked on at the same time.
    pub slots: u64,
    /// Workers that are not counted on, being ill, paused, silent or about to end.
    pub absent: u64,
}

impl Eta {
    pub(super) fn new(forecast: Forecast, now: jiff::Timestamp, slots: u64, absent: u64) -> Self {
        let none = Self {
            known: Known::Empty,
            low_s: None,
            likely_s: None,
            high_s: None,
            from: None,
            to: None,
            learned_from: 0,
            recipe: None,
            need: None,
            slots,
            absent,
        };
        match forecast {
            Forecast::Empty => none,
            Forecast::NoWorker => Self { known: Known::NoWorker, ..none },
            Forecast::NotYet { recipe, have, need } => Self {
                known: Known::NotYet,
                learned_from: have as u64,
                recipe: Some(recipe),
                need: Some(need as u64),
                ..none
            },
            Forecast::Range { low, likely, high, learned_from } => Self {
                known: Known::Range,
                low_s: Some(low.as_secs()),
                likely_s: Some(likely.as_secs()),
                high_s: Some(high.as_secs()),
                from: now.checked_add(low).ok(),
                to: now.checked_add(high).ok(),
                learned_from: learned_from as u64,
                ..none
            },
        }
    }

    /// `14 to 19 h`
    pub(super) fn span(&self) -> Option<String> {
        Some(span(Duration::from_secs(self.low_s?), Duration::from_secs(self.high_s?)))
    }
}

/// Two times in one unit, no more exact than they are.
fn span(low: Duration, high: Duration) -> String {
    const UNITS: [(f64, &str); 4] = [(1.0, "s"), (60.0, "min"), (3600.0, "h"), (86_400.0, "d")];
    let fits = |(seconds, _): &&(f64, &str)| high.as_secs_f64() / seconds < 100.0;
    let (unit, name) = UNITS.iter().find(fits).unwrap_or(&UNITS[3]);
    let number = |d: Duration| {
        let n = d.as_secs_f64() / unit;
        let text = if n < 9.95 && *unit > 1.0 { format!("{n:.1}") } else { format!("{n:.0}") };
        text.strip_suffix(".0").map(str::to_owned).unwrap_or(text)
    };
    let (low, high) = (number(low), number(high));
    if low == high { format!("about {low} {name}") } else { format!("{low} to {high} {name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_has_one_unit_and_no_false_precision() {
        let of = |low, high| span(Duration::from_secs(low), Duration::from_secs(high));
        assert_eq!(of(50_000, 68_400), "14 to 19 h");
        assert_eq!(of(1200, 7300), "0.3 to 2 h");
        assert_eq!(of(40, 55), "40 to 55 s");
        assert_eq!(of(3000, 3310), "50 to 55 min");
        assert_eq!(of(400_000, 950_000), "4.6 to 11 d");
        assert_eq!(of(36_000, 36_100), "about 10 h");
        assert_eq!(of(0, 0), "about 0 s");
    }
}
