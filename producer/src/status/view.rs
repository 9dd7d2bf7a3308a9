//! The status for people: sections of lines. Whoever draws them chooses how many, and what the tones look like.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::eta::Known;
use super::model::{Running, Space};
use super::{Status, crew};
use crate::render::{Align, Line, Table, Tone, bytes, clip, columns, cut, cut_late, duration, safe};

/// A heading and what is below it.
#[derive(Debug)]
pub(super) struct Section {
    /// Words and a number; not in the plain lines, where the table's own head is enough.
    pub title: String,
    /// A table with its head, or sentences.
    pub lines: Vec<Line>,
}

/// How much room there is.
#[derive(Debug, Clone)]
pub(super) struct Room {
    /// Columns.
    pub width: usize,
    /// Rows of each table; what is left out is counted in a line.
    pub rows: usize,
    /// For times of day.
    pub zone: TimeZone,
}

/// Lines of what is wrong with one worker; the JSON has all of it.
const MOST_OF_A_REASON: usize = 3;

/// All of it for a terminal that scrolls, or for a file: 80 columns are enough.
pub fn lines(status: &Status, zone: &TimeZone) -> Vec<Line> {
    let room = Room { width: 80, rows: 40, zone: zone.clone() };
    let mut lines = head(status, &room);
    let failed = Room { rows: 5, ..room.clone() };
    let sections =
        [workers(status, &room), running(status, &room), retrying(status, &room), reasons(status, &failed)];
    for section in sections.into_iter().flatten() {
        lines.push(Line::new());
        lines.extend(section.lines);
    }
    lines
}

/// What matters most: how many, how much, when, and whether the broker is there.
pub(super) fn head(status: &Status, room: &Room) -> Vec<Line> {
    let c = &status.counts;
    let waits = if c.retrying > 0 { format!(" ({} for another try)", c.retrying) } else { String::new() };
    let failed = if c.failed > 0 { Tone::Bad } else { Tone::Plain };
    let films = labelled("films")
        .and(Tone::Plain, format!("{} queued{waits}, {} running, {} done, ", c.queued, c.running, c.done))
        .and(failed, format!("{} failed", c.failed));
    let mut lines = vec![films];
    lines.push(space(status.space, status.done_24h));
    lines.extend(ready(status, room));
    lines.extend(broker(status, room));
    lines
}

fn labelled(label: &str) -> Line {
    Line::of(Tone::Dim, format!("{label:<8}"))
}

fn space(space: Space, done_24h: u64) -> Line {
    let (before, after) = (space.before, space.after);
    let percent = before.abs_diff(after) as f64 * 100.0 / before.max(1) as f64;
    let of = format!(" ({percent:.0} % of {})", bytes(before));
    let line = match before {
        0 => labelled("space").and(Tone::Plain, "nothing converted yet"),
        _ if after <= before => {
            labelled("space").and(Tone::Plain, format!("{} saved{of}", bytes(before - after)))
        }
        _ => labelled("space").and(Tone::Warn, format!("{} more than before{of}", bytes(after - before))),
    };
    let films = number(done_24h, "film");
    let day = if done_24h > 0 { format!(", {films} in the last 24 h") } else { String::new() };
    line.and(Tone::Plain, day)
}

