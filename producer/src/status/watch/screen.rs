//! The terminal: taken over, drawn on, and given back as it was.

use std::io::{self, Stdout};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use ratatui::backend::CrosstermBackend;
use ratatui::crossterm::cursor::{Hide, Show};
use ratatui::crossterm::event::{self, Event};
use ratatui::crossterm::execute;
use ratatui::crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::{Frame, Terminal};
use tokio::sync::mpsc;

use crate::exit::Failure;

/// How soon the thread that waits for keys sees that nobody wants them any more.
const PATIENCE: Duration = Duration::from_millis(100);

/// The terminal while it is ours. Dropping it gives it back, also when a panic unwinds.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    open: Arc<AtomicBool>,
}

impl Screen {
    /// Takes the terminal over.
    ///
    /// # Errors
    /// It is no terminal, or cannot be told what to do.
    pub fn open() -> Result<Self, Failure> {
        let failed = |e: io::Error| {
            Failure::environment("this terminal cannot be drawn on")
                .hint("`dovi-producer status --watch | cat` prints lines instead")
                .because(&e)
        };
        enable_raw_mode().map_err(failed)?;
        // From here on whatever fails gives it back.
        let restore = Restore;
        execute!(io::stdout(), EnterAlternateScreen, Hide).map_err(failed)?;
        let terminal = Terminal::new(CrosstermBackend::new(io::stdout())).map_err(failed)?;
        std::mem::forget(restore);
        Ok(Self { terminal, open: Arc::new(AtomicBool::new(true)) })
    }

    /// Draws what differs from what is there.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn draw(&mut self, draw: impl FnOnce(&mut Frame<'_>)) -> Result<(), Failure> {
        self.terminal.draw(draw).map(drop).map_err(|e| Failure::closed_pipe().because(&e))
    }

    /// Keys and resizes from now on, from a thread of their own.
    pub fn events(&self) -> mpsc::UnboundedReceiver<Event> {
        let (tell, events) = mpsc::unbounded_channel();
        let open = self.open.clone();
        std::thread::spawn(move || {
            while open.load(Ordering::Relaxed) {
                match event::poll(PATIENCE) {
                    Ok(false) => {}
                    Ok(true) => {
                        let Ok(event) = event::read() else { return };
                        if tell.send(event).is_err() {
                            return;
                        }
                    }
                    Err(_) => return,
                }
            }
        });
        events
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        self.open.store(false, Ordering::Relaxed);
        drop(Restore);
    }
}

struct Restore;

impl Drop for Restore {
    fn drop(&mut self) {
        // A terminal that is gone needs nothing any more.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}
