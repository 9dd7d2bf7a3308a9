//! A buffered file with a known position and a known end.
use std::io::{BufReader, Read, Seek, SeekFrom};

use super::{MatroskaError, ebml};

/// Element header as found in the stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Element {
    pub(crate) id: u32,
    /// Offset of the id.
    pub(crate) offset: u64,
    /// Offset of the payload.
    pub(crate) start: u64,
    /// Payload size; `None` if unknown.
    pub(crate) size: Option<u64>,
}

impl Element {
    /// Declared end; saturates, so that a hostile size stays "behind the end of the file".
    pub(crate) fn end(&self) -> Option<u64> {
        self.size.map(|size| self.start.saturating_add(size))
    }
}

pub(crate) struct Input<R> {
    inner: BufReader<R>,
    pos: u64,
    len: u64,
}

impl<R: Read + Seek> Input<R> {
    pub(crate) fn new(mut inner: R, buffer: usize) -> Result<Self, MatroskaError> {
        let io = |source| MatroskaError::Io { offset: 0, source };
        let len = inner.seek(SeekFrom::End(0)).map_err(io)?;
        inner.seek(SeekFrom::Start(0)).map_err(io)?;
        Ok(Self { inner: BufReader::with_capacity(buffer, inner), pos: 0, len })
    }

    pub(crate) fn pos(&self) -> u64 {
        self.pos
    }

    pub(crate) fn len(&self) -> u64 {
        self.len
    }

    pub(crate) fn seek_to(&mut self, target: u64) -> Result<(), MatroskaError> {
        let offset = self.pos;
        let step = i64::try_from(target)
            .and_then(|t| i64::try_from(offset).map(|p| t - p))
            .map_err(|_| MatroskaError::damaged(offset, "offset beyond what a file can have"))?;
        self.inner.seek_relative(step).map_err(|source| MatroskaError::Io { offset, source })?;
        self.pos = target;
        Ok(())
    }

    pub(crate) fn fill(&mut self, bytes: &mut [u8]) -> Result<(), MatroskaError> {
        let offset = self.pos;
        self.inner.read_exact(bytes).map_err(|source| MatroskaError::Io { offset, source })?;
        self.pos += bytes.len() as u64;
        Ok(())
    }

    /// Reads `size` bytes into `buf` (cleared first). The buffer grows as bytes arrive, at most to `limit`.
    pub(crate) fn payload(
        &mut self,
        what: &'static str,
        size: u64,
        limit: u64,
        buf: &mut Vec<u8>,
    ) -> Result<(), MatroskaError> {
        buf.clear();
        let offset = self.pos;
        self.fits(what, offset, offset.saturating_add(size))?;
        if size > limit {
            return Err(MatroskaError::TooLarge { what, offset, size, limit });
        }
        let read = (&mut self.inner)
            .take(size)
            .read_to_end(buf)
            .map_err(|source| MatroskaError::Io { offset, source })? as u64;
        self.pos += read;
        if read < size {
            // The file shrank since its size was taken.
            return Err(MatroskaError::Truncated {
                what,
                offset,
                declared_end: offset + size,
                file_end: offset + read,
            });
        }
        Ok(())
    }

    /// Fails unless `end` lies inside the file.
    pub(crate) fn fits(&self, what: &'static str, offset: u64, end: u64) -> Result<(), MatroskaError> {
        if end > self.len {
            return Err(MatroskaError::Truncated { what, offset, declared_end: end, file_end: self.len });
        }
        Ok(())
    }

    /// Reads an element header that must end before `limit`.
    pub(crate) fn element(&mut self, limit: u64) -> Result<Element, MatroskaError> {
        let offset = self.pos;
        let mut bytes = [0u8; 12];
        let mut have = 0;
        self.header_bytes(&mut bytes, &mut have, 1, limit)?;
        let id_length = bytes[0].leading_zeros() as usize + 1;
        if id_length > 4 {
            return Err(MatroskaError::damaged(offset, format!("{:#04x} starts no element", bytes[0])));
        }
        self.header_bytes(&mut bytes, &mut have, id_length + 1, limit)?;
        let size_length = bytes[id_length].leading_zeros() as usize + 1;
        if size_length > 8 {
            return Err(MatroskaError::damaged(offset, "element size has no length marker"));
        }
        self.header_bytes(&mut bytes, &mut have, id_length + size_length, limit)?;
        let id = ebml::element_id(&bytes[..have]).map(|(id, _)| id);
        let size = ebml::vint(&bytes[id_length..have]);
        match (id, size) {
            (Some(id), Some((size, _, unknown))) => {
                Ok(Element { id, offset, start: self.pos, size: (!unknown).then_some(size) })
            }
            _ => Err(MatroskaError::damaged(offset, "element header is unreadable")),
        }
    }

    fn header_bytes(
        &mut self,
        bytes: &mut [u8; 12],
        have: &mut usize,
        want: usize,
        limit: u64,
    ) -> Result<(), MatroskaError> {
        let more = want.saturating_sub(*have);
        let end = self.pos + more as u64;
        self.fits("element header", self.pos, end)?;
        if end > limit {
            return Err(MatroskaError::damaged(self.pos, "element header crosses the end of its parent"));
        }
        self.fill(&mut bytes[*have..*have + more])?;
        *have += more;
        Ok(())
    }

    /// Moves to the next occurrence of `pattern` within `reach` bytes from the current position; false if there is
    /// none.
    pub(crate) fn find(&mut self, pattern: [u8; 4], reach: u64) -> Result<bool, MatroskaError> {
        let mut window = 0u32;
        let wanted = u32::from_be_bytes(pattern);
        let mut seen = 0u64;
        let start = self.pos;
        let mut chunk = [0u8; 4096];
        loop {
            let offset = self.pos;
            let read = self.inner.read(&mut chunk).map_err(|source| MatroskaError::Io { offset, source })?;
            if read == 0 || seen >= reach {
                return Ok(false);
            }
            self.pos += read as u64;
            for byte in &chunk[..read] {
                window = window << 8 | u32::from(*byte);
                seen += 1;
                if seen >= 4 && window == wanted {
                    self.seek_to(start + seen - 4)?;
                    return Ok(true);
                }
            }
        }
    }
}
