//! The screen: a title with tabs, the head, the page's window, and the keys.

use std::time::Duration;

use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line as Text, Span};
use ratatui::widgets::Paragraph;

use super::app::{App, Page};
use super::pages::{gauge, page};
use crate::render::{Line, Tone, clip, safe};
use crate::status::view::{self, Room};

/// A reading that is older is said to be old.
const OLD: Duration = Duration::from_secs(30);
/// Below so many rows the head gives way to the page.
const LOW: u16 = 14;

/// Draws all of it; whatever is the same as before costs nothing.
pub(super) fn draw(frame: &mut Frame<'_>, app: &mut App) {
    let area = frame.area();
    let width = usize::from(area.width);
    let mut top = vec![title(app, width)];
    top.extend(trouble(app, width));
    if area.height >= LOW {
        top.extend(head(app, width));
        top.push(Line::new());
    }
    let high = |lines: usize| u16::try_from(lines).unwrap_or(u16::MAX);
    let [head, body, foot] = split(area, high(top.len()));
    put(frame, app, head, &top);

    let lines = page(app, width);
    app.extent = (lines.len(), usize::from(body.height));
    let last = lines.len().saturating_sub(usize::from(body.height));
    app.scroll = app.scroll.min(last);
    let seen = &lines[app.scroll..lines.len().min(app.scroll + usize::from(body.height))];
    put(frame, app, body, seen);
    put(frame, app, foot, &[keys(last - app.scroll, width)]);
}

/// Top, the rest, one row.
fn split(area: Rect, top: u16) -> [Rect; 3] {
    let top = top.min(area.height);
    let foot = u16::from(area.height > top);
    let body = area.height - top - foot;
    [
        Rect { height: top, ..area },
        Rect { y: area.y + top, height: body, ..area },
        Rect { y: area.y + top + body, height: foot, ..area },
    ]
}

fn put(frame: &mut Frame<'_>, app: &App, area: Rect, lines: &[Line]) {
    let text: Vec<Text<'_>> = lines
        .iter()
        .map(|l| l.pieces().map(|(tone, text)| Span::styled(text, style(tone, app.colours))).collect())
        .collect();
    frame.render_widget(Paragraph::new(text), area);
}

/// The terminal's own colours: they fit its background. Without colours weight alone must do.
fn style(tone: Tone, colours: bool) -> Style {
    let style = Style::new();
    match tone {
        Tone::Plain => style,
        Tone::Dim => style.add_modifier(Modifier::DIM),
        Tone::Strong => style.add_modifier(Modifier::BOLD),
        Tone::Good | Tone::Warn if !colours => style,
        Tone::Bad if !colours => style.add_modifier(Modifier::BOLD),
        Tone::Good => style.fg(Color::Green),
        Tone::Warn => style.fg(Color::Yellow),
        Tone::Bad => style.fg(Color::Red),
    }
}

fn title(app: &App, width: usize) -> Line {
    let mut line = Line::of(Tone::Strong, "dovi-fleet ");
    for tab in Page::TABS {
        let here = tab == app.page;
        line = match here {
            true => line.and(Tone::Strong, format!(" [{}]", tab.name())),
            false => line.and(Tone::Dim, format!("  {} ", tab.name())),
        };
    }
    if app.page == Page::Help {
        line = line.and(Tone::Strong, " [Help]");
    }
    let time = app.status.at.to_zoned(app.zone.clone()).strftime("%H:%M:%S").to_string();
    let gap = width.saturating_sub(line.columns() + time.len());
    line.and(Tone::Plain, " ".repeat(gap)).and(Tone::Dim, time)
}

fn trouble(app: &App, width: usize) -> Option<Line> {
    let age = app.read_at.elapsed();
    let text = match &app.trouble {
        Some(why) => format!("{}; what is shown is older", safe(why)),
        None if age > OLD => {
            format!("the share has not answered for {} s; what is shown is older", age.as_secs())
        }
        None => return None,
    };
    Some(Line::of(Tone::Bad, clip(&text, width)))
}

fn head(app: &App, width: usize) -> Vec<Line> {
    let room = Room { width, rows: 0, zone: app.zone.clone() };
    let mut lines = view::head(&app.status, &room);
    if !app.asked {
        lines.pop();
        lines.push(Line::of(Tone::Dim, "broker  asking …"));
    }
    let c = &app.status.counts;
    let (over, all) = (c.done + c.failed, c.done + c.failed + c.running + c.queued);
    if all > 0 {
        let part = over as f64 / all as f64;
        let text = format!(" {over} of {all} films");
        let bar = gauge(part, width.saturating_sub(text.len()));
        lines.insert(0, Line::of(Tone::Good, bar).and(Tone::Plain, text));
    }
    lines.into_iter().map(|l| narrowed(l, width)).collect()
}

/// A line that is too long for the screen says so by its end.
fn narrowed(line: Line, width: usize) -> Line {
    if line.columns() <= width {
        return line;
    }
    let mut left = width;
    let mut short = Line::new();
    for (tone, text) in line.pieces() {
        let piece = clip(text, left);
        left -= crate::render::columns(&piece).min(left);
        short = short.and(tone, piece);
        if left == 0 {
            break;
        }
    }
    short
}

fn keys(below: usize, width: usize) -> Line {
    let keys = Line::of(Tone::Dim, "q end  ? help  o overview  w workers  f failed  n next");
    if below == 0 {
        return keys;
    }
    let more = format!("{} more below ↓", view::number(below as u64, "line"));
    let room = width.saturating_sub(crate::render::columns(&more));
    let keys = if room > keys.columns() { keys } else { Line::of(Tone::Dim, clip("q end  ? help", room)) };
    let gap = room.saturating_sub(keys.columns());
    keys.and(Tone::Plain, " ".repeat(gap)).and(Tone::Strong, more)
}
