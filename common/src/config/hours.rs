//! When a worker works: windows of the week, by the local time of its machine.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use serde::{Deserialize, Deserializer, Serialize};

const MINUTES: u16 = 24 * 60;
const DAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What a worker does with the film in hand when its hours end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OutsideHours {
    /// It finishes it.
    #[default]
    Finish,
    /// It stands still with it until they begin again.
    Freeze,
}

/// Why a worker takes no films by its own settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It is outside of `worker.hours`.
    Hours,
    /// It is within `worker.quiet`.
    Quiet,
}

/// A worker's week.
#[derive(Debug, Clone)]
pub struct Schedule {
    hours: Windows,
    quiet: Windows,
    outside: OutsideHours,
    zone: TimeZone,
}

impl Schedule {
    /// From the settings; an empty `zone` is that of this machine.
    ///
    /// # Errors
    /// The setting that cannot be used, and what is wrong with it.
    pub fn new(
        hours: &[String],
        quiet: &[String],
        outside: OutsideHours,
        zone: &str,
    ) -> Result<Self, (&'static str, String)> {
        let zone = match zone {
            "" => TimeZone::system(),
            name => TimeZone::get(name).map_err(|_| {
                let text = format!("there is no time zone {name:?}; write it like \"Europe/Berlin\"");
                ("worker.timezone", text)
            })?,
        };
        let hours = Windows::parse(hours).map_err(|e| ("worker.hours", e))?;
        let quiet = Windows::parse(quiet).map_err(|e| ("worker.quiet", e))?;
        let schedule = Self { hours, quiet, outside, zone };
        // A week that never opens is a mistake, and a worker that waits for ever without a word would hide it.
        let monday = Timestamp::UNIX_EPOCH;
        if schedule.closed(monday).is_some() && schedule.opens(monday).is_none() {
            return Err(("worker.quiet", "together with worker.hours it leaves no time to work".into()));
        }
        Ok(schedule)
    }

    /// Why no film is taken at that time, and whether the one in hand stands still; `None`: films are taken.
    pub fn closed(&self, at: Timestamp) -> Option<(Closed, bool)> {
        if self.quiet.holds(at, &self.zone) {
            return Some((Closed::Quiet, true));
        }
        let outside = !self.hours.0.is_empty() && !self.hours.holds(at, &self.zone);
        outside.then_some((Closed::Hours, self.outside == OutsideHours::Freeze))
    }

    /// When films are taken again.
    pub fn opens(&self, after: Timestamp) -> Option<Timestamp> {
        self.edges(after).into_iter().find(|t| self.closed(*t).is_none())
    }

    /// When the answer is another one.
    pub fn changes(&self, after: Timestamp) -> Option<Timestamp> {
        let now = self.closed(after);
        self.edges(after).into_iter().find(|t| self.closed(*t) != now)
    }

    /// A time for people, by the clock on the worker's wall: `Mon 22:00`.
    pub fn wall(&self, at: Timestamp) -> String {
        at.to_zoned(self.zone.clone()).strftime("%a %H:%M").to_string()
    }

    fn edges(&self, after: Timestamp) -> Vec<Timestamp> {
        let all = [&self.hours, &self.quiet].into_iter().flat_map(|w| w.spans(after, &self.zone));
        let mut edges: Vec<_> = all.flat_map(|(from, to)| [from, to]).filter(|t| *t > after).collect();
        edges.sort_unstable();
        edges.dedup();
        edges
    }
}

/// Recurring times of the week.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Windows(Vec<Window>);

/// From `from` to `to`, in minutes since midnight, on each of the days; over midnight if it ends before it begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Window {
    days: [bool; 7],
    from: u16,
    to: u16,
}

impl Windows {
    fn parse(texts: &[String]) -> Result<Self, String> {
        texts.iter().map(|text| window(text)).collect::<Result<_, _>>().map(Self)
    }

    fn holds(&self, at: Timestamp, zone: &TimeZone) -> bool {
        self.spans(at, zone).iter().any(|(from, to)| (*from..*to).contains(&at))
    }

