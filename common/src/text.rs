//! Names, sizes and times for people.

use std::fmt::Write;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use unicode_width::UnicodeWidthStr;

/// A text that cannot move the cursor, change colours or turn the reading direction of the terminal: such characters
/// come out as `\u{1b}`. File names may hold any of them.
pub fn safe(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_unicode());
        } else {
            out.push(c);
        }
    }
    out
}

/// A path for people; bytes that are not UTF-8 come out as `\xff`.
pub fn safe_path(path: impl AsRef<Path>) -> String {
    let mut out = String::new();
    for chunk in path.as_ref().as_os_str().as_bytes().utf8_chunks() {
        out.push_str(&safe(chunk.valid()));
        for b in chunk.invalid() {
            let _ = write!(out, "\\x{b:02x}");
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || turns_direction(c)
}

/// Characters without a shape of their own that change how those beside them are shown.
pub fn turns_direction(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `999 B`, `4.2 GB`: decimal units, as disks are sold and as file managers show them.
pub fn bytes(n: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if n < 1000 {
        return format!("{n} B");
    }
    let mut value = n as f64 / 1000.0;
    let mut unit = 0;
    // 999.95 would be printed as 1000.0
    while value >= 999.95 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    format!("{value:.1} {}", UNITS[unit])
}

/// Without the kernel's numbers: `Permission denied (os error 13)` as `Permission denied`.
pub fn without_numbers(text: &str) -> String {
    const MARK: &str = " (os error ";
    let mut parts = text.split(MARK);
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        match part.split_once(')') {
            Some((number, rest)) if number.bytes().all(|b| b.is_ascii_digit()) => out.push_str(rest),
            _ => out.extend([MARK, part]),
        }
    }
    out
}

/// `45 s`, `12 min`, `3 h 05 min`, `2 d 03 h`
pub fn duration(d: Duration) -> String {
    let s = d.as_secs();
    match s {
        0..60 => format!("{s} s"),
        60..3600 => format!("{} min", s / 60),
        3600..86_400 => format!("{} h {:02} min", s / 3600, s % 3600 / 60),
        _ => format!("{} d {:02} h", s / 86_400, s % 86_400 / 3600),
    }
}

/// `1000 nits`, with a decimal only where it matters.
pub fn nits(n: f64) -> String {
    if n >= 10.0 { format!("{n:.0} nits") } else { format!("{n:.2} nits") }
}

/// Columns that a text takes in a terminal: two for most of East Asia's characters and for emoji, none for combining marks.
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// At most `width` columns: the middle goes, since both ends of a path tell films apart.
pub fn cut(text: &str, width: usize) -> String {
    without_middle(text, width, width.saturating_sub(1) / 2)
}

/// The same, but only a quarter of what stays is the end: for titles, which say most in their beginning.
pub fn cut_late(text: &str, width: usize) -> String {
    without_middle(text, width, width.saturating_sub(1) * 3 / 4)
}

fn without_middle(text: &str, width: usize, head: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    if width <= 1 {
        return begin(text, width).to_owned();
    }
    format!("{}…{}", begin(text, head), end(text, width - 1 - head))
}

/// The same, but the end goes: for sentences.
pub fn clip(text: &str, width: usize) -> String {
    if columns(text) <= width {
        return text.to_owned();
    }
    format!("{}{}", begin(text, width.saturating_sub(1)).trim_end(), if width > 0 { "…" } else { "" })
}

/// Fills up with blanks to `width` columns, which `{:<}` does not: it counts characters.
pub fn pad(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// The longest beginning of at most `width` columns.
fn begin(text: &str, width: usize) -> &str {
    // A sequence of characters may be narrower than its parts, so each beginning is measured as a whole.
    let ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let fits = ends.take_while(|end| columns(&text[..*end]) <= width).last();
    &text[..fits.unwrap_or(0)]
}

/// The longest end of at most `width` columns.
fn end(text: &str, width: usize) -> &str {
    let begins = text.char_indices().rev().map(|(at, _)| at);
    let fits = begins.take_while(|at| columns(&text[*at..]) <= width).last();
    &text[fits.unwrap_or(text.len())..]
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;

    use super::*;

    #[test]
    fn a_file_name_cannot_write_to_the_terminal() {
        assert_eq!(safe("a\x1b[2Jb\nc"), "a\\u{1b}[2Jb\\u{a}c");
        assert_eq!(safe("film\u{202e}vkm.exe"), "film\\u{202e}vkm.exe");
        assert_eq!(safe("Amélie – 東京.mkv"), "Amélie – 東京.mkv");
        assert_eq!(safe_path(OsStr::from_bytes(b"/x/\xffa\r.mkv")), "/x/\\xffa\\u{d}.mkv");
    }

    #[test]
    fn sizes_and_times_are_short() {
        let sizes: Vec<_> = [0, 999, 1000, 999_949, 999_950, 68_719_476_736].into_iter().map(bytes).collect();
        assert_eq!(sizes, ["0 B", "999 B", "1.0 kB", "999.9 kB", "1.0 MB", "68.7 GB"]);
        let times: Vec<_> = [5, 65, 3900, 90_000].map(|s| duration(Duration::from_secs(s))).into();
        assert_eq!(times, ["5 s", "1 min", "1 h 05 min", "1 d 01 h"]);
    }

    #[test]
    fn numbers_of_the_kernel_go_and_nothing_else() {
        let text = "/a (os error x): No such file or directory (os error 2), and so on (os error 5";
        let plain = "/a (os error x): No such file or directory, and so on (os error 5";
        assert_eq!(without_numbers(text), plain);
    }

    #[test]
    fn long_names_lose_their_middle() {
        assert_eq!(cut("films:Some Film/film.mkv", 11), "films…m.mkv");
        assert_eq!(cut("abc", 3), "abc");
        assert_eq!(
            (clip("a sentence that is long", 11), clip("short", 11)),
            ("a sentence…".into(), "short".into())
        );
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((columns("東京"), columns("e\u{301}"), columns("🎬")), (4, 1, 2));
        assert_eq!(cut("東京東京東京", 5), "東…京");
        assert_eq!(cut("東京東京東京", 6), "東…京");
        assert_eq!(pad("東京", 6), "東京  ");
        for width in 0..20 {
            let text = "films:東京物語 (1953)/東京物語 🎬.mkv";
            assert!(columns(&cut(text, width)) <= width && columns(&clip(text, width)) <= width, "{width}");
        }
    }
}
