//! A Matroska writer for what mkvmerge never writes: any timestamps, block additions, odd track entries.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses another part of this module")]

/// An element: id with its marker, size in eight bytes, payload.
pub fn element(id: u32, payload: &[u8]) -> Vec<u8> {
    let id: Vec<u8> = id.to_be_bytes().into_iter().skip_while(|b| *b == 0).collect();
    let size = (1u64 << 56 | payload.len() as u64).to_be_bytes();
    [id.as_slice(), &size, payload].concat()
}

fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// A video track.
#[derive(Clone)]
pub struct Video {
    pub number: u8,
    pub size: (u64, u64),
    pub name: &'static str,
    pub codec: &'static str,
    /// hvcC; taken from a film that mkvmerge wrote.
    pub private: Vec<u8>,
    pub interlaced: bool,
    /// BlockAddIDType and extra data of each mapping.
    pub mappings: Vec<(u32, Vec<u8>)>,
}

/// `dvcC` and the record of profile 7 as mkvmerge writes it (measured).
pub fn dvcc7() -> (u32, Vec<u8>) {
    (u32::from_be_bytes(*b"dvcC"), [&[1, 0, 0x0E, 0x37, 0x60][..], &[0; 19]].concat())
}

impl Video {
    pub fn new(number: u8, size: (u64, u64), private: &[u8]) -> Self {
        Self {
            number,
            size,
            name: "",
            codec: "V_MPEGH/ISO/HEVC",
            private: private.to_vec(),
            interlaced: false,
            mappings: Vec::new(),
        }
    }

    fn entry(&self) -> Vec<u8> {
        let mut entry = [
            number(0xD7, self.number.into()),
            number(0x73C5, 1000 + u64::from(self.number)),
            number(0x83, 1),
            element(0x86, self.codec.as_bytes()),
            element(0x63A2, &self.private),
        ]
        .concat();
        if !self.name.is_empty() {
            entry.extend(element(0x536E, self.name.as_bytes()));
        }
        for (kind, record) in &self.mappings {
            let mapping = [number(0x41E7, (*kind).into()), element(0x41ED, record)].concat();
            entry.extend(element(0x41E4, &mapping));
        }
        let mut video = [number(0xB0, self.size.0), number(0xBA, self.size.1)].concat();
        if self.interlaced {
            video.extend(number(0x9A, 1));
        }
        entry.extend(element(0xE0, &video));
        element(0xAE, &entry)
    }
}

/// One frame.
#[derive(Clone)]
pub struct Frame {
    pub track: u8,
    pub ms: u64,
    pub nals: Vec<Vec<u8>>,
    /// Payload of a BlockAdditional beside it.
    pub addition: Option<Vec<u8>>,
}

/// A whole file, one cluster for each frame.
pub fn file(tracks: &[Video], frames: &[Frame]) -> Vec<u8> {
    let entries: Vec<u8> = tracks.iter().flat_map(Video::entry).collect();
    let mut segment = element(0x1654_AE6B, &entries);
    for frame in frames {
        let mut block = vec![0x80 | frame.track, 0, 0, 0];
        for nal in &frame.nals {
            block.extend(u32::try_from(nal.len()).expect("a test frame is small").to_be_bytes());
            block.extend(nal);
        }
        let group = match &frame.addition {
            None => element(0xA1, &block),
            Some(bytes) => {
                let more = [number(0xEE, 1), element(0xA5, bytes)].concat();
                [element(0xA1, &block), element(0x75A1, &element(0xA6, &more))].concat()
            }
        };
        segment.extend(element(0x1F43_B675, &[number(0xE7, frame.ms), element(0xA0, &group)].concat()));
    }
    [element(0x1A45_DFA3, &element(0x4282, b"matroska")), element(0x1853_8067, &segment)].concat()
}
