//! A Matroska file as a tree that can be changed and written again (RFC 8794, RFC 9559). Knows just enough for that;
//! it shares no code with the reader under test.

use anyhow::{Context, Result, bail, ensure};

pub(super) const SEGMENT: u32 = 0x1853_8067;
pub(super) const SEEK_HEAD: u32 = 0x114D_9B74;
pub(super) const INFO: u32 = 0x1549_A966;
pub(super) const DURATION: u32 = 0x4489;
pub(super) const TRACKS: u32 = 0x1654_AE6B;
pub(super) const TRACK_ENTRY: u32 = 0xAE;
pub(super) const DEFAULT_DURATION: u32 = 0x23_E383;
pub(super) const BLOCK_ADDITION_MAPPING: u32 = 0x41E4;
pub(super) const MAX_BLOCK_ADDITION_ID: u32 = 0x55EE;
pub(super) const CONTENT_ENCODINGS: u32 = 0x6D80;
pub(super) const CONTENT_ENCODING: u32 = 0x6240;
pub(super) const CONTENT_COMPRESSION: u32 = 0x5034;
pub(super) const CONTENT_COMP_ALGO: u32 = 0x4254;
pub(super) const CONTENT_COMP_SETTINGS: u32 = 0x4255;
pub(super) const CLUSTER: u32 = 0x1F43_B675;
pub(super) const SIMPLE_BLOCK: u32 = 0xA3;
pub(super) const BLOCK_GROUP: u32 = 0xA0;
pub(super) const BLOCK: u32 = 0xA1;
pub(super) const REFERENCE_BLOCK: u32 = 0xFB;
pub(super) const BLOCK_ADDITIONS: u32 = 0x75A1;
pub(super) const BLOCK_MORE: u32 = 0xA6;
pub(super) const BLOCK_ADD_ID: u32 = 0xEE;
pub(super) const BLOCK_ADDITIONAL: u32 = 0xA5;
pub(super) const CUES: u32 = 0x1C53_BB6B;
pub(super) const VOID: u32 = 0xEC;

/// Elements that are taken apart; all others stay bytes.
const MASTERS: [u32; 6] = [SEGMENT, INFO, TRACKS, TRACK_ENTRY, CLUSTER, BLOCK_GROUP];

/// One element.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Element {
    pub id: u32,
    pub content: Content,
    /// Written with unknown size (segment and clusters only).
    pub unsized_: bool,
}

/// What is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Content {
    Bytes(Vec<u8>),
    Children(Vec<Element>),
}

impl Element {
    pub(super) fn bytes(id: u32, bytes: impl Into<Vec<u8>>) -> Self {
        Self { id, content: Content::Bytes(bytes.into()), unsized_: false }
    }

    pub(super) fn master(id: u32, children: Vec<Self>) -> Self {
        Self { id, content: Content::Children(children), unsized_: false }
    }

    /// A Void of so many bytes of content, none of them zero: a reader that looks inside stumbles.
    pub(super) fn void(len: usize) -> Self {
        Self::bytes(VOID, vec![0xA3; len])
    }

    /// The children of a master; none of anything else.
    pub(super) fn children_mut(&mut self) -> Option<&mut Vec<Self>> {
        match &mut self.content {
            Content::Children(children) => Some(children),
            Content::Bytes(_) => None,
        }
    }

    /// The content of a leaf.
    pub(super) fn data(&self) -> &[u8] {
        match &self.content {
            Content::Bytes(bytes) => bytes,
            Content::Children(_) => &[],
        }
    }

    /// Calls `change` for every element with this id, at any depth.
    pub(super) fn each(&mut self, id: u32, change: &mut dyn FnMut(&mut Self)) {
        if self.id == id {
            change(self);
        }
        if let Some(children) = self.children_mut() {
            children.iter_mut().for_each(|child| child.each(id, change));
        }
    }

    /// Takes every element with one of these ids out, at any depth.
    pub(super) fn remove(&mut self, ids: &[u32]) {
        if let Some(children) = self.children_mut() {
            children.retain(|child| !ids.contains(&child.id));
            children.iter_mut().for_each(|child| child.remove(ids));
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        let bytes = self.id.to_be_bytes();
        to.extend(bytes.iter().skip_while(|b| **b == 0));
        let content = match &self.content {
            Content::Bytes(bytes) => bytes.clone(),
            Content::Children(children) => write(children),
        };
        if self.unsized_ {
            to.extend([0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        } else {
            // Eight bytes always: allowed, and what many muxers do.
            to.extend(((content.len() as u64) | 1 << 56).to_be_bytes());
        }
        to.extend(content);
    }
}

/// The file of these elements.
pub(super) fn write(elements: &[Element]) -> Vec<u8> {
    let mut bytes = Vec::new();
    elements.iter().for_each(|element| element.write(&mut bytes));
    bytes
}

/// The elements of a whole file as mkvmerge writes it (no unknown sizes).
pub(super) fn parse(mut bytes: &[u8]) -> Result<Vec<Element>> {
    let mut elements = Vec::new();
    while let Some(first) = bytes.first() {
        let id_len = first.leading_zeros() as usize + 1;
        ensure!(id_len <= 4 && bytes.len() > id_len, "no element where one should be");
        let id = bytes[..id_len].iter().fold(0, |id, b| id << 8 | u32::from(*b));
        let size_len = bytes[id_len].leading_zeros() as usize + 1;
        let head = id_len + size_len;
        let field = bytes.get(id_len..head).context("an element's size is cut off")?;
        let size = field.iter().fold(0u64, |n, b| n << 8 | u64::from(*b)) & !(1u64 << (7 * size_len));
        let end = usize::try_from(size).ok().and_then(|size| head.checked_add(size));
        let Some(content) = end.and_then(|end| bytes.get(head..end)) else {
            bail!("element {id:#x} is longer than what holds it");
        };
        bytes = &bytes[head + content.len()..];
        elements.push(if MASTERS.contains(&id) {
            Element::master(id, parse(content)?)
        } else {
            Element::bytes(id, content)
        });
    }
    Ok(elements)
}

/// Head of a block: track number, timestamp relative to its cluster, flags (RFC 9559 10.1). Track numbers below 127.
pub(super) fn block_head(block: &[u8]) -> Option<(u8, i16, u8)> {
    let [track, high, low, flags, ..] = *block else { return None };
    Some((track & 0x7F, i16::from_be_bytes([high, low]), flags))
}
