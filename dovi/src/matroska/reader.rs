//! The reader: a two-level walk over segment and cluster children.
use std::{
    collections::{BTreeSet, VecDeque},
    io::{Read, Seek},
    ops::Range,
};

use super::{
    Header, MatroskaError, block::BlockHead, chapters, cues, ebml, encoding, entries, ids, input::Element,
    input::Input, lacing, tags,
};

/// Largest master element that is loaded whole (Tracks, Tags, Chapters, Cues).
pub(super) const MAX_MASTER: u64 = 64 << 20;
/// Largest block. A UHD frame has a few MiB at most.
const MAX_BLOCK: u64 = 256 << 20;
/// Longest time that is believed, in nanoseconds: 73 years. Sums and differences of such times never overflow.
pub(super) const MAX_TIME_NS: u64 = u64::MAX / 8;

/// One frame, as stored in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Block {
    /// Track number.
    pub track: u64,
    /// Timestamp of the frame.
    pub pts_ns: i64,
    /// Duration, from the block or the track's default.
    pub duration_ns: Option<u64>,
    /// Marked as key frame (no reference block).
    pub key: bool,
    /// Offset of the block element in the file.
    pub offset: u64,
    /// Bytes of BlockAdditions beside it, which are not read.
    pub additions: u64,
}

/// What the structure says about completeness.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Integrity {
    /// End of the segment as declared; `None` if written with unknown size.
    pub declared_end: Option<u64>,
    /// Size of the file.
    pub file_end: u64,
    /// The segment is declared to end behind the end of the file.
    pub truncated: bool,
    /// How often a cluster was searched for instead of followed to.
    pub resyncs: u64,
}

pub(super) struct Cluster {
    end: Option<u64>,
    timestamp: i64,
}

/// Sequential reader over the blocks of one file.
pub struct MatroskaReader<R> {
    pub(super) input: Input<R>,
    pub(super) header: Header,
    pub(super) segment_start: u64,
    pub(super) segment_end: Option<u64>,
    pub(super) first_cluster: Option<u64>,
    pub(super) cluster: Option<Cluster>,
    pub(super) seek_head: Vec<(u32, u64)>,
    pub(super) parsed: BTreeSet<u64>,
    pub(super) cues_at: Option<u64>,
    pub(super) laced: VecDeque<(Block, Range<usize>)>,
    lace_bytes: Vec<u8>,
    pub(super) resyncs: u64,
    pub(super) hash_attachments: bool,
}

impl<R: Read + Seek> MatroskaReader<R> {
    /// Reads everything before the first cluster, through a buffer of 1 MiB. Attachments are hashed, here and later.
    ///
    /// # Errors
    /// If this is no Matroska file, has no tracks, or ends or is damaged before its first cluster.
    pub fn open(source: R) -> Result<Self, MatroskaError> {
        Self::start(source, 1 << 20, true)
    }

