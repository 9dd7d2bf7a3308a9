//! Attached files (RFC 9559 section 5.1.6), hashed as they pass.
use std::io::{Read, Seek};

use super::{
    Attachment, MatroskaError, MatroskaReader, ebml, ids,
    input::{Element, Input},
    reader::bounded,
};

const MAX_ATTACHMENTS: usize = 4096;

impl<R: Read + Seek> MatroskaReader<R> {
    pub(super) fn attachments(&mut self, element: &Element) -> Result<(), MatroskaError> {
        let end = element.end().unwrap_or(element.start);
        self.input.fits("attachments", element.offset, end)?;
        while self.input.pos() < end {
            let file = self.input.element(end)?;
            let file_end = bounded(&file, end)?;
            if file.id == ids::ATTACHED_FILE && self.header.attachments.len() < MAX_ATTACHMENTS {
                let attachment = attachment(&mut self.input, file_end, self.hash_attachments)?;
                self.header.attachments.push(attachment);
            }
            self.input.seek_to(file_end)?;
        }
        Ok(())
    }
}

fn attachment<R: Read + Seek>(
    input: &mut Input<R>,
    end: u64,
    hashed: bool,
) -> Result<Attachment, MatroskaError> {
    let mut attachment = Attachment::default();
    while input.pos() < end {
        let part = input.element(end)?;
        let part_end = bounded(&part, end)?;
        let size = part_end - part.start;
        match part.id {
            ids::FILE_NAME | ids::FILE_MIME | ids::FILE_DESCRIPTION | ids::FILE_UID => {
                let mut bytes = Vec::new();
                input.payload("attachment name", size, 1 << 16, &mut bytes)?;
                match part.id {
                    ids::FILE_NAME => attachment.name = ebml::text(&bytes),
                    ids::FILE_MIME => attachment.mime = ebml::text(&bytes),
                    ids::FILE_DESCRIPTION => attachment.description = Some(ebml::text(&bytes)),
                    _ => attachment.uid = ebml::uint(&bytes).unwrap_or(0),
                }
            }
            ids::FILE_DATA => {
                attachment.size = size;
                if hashed {
                    attachment.hash = hash(input, size)?;
                }
            }
            _ => {}
        }
        input.seek_to(part_end)?;
    }
    Ok(attachment)
}

/// BLAKE3 of the next `size` bytes, through a small buffer: fonts and covers together may be large.
fn hash<R: Read + Seek>(input: &mut Input<R>, size: u64) -> Result<String, MatroskaError> {
    let (mut hasher, mut buf, mut left) = (blake3::Hasher::new(), vec![0; 1 << 16], size);
    while left > 0 {
        let take = usize::try_from(left).map_or(buf.len(), |left| left.min(buf.len()));
        input.fill(&mut buf[..take])?;
        hasher.update(&buf[..take]);
        left -= take as u64;
    }
    Ok(hasher.finalize().to_hex().to_string())
}
