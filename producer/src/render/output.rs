//! Standard output: lines for people or JSON for scripts, and a closed pipe is no panic.

use std::io::{self, BufWriter, Stdout, Write};

use serde::Serialize;

use crate::exit::{Exit, Failure};

/// Where results are printed. Warnings and progress go to standard error instead.
#[derive(Debug)]
pub struct Output {
    to: BufWriter<Stdout>,
    form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Lines,
    Json,
    Nothing,
}

impl Output {
    /// Standard output, in the form that was asked for.
    pub fn new(json: bool) -> Self {
        Self { to: BufWriter::new(io::stdout()), form: if json { Form::Json } else { Form::Lines } }
    }

    /// Nobody reads: for a command that has a log instead.
    pub fn silent() -> Self {
        Self { to: BufWriter::new(io::stdout()), form: Form::Nothing }
    }

    /// Whether anything is printed at all.
    pub fn is_silent(&self) -> bool {
        self.form == Form::Nothing
    }

    /// Whether scripts read.
    pub fn json(&self) -> bool {
        self.form == Form::Json
    }

    /// A line for people; nothing if scripts read.
    ///
    /// # Errors
    /// Standard output is closed or fails.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        if self.form != Form::Lines {
            return Ok(());
        }
        written(writeln!(self.to, "{text}").and_then(|()| self.to.flush()))
    }

    /// An object for scripts; nothing if people read.
    ///
    /// # Errors
    /// As [`Output::line`].
    pub fn object(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        if self.form != Form::Json {
            return Ok(());
        }
        let text = serde_json::to_string(value)
            .map_err(|e| Failure::new(Exit::Bug, "a result has no JSON form").because(&e))?;
        written(writeln!(self.to, "{}", tame(&text)).and_then(|()| self.to.flush()))
    }
}

/// JSON may hold any character but the first 32 as it is; a terminal obeys some of the others. They stand only within strings,
/// where an escape means the same.
fn tame(json: &str) -> String {
    let mut tamed = String::with_capacity(json.len());
    for c in json.chars() {
        if c.is_control() || common::text::turns_direction(c) {
            tamed.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            tamed.push(c);
        }
    }
    tamed
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    match result {
        Ok(()) => Ok(()),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
        Err(e) => {
            let text = "standard output cannot be written";
            Err(Failure::environment(text).hint("check the disk that it goes to").because(&e))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_stays_the_same_and_moves_no_cursor() {
        let ugly = "a\u{9b}31m\u{202e}\u{7f}\u{1b}\"ä\u{feff}";
        let text = serde_json::to_string(ugly).unwrap();
        let tamed = tame(&text);
        assert_eq!(serde_json::from_str::<String>(&tamed).unwrap(), ugly);
        assert!(!tamed.contains(|c: char| c.is_control() || common::text::turns_direction(c)), "{tamed:?}");
    }
}
