//! The pages as lines.

use super::app::{App, Page};
use crate::render::{Align, Line, Table, Tone, bytes, clip, cut, duration, safe};
use crate::status::Status;
use crate::status::view::{self, Room, Section};

/// Rows of a table on the overview; the other pages have all of them.
const SOME: usize = 8;
const ALL: usize = 20_000;

/// The lines of the page that is shown.
pub(super) fn page(app: &App, width: usize) -> Vec<Line> {
    let some = Room { width, rows: SOME, zone: app.zone.clone() };
    let all = Room { rows: ALL, ..some.clone() };
    let status = &app.status;
    let sections = match app.page {
        Page::Overview => vec![
            running(status, &all),
            view::workers(status, &some),
            view::retrying(status, &some),
            view::reasons(status, &Room { rows: 5, ..some }),
        ],
        Page::Workers => vec![view::workers(status, &all)],
        Page::Failed => vec![view::reasons(status, &all), failed(status, &all)],
        Page::Next => vec![view::retrying(status, &all), next(status, &all)],
        Page::Help => return help(),
    };
    let mut lines = Vec::new();
    for section in sections.into_iter().flatten() {
        if !lines.is_empty() {
            lines.push(Line::new());
        }
        lines.push(Line::of(Tone::Strong, section.title));
        lines.extend(section.lines);
    }
    if lines.is_empty() {
        lines.push(Line::of(Tone::Dim, nothing(app.page)));
    }
    lines
}

fn nothing(page: Page) -> &'static str {
    match page {
        Page::Overview => "Nothing to see yet: no worker has left word, and no film is in work or failed.",
        Page::Workers => "No worker has left word on the share.",
        Page::Failed => "No film has failed.",
        Page::Next => "No film is waiting.",
        Page::Help => "",
    }
}

/// The films in work with a bar each.
fn running(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    if status.running.is_empty() {
        return None;
    }
    let wide = room.width >= 110;
    let bar = if wide { 20 } else { 10 };
    let mut head =
        vec![("worker", Left), ("stage", Left), ("", Left), ("%", Right), ("fps", Right), ("left", Right)];
    if wide {
        head.extend([("job", Left), ("recipe", Left)]);
    }
    head.push(("film", Left));
    let mut table = Table::new(&head).shortened(view::film);
    for r in &status.running {
        let p = &r.lease.progress;
        let tone = match (r.silent, r.frozen) {
            (true, _) => Tone::Bad,
            (_, true) => Tone::Warn,
            _ => Tone::Good,
        };
        let name = cut(&safe(&r.lease.worker), if wide { 20 } else { 11 });
        let mut row = vec![
            (
                if r.silent { Tone::Bad } else { Tone::Plain },
                format!("{name}{}", if r.silent { "!" } else { "" }),
            ),
            (Tone::Plain, view::stage(r)),
            (tone, gauge(f64::from(p.percent) / 100.0, bar)),
            (Tone::Strong, format!("{:.0}", p.percent)),
            (Tone::Plain, r.fps().map(|f| format!("{f:.1}")).unwrap_or_default()),
            view::left(r),
        ];
        if wide {
            let recipe = r.recipe.as_deref().map(|r| cut(&safe(r), 24)).unwrap_or_default();
            row.extend([(Tone::Dim, r.lease.job.short()), (Tone::Dim, recipe)]);
        }
        row.push((Tone::Plain, r.film.clone()));
        table.painted(row);
    }
    let mut lines = table.paint(Some(room.width));
    lines.extend(view::silence(status));
    Some(Section { title: format!("In work ({})", status.running.len()), lines })
}

/// A bar of so many columns; a part between 0 and 1 of it is full.
pub(super) fn gauge(part: f64, width: usize) -> String {
    let part = if part.is_finite() { part.clamp(0.0, 1.0) } else { 0.0 };
    let full = (part * width as f64).floor() as usize;
    "█".repeat(full) + &"░".repeat(width - full)
}

fn failed(status: &Status, room: &Room) -> Option<Section> {
    use Align::Left;
    if status.failed.is_empty() {
        return None;
    }
    let mut table =
        Table::new(&[("job", Left), ("when", Left), ("why", Left), ("film", Left)]).shortened(view::film);
    for f in &status.failed {
        let ago = status.at.duration_since(f.at).unsigned_abs();
        table.painted(vec![
            (Tone::Plain, f.job.short()),
            (Tone::Plain, format!("{} ago", duration(ago))),
            (Tone::Bad, cut(&safe(&f.code), 20)),
            (Tone::Plain, f.film.clone()),
        ]);
    }
    let mut lines = Vec::new();
    // One row, and below it what happened, since no two films fail with the same words.
    let mut rows = table.paint(Some(room.width)).into_iter();
    lines.extend(rows.next());
    for (row, f) in rows.zip(&status.failed) {
        lines.push(row);
        lines.push(Line::of(Tone::Dim, clip(&format!("          {}", safe(&f.summary)), room.width)));
    }
    Some(Section { title: format!("Films that failed, the latest first ({})", status.failed.len()), lines })
}

fn next(status: &Status, room: &Room) -> Option<Section> {
    use Align::{Left, Right};
    if status.waiting.is_empty() {
        return None;
    }
    let mut table =
        Table::new(&[("waits for", Right), ("size", Right), ("film", Left)]).shortened(view::film);
    for w in status.waiting.iter().take(room.rows) {
        let since = status.at.duration_since(w.queued_at).unsigned_abs();
        table.row(vec![duration(since), bytes(w.size), w.film.clone()]);
    }
    let lines = table.paint(Some(room.width));
    Some(Section { title: format!("Waiting for a worker ({})", status.waiting.len()), lines })
}

fn help() -> Vec<Line> {
    const KEYS: &[(&str, &str)] = &[
        ("o", "overview: some of everything"),
        ("w", "workers: every worker, and why it takes no films"),
        ("f", "failed: every reason, and every film with what happened"),
        ("n", "next: every film that waits, the longest waiting first"),
        ("Tab, Left, Right", "one page on or back"),
        ("Up, Down, j, k", "one line"),
        ("PgUp, PgDn, Space", "one window"),
        ("Home, End, g, G", "first and last line"),
        ("?", "this page, and back"),
        ("q, Esc, Ctrl-C", "end"),
    ];
    const WORDS: &[&str] = &[
        "ready   The middle 80 % of what may be, learned from finished films;",
        "        docs/OPERATIONS.md says how.",
        "left    Until the stage is done, as the worker measures it; paused: the worker",
        "        stands still with this film until `resume`, or until its hours begin.",
        "!       No sign of life for worker.stale_s: another worker takes the film over.",
        "silent  A worker that was not heard of for three beats: dead, frozen or cut off.",
        "ill     A worker that takes no films until what is wrong with it is gone.",
    ];
    let mut lines = vec![Line::of(Tone::Strong, "Keys")];
    lines.extend(
        KEYS.iter().map(|(key, what)| Line::of(Tone::Strong, format!("  {key:<20}")).and(Tone::Plain, *what)),
    );
    lines.extend([Line::new(), Line::of(Tone::Strong, "Words")]);
    lines.extend(WORDS.iter().map(|w| Line::of(Tone::Plain, format!("  {w}"))));
    lines
}
