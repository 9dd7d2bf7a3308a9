//! Text whose parts mean something: colours where they are wanted, and plain text where not.

use std::fmt;

use super::columns;

/// What a piece of text means. How that looks is up to whoever draws it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Tone {
    /// Nothing special.
    #[default]
    Plain,
    /// Less important.
    Dim,
    /// A heading, or a figure that matters.
    Strong,
    /// As it should be.
    Good,
    /// Worth a look.
    Warn,
    /// Wrong.
    Bad,
}

impl Tone {
    /// The terminal's own words for it (ECMA-48, select graphic rendition), of its sixteen basic colours.
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Dim => "\x1b[2m",
            Self::Strong => "\x1b[1m",
            Self::Good => "\x1b[32m",
            Self::Warn => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// One line.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Line(Vec<(Tone, String)>);

impl Line {
    /// An empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// One piece.
    pub fn of(tone: Tone, text: impl Into<String>) -> Self {
        Self::new().and(tone, text)
    }

    /// A piece more.
    #[must_use]
    pub fn and(mut self, tone: Tone, text: impl Into<String>) -> Self {
        let text = text.into();
        if !text.is_empty() {
            self.0.push((tone, text));
        }
        self
    }

    /// All pieces.
    pub fn pieces(&self) -> impl Iterator<Item = (Tone, &str)> {
        self.0.iter().map(|(tone, text)| (*tone, text.as_str()))
    }

    /// Columns that it takes.
    pub fn columns(&self) -> usize {
        self.0.iter().map(|(_, text)| columns(text)).sum()
    }

    /// Blanks at the end go.
    #[must_use]
    pub fn trimmed(mut self) -> Self {
        while let Some((_, text)) = self.0.last_mut() {
            text.truncate(text.trim_end().len());
            if !text.is_empty() {
                break;
            }
            self.0.pop();
        }
        self
    }

    /// For a terminal that takes colours.
    pub fn coloured(&self) -> String {
        let mut text = String::new();
        for (tone, piece) in self.pieces() {
            match tone.code() {
                "" => text.push_str(piece),
                code => text.extend([code, piece, "\x1b[0m"]),
            }
        }
        text
    }
}

impl From<String> for Line {
    fn from(text: String) -> Self {
        Self::of(Tone::Plain, text)
    }
}

impl From<&str> for Line {
    fn from(text: &str) -> Self {
        Self::of(Tone::Plain, text)
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(_, text)| f.write_str(text))
    }
}

/// Whether results may have colours: standard output is a terminal that has some, and nobody said no (<https://no-color.org>).
pub fn colours() -> bool {
    use std::io::IsTerminal;
    std::io::stdout().is_terminal() && wanted(|name| std::env::var_os(name))
}

fn wanted(var: impl Fn(&str) -> Option<std::ffi::OsString>) -> bool {
    var("NO_COLOR").is_none_or(|v| v.is_empty()) && var("TERM").is_some_and(|t| t != "dumb" && !t.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_change_no_character() {
        let line =
            Line::of(Tone::Plain, "a ").and(Tone::Bad, "ill").and(Tone::Dim, "").and(Tone::Plain, "  ");
        assert_eq!(line.to_string(), "a ill  ");
        assert_eq!(line.columns(), 7);
        let line = line.trimmed();
        assert_eq!((line.to_string().as_str(), line.coloured().as_str()), ("a ill", "a \x1b[31mill\x1b[0m"));
    }

    #[test]
    fn no_color_is_heard() {
        let with = |pairs: &'static [(&str, &str)]| {
            wanted(move |name| pairs.iter().find(|(k, _)| *k == name).map(|(_, v)| (*v).into()))
        };
        assert!(with(&[("TERM", "xterm")]) && with(&[("TERM", "xterm"), ("NO_COLOR", "")]));
        assert!(!with(&[("TERM", "xterm"), ("NO_COLOR", "1")]) && !with(&[("TERM", "dumb")]) && !with(&[]));
    }
}
