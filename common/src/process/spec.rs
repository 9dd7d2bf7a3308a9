//! A command line as typed values.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

/// One program with its arguments. Never goes through a shell.
#[derive(Clone, PartialEq, Eq)]
pub struct ToolCommand {
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    cwd: Option<PathBuf>,
}

impl ToolCommand {
    /// A program by absolute path, or by a name to look up on `PATH`.
    pub fn new(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), args: Vec::new(), env: Vec::new(), cwd: None }
    }

    /// Adds one argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds a flag and its value: `-crf 18`.
    #[must_use]
    pub fn arg2(self, flag: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.arg(flag).arg(value)
    }

    /// Adds several arguments.
    #[must_use]
    pub fn args<S: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Adds an argument if the condition holds.
    #[must_use]
    pub fn arg_if(self, condition: bool, arg: impl AsRef<OsStr>) -> Self {
        if condition { self.arg(arg) } else { self }
    }

    /// Adds a flag and its value if there is a value.
    #[must_use]
    pub fn arg2_opt(self, flag: impl AsRef<OsStr>, value: Option<impl AsRef<OsStr>>) -> Self {
        match value {
            Some(value) => self.arg2(flag, value),
            None => self,
        }
    }

    /// Sets a variable in the tool's environment, beside the inherited ones.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env.push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Runs the tool in this folder.
    #[must_use]
    pub fn cwd(mut self, dir: impl Into<PathBuf>) -> Self {
        self.cwd = Some(dir.into());
        self
    }

    /// The program as given.
    pub fn program(&self) -> &Path {
        &self.program
    }

    /// The program's file name, for messages.
    pub fn name(&self) -> String {
        self.program.file_name().unwrap_or(self.program.as_os_str()).to_string_lossy().into_owned()
    }

    /// The arguments in order.
    pub fn get_args(&self) -> &[OsString] {
        &self.args
    }

    /// The folder it runs in, if one was set.
    pub fn get_cwd(&self) -> Option<&Path> {
        self.cwd.as_deref()
    }

    pub(super) fn to_std(&self) -> std::process::Command {
        let mut command = std::process::Command::new(&self.program);
        command.args(&self.args).envs(self.env.iter().map(|(k, v)| (k, v)));
        if let Some(dir) = &self.cwd {
            command.current_dir(dir);
        }
        command
    }
}

/// A line to paste into a shell: quoted, with the folder and the variables that were set.
///
/// Bytes that are not UTF-8 are shown as the replacement character: such a line is for reading only.
impl fmt::Display for ToolCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(dir) = &self.cwd {
            write!(f, "cd {} && ", quoted(dir.as_os_str()))?;
        }
        for (name, value) in &self.env {
            write!(f, "{}={} ", name.to_string_lossy(), quoted(value))?;
        }
        write!(f, "{}", quoted(self.program.as_os_str()))?;
        self.args.iter().try_for_each(|a| write!(f, " {}", quoted(a)))
    }
}

impl fmt::Debug for ToolCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ToolCommand({self})")
    }
}

/// POSIX quoting: plain words stay as they are, the rest goes between single quotes.
fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "_-./=:,+@%".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        return word.into_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_the_printed_line_as_the_same_words() {
        let words = [
            "it's",
            "a b",
            "",
            "$HOME",
            "`x`",
            "\"",
            "back\\slash",
            "new\nline",
            "*",
            "-crf",
            "x=1:y=2",
            "ä",
            "~",
            "#",
        ];
        let line =
            ToolCommand::new("printf").arg("%s\\0").args(words).env("A", "b c").cwd("/tmp").to_string();
        let out = std::process::Command::new("sh").arg("-c").arg(&line).output().unwrap();
        let got: Vec<_> =
            out.stdout.split(|&b| b == 0).map(|w| String::from_utf8(w.to_vec()).unwrap()).collect();
        assert_eq!(&got[..words.len()], &words, "{line}");
    }

    #[test]
    fn plain_words_stay_readable_and_options_are_optional() {
        let c = ToolCommand::new("/usr/bin/ffmpeg")
            .arg2("-i", "in.mkv")
            .arg_if(false, "-y")
            .arg2_opt("-t", None::<&str>);
        assert_eq!(c.to_string(), "/usr/bin/ffmpeg -i in.mkv");
        assert_eq!(c.name(), "ffmpeg");
    }
}
