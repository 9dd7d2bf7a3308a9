//! Annex B byte streams: cutting NAL units out of any reader, and writing them.
//!
//! Short reads are normal here (pipes give what they have); only a read of zero bytes is the end.

use std::io::{self, Read, Write};

use thiserror::Error;

/// The start code written before every NAL. Four bytes everywhere is what mkvmerge and dovi_tool agree on.
pub const START_CODE: [u8; 4] = [0, 0, 0, 1];

/// Largest NAL accepted by default. A 2160p picture at the highest level stays far below.
pub const DEFAULT_MAX_NAL: usize = 64 << 20;

const CHUNK: usize = 256 << 10;

/// Why a byte stream could not be cut.
#[derive(Debug, Error)]
pub enum AnnexBError {
    /// The reader failed. Never taken for the end of the stream.
    #[error("reading the HEVC stream: {0}")]
    Io(#[from] io::Error),
    /// The stream does not begin with (zeros and) a start code: it is not Annex B.
    #[error("the HEVC stream does not begin with a start code")]
    NoStartCode,
    /// No start code for too long.
    #[error("NAL unit at byte {offset} of the HEVC stream is larger than {limit} bytes")]
    TooLarge {
        /// Where it begins, start code not included.
        offset: u64,
        /// The limit it broke.
        limit: usize,
    },
}

/// Cuts NAL units out of a reader. Memory: the largest NAL met (at most the limit) plus 512 KiB.
#[derive(Debug)]
pub struct NalReader<R> {
    source: R,
    buf: Vec<u8>,
    /// First byte of the NAL that is being looked for.
    start: usize,
    /// Everything before is known to hold no start code.
    scanned: usize,
    /// Bytes of `buf` that are filled.
    end: usize,
    /// Stream position of `buf[0]`.
    offset: u64,
    synced: bool,
    eof: bool,
    max_nal: usize,
}

impl<R: Read> NalReader<R> {
    /// A reader that accepts NALs of up to [`DEFAULT_MAX_NAL`].
    pub const fn new(source: R) -> Self {
        Self::with_max_nal(source, DEFAULT_MAX_NAL)
    }

    /// A reader that accepts NALs of up to `max_nal` bytes.
    pub const fn with_max_nal(source: R, max_nal: usize) -> Self {
        Self {
            source,
            buf: Vec::new(),
            start: 0,
            scanned: 0,
            end: 0,
            offset: 0,
            synced: false,
            eof: false,
            max_nal,
        }
    }

    /// The next NAL without its start code and without trailing zero bytes; empty ones are skipped. `None` at
    /// the end of the stream, also for a stream of no bytes at all.
    ///
    /// # Errors
    /// The reader's own error, no start code at the beginning, or an oversized NAL.
    pub fn next_nal(&mut self) -> Result<Option<&[u8]>, AnnexBError> {
        if !self.synced && !self.sync()? {
            return Ok(None);
        }
        loop {
            let (nal_end, next) = match find_start_code(&self.buf[self.scanned..self.end]) {
                Some(found) => (self.scanned + found, self.scanned + found + 3),
                None if self.eof => (self.end, self.end),
                None => {
                    self.scanned = self.start.max(self.end.saturating_sub(2));
                    if self.end - self.start > self.max_nal {
                        return Err(self.too_large());
                    }
                    self.fill()?;
                    continue;
                }
            };
            let nal = &self.buf[self.start..nal_end];
            let length = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            if length > self.max_nal {
                return Err(self.too_large());
            }
            let from = self.start;
            self.start = next;
            self.scanned = next;
            if length > 0 {
                return Ok(Some(&self.buf[from..from + length]));
            }
            if self.eof && next == self.end && nal_end == next {
                return Ok(None);
            }
        }
    }

    fn too_large(&self) -> AnnexBError {
        AnnexBError::TooLarge { offset: self.offset + self.start as u64, limit: self.max_nal }
    }

    /// Finds the first start code, before which only zero bytes may be (H.265 B.2). False: no bytes at all.
    fn sync(&mut self) -> Result<bool, AnnexBError> {
        loop {
            match self.buf[self.start..self.end].iter().position(|byte| *byte != 0) {
                Some(zeros) if zeros >= 2 && self.buf[self.start + zeros] == 1 => {
                    self.start += zeros + 1;
                    self.scanned = self.start;
                    self.synced = true;
                    return Ok(true);
                }
                Some(_) => return Err(AnnexBError::NoStartCode),
                None if self.eof && self.offset == 0 && self.end == 0 => return Ok(false),
                None if self.eof => return Err(AnnexBError::NoStartCode),
                None => {
                    self.start = self.start.max(self.end.saturating_sub(2));
                    self.fill()?;
                }
            }
        }
    }

