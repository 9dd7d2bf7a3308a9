//! A Matroska file as a tree that can be taken apart and made to lie. It shares no code with the reader under test.

use std::ops::Range;

pub const EBML: u32 = 0x1A45_DFA3;
pub const DOC_TYPE: u32 = 0x4282;
pub const SEGMENT: u32 = 0x1853_8067;
pub const SEEK_HEAD: u32 = 0x114D_9B74;
pub const SEEK: u32 = 0x4DBB;
pub const SEEK_POSITION: u32 = 0x53AC;
pub const INFO: u32 = 0x1549_A966;
pub const TIMESTAMP_SCALE: u32 = 0x2A_D7B1;
pub const TRACKS: u32 = 0x1654_AE6B;
pub const TRACK_ENTRY: u32 = 0xAE;
pub const TRACK_NUMBER: u32 = 0xD7;
pub const CODEC_PRIVATE: u32 = 0x63A2;
pub const CONTENT_ENCODINGS: u32 = 0x6D80;
pub const CONTENT_ENCODING: u32 = 0x6240;
pub const CONTENT_COMPRESSION: u32 = 0x5034;
pub const CONTENT_COMP_ALGO: u32 = 0x4254;
pub const CLUSTER: u32 = 0x1F43_B675;
pub const CLUSTER_TIMESTAMP: u32 = 0xE7;
pub const SIMPLE_BLOCK: u32 = 0xA3;
pub const BLOCK_GROUP: u32 = 0xA0;
pub const BLOCK: u32 = 0xA1;
pub const CUES: u32 = 0x1C53_BB6B;
pub const CUE_POINT: u32 = 0xBB;
pub const CUE_TRACK_POSITIONS: u32 = 0xB7;
pub const CUE_CLUSTER_POSITION: u32 = 0xF1;
pub const ATTACHMENTS: u32 = 0x1941_A469;
pub const ATTACHED_FILE: u32 = 0x61A7;
pub const FILE_DATA: u32 = 0x465C;
pub const TAGS: u32 = 0x1254_C367;
pub const TAG: u32 = 0x7373;
pub const SIMPLE_TAG: u32 = 0x67C8;
pub const VOID: u32 = 0xEC;

const MASTERS: [u32; 16] = [
    EBML,
    SEGMENT,
    SEEK_HEAD,
    SEEK,
    INFO,
    TRACKS,
    TRACK_ENTRY,
    CLUSTER,
    BLOCK_GROUP,
    CUES,
    CUE_POINT,
    CUE_TRACK_POSITIONS,
    ATTACHMENTS,
    ATTACHED_FILE,
    TAGS,
    TAG,
];

/// What the size field says.
#[derive(Clone, Copy, PartialEq)]
pub enum Size {
    /// The truth.
    True,
    /// This many bytes.
    Says(u64),
    /// All ones.
    Unknown,
}

#[derive(Clone)]
pub struct Node {
    pub id: u32,
    pub size: Size,
    /// Bytes of the size field in the healthy file.
    width: usize,
    /// The element in the healthy file, and its payload.
    pub whole: Range<usize>,
    pub inner: Range<usize>,
    pub data: Vec<u8>,
    pub children: Vec<Node>,
}

impl Node {
    pub fn data(id: u32, data: Vec<u8>) -> Self {
        Self { id, size: Size::True, width: 8, whole: 0..0, inner: 0..0, data, children: Vec::new() }
    }

    pub fn master(id: u32, children: Vec<Self>) -> Self {
        Self { children, ..Self::data(id, Vec::new()) }
    }

    pub fn child(&mut self, id: u32) -> &mut Self {
        self.children.iter_mut().find(|c| c.id == id).unwrap_or_else(|| panic!("an element {id:#x}"))
    }

    pub fn drop_child(&mut self, id: u32) {
        let before = self.children.len();
        self.children.retain(|c| c.id != id);
        assert!(self.children.len() < before, "an element {id:#x}");
    }

    fn write(&self, out: &mut Vec<u8>) {
        out.extend(self.id.to_be_bytes().iter().skip_while(|b| **b == 0));
        let mut body = self.data.clone();
        self.children.iter().for_each(|c| c.write(&mut body));
        let limit = |width: usize| (1u64 << (7 * width)) - 1;
        let (value, fits) = match self.size {
            Size::True => (body.len() as u64, (body.len() as u64) < limit(self.width)),
            Size::Says(size) => (size, size < limit(self.width)),
            Size::Unknown => (limit(self.width), true),
        };
        let width = if fits { self.width } else { 8 };
        out.extend(&(value | 1u64 << (7 * width)).to_be_bytes()[8 - width..]);
        out.extend(body);
    }
}