/// `1 film`, `2 films`
pub(crate) fn number(n: impl Into<u64>, what: &str) -> String {
    let n = n.into();
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

fn ready(status: &Status, room: &Room) -> Vec<Line> {
    let eta = &status.eta;
    let line = match eta.known {
        Known::Empty => return vec![labelled("ready").and(Tone::Good, "now: the queue is empty")],
        Known::NoWorker => labelled("ready").and(Tone::Warn, "not before a worker takes films"),
        Known::NotYet => {
            let (recipe, need) = (eta.recipe.as_deref().unwrap_or_default(), eta.need.unwrap_or_default());
            let recipe = cut(&safe(recipe), 30);
            let have = eta.learned_from;
            labelled("ready")
                .and(Tone::Plain, "not enough finished films yet to say")
                .and(Tone::Dim, format!(" ({recipe}: {have} of {need})"))
        }
        Known::Range => {
            let when =
                eta.from.zip(eta.to).map(|(from, to)| format!(", {}", between(status.at, from, to, room)));
            let films = eta.learned_from;
            labelled("ready")
                .and(Tone::Strong, format!("in {}", eta.span().unwrap_or_default()))
                .and(Tone::Plain, when.unwrap_or_default())
                .and(Tone::Dim, format!(" (80 % sure, from {films} films)"))
        }
    };
    let mut lines = vec![line];
    if eta.absent > 0 && eta.known == Known::Range {
        let held = crew::held(&status.workers, &status.running);
        let film =
            if held > 0 { format!(", and {} standing still", number(held, "film")) } else { String::new() };
        let text = format!("without {} taking no films now{film}", number(eta.absent, "worker"));
        lines.push(labelled("").and(Tone::Warn, text));
    }
    lines
}

/// `Tue 10:10 to 15:20`, `Tue 24 Nov to Wed 2 Dec`, `Jan 2027 to Mar 2027`: no more exact than it is far away.
fn between(now: Timestamp, from: Timestamp, to: Timestamp, room: &Room) -> String {
    let (from, to) = (from.to_zoned(room.zone.clone()), to.to_zoned(room.zone.clone()));
    let hours = to.duration_since(&now.to_zoned(room.zone.clone())).as_hours();
    let (far, form) = match hours {
        ..96 => (false, "%a %H:%M"),
        96..4320 => (true, "%a %-d %b"),
        _ => (true, "%b %Y"),
    };
    let (day, time) = (from.strftime(form).to_string(), to.strftime("%H:%M").to_string());
    if !far && from.date() == to.date() {
        return if day.ends_with(&time) { day } else { format!("{day} to {time}") };
    }
    let end = to.strftime(form).to_string();
    if day == end { day } else { format!("{day} to {end}") }
}

fn broker(status: &Status, room: &Room) -> Vec<Line> {
    match (&status.queues, &status.broker) {
        (Some(q), _) => vec![labelled("broker").and(
            Tone::Plain,
            format!(
                "{} waiting{}, {} to retry, {}, {} connected",
                q.films.ready,
                match q.first.as_ref().map_or(0, |first| first.ready) {
                    0 => String::new(),
                    first => format!(" ({first} first)"),
                },
                q.retrying(),
                number(q.failed.ready, "dead letter"),
                number(q.films.consumers, "worker")
            ),
        )],
        (None, why) => {
            let why = format!("not there: {}", safe(why.as_deref().unwrap_or_default()));
            let label = |n| if n == 0 { labelled("broker") } else { labelled("") };
            let lines =
                wrap(&why, room.width.saturating_sub(8).max(20), MOST_OF_A_REASON).into_iter().enumerate();
            lines.map(|(n, text)| label(n).and(Tone::Bad, text.trim_start())).collect()
        }
    }
}

/// Words in lines of at most `width` columns, the later ones set in by two; what does not fit into `most` lines is cut off.
fn wrap(text: &str, width: usize, most: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split(' ') {
        let last = lines.len() - 1;
        let line = &mut lines[last];
        let blank = usize::from(!line.trim_start().is_empty());
        if blank == 1 && columns(line) + 1 + columns(word) > width {
            lines.push(format!("  {word}"));
        } else {
            line.push_str(&" ".repeat(blank));
            line.push_str(word);
        }
    }
    if lines.len() > most {
        lines.truncate(most);
        lines[most - 1].push_str(" …");
    }
    lines.iter().map(|l| clip(l, width)).collect()
}

/// The name of a film in so many columns. A folder that its file's name begins with says nothing new and goes; so does every
/// folder where the name is too long, before that loses its middle. A short file name says too little without its folder.
pub(super) fn film(name: &str, width: usize) -> String {
    const TELLING: usize = 10;
    let name = safe(name);
    let file = name.rsplit(['/', ':']).next().unwrap_or_default();
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    let folder = name.rsplit('/').nth(1).map(|f| f.rsplit(':').next().unwrap_or(f));
    let twice = folder.is_some_and(|folder| file.starts_with(folder));
    if !twice && columns(&name) <= width {
        return name;
    }
    match folder {
        _ if twice => cut_late(stem, width),
        Some(folder) if columns(stem) < TELLING => cut_late(&format!("{folder}/{file}"), width),
        _ => cut_late(stem, width),
    }
}

/// A table of the workers, and below it in full why workers are not at work. None if there is none.
pub(super) fn workers(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    let workers = &status.workers;
    if workers.is_empty() {
        return None;
    }
    let mut table = Table::new(&[
        ("worker", Left),
        ("host", Left),
        ("state", Left),
        ("done", Right),
        ("failed", Right),
        ("since", Left),
    ]);
    let mut reasons = Vec::new();
    for w in workers.iter().take(room.rows) {
        let (info, why) = (&w.info, w.why());
        let name = cut(&safe(&info.name), 20);
        if !why.is_empty() {
            let mut wrapped = wrap(&format!("{name}: {why}"), room.width, MOST_OF_A_REASON).into_iter();
            let first = wrapped.next().unwrap_or_default();
            let rest = first.strip_prefix(name.as_str()).unwrap_or_default().to_owned();
            reasons.push(Line::of(w.tone(), name.clone()).and(Tone::Plain, rest));
            reasons.extend(wrapped.map(Line::from));
        }
        let failed = if info.failed > 0 { Tone::Warn } else { Tone::Plain };
        table.painted(vec![
            (Tone::Plain, name),
            (Tone::Dim, cut(&safe(&info.host), 16)),
            (w.tone(), w.state().into()),
            (Tone::Plain, info.done.to_string()),
            (failed, info.failed.to_string()),
            (Tone::Plain, w.since(status.at).map(duration).unwrap_or_default()),
        ]);
    }
    let mut lines = table.paint(Some(room.width));
    lines.extend(reasons);
    lines.extend(more(workers.len(), room, "workers"));
    Some(Section { title: format!("Workers ({})", workers.len()), lines })
}

/// A table of the films in work. None if there is none.
pub(super) fn running(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    if status.running.is_empty() {
        return None;
    }
    let mut table = Table::new(&[
        ("job", Left),
        ("worker", Left),
        ("stage", Left),
        ("%", Right),
        ("fps", Right),
        ("left", Right),
        ("film", Left),
    ])
    .shortened(film);
    for r in status.running.iter().take(room.rows) {
        let p = &r.lease.progress;
        let silent = if r.silent { Tone::Bad } else { Tone::Plain };
        let mark = if r.silent { "!" } else { "" };
        table.painted(vec![
            (silent, format!("{}{mark}", r.lease.job.short())),
            (Tone::Plain, cut(&safe(&r.lease.worker), 12)),
            (Tone::Plain, stage(r)),
            (Tone::Strong, format!("{:.0}", p.percent)),
            (Tone::Plain, r.fps().map(|f| format!("{f:.1}")).unwrap_or_default()),
            left(r),
            (Tone::Plain, r.film.clone()),
        ]);
    }
    let mut lines = table.paint(Some(room.width));
    lines.extend(more(status.running.len(), room, "films in work"));
    lines.extend(silence(status));
    Some(Section { title: format!("In work ({})", status.running.len()), lines })
}

pub(super) fn stage(film: &Running) -> String {
    match film.lease.progress.stage.as_str() {
        "" => "starting".into(),
        stage => cut(&safe(stage), 9),
    }
}

/// How long until the end of the stage, or that its worker stands still with it.
pub(super) fn left(film: &Running) -> (Tone, String) {
    if film.frozen {
        return (Tone::Warn, "paused".into());
    }
    (Tone::Plain, film.left().map(duration).unwrap_or_default())
}

/// What the mark behind a film means, if there is one.
pub(super) fn silence(status: &Status) -> Vec<Line> {
    if !status.running.iter().any(|r| r.silent) {
        return Vec::new();
    }
    let text = "! = no sign of life for worker.stale_s; another worker takes the film over";
    vec![Line::of(Tone::Bad, text)]
}

/// A table of the films that wait for another try. None if there is none.
pub(super) fn retrying(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    if status.retrying.is_empty() {
        return None;
    }
    let mut table =
        Table::new(&[("again in", Right), ("try", Right), ("after", Left), ("film", Left)]).shortened(film);
    for r in status.retrying.iter().take(room.rows) {
        table.painted(vec![
            (Tone::Plain, duration(Duration::from_secs(r.in_s))),
            (Tone::Plain, r.attempt.saturating_add(1).to_string()),
            (Tone::Warn, cut(&safe(&r.code), 20)),
            (Tone::Plain, r.film.clone()),
        ]);
    }
    let mut lines = table.paint(Some(room.width));
    lines.extend(more(status.retrying.len(), room, "films that wait for another try"));
    Some(Section { title: format!("Waiting for another try ({})", status.retrying.len()), lines })
}

/// Why films failed, the most frequent reasons first. None if none did.
pub(super) fn reasons(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    if status.reasons.is_empty() {
        return None;
    }
    let mut table = Table::new(&[("films", Right), ("failed with", Left), ("which means", Left)]);
    // The sentence is cut at its end and not in its middle.
    let code = |code: &str| cut(&safe(code), 20);
    let shown = || status.reasons.iter().take(room.rows);
    let widest = shown().map(|r| columns(&code(&r.code))).max().unwrap_or(0).max(11);
    for r in shown() {
        table.painted(vec![
            (Tone::Strong, r.count.to_string()),
            (Tone::Bad, code(&r.code)),
            (Tone::Plain, clip(&r.meaning, room.width.saturating_sub(widest + 9).max(20))),
        ]);
    }
    let mut lines = table.paint(Some(room.width));
    lines.extend(more(status.reasons.len(), room, "reasons"));
    lines
        .push(Line::of(Tone::Dim, "`dovi-producer failed list` names the films, `failed show ID` tells all"));
    Some(Section { title: format!("Failed ({})", status.counts.failed), lines })
}

fn more(all: usize, room: &Room, what: &str) -> Option<Line> {
    let rest = all.saturating_sub(room.rows);
    (rest > 0).then(|| Line::of(Tone::Dim, format!("and {rest} more {what}; --json has them all")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_as_exact_as_they_are_near() {
        let room = Room { width: 80, rows: 9, zone: TimeZone::UTC };
        let at = |text: &str| -> Timestamp { text.parse().unwrap() };
        let of = |from, to| between(at("2026-03-03T20:00:00Z"), at(from), at(to), &room);
        assert_eq!(of("2026-03-04T10:26:00Z", "2026-03-04T15:08:00Z"), "Wed 10:26 to 15:08");
        assert_eq!(of("2026-03-04T10:26:00Z", "2026-03-05T15:08:00Z"), "Wed 10:26 to Thu 15:08");
        assert_eq!(of("2026-03-04T10:26:00Z", "2026-03-04T10:26:30Z"), "Wed 10:26");
        assert_eq!(of("2026-03-14T10:00:00Z", "2026-03-19T15:00:00Z"), "Sat 14 Mar to Thu 19 Mar");
        assert_eq!(of("2027-01-14T10:00:00Z", "2027-03-19T15:00:00Z"), "Jan 2027 to Mar 2027");
    }

    #[test]
    fn a_long_name_loses_its_folders_first() {
        let name = "films:The Long Harbour (2019)/The Long Harbour (2019) Remux-2160p.mkv";
        assert_eq!(film(name, 80), "The Long Harbour (2019) Remux-2160p");
        assert_eq!(film("films:2019/a film.mkv", 80), "films:2019/a film.mkv");
        assert_eq!(film(name, 40), "The Long Harbour (2019) Remux-2160p");
        assert_eq!(film(name, 29), "The Long Harbour (201…x-2160p");
        assert_eq!(film("films:The Long Harbour (2019)/film.mkv", 33), "The Long Harbour (2019)/film.mkv");
        assert_eq!(film("films:a.mkv", 3), "a");
    }

    #[test]
    fn a_long_reason_is_wrapped_and_ends() {
        assert_eq!(wrap("vm2: one two three four", 12, 3), ["vm2: one two", "  three four"]);
        assert_eq!(wrap("a b c d e f", 4, 2), ["a b", "  c…"]);
        let endless = "x".repeat(100);
        assert!(wrap(&endless, 10, 3).iter().all(|l| columns(l) <= 10));
    }
}
