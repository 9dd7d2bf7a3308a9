//! The view on a screen in memory.

use jiff::tz::TimeZone;
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};
use ratatui::style::{Color, Modifier};

use super::app::App;
use super::{News, draw::draw};
use crate::status::Status;
use crate::status::made_up::{busy, depths, empty, failures, ill, no_broker};

fn app(status: Status) -> App {
    let asked = status.queues.is_some() || status.broker.is_some();
    let mut app = App::new(status, TimeZone::UTC);
    (app.colours, app.asked) = (true, asked);
    app
}

fn screen(app: &mut App, width: u16, height: u16) -> Terminal<TestBackend> {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| draw(frame, app)).unwrap();
    terminal
}

fn text(app: &mut App, width: u16, height: u16) -> String {
    let text = screen(app, width, height).backend().to_string();
    // Each row comes in quotes, and behind it what wide characters hide.
    let rows = text.lines().filter_map(|l| l.strip_prefix('"')?.rsplit_once('"').map(|(row, _)| row));
    let rows = rows.map(|l| l.split("\" Hidden by").next().unwrap_or_default().trim_end());
    rows.collect::<Vec<_>>().join("\n")
}

fn press(app: &mut App, keys: &[KeyCode]) {
    for key in keys {
        app.event(&Event::Key(KeyEvent::new(*key, KeyModifiers::NONE)));
    }
}

#[test]
fn a_busy_fleet_in_80_by_24() {
    insta::assert_snapshot!(text(&mut app(busy()), 80, 24));
}

#[test]
fn an_ill_worker_in_80_by_24() {
    insta::assert_snapshot!(text(&mut app(ill()), 80, 24));
}

#[test]
fn a_large_screen_shows_more() {
    insta::assert_snapshot!(text(&mut app(ill()), 132, 40));
}

#[test]
fn an_empty_fleet_in_80_by_24() {
    insta::assert_snapshot!(text(&mut app(empty()), 80, 24));
}

#[test]
fn the_broker_is_down_and_the_share_has_gone() {
    let mut app = app(no_broker());
    let why = "the share is gone: /mnt/nas/dovi/sentinel cannot be seen".to_owned();
    app.news(News::Share(Box::new(Err(why))));
    insta::assert_snapshot!(text(&mut app, 80, 24));
    app.news(News::Share(Box::new(Ok(busy()))));
    app.news(News::Broker(Ok(depths())));
    let text = text(&mut app, 80, 24);
    assert!(!text.contains("gone") && text.contains("10 waiting"), "{text}");
}

#[test]
fn the_pages_of_workers_failures_and_films_to_come() {
    let mut app = app(failures());
    press(&mut app, &[KeyCode::Char('f')]);
    insta::assert_snapshot!(text(&mut app, 80, 24));
    press(&mut app, &[KeyCode::End]);
    let last = text(&mut app, 80, 24);
    assert!(!last.contains("more below"), "{last}");
    press(&mut app, &[KeyCode::Tab]);
    insta::assert_snapshot!("next", text(&mut app, 80, 24));
    press(&mut app, &[KeyCode::Char('w')]);
    assert!(text(&mut app, 80, 24).contains("[Workers]"));
    press(&mut app, &[KeyCode::Char('?')]);
    insta::assert_snapshot!("help", text(&mut app, 80, 24));
    press(&mut app, &[KeyCode::Char('?')]);
    assert!(text(&mut app, 80, 24).contains("[Workers]"));
}

#[test]
fn keys_scroll_to_both_ends_and_no_further() {
    let mut app = app(failures());
    press(&mut app, &[KeyCode::Char('f')]);
    let first = text(&mut app, 80, 24);
    press(&mut app, &[KeyCode::Up, KeyCode::PageUp]);
    assert_eq!(text(&mut app, 80, 24), first);
    press(&mut app, &[KeyCode::Down]);
    let second = text(&mut app, 80, 24);
    assert_ne!(second, first);
    press(&mut app, &[KeyCode::PageDown; 50]);
    let end = text(&mut app, 80, 24);
    press(&mut app, &[KeyCode::End, KeyCode::Down]);
    assert_eq!(text(&mut app, 80, 24), end);
    press(&mut app, &[KeyCode::Home]);
    assert_eq!(text(&mut app, 80, 24), first);
    // A page that became shorter is not scrolled past its end.
    press(&mut app, &[KeyCode::End]);
    app.news(News::Share(Box::new(Ok(busy()))));
    assert!(text(&mut app, 80, 24).contains("Cut Short 3"));
}

#[test]
fn it_ends_when_told() {
    for (code, modifiers, ends) in [
        (KeyCode::Char('q'), KeyModifiers::NONE, true),
        (KeyCode::Char('c'), KeyModifiers::CONTROL, true),
        (KeyCode::Esc, KeyModifiers::NONE, true),
        (KeyCode::Char('c'), KeyModifiers::NONE, false),
        (KeyCode::Char('x'), KeyModifiers::NONE, false),
    ] {
        let mut app = app(busy());
        app.event(&Event::Key(KeyEvent::new(code, modifiers)));
        assert_eq!(app.ended(), ends, "{code:?}");
    }
    let mut app = app(busy());
    press(&mut app, &[KeyCode::Char('w'), KeyCode::Esc]);
    assert!(!app.ended(), "the first Esc goes back");
}

#[test]
fn every_size_can_be_drawn() {
    for status in [busy(), ill(), empty(), failures()] {
        for (width, height) in [(1, 1), (2, 50), (20, 5), (40, 13), (79, 14), (80, 24), (300, 100)] {
            let mut app = app(status.clone());
            for key in ['o', 'w', 'f', 'n', '?'] {
                press(&mut app, &[KeyCode::Char(key)]);
                screen(&mut app, width, height);
            }
        }
    }
}

#[test]
fn colours_say_what_is_wrong_and_no_color_has_none() {
    let coloured = |colours| {
        let mut app = app(ill());
        app.colours = colours;
        let terminal = screen(&mut app, 100, 40);
        let cells = terminal.backend().buffer().content().to_vec();
        let red = cells.iter().filter(|c| c.fg == Color::Red).count();
        let any = cells.iter().filter(|c| c.fg != Color::Reset || c.bg != Color::Reset).count();
        let bold = cells.iter().filter(|c| c.modifier.contains(Modifier::BOLD)).count();
        (red, any, bold)
    };
    let (red, any, _) = coloured(true);
    assert!(red > 10 && any > red);
    let (_, any, bold) = coloured(false);
    assert!(any == 0 && bold > 10);
}

#[test]
fn a_second_drawing_of_the_same_writes_nothing() {
    let mut app = app(busy());
    let mut terminal = screen(&mut app, 80, 24);
    let before = terminal.backend().buffer().clone();
    terminal.draw(|frame| draw(frame, &mut app)).unwrap();
    assert!(before.diff(terminal.backend().buffer()).is_empty());
}