/// A whole file.
#[derive(Clone)]
pub struct Tree(pub Vec<Node>);

impl Tree {
    /// Reads a healthy file.
    pub fn read(file: &[u8]) -> Self {
        let tree = Self(nodes(file, 0..file.len()));
        assert!(tree.bytes() == file, "what is not changed is written as it was");
        tree
    }

    pub fn bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.0.iter().for_each(|n| n.write(&mut out));
        out
    }

    /// The first element at the end of a path of ids.
    pub fn at(&mut self, path: &[u32]) -> &mut Node {
        let (first, rest) = path.split_first().expect("a path");
        let top = self.0.iter_mut().find(|n| n.id == *first).expect("a top element");
        rest.iter().fold(top, |node, id| node.child(*id))
    }

    pub fn segment(&mut self) -> &mut Node {
        self.at(&[SEGMENT])
    }

    pub fn cluster(&mut self, nth: usize) -> &mut Node {
        let mut clusters = self.segment().children.iter_mut().filter(|c| c.id == CLUSTER);
        clusters.nth(nth).expect("so many clusters")
    }

    /// Entry of the track with this number.
    pub fn track(&mut self, number: u8) -> &mut Node {
        let entries = &mut self.at(&[SEGMENT, TRACKS]).children;
        let is = |t: &&mut Node| t.children.iter().any(|c| c.id == TRACK_NUMBER && c.data == [number]);
        entries.iter_mut().find(is).expect("the track")
    }

    /// Blocks of a track in file order, of either kind.
    pub fn blocks(&mut self, track: u8) -> Vec<&mut Node> {
        let clusters = self.segment().children.iter_mut().filter(|c| c.id == CLUSTER);
        let blocks = clusters.flat_map(|c| c.children.iter_mut()).filter_map(|c| match c.id {
            SIMPLE_BLOCK => Some(c),
            BLOCK_GROUP => Some(c.child(BLOCK)),
            _ => None,
        });
        blocks.filter(|b| b.data[0] == 0x80 | track).collect()
    }

    /// The nth frame of the film (track 1).
    pub fn frame(&mut self, nth: usize) -> &mut Node {
        self.blocks(1).into_iter().nth(nth).expect("so many frames")
    }

    /// Turns SeekHead and Cues into padding, so that elements may move.
    pub fn unindexed(&mut self) {
        for child in &mut self.segment().children {
            if matches!(child.id, SEEK_HEAD | CUES) {
                let size = child.whole.len() - 9;
                *child = Node::data(VOID, vec![0; size]);
            }
        }
    }
}

fn nodes(file: &[u8], range: Range<usize>) -> Vec<Node> {
    let mut all = Vec::new();
    let mut at = range.start;
    while at < range.end {
        let id_width = file[at].leading_zeros() as usize + 1;
        let id = file[at..at + id_width].iter().fold(0u32, |id, b| id << 8 | u32::from(*b));
        let size_at = at + id_width;
        let width = file[size_at].leading_zeros() as usize + 1;
        let raw = file[size_at..size_at + width].iter().fold(0u64, |size, b| size << 8 | u64::from(*b));
        let size = usize::try_from(raw & ((1u64 << (7 * width)) - 1)).expect("a size");
        let inner = size_at + width..size_at + width + size;
        assert!(inner.end <= range.end, "element {id:#x} at {at} is not healthy");
        let master = MASTERS.contains(&id);
        all.push(Node {
            id,
            size: Size::True,
            width,
            whole: at..inner.end,
            data: if master { Vec::new() } else { file[inner.clone()].to_vec() },
            children: if master { nodes(file, inner.clone()) } else { Vec::new() },
            inner: inner.clone(),
        });
        at = inner.end;
    }
    all
}

/// Bytes of a block before its frame: track number below 128, time, flags.
pub const BLOCK_HEAD: usize = 4;

/// NAL units of a frame, which carry lengths of four bytes.
pub fn nals(block: &Node) -> Vec<Vec<u8>> {
    let mut rest = &block.data[BLOCK_HEAD..];
    let mut all = Vec::new();
    while let Some((length, behind)) = rest.split_first_chunk::<4>() {
        let (nal, behind) = behind.split_at(u32::from_be_bytes(*length) as usize);
        all.push(nal.to_vec());
        rest = behind;
    }
    all
}

pub fn set_nals(block: &mut Node, nals: &[Vec<u8>]) {
    block.data.truncate(BLOCK_HEAD);
    for nal in nals {
        let length = u32::try_from(nal.len()).expect("a length");
        block.data.extend(length.to_be_bytes());
        block.data.extend(nal);
    }
}

/// `nal_unit_type`.
pub fn kind(nal: &[u8]) -> u8 {
    nal[0] >> 1
}
