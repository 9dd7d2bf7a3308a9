//! What a person sees: 80 columns, colour where there is a terminal, commands never broken in two.

use anstyle::{AnsiColor, Style};

use super::{Finding, Level};

/// Columns of every terminal.
const WIDTH: usize = 80;
const LEVEL: usize = 9;
const NAME: usize = 15;

/// A finding as lines, with colour if asked for.
pub fn lines(name: &str, finding: &Finding, colour: bool) -> String {
    let paint = if colour { style(finding.level) } else { Style::new() };
    let word = format!("{paint}{:LEVEL$}{paint:#}", finding.level.word());
    let margin = " ".repeat(LEVEL + NAME);
    let room = WIDTH - LEVEL - NAME;
    let mut all = String::new();
    for (n, line) in wrap(&finding.text, room, "").into_iter().enumerate() {
        let head = if n == 0 { format!("{word}{name:NAME$}") } else { margin.clone() };
        all += &format!("{head}{line}\n");
    }
    if let Some(hint) = &finding.hint {
        for line in wrap(&format!("hint: {hint}"), room, "      ") {
            all += &format!("{margin}{line}\n");
        }
    }
    all
}

/// A check of `--list` as lines.
pub fn about(name: &str, text: &str, slow: bool) -> String {
    let text = if slow { format!("{text} (slow)") } else { text.to_owned() };
    let lines = wrap(&text, WIDTH - NAME, "");
    let head = |n: usize| if n == 0 { name } else { "" };
    lines.iter().enumerate().map(|(n, line)| format!("{:NAME$}{line}\n", head(n))).collect()
}

const fn style(level: Level) -> Style {
    match level {
        Level::Ok => AnsiColor::Green.on_default(),
        Level::Skipped => AnsiColor::BrightBlack.on_default(),
        Level::Warning => AnsiColor::Yellow.on_default(),
        Level::Failed => AnsiColor::Red.on_default().bold(),
    }
}

/// Lines of at most `room` characters; those after the first begin with `indent`. What stands between backticks is one word, so
/// that a command can be copied; a word that is longer than a line stays whole.
fn wrap(text: &str, room: usize, indent: &str) -> Vec<String> {
    let mut lines = Vec::new();
    let mut line = String::new();
    for word in words(text) {
        let fits = line.chars().count() + 1 + word.chars().count() <= room;
        if line.is_empty() {
            line = word;
        } else if fits {
            line = format!("{line} {word}");
        } else {
            lines.push(std::mem::replace(&mut line, format!("{indent}{word}")));
        }
    }
    lines.push(line);
    lines
}

fn words(text: &str) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    let mut quoted = false;
    for word in text.split_whitespace() {
        match all.last_mut() {
            Some(last) if quoted => *last = format!("{last} {word}"),
            _ => all.push(word.to_owned()),
        }
        quoted ^= !word.matches('`').count().is_multiple_of(2);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_and_commands_stay_whole() {
        let finding = Finding::failed(
            "/usr/bin/mkvmerge is version 56.1.0; at least 57 is needed, older ones damage Dolby Vision",
            "install a newer one: `apt-get install -y --no-install-recommends mkvtoolnix`, and look again",
        );
        let text = lines("mkvmerge", &finding, false);
        let expected = "\
failed   mkvmerge       /usr/bin/mkvmerge is version 56.1.0; at least 57 is
                        needed, older ones damage Dolby Vision
                        hint: install a newer one:
                              `apt-get install -y --no-install-recommends mkvtoolnix`,
                              and look again
";
        assert_eq!(text, expected);
        assert!(!text.contains('\u{1b}') && lines("x", &finding, true).starts_with("\u{1b}["));
    }
}