    /// Moves the unfinished NAL to the front, makes room, and reads once.
    fn fill(&mut self) -> Result<(), AnnexBError> {
        if self.start > 0 && self.buf.len() - self.end < CHUNK {
            self.buf.copy_within(self.start..self.end, 0);
            self.offset += self.start as u64;
            self.end -= self.start;
            self.scanned = self.scanned.saturating_sub(self.start);
            self.start = 0;
        }
        if self.buf.len() - self.end < CHUNK {
            // Doubling keeps the total copying linear; the caller has checked the NAL against its limit.
            let wanted = (self.buf.len() * 2).clamp(2 * CHUNK, self.max_nal.saturating_add(2 * CHUNK));
            self.buf.resize(wanted.max(self.end + CHUNK), 0);
        }
        loop {
            match self.source.read(&mut self.buf[self.end..]) {
                Ok(0) => self.eof = true,
                Ok(count) => self.end += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error.into()),
            }
            return Ok(());
        }
    }
}

/// Position of the first `00 00 01`. Looks at 64 bytes at a time for two zeros in a row, which compilers turn
/// into vector code; coded video has such a pair once in a thousand blocks.
#[must_use]
pub fn find_start_code(data: &[u8]) -> Option<usize> {
    find_triple(data, |third| third == 1)
}

/// The place of the first three bytes that no NAL unit holds (H.265 7.4.2.1: `00 00 00`, `00 00 01`, `00 00 02`; an
/// encoder puts a 03 between). Zero bytes at the end are stuffing and not looked at.
///
/// Where the container gives NAL units a length, this is how a hole of zeros inside a picture shows.
#[must_use]
pub fn find_forbidden(nal: &[u8]) -> Option<usize> {
    let end = nal.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    find_triple(&nal[..end], |third| third < 3)
}

/// The first `00 00` with a third byte of that kind behind it.
fn find_triple(data: &[u8], third: impl Fn(u8) -> bool) -> Option<usize> {
    const BLOCK: usize = 64;
    let slowly = |data: &[u8]| data.windows(3).position(|t| t[0] == 0 && t[1] == 0 && third(t[2]));
    let mut at = 0;
    while let (Some(here), Some(shifted)) = (
        data.get(at..).and_then(|d| d.first_chunk::<BLOCK>()),
        data.get(at + 1..).and_then(|d| d.first_chunk::<BLOCK>()),
    ) {
        let pair = here.iter().zip(shifted).fold(false, |hit, (a, b)| hit | (a | b == 0));
        if pair && let Some(found) = slowly(&data[at..data.len().min(at + BLOCK + 2)]) {
            return Some(at + found);
        }
        at += BLOCK;
    }
    slowly(&data[at..]).map(|found| at + found)
}

/// Writes one NAL with a start code of four bytes.
///
/// # Errors
/// The writer's own.
pub fn write_nal(out: &mut impl Write, nal: &[u8]) -> io::Result<()> {
    out.write_all(&START_CODE)?;
    out.write_all(nal)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(data: &[u8]) -> Result<Vec<Vec<u8>>, AnnexBError> {
        let mut reader = NalReader::with_max_nal(data, 1000);
        let mut nals = Vec::new();
        while let Some(nal) = reader.next_nal()? {
            nals.push(nal.to_vec());
        }
        Ok(nals)
    }

    #[test]
    fn start_codes_of_three_and_four_bytes_and_stray_zeros() {
        let stream = [0, 0, 0, 0, 1, 7, 0, 0, 1, 0, 0, 1, 8, 0, 9, 0, 0, 0, 0, 0, 1, 5, 0, 0];
        assert_eq!(all(&stream).unwrap(), [vec![7], vec![8, 0, 9], vec![5]]);
        assert!(all(&[]).unwrap().is_empty());
        assert!(all(&[0, 0, 1]).unwrap().is_empty());
    }

    #[test]
    fn what_no_nal_holds_is_found_wherever_it_lies() {
        for at in [0, 1, 61, 62, 63, 64, 65, 200] {
            for third in 0..4 {
                let mut nal = vec![7; 260];
                nal[at..at + 3].copy_from_slice(&[0, 0, third]);
                assert_eq!(find_forbidden(&nal), (third < 3).then_some(at), "{third} at {at}");
                assert_eq!(find_start_code(&nal), (third == 1).then_some(at), "{third} at {at}");
            }
        }
        assert_eq!(find_forbidden(&[7, 0, 0, 0, 0]), None, "stuffing");
        assert_eq!(find_forbidden(&[0; 100]), None);
        assert_eq!(find_forbidden(&[]), None);
    }

    #[test]
    fn what_is_not_a_stream_is_named() {
        assert!(matches!(all(&[0, 1, 2]), Err(AnnexBError::NoStartCode)));
        assert!(matches!(all(&[0; 5000]), Err(AnnexBError::NoStartCode)));
        let mut long = vec![0, 0, 1, 7, 0, 0, 1];
        long.resize(5000, 9);
        assert!(matches!(all(&long), Err(AnnexBError::TooLarge { offset: 7, limit: 1000 })));
    }

    #[test]
    fn a_failing_reader_is_not_the_end() {
        struct Broken(bool);
        impl Read for Broken {
            fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                if std::mem::replace(&mut self.0, true) {
                    return Err(io::Error::other("cable"));
                }
                buf[..5].copy_from_slice(&[0, 0, 1, 7, 7]);
                Ok(5)
            }
        }
        assert!(matches!(NalReader::new(Broken(false)).next_nal(), Err(AnnexBError::Io(_))));
    }
}