    /// From the day before until a week later. Where clocks are set forward, a time that does not exist is as much later; where
    /// they are set back, a window begins and ends the first time.
    fn spans(&self, around: Timestamp, zone: &TimeZone) -> Vec<(Timestamp, Timestamp)> {
        let mut spans = Vec::new();
        let today = around.to_zoned(zone.clone()).date();
        let mut day = today.yesterday().unwrap_or(today);
        for _ in 0..9 {
            let weekday = usize::from(day.weekday().to_monday_zero_offset().unsigned_abs());
            let next = day.tomorrow().unwrap_or(day);
            for w in self.0.iter().filter(|w| w.days.get(weekday) == Some(&true)) {
                let last = if w.to > w.from { day } else { next };
                spans.extend(instant(day, w.from, zone).zip(instant(last, w.to, zone)));
            }
            day = next;
        }
        spans
    }
}

fn instant(day: Date, minutes: u16, zone: &TimeZone) -> Option<Timestamp> {
    let day = if minutes == MINUTES { day.tomorrow().ok()? } else { day };
    let (hour, minute) = ((minutes % MINUTES) / 60, minutes % 60);
    let time = Time::new(i8::try_from(hour).ok()?, i8::try_from(minute).ok()?, 0, 0).ok()?;
    DateTime::from_parts(day, time).to_zoned(zone.clone()).ok().map(|z| z.timestamp())
}

fn window(text: &str) -> Result<Window, String> {
    let wrong = || {
        format!(
            "{text:?} is no window; write it as \"22:00-08:00\", \"Sat,Sun 00:00-24:00\" or \"Mon-Fri 18:00-07:00\""
        )
    };
    let (days, times) = match text.trim().rsplit_once(char::is_whitespace) {
        Some((days, times)) => (self::days(days).ok_or_else(wrong)?, times),
        None => ([true; 7], text.trim()),
    };
    let (from, to) = times.split_once('-').ok_or_else(wrong)?;
    let (from, to) = minutes(from).zip(minutes(to)).ok_or_else(wrong)?;
    if from == to || from == MINUTES {
        return Err(format!("{text:?} begins when it ends; a whole day is 00:00-24:00"));
    }
    Ok(Window { days, from, to })
}

fn minutes(text: &str) -> Option<u16> {
    let (hours, minutes) = text.split_once(':')?;
    let digits =
        |t: &str| (t.len() <= 2 && t.bytes().all(|b| b.is_ascii_digit())).then(|| t.parse::<u16>().ok())?;
    let (hours, minutes) = (digits(hours)?, digits(minutes).filter(|m| *m < 60)?);
    Some(hours * 60 + minutes).filter(|all| *all <= MINUTES)
}

fn days(text: &str) -> Option<[bool; 7]> {
    let index = |name: &str| DAYS.iter().position(|d| name.trim().eq_ignore_ascii_case(d));
    let mut days = [false; 7];
    for part in text.split(',') {
        match part.split_once('-') {
            Some((first, last)) => {
                let (mut day, last) = (index(first)?, index(last)?);
                days[day] = true;
                while day != last {
                    day = (day + 1) % 7;
                    days[day] = true;
                }
            }
            None => days[index(part)?] = true,
        }
    }
    Some(days)
}

