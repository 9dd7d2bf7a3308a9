//! The last words of a tool, in bounded memory.

use std::collections::VecDeque;

/// Keeps the last bytes of a text that is written in lines.
///
/// A line that ends in `\r` is overwritten by the next one, as on a terminal, so that ten thousand progress lines do
/// not push the one error message out.
#[derive(Debug, Clone)]
pub struct Tail {
    limit: usize,
    lines: VecDeque<u8>,
    line: VecDeque<u8>,
    returned: bool,
}

impl Tail {
    /// Keeps at most `limit` bytes of finished lines and as many of the unfinished one.
    pub fn new(limit: usize) -> Self {
        Self { limit, lines: VecDeque::new(), line: VecDeque::new(), returned: false }
    }

    /// Takes the next bytes, cut anywhere.
    pub fn push(&mut self, mut bytes: &[u8]) {
        while let Some(&first) = bytes.first() {
            if self.returned && first != b'\n' {
                self.line.clear();
            }
            self.returned = false;
            let end = bytes.iter().position(|b| matches!(b, b'\n' | b'\r')).unwrap_or(bytes.len());
            append(&mut self.line, &bytes[..end], self.limit);
            match bytes.get(end) {
                Some(b'\n') => self.finish_line(),
                Some(_) => self.returned = true,
                None => {}
            }
            bytes = &bytes[(end + 1).min(bytes.len())..];
        }
    }

    fn finish_line(&mut self) {
        let (a, b) = self.line.as_slices();
        append(&mut self.lines, a, self.limit);
        append(&mut self.lines, b, self.limit);
        append(&mut self.lines, b"\n", self.limit);
        self.line.clear();
    }

    /// What is kept, as text: at most `limit` bytes, not beginning in the middle of a line unless one line is longer.
    pub fn text(&self) -> String {
        let mut all: Vec<u8> = self.lines.iter().chain(&self.line).copied().collect();
        let cut = self.lines.len() == self.limit || all.len() > self.limit;
        all.drain(..all.len().saturating_sub(self.limit));
        if cut && let Some(end) = all.iter().position(|&b| b == b'\n').filter(|&end| end + 1 < all.len()) {
            all.drain(..=end);
        }
        String::from_utf8_lossy(&all).into_owned()
    }
}

fn append(to: &mut VecDeque<u8>, bytes: &[u8], limit: usize) {
    let bytes = &bytes[bytes.len().saturating_sub(limit)..];
    let over = (to.len() + bytes.len()).saturating_sub(limit);
    to.drain(..over);
    to.extend(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tail(limit: usize, parts: &[&str]) -> String {
        let mut t = Tail::new(limit);
        parts.iter().for_each(|p| t.push(p.as_bytes()));
        t.text()
    }

    #[test]
    fn progress_lines_overwrite_each_other_and_windows_line_ends_do_not() {
        assert_eq!(tail(99, &["error: bad\nfra", "me=1\rframe=2\r", "frame=3"]), "error: bad\nframe=3");
        assert_eq!(tail(99, &["one\r", "\ntwo\r\n"]), "one\ntwo\n");
        assert_eq!(tail(99, &["frame=9\r"]), "frame=9");
    }

    #[test]
    fn the_last_whole_lines_are_kept() {
        assert_eq!(tail(12, &["first line\nsecond\n", "third\n"]), "third\n");
        assert_eq!(tail(4, &["abcdefgh"]), "efgh");
        assert_eq!(tail(8, &["abc\ndef\n"]), "def\n");
    }

    proptest! {
        #[test]
        fn cuts_make_no_difference_and_the_limit_holds(text in "[ab\r\n]{0,60}", cut in 0usize..60, limit in 0usize..20) {
            let cut = cut.min(text.len());
            let one = tail(limit, &[&text]);
            prop_assert_eq!(&one, &tail(limit, &[&text[..cut], &text[cut..]]));
            prop_assert!(one.len() <= limit);
        }
    }
}