    /// As [`Self::open`] with a read buffer of `buffer` bytes, for sampling: attachments are passed over unread.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn with_buffer(source: R, buffer: usize) -> Result<Self, MatroskaError> {
        Self::start(source, buffer, false)
    }

    fn start(source: R, buffer: usize, hash_attachments: bool) -> Result<Self, MatroskaError> {
        let mut input = Input::new(source, buffer)?;
        let (segment_start, segment_end) = prologue(&mut input)?;
        let header = Header { timestamp_scale_ns: 1_000_000, ..Header::default() };
        let mut reader = Self {
            input,
            header,
            segment_start,
            segment_end,
            first_cluster: None,
            cluster: None,
            seek_head: Vec::new(),
            parsed: BTreeSet::new(),
            cues_at: None,
            laced: VecDeque::new(),
            lace_bytes: Vec::new(),
            resyncs: 0,
            hash_attachments,
        };
        while reader.first_cluster.is_none() && reader.segment_step()? {}
        if reader.header.tracks.is_empty() {
            return Err(MatroskaError::NoTracks);
        }
        Ok(reader)
    }

    /// The header; attachments, chapters and tags stored behind the clusters are added once they were passed.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// Current offset in the file.
    pub fn position(&self) -> u64 {
        self.input.pos()
    }

    /// What is known about completeness so far.
    pub fn integrity(&self) -> Integrity {
        let file_end = self.input.len();
        Integrity {
            declared_end: self.segment_end,
            file_end,
            truncated: self.segment_end.is_some_and(|end| end > file_end),
            resyncs: self.resyncs,
        }
    }

    /// The next frame of a track for which `want` says yes, its payload in `buf` with content encodings undone.
    /// Payload of other tracks is skipped. `None` at the end of the segment.
    ///
    /// # Errors
    /// [`MatroskaError::Truncated`] if the file ends inside anything, [`MatroskaError::Damaged`] on bytes that are
    /// no element; the reader does not resynchronise on its own.
    pub fn next_block(
        &mut self,
        want: &mut dyn FnMut(u64) -> bool,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Block>, MatroskaError> {
        loop {
            if let Some((block, range)) = self.laced.pop_front() {
                buf.clear();
                buf.extend_from_slice(&self.lace_bytes[range]);
                self.unpack(&block, buf)?;
                return Ok(Some(block));
            }
            if self.cluster.is_none() {
                if !self.segment_step()? {
                    return Ok(None);
                }
                continue;
            }
            if let Some(block) = self.cluster_step(want, buf)? {
                self.unpack(&block, buf)?;
                return Ok(Some(block));
            }
        }
    }

    fn unpack(&self, block: &Block, buf: &mut Vec<u8>) -> Result<(), MatroskaError> {
        match self.header.track(block.track) {
            Some(track) => encoding::undo(&track.encodings, 1, block.track, block.offset, buf),
            None => Ok(()),
        }
    }

    /// Handles one child of the segment; false at its end.
    fn segment_step(&mut self) -> Result<bool, MatroskaError> {
        let (at, file_end) = (self.input.pos(), self.input.len());
        match self.segment_end {
            Some(end) if at >= end => return Ok(false),
            Some(end) if at >= file_end => {
                return Err(MatroskaError::Truncated {
                    what: "segment",
                    offset: self.segment_start,
                    declared_end: end,
                    file_end,
                });
            }
            None if at >= file_end => return Ok(false),
            _ => {}
        }
        let element = self.input.element(self.segment_end.unwrap_or(u64::MAX))?;
        self.segment_child(element)?;
        Ok(true)
    }

    pub(super) fn segment_child(&mut self, element: Element) -> Result<(), MatroskaError> {
        if !ids::is_segment_child(element.id) {
            return Err(MatroskaError::damaged(
                element.offset,
                format!("element {:#x} does not belong into a segment", element.id),
            ));
        }
        if let (Some(end), Some(limit)) = (element.end(), self.segment_end)
            && end > limit
        {
            return Err(MatroskaError::damaged(element.offset, "element crosses the end of the segment"));
        }
        if element.id == ids::CLUSTER {
            self.first_cluster.get_or_insert(element.offset);
            self.cluster = Some(Cluster { end: element.end(), timestamp: 0 });
            return Ok(());
        }
        let Some(size) = element.size else {
            return Err(MatroskaError::damaged(
                element.offset,
                "only segments and clusters may have unknown size",
            ));
        };
        if element.id == ids::CUES {
            self.cues_at = Some(element.offset);
        }
        let first_visit = self.parsed.insert(element.offset);
        match element.id {
            ids::ATTACHMENTS if first_visit => self.attachments(&element)?,
            ids::SEEK_HEAD | ids::INFO | ids::TRACKS | ids::CHAPTERS | ids::TAGS if first_visit => {
                let mut payload = Vec::new();
                self.input.payload(master_name(element.id), size, MAX_MASTER, &mut payload)?;
                match element.id {
                    ids::SEEK_HEAD => self.seek_head.extend(cues::seek_head(&payload).into_iter().take(256)),
                    ids::INFO if self.header.muxing_app.is_empty() => {
                        entries::info(&payload, element.offset, &mut self.header)?;
                    }
                    ids::TRACKS if self.header.tracks.is_empty() => {
                        entries::tracks(&payload, element.offset, &mut self.header)?;
                    }
                    ids::CHAPTERS => self.header.editions.extend(chapters::parse(&payload)),
                    ids::TAGS => self.header.tags.extend(tags::parse(&payload)),
                    _ => {}
                }
            }
            _ => self.skip(&element, size)?,
        }
        Ok(())
    }

    fn skip(&mut self, element: &Element, size: u64) -> Result<(), MatroskaError> {
        let end = element.start.saturating_add(size);
        self.input.fits("element", element.offset, end)?;
        self.input.seek_to(end)
    }

    /// Handles one child of the cluster; a block if it was a wanted one without lacing.
    fn cluster_step(
        &mut self,
        want: &mut dyn FnMut(u64) -> bool,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Block>, MatroskaError> {
        let Some(cluster) = &self.cluster else { return Ok(None) };
        let at = self.input.pos();
        let limit = match (cluster.end, self.segment_end) {
            (Some(end), _) if at >= end => {
                self.cluster = None;
                return Ok(None);
            }
            (Some(end), _) | (None, Some(end)) => end,
            (None, None) => u64::MAX,
        };
        if cluster.end.is_none() && at >= limit.min(self.input.len()) {
            // An unknown size ends with the segment; whether the file goes on long enough is the segment's question.
            self.cluster = None;
            return Ok(None);
        }
        let element = self.input.element(limit)?;
        if cluster.end.is_none() && ids::is_segment_child(element.id) && !ids::is_cluster_child(element.id) {
            self.cluster = None;
            self.segment_child(element)?;
            return Ok(None);
        }
        if !ids::is_cluster_child(element.id) {
            return Err(MatroskaError::damaged(
                element.offset,
                format!("element {:#x} does not belong into a cluster", element.id),
            ));
        }
        let end = bounded(&element, limit)?;
        let size = end - element.start;
        match element.id {
            ids::CLUSTER_TIMESTAMP if size > 8 => {
                Err(MatroskaError::damaged(element.offset, "cluster timestamp of more than 8 bytes"))
            }
            ids::CLUSTER_TIMESTAMP => {
                let mut bytes = Vec::new();
                self.input.payload("cluster timestamp", size, 8, &mut bytes)?;
                let ticks = ebml::uint(&bytes).and_then(|t| i64::try_from(t).ok());
                let ticks =
                    ticks.ok_or_else(|| MatroskaError::damaged(element.offset, "cluster timestamp"))?;
                if let Some(cluster) = &mut self.cluster {
                    cluster.timestamp = ticks;
                }
                Ok(None)
            }
            ids::SIMPLE_BLOCK => {
                let head = self.head(element.offset, size)?;
                if !want(head.track) {
                    self.input.seek_to(end)?;
                    return Ok(None);
                }
                self.input.payload("block", head.size, MAX_BLOCK, buf)?;
                self.deliver(head, None, head.flags & 0x80 != 0, 0, buf)
            }
            ids::BLOCK_GROUP => self.group(&element, end, want, buf),
            ids::ENCRYPTED_BLOCK => Err(MatroskaError::damaged(element.offset, "encrypted block")),
            _ => {
                self.skip(&element, size)?;
                Ok(None)
            }
        }
    }

    fn head(&mut self, offset: u64, size: u64) -> Result<BlockHead, MatroskaError> {
        let head = BlockHead::read(&mut self.input, offset, size)?;
        if self.header.track(head.track).is_none() {
            return Err(MatroskaError::damaged(offset, format!("block of unknown track {}", head.track)));
        }
        Ok(head)
    }

    fn group(
        &mut self,
        group: &Element,
        end: u64,
        want: &mut dyn FnMut(u64) -> bool,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Block>, MatroskaError> {
        self.input.fits("block group", group.offset, end)?;
        let (mut head, mut duration, mut key, mut additions) = (None, None, true, 0);
        while self.input.pos() < end {
            let child = self.input.element(end)?;
            let child_end = bounded(&child, end)?;
            let size = child_end - child.start;
            match child.id {
                ids::BLOCK if head.is_none() => {
                    let found = self.head(child.offset, size)?;
                    if want(found.track) {
                        self.input.payload("block", found.size, MAX_BLOCK, buf)?;
                        head = Some(found);
                    } else {
                        return self.input.seek_to(end).map(|()| None);
                    }
                }
                ids::BLOCK_DURATION if size <= 8 => {
                    let mut bytes = Vec::new();
                    self.input.payload("block duration", size, 8, &mut bytes)?;
                    duration = ebml::uint(&bytes);
                }
                ids::REFERENCE_BLOCK => key = false,
                ids::BLOCK_ADDITIONS => additions += size,
                _ => {}
            }
            self.input.seek_to(child_end)?;
        }
        match head {
            Some(head) => self.deliver(head, duration, key, additions, buf),
            None => Err(MatroskaError::damaged(group.offset, "block group without a block")),
        }
    }

    /// Turns a block in `buf` into frames: the only one is returned, laced ones are queued.
    fn deliver(
        &mut self,
        head: BlockHead,
        duration_ticks: Option<u64>,
        key: bool,
        additions: u64,
        buf: &mut Vec<u8>,
    ) -> Result<Option<Block>, MatroskaError> {
        let scale = i128::from(self.header.timestamp_scale_ns);
        let cluster = self.cluster.as_ref().map_or(0, |c| c.timestamp);
        let pts_ns = (i128::from(cluster) + i128::from(head.relative)).saturating_mul(scale);
        let pts_ns = i64::try_from(pts_ns)
            .ok()
            .filter(|ns| ns.unsigned_abs() <= MAX_TIME_NS)
            .ok_or_else(|| MatroskaError::damaged(head.offset, "a timestamp of more than 73 years"))?;
        let default = self.header.track(head.track).and_then(|t| t.default_duration_ns);
        let whole = duration_ticks.map(|d| d.saturating_mul(self.header.timestamp_scale_ns));
        let (track, offset) = (head.track, head.offset);
        let block = Block { track, pts_ns, duration_ns: whole.or(default), key, offset, additions };
        if head.lacing() == 0 {
            return Ok(Some(block));
        }
        let ranges = lacing::frames(head.lacing(), buf)
            .ok_or_else(|| MatroskaError::damaged(head.offset, "lace sizes do not fit the block"))?;
        std::mem::swap(buf, &mut self.lace_bytes);
        let each = default.or_else(|| whole.map(|w| w / ranges.len() as u64));
        let step = each.filter(|d| *d <= MAX_TIME_NS / 256).and_then(|d| i64::try_from(d).ok()).unwrap_or(0);
        self.laced = ranges
            .into_iter()
            .zip(0i64..)
            .map(|(range, i)| {
                let pts_ns = pts_ns.saturating_add(step.saturating_mul(i));
                (Block { pts_ns, duration_ns: each, ..block }, range)
            })
            .collect();
        Ok(None)
    }
}

/// EBML header and the head of the segment; returns start and declared end of its payload.
fn prologue<R: Read + Seek>(input: &mut Input<R>) -> Result<(u64, Option<u64>), MatroskaError> {
    if input.len() == 0 {
        return Err(MatroskaError::Empty);
    }
    let foreign = MatroskaError::NotMatroska("no ebml header");
    let Ok(element) = input.element(u64::MAX) else { return Err(foreign) };
    let (ids::EBML, Some(size)) = (element.id, element.size) else { return Err(foreign) };
    let mut payload = Vec::new();
    input.payload("ebml header", size, 4096, &mut payload)?;
    let doc_type =
        ebml::Elements::new(&payload).find(|(id, _)| *id == ids::DOC_TYPE).map(|(_, t)| ebml::text(t));
    if !matches!(doc_type.as_deref(), Some("matroska" | "webm")) {
        return Err(MatroskaError::NotMatroska("ebml document of another type"));
    }
    loop {
        let element = input.element(u64::MAX)?;
        match (element.id, element.size) {
            (ids::SEGMENT, _) => return Ok((element.start, element.end())),
            (ids::VOID | ids::CRC32, Some(size)) => {
                input.fits("void", element.offset, element.start.saturating_add(size))?;
                input.seek_to(element.start + size)?;
            }
            _ => return Err(MatroskaError::NotMatroska("no segment")),
        }
    }
}

/// End of a child, which must have a size and lie inside its parent.
pub(super) fn bounded(element: &Element, limit: u64) -> Result<u64, MatroskaError> {
    match element.end() {
        None => Err(MatroskaError::damaged(element.offset, "element of unknown size")),
        Some(end) if end > limit => {
            Err(MatroskaError::damaged(element.offset, "element crosses the end of its parent"))
        }
        Some(end) => Ok(end),
    }
}

fn master_name(id: u32) -> &'static str {
    match id {
        ids::INFO => "info",
        ids::TRACKS => "tracks",
        ids::CHAPTERS => "chapters",
        ids::TAGS => "tags",
        _ => "seek head",
    }
}
