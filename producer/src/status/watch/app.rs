//! What the view shows, and what keys do to it.

use std::time::Instant;

use jiff::tz::TimeZone;
use ratatui::crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers};

use super::News;
use crate::status::Status;

/// What is below the head.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Page {
    /// Some of everything.
    Overview,
    /// All workers.
    Workers,
    /// All reasons, and all films that failed.
    Failed,
    /// All films that wait.
    Next,
    /// The keys.
    Help,
}

impl Page {
    /// In the order of the tabs.
    pub const TABS: [Self; 4] = [Self::Overview, Self::Workers, Self::Failed, Self::Next];

    /// Its tab.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Overview => "Overview",
            Self::Workers => "Workers",
            Self::Failed => "Failed",
            Self::Next => "Next",
            Self::Help => "Help",
        }
    }
}

/// All that the view knows.
#[derive(Debug)]
pub(super) struct App {
    /// The latest reading.
    pub status: Status,
    /// When it was read.
    pub read_at: Instant,
    /// Why there is no later one.
    pub trouble: Option<String>,
    /// Whether the broker has answered, or failed to.
    pub asked: bool,
    /// What is shown.
    pub page: Page,
    /// Lines of the page that are above the window.
    pub scroll: usize,
    /// Lines of the page and of the window, as last drawn.
    pub extent: (usize, usize),
    /// For times of day.
    pub zone: TimeZone,
    /// Whether there are colours.
    pub colours: bool,
    before: Page,
    ended: bool,
}

impl App {
    pub fn new(status: Status, zone: TimeZone) -> Self {
        Self {
            status,
            trouble: None,
            asked: false,
            page: Page::Overview,
            scroll: 0,
            extent: (0, 0),
            zone,
            colours: crate::render::colours(),
            read_at: Instant::now(),
            before: Page::Overview,
            ended: false,
        }
    }

    /// Whether it is to end.
    pub fn ended(&self) -> bool {
        self.ended
    }

    /// Takes note of what was read. What the broker said stays until it says something else.
    pub fn news(&mut self, news: News) {
        match news {
            News::Share(read) => match *read {
                Ok(mut status) => {
                    status.queues = self.status.queues.take();
                    status.broker = self.status.broker.take();
                    self.status = status;
                    self.read_at = Instant::now();
                    self.trouble = None;
                }
                Err(why) => self.trouble = Some(why),
            },
            News::Broker(answer) => {
                self.asked = true;
                let none = |status: &mut Status| (status.queues.take(), status.broker.take());
                none(&mut self.status);
                match answer {
                    Ok(depths) => self.status.queues = Some(depths),
                    Err(why) => self.status.broker = Some(why),
                }
            }
        }
    }

    /// Obeys a key. A resize needs nothing: the next drawing sees it.
    pub fn event(&mut self, event: &Event) {
        let Event::Key(key) = event else { return };
        if key.kind == KeyEventKind::Release {
            return;
        }
        let (all, window) = self.extent;
        let last = all.saturating_sub(window);
        let page = window.saturating_sub(1).max(1);
        match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => self.ended = true,
            KeyCode::Char('q') => self.ended = true,
            KeyCode::Esc if self.page == Page::Overview => self.ended = true,
            KeyCode::Esc | KeyCode::Char('o') => self.turn(Page::Overview),
            KeyCode::Char('w') => self.turn(Page::Workers),
            KeyCode::Char('f') => self.turn(Page::Failed),
            KeyCode::Char('n') => self.turn(Page::Next),
            KeyCode::Char('?' | 'h') if self.page == Page::Help => self.turn(self.before),
            KeyCode::Char('?' | 'h') => self.turn(Page::Help),
            KeyCode::Tab | KeyCode::Right => self.step(1),
            KeyCode::BackTab | KeyCode::Left => self.step(Page::TABS.len() - 1),
            KeyCode::Up | KeyCode::Char('k') => self.scroll = self.scroll.saturating_sub(1),
            KeyCode::Down | KeyCode::Char('j') => self.scroll = (self.scroll + 1).min(last),
            KeyCode::PageUp => self.scroll = self.scroll.saturating_sub(page),
            KeyCode::PageDown | KeyCode::Char(' ') => self.scroll = (self.scroll + page).min(last),
            KeyCode::Home | KeyCode::Char('g') => self.scroll = 0,
            KeyCode::End | KeyCode::Char('G') => self.scroll = last,
            _ => {}
        }
    }

    fn turn(&mut self, page: Page) {
        if page != self.page {
            (self.before, self.page, self.scroll) = (self.page, page, 0);
        }
    }

    fn step(&mut self, by: usize) {
        let at = Page::TABS.iter().position(|p| *p == self.page).unwrap_or(0);
        self.turn(Page::TABS[(at + by) % Page::TABS.len()]);
    }
}
