//! Who heard an order, and who did not.

use common::share::{Command, PauseCause, SeenWorker, WorkerInfo, WorkerState};
use serde::Serialize;

use crate::exit::{Exit, Failure};
use crate::render::{Output, safe};

#[derive(Debug, Serialize)]
#[serde(tag = "type", rename = "answer")]
struct Line<'a> {
    worker: Option<&'a str>,
    host: Option<&'a str>,
    command: Command,
    heard: bool,
    state: Option<WorkerState>,
    text: &'a str,
}

/// Prints the answers and counts them.
pub(super) struct Answers {
    command: Command,
    out: Output,
    heard: u64,
    silent: u64,
    /// An order was written that waits for workers to come.
    waits: bool,
    reached: Option<bool>,
}

impl Answers {
    pub fn new(command: Command, out: Output) -> Self {
        Self { command, out, heard: 0, silent: 0, waits: false, reached: None }
    }

    pub fn asked(&mut self, reached: Option<bool>) {
        self.waits = self.command.stands();
        self.reached = reached;
    }

    pub fn heard(&mut self, worker: &SeenWorker, text: &str) -> Result<(), Failure> {
        self.heard += 1;
        self.tell(worker, true, text)
    }

    pub fn silent(&mut self, worker: &SeenWorker, text: &str) -> Result<(), Failure> {
        self.silent += 1;
        self.tell(worker, false, text)
    }

    /// No worker of that name, or none at all.
    pub fn nobody(&mut self, name: Option<&str>, there: &str) -> Result<(), Failure> {
        self.silent += 1;
        let rest =
            if there.is_empty() { "no worker is there now".into() } else { format!("there are {there}") };
        let text = match name {
            Some(name) => format!("no worker is called {}; {rest}", safe(name)),
            None => rest,
        };
        let line =
            Line { worker: name, host: None, command: self.command, heard: false, state: None, text: &text };
        self.out.object(&line)?;
        self.out.line(&text)
    }

    fn tell(&mut self, worker: &SeenWorker, heard: bool, text: &str) -> Result<(), Failure> {
        let info = &worker.info;
        let (name, host) = (Some(info.name.as_str()), Some(info.host.as_str()));
        let line = Line { worker: name, host, command: self.command, heard, state: Some(info.state), text };
        self.out.object(&line)?;
        let mark = if heard { "heard" } else { "silent" };
        self.out.line(&format!("{mark:<6}  {}  {text}", safe(&info.name)))
    }

    /// Exit code 1 unless everybody heard it.
    pub fn end(mut self) -> Result<Exit, Failure> {
        let all = self.heard + self.silent;
        let later = "it stays on the share, and whoever comes later obeys it";
        let text = match (self.heard, self.waits) {
            (0, true) => format!("Nobody heard it; {later}."),
            (0, false) => "Nobody heard it.".into(),
            (heard, true) if heard < all => format!("{heard} of {all} heard it; {later}."),
            (heard, _) if heard < all => format!("{heard} of {all} heard it."),
            _ => return Ok(Exit::Ok),
        };
        self.out.line(&text)?;
        Ok(Exit::Some)
    }
}

/// What a worker does about an order, by its own file.
pub(super) fn words(command: Command, info: &WorkerInfo) -> String {
    let busy = info.state == WorkerState::Busy;
    match command {
        Command::Pause if busy => "finishes the film in hand, then pauses".into(),
        Command::Pause => "takes no films".into(),
        Command::Freeze => "stands still".into(),
        Command::Run => match (&info.pause, info.state) {
            (Some(pause), _) if matches!(pause.cause, PauseCause::Hours | PauseCause::Quiet) => {
                format!("takes no films by its own settings: {}", safe(info.why.as_deref().unwrap_or("")))
            }
            (_, WorkerState::Ill) => {
                format!("takes no films: {}", safe(info.why.as_deref().unwrap_or("it is ill")))
            }
            _ if busy => "goes on".into(),
            _ => "takes films".into(),
        },
        Command::Drain if info.pause.as_ref().is_some_and(|p| p.frozen) => {
            "stands still, so it gives its film back and ends".into()
        }
        Command::Drain => "ends after the film in hand".into(),
        Command::Leave => "gives its film back and ends".into(),
        Command::Unknown => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use common::share::Pause;

    use super::*;

    fn info(state: WorkerState) -> WorkerInfo {
        serde_json::from_value(serde_json::json!({
            "v": 1, "name": "w", "host": "h", "pid": 1, "state": state, "since": "2026-01-01T00:00:00Z",
            "started_at": "2026-01-01T00:00:00Z", "updated_at": "2026-01-01T00:00:00Z",
        }))
        .unwrap()
    }

    #[test]
    fn a_worker_says_what_it_will_do() {
        use WorkerState::{Busy, Idle, Paused};
        for (command, state, text) in [
            (Command::Pause, Busy, "finishes the film in hand, then pauses"),
            (Command::Pause, Paused, "takes no films"),
            (Command::Freeze, Paused, "stands still"),
            (Command::Run, Idle, "takes films"),
            (Command::Run, Busy, "goes on"),
            (Command::Drain, Busy, "ends after the film in hand"),
        ] {
            assert_eq!(words(command, &info(state)), text);
        }
        let mut closed = info(Paused);
        closed.pause = Some(Pause { cause: PauseCause::Hours, frozen: false, until: None, by: None });
        closed.why = Some("outside of its working hours until Mon 22:00".into());
        assert!(words(Command::Run, &closed).ends_with("outside of its working hours until Mon 22:00"));
    }

    #[test]
    fn the_exit_code_says_whether_everybody_heard() {
        let seen = |info| SeenWorker { info, quiet: std::time::Duration::ZERO };
        let worker = seen(info(WorkerState::Idle));
        let end = |heard: u32, silent: u32| {
            let mut answers = Answers::new(Command::Pause, Output::new(true));
            answers.asked(Some(true));
            (0..heard).for_each(|_| answers.heard(&worker, "x").unwrap());
            (0..silent).for_each(|_| answers.silent(&worker, "x").unwrap());
            answers.end().unwrap()
        };
        assert_eq!([end(2, 0), end(1, 1), end(0, 1)], [Exit::Ok, Exit::Some, Exit::Some]);
    }
}
