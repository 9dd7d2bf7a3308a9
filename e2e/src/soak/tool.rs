//! What stands in the place of ffmpeg and mkvmerge: the real program, except where a fault waits for this call.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use common::steps::Step;

use super::inbox::{Inbox, kill_self};
use super::plan::{Call, Misdeed};
use super::random::Random;
use crate::tool;

/// Runs as the program whose name this one was called by.
pub fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().map(PathBuf::from).and_then(|p| p.file_name().map(OsString::from));
    let name = name.unwrap_or_default().to_string_lossy().into_owned();
    let args: Vec<OsString> = args.collect();
    let real = if name == "ffmpeg" { tool::ffmpeg_under_test() } else { name };
    let tool = Tool { real, args };
    match tool.misdeed() {
        Some((call, misdeed)) => tool.go_wrong(call, misdeed),
        None => {
            let error = Command::new(&tool.real).args(&tool.args).exec();
            eprintln!("{}: {error}", tool.real);
            ExitCode::from(127)
        }
    }
}

struct Tool {
    real: String,
    args: Vec<OsString>,
}

impl Tool {
    /// The fault that waits for this call.
    fn misdeed(&self) -> Option<(Call, Misdeed)> {
        let call = self.call()?;
        let inbox = Inbox::of_environment()?;
        let mut misdeed = None;
        inbox.take(call.name(), |action| {
            misdeed = Misdeed::ALL.into_iter().find(|m| m.name() == action);
            misdeed.is_some_and(|m| !m.lies() || self.is_first_try(&inbox))
        })?;
        Some((call, misdeed?))
    }

    /// The work on a film that this is; none for a question about the program itself and for a test encode.
    fn call(&self) -> Option<Call> {
        let has = |word: &str| self.args.iter().any(|a| a.to_string_lossy().contains(word));
        if has("lavfi") || has("-test/") {
            None
        } else if has("libx265") && has("pipe:1") {
            Some(Call::Encode)
        } else if has("rawvideo") && has("pipe:1") {
            Some(Call::Pictures)
        } else if self.option_file().is_some() {
            Some(Call::Mux)
        } else {
            None
        }
    }

    /// A tool lies about a film only at its first try. One whose proof fails at a later one is given up, as it should be.
    fn is_first_try(&self, inbox: &Inbox) -> bool {
        let mut words: Vec<String> = self.args.iter().map(|a| a.to_string_lossy().into_owned()).collect();
        words.extend(self.option_file().and_then(|file| fs::read_to_string(file).ok()));
        let Some(film) = words.iter().find_map(|word| film_in(word)) else { return false };
        let record = fs::read_to_string(inbox.record()).unwrap_or_default();
        let starts = record.lines().filter(|line| {
            line.split(' ').nth(1) == Some(Step::Started.name()) && film_in(line) == Some(film)
        });
        starts.count() == 1
    }

    fn option_file(&self) -> Option<PathBuf> {
        self.args.iter().find_map(|a| a.to_str()?.strip_prefix('@').map(PathBuf::from))
    }

    /// The file that mkvmerge shall write.
    fn output(&self) -> Option<PathBuf> {
        let options: Vec<String> = serde_json::from_slice(&fs::read(self.option_file()?).ok()?).ok()?;
        let at = options.iter().position(|o| o == "--output")?;
        options.get(at + 1).map(PathBuf::from)
    }

    fn go_wrong(&self, call: Call, misdeed: Misdeed) -> ExitCode {
        let done = match misdeed {
            Misdeed::Exit => {
                eprintln!("this call was made to fail");
                return ExitCode::from(3);
            }
            Misdeed::Hang => loop {
                std::thread::park();
            },
            Misdeed::Garbage => self.garbage(call),
            Misdeed::Cut => self.cut(call),
            Misdeed::Killed => self.killed(call),
        };
        match done {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("going wrong went wrong: {e}");
                ExitCode::from(4)
            }
        }
    }

    fn garbage(&self, call: Call) -> io::Result<()> {
        let mut random = Random::new(7);
        let noise: Vec<u8> = (0..8192).flat_map(|_| random.next().to_le_bytes()).collect();
        match (call, self.output()) {
            (Call::Mux, Some(output)) => fs::write(output, noise),
            _ => io::stdout().write_all(&noise),
        }
    }

    fn cut(&self, call: Call) -> io::Result<()> {
        match (call, self.output()) {
            (Call::Mux, Some(output)) => {
                self.child(Stdio::null())?.wait()?;
                let file = File::options().write(true).open(output)?;
                file.set_len(file.metadata()?.len() / 2)
            }
            _ => {
                let mut child = self.child(Stdio::piped())?;
                let mut all = Vec::new();
                if let Some(mut stdout) = child.stdout.take() {
                    stdout.read_to_end(&mut all)?;
                }
                child.wait()?;
                io::stdout().write_all(&all[..all.len() / 2])
            }
        }
    }

    /// Dies when the first bytes are written.
    fn killed(&self, call: Call) -> io::Result<()> {
        match (call, self.output()) {
            (Call::Mux, Some(output)) => {
                let mut child = self.child(Stdio::null())?;
                while !has_bytes(&output) && child.try_wait()?.is_none() {
                    std::thread::sleep(Duration::from_millis(2));
                }
            }
            _ => {
                let mut child = self.child(Stdio::piped())?;
                let mut first = [0; 4096];
                if let Some(stdout) = &mut child.stdout {
                    let n = stdout.read(&mut first)?;
                    io::stdout().write_all(&first[..n])?;
                    io::stdout().flush()?;
                }
            }
        }
        kill_self()
    }

    /// The real program; it dies with this one, as this one does with its worker.
    fn child(&self, stdout: Stdio) -> io::Result<Child> {
        Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.real)
            .args(&self.args)
            .stdout(stdout)
            .spawn()
    }
}

fn has_bytes(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|m| m.len() > 0)
}

/// The film's name in a path, a list of paths or a line: `film-` and five digits.
fn film_in(text: &str) -> Option<&str> {
    text.match_indices("film-").find_map(|(at, _)| {
        let name = text.get(at..at + 10)?;
        name[5..].bytes().all(|b| b.is_ascii_digit()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_on_films_is_told_from_questions() {
        let call = |real: &str, args: &[&str]| {
            Tool { real: real.into(), args: args.iter().map(OsString::from).collect() }.call()
        };
        assert_eq!(call("ffmpeg", &["-version"]), None);
        assert_eq!(call("ffmpeg", &["-hide_banner", "-h", "encoder=libx265"]), None);
        assert_eq!(call("ffmpeg", &["-f", "lavfi", "-i", "x", "-c:v", "libx265", "pipe:1"]), None);
        assert_eq!(call("ffmpeg", &["-i", "file:/a", "-c:v", "libx265", "pipe:1"]), Some(Call::Encode));
        assert_eq!(call("ffmpeg", &["-i", "file:/a", "-c:v", "rawvideo", "pipe:1"]), Some(Call::Pictures));
        assert_eq!(call("mkvmerge", &["--version"]), None);
        assert_eq!(call("mkvmerge", &["--gui-mode", "@/s/mux.json"]), Some(Call::Mux));
    }

    #[test]
    fn films_are_found_by_their_names() {
        assert_eq!(film_in("file:/x/film-y/film-00012.mkv"), Some("film-00012"));
        assert_eq!(film_in("/o/.film-00345 [DV8].mkv.abc.partial"), Some("film-00345"));
        assert_eq!(film_in("film-12"), None);
    }
}
