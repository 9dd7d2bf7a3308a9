//! Where standard output goes.

use std::io::{self, PipeReader, PipeWriter};
use std::process::Stdio;

/// What to do with a tool's standard output.
pub enum Stdout {
    /// Throw it away.
    Null,
    /// Call for every line (ended by `\n` or `\r`, without it; invalid UTF-8 replaced; cut at 64 KiB). The call is made
    /// on the runtime and must not block.
    Lines(Box<dyn FnMut(&str) + Send>),
    /// Keep the first bytes, up to this many.
    Capture(usize),
    /// Write into a pipe whose other end a blocking thread reads, see [`pipe`].
    Pipe(PipeWriter),
}

impl Stdout {
    /// A call for every line.
    pub fn lines(call: impl FnMut(&str) + Send + 'static) -> Self {
        Self::Lines(Box::new(call))
    }
}

/// A pipe for a tool's standard output: the first half is for [`Supervision`](super::Supervision), the second for the
/// thread that reads it with plain blocking calls.
///
/// The reader sees the end of the data when the tool ended, also when it was killed: only the [`ExitReport`] tells
/// complete output from cut output. A reader that is dropped early ends the tool by SIGPIPE.
///
/// [`ExitReport`]: super::ExitReport
///
/// # Errors
/// No free file descriptors.
pub fn pipe() -> io::Result<(Stdout, PipeReader)> {
    let (reader, writer) = io::pipe()?;
    // 1 MiB instead of 64 KiB: fewer switches between an encoder and the thread behind it. Beyond the user's
    // allowance the kernel refuses, and the default does.
    let _ = rustix::pipe::fcntl_setpipe_size(&writer, 1 << 20);
    Ok((Stdout::Pipe(writer), reader))
}

/// The receiving side of a [`Stdout`].
pub(super) enum Sink {
    Null,
    Lines(Lines, Box<dyn FnMut(&str) + Send>),
    Capture { limit: usize, kept: Vec<u8>, cut: bool },
}

impl Sink {
    /// What to give to the child, and what takes the bytes that come back.
    pub(super) fn open(stdout: Stdout) -> (Stdio, Self) {
        match stdout {
            Stdout::Null => (Stdio::null(), Self::Null),
            Stdout::Pipe(writer) => (writer.into(), Self::Null),
            Stdout::Lines(call) => (Stdio::piped(), Self::Lines(Lines::default(), call)),
            Stdout::Capture(limit) => (Stdio::piped(), Self::Capture { limit, kept: Vec::new(), cut: false }),
        }
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Null => {}
            Self::Lines(lines, call) => lines.push(bytes, call),
            Self::Capture { limit, kept, cut } => {
                let fits = bytes.len().min(*limit - kept.len());
                kept.extend_from_slice(&bytes[..fits]);
                *cut |= fits < bytes.len();
            }
        }
    }

    /// The captured bytes, and whether there were more.
    pub(super) fn finish(self) -> (Vec<u8>, bool) {
        match self {
            Self::Null => (Vec::new(), false),
            Self::Lines(mut lines, mut call) => {
                lines.end(&mut call);
                (Vec::new(), false)
            }
            Self::Capture { kept, cut, .. } => (kept, cut),
        }
    }
}

const LONGEST_LINE: usize = 64 << 10;

/// Cuts bytes into lines.
#[derive(Default)]
pub(super) struct Lines {
    line: Vec<u8>,
}

impl Lines {
    pub(super) fn push(&mut self, bytes: &[u8], call: &mut dyn FnMut(&str)) {
        for part in bytes.split_inclusive(|b| matches!(b, b'\n' | b'\r')) {
            let ended = part.ends_with(b"\n") || part.ends_with(b"\r");
            let text = &part[..part.len() - usize::from(ended)];
            let room = LONGEST_LINE - self.line.len();
            self.line.extend(&text[..text.len().min(room)]);
            if ended {
                self.end(call);
            }
        }
    }

    /// Gives out the last line if it had no end.
    pub(super) fn end(&mut self, call: &mut dyn FnMut(&str)) {
        if !self.line.is_empty() {
            call(&String::from_utf8_lossy(&self.line));
            self.line.clear();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_the_bytes_were_cut() {
        for cut in 0..=20 {
            let (mut got, mut lines) = (Vec::new(), Lines::default());
            let text = b"frame=1\r\nfps=2\r\nprog";
            let (a, b) = text.split_at(cut.min(text.len()));
            for part in [a, b] {
                lines.push(part, &mut |l| got.push(l.to_owned()));
            }
            lines.end(&mut |l| got.push(l.to_owned()));
            assert_eq!(got, ["frame=1", "fps=2", "prog"]);
        }
    }

    #[test]
    fn an_endless_line_is_cut() {
        let (mut longest, mut lines) = (0, Lines::default());
        for _ in 0..4 {
            lines.push(&[b'x'; 50_000], &mut |_| ());
        }
        lines.end(&mut |l| longest = l.len());
        assert_eq!(longest, LONGEST_LINE);
    }
}