/// A list, or in an environment variable or a flag one text with semicolons.
pub(super) fn list_or_text<'de, D: Deserializer<'de>>(d: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Either {
        List(Vec<String>),
        Text(String),
    }
    Ok(match Either::deserialize(d)? {
        Either::List(list) => list,
        Either::Text(text) => {
            text.split(';').map(|t| t.trim().to_owned()).filter(|t| !t.is_empty()).collect()
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(list: &[&str]) -> Vec<String> {
        list.iter().map(|t| (*t).to_owned()).collect()
    }

    fn berlin(hours: &[&str], quiet: &[&str], outside: OutsideHours) -> Schedule {
        Schedule::new(&texts(hours), &texts(quiet), outside, "Europe/Berlin").unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn without_settings_a_worker_always_works() {
        let always = berlin(&[], &[], OutsideHours::Freeze);
        assert_eq!(always.closed(at("2026-03-04T12:00:00Z")), None);
        assert_eq!(always.changes(at("2026-03-04T12:00:00Z")), None);
    }

    #[test]
    fn nights_and_weekends() {
        let s = berlin(&["Mon-Fri 22:00-08:00", "sat,Sun 00:00-24:00"], &[], OutsideHours::Finish);
        let closed = Some((Closed::Hours, false));
        // 2026-03-02 is a Monday; local time is UTC+1.
        for (time, expected) in [
            ("2026-03-02T12:00:00+01", closed),
            ("2026-03-02T22:00:00+01", None),
            ("2026-03-03T07:59:59+01", None),
            ("2026-03-03T08:00:00+01", closed),
            ("2026-03-07T00:00:00+01", None),
            ("2026-03-08T23:59:59+01", None),
            // Sunday's window has ended, and Sunday has no night shift.
            ("2026-03-09T00:00:00+01", closed),
            ("2026-03-09T07:00:00+01", closed),
        ] {
            assert_eq!(s.closed(at(time)), expected, "{time}");
        }
        assert_eq!(s.opens(at("2026-03-02T12:00:00+01")), Some(at("2026-03-02T22:00:00+01")));
        assert_eq!(s.wall(at("2026-03-02T22:00:00+01")), "Mon 22:00");
        // The night to Saturday, Saturday and Sunday are one.
        assert_eq!(s.changes(at("2026-03-06T23:00:00+01")), Some(at("2026-03-09T00:00:00+01")));
    }

    #[test]
    fn quiet_hours_stand_still_within_working_hours_and_beyond_them() {
        let s = berlin(&["22:00-08:00"], &["02:00-03:30", "Sun 07:00-09:00"], OutsideHours::Finish);
        let two = at("2026-03-04T02:00:00+01");
        assert_eq!(s.closed(two), Some((Closed::Quiet, true)));
        assert_eq!(s.opens(two), Some(at("2026-03-04T03:30:00+01")));
        // Over before its hours are: it goes on in the evening.
        let sunday = at("2026-03-08T07:30:00+01");
        assert_eq!(s.changes(sunday), Some(at("2026-03-08T09:00:00+01")));
        assert_eq!(s.opens(sunday), Some(at("2026-03-08T22:00:00+01")));
        let frozen = berlin(&["22:00-08:00"], &[], OutsideHours::Freeze);
        assert_eq!(frozen.closed(at("2026-03-04T12:00:00Z")), Some((Closed::Hours, true)));
    }

    #[test]
    fn the_nights_in_which_clocks_are_set() {
        let s = berlin(&["22:00-02:30"], &[], OutsideHours::Finish);
        // Set back at 03:00 CEST: 02:30 comes twice, and the first one counts.
        assert_eq!(s.changes(at("2026-10-24T23:00:00+02")), Some(at("2026-10-25T02:30:00+02")));
        assert_eq!(s.closed(at("2026-10-25T02:15:00+01")), Some((Closed::Hours, false)), "not a second time");
        // Set forward at 02:00 CET: there is no 02:30, and an hour later it is 03:30.
        assert_eq!(s.changes(at("2026-03-28T23:00:00+01")), Some(at("2026-03-29T03:30:00+02")));
        // A window of the lost hour still has its length.
        let quiet = berlin(&[], &["02:15-02:45"], OutsideHours::Finish);
        let begins = quiet.changes(at("2026-03-29T00:00:00+01")).unwrap();
        assert_eq!(
            (begins, quiet.opens(begins)),
            (at("2026-03-29T03:15:00+02"), Some(at("2026-03-29T03:45:00+02")))
        );
        // The whole day is 23 or 25 hours.
        let day = berlin(&["Sun 00:00-24:00"], &[], OutsideHours::Finish);
        assert_eq!(day.changes(at("2026-10-25T00:00:00+02")), Some(at("2026-10-26T00:00:00+01")));
    }

    #[test]
    fn mistakes_are_told_with_the_right_form() {
        let wrong = |hours: &[&str], quiet: &[&str], zone: &str| {
            Schedule::new(&texts(hours), &texts(quiet), OutsideHours::Finish, zone).unwrap_err()
        };
        for bad in [
            "22-08",
            "22:00",
            "25:00-08:00",
            "22:60-08:00",
            "Mo 22:00-08:00",
            "22:00 - 08:00",
            "",
            "+1:00-02:00",
        ] {
            let (key, text) = wrong(&[bad], &[], "UTC");
            assert!(key == "worker.hours" && text.contains("22:00-08:00"), "{bad}: {text}");
        }
        assert!(wrong(&["08:00-08:00"], &[], "UTC").1.contains("a whole day is 00:00-24:00"));
        assert_eq!(wrong(&[], &["00:00-24:00"], "UTC").0, "worker.quiet");
        assert_eq!(wrong(&["10:00-12:00"], &["09:00-13:00"], "UTC").0, "worker.quiet");
        assert_eq!(wrong(&[], &[], "Europe/Atlantis").0, "worker.timezone");
    }
}
