//! The damaged films: one healthy film each, one thing wrong, and the name its failure must have.

use super::tree::*;

/// Which healthy film is damaged.
#[derive(Clone, Copy, PartialEq)]
pub enum Film {
    /// MEL in one track.
    Single,
    /// The enhancement layer in a track of its own, number 2.
    Dual,
}

/// What must come of it.
#[derive(Clone, Copy)]
pub enum Expect {
    /// No result, and this failure code.
    Fails(&'static str),
    /// The damage is legal, or in nothing that is needed: a proven film with 0 wrong frames.
    Converts,
}
use Expect::{Converts, Fails};
use Film::{Dual, Single};

pub struct Case {
    pub name: &'static str,
    pub film: Film,
    pub expect: Expect,
    pub damage: fn(Tree) -> Vec<u8>,
}

const fn case(name: &'static str, film: Film, expect: Expect, damage: fn(Tree) -> Vec<u8>) -> Case {
    Case { name, film, expect, damage }
}

/// More than any file has, but a legal number.
const HUGE: u64 = (1 << 56) - 2;
const TRUNCATED: Expect = Fails("source.truncated");
const DAMAGED: Expect = Fails("source.damaged");

fn cut(tree: &Tree, end: usize) -> Vec<u8> {
    let mut bytes = tree.bytes();
    bytes.truncate(end);
    bytes
}

fn edit(mut tree: Tree, change: impl FnOnce(&mut Tree)) -> Vec<u8> {
    change(&mut tree);
    tree.bytes()
}

/// Changes the NAL units of one frame.
fn edit_frame(tree: Tree, frame: usize, change: impl FnOnce(&mut Vec<Vec<u8>>)) -> Vec<u8> {
    edit(tree, |t| {
        t.unindexed();
        let block = t.frame(frame);
        let mut all = nals(block);
        change(&mut all);
        set_nals(block, &all);
    })
}

/// Overwrites bytes in the middle of the second cluster.
fn scar(mut tree: Tree, length: usize, byte: impl FnMut() -> u8) -> Vec<u8> {
    let at = tree.cluster(1).inner.start + tree.cluster(1).inner.len() / 2;
    let mut bytes = tree.bytes();
    bytes[at..at + length].fill_with(byte);
    bytes
}

/// Makes every frame of the film a zlib stream, or what `pack` gives.
fn packed(tree: &mut Tree, pack: impl Fn(&[u8]) -> Vec<u8>) {
    tree.unindexed();
    let algorithm = Node::data(CONTENT_COMP_ALGO, vec![0]);
    let encoding = Node::master(CONTENT_ENCODING, vec![Node::master(CONTENT_COMPRESSION, vec![algorithm])]);
    tree.track(1).children.push(Node::master(CONTENT_ENCODINGS, vec![encoding]));
    for block in tree.blocks(1) {
        let frame = pack(&block.data[BLOCK_HEAD..]);
        block.data.truncate(BLOCK_HEAD);
        block.data.extend(frame);
    }
}

pub const TRUNCATIONS: &[Case] = &[
    case("cut-in-ebml-head", Single, TRUNCATED, |mut t| {
        let end = t.at(&[EBML]).inner.start + 9;
        cut(&t, end)
    }),
    case("cut-after-ebml-head", Single, TRUNCATED, |mut t| {
        let end = t.at(&[EBML]).whole.end;
        cut(&t, end)
    }),
    case("cut-in-seek-head", Single, TRUNCATED, |mut t| {
        let end = t.at(&[SEGMENT, SEEK_HEAD]).inner.start + 5;
        cut(&t, end)
    }),
    case("cut-in-tracks", Single, TRUNCATED, |mut t| {
        let end = t.track(2).inner.start + 3;
        cut(&t, end)
    }),
    case("cut-before-first-cluster", Single, TRUNCATED, |mut t| {
        let end = t.cluster(0).whole.start;
        cut(&t, end)
    }),
    case("cut-in-first-cluster", Single, TRUNCATED, |mut t| {
        let end = t.cluster(0).inner.start + 1;
        cut(&t, end)
    }),
    case("cut-in-a-block", Single, TRUNCATED, |mut t| {
        let end = t.frame(40).inner.start + 100;
        cut(&t, end)
    }),
    case("cut-between-clusters", Single, TRUNCATED, |mut t| {
        let end = t.cluster(1).whole.end;
        cut(&t, end)
    }),
    case("cut-before-cues", Single, TRUNCATED, |mut t| {
        let end = t.at(&[SEGMENT, CUES]).whole.start;
        cut(&t, end)
    }),
    case("cut-last-byte", Single, TRUNCATED, |t| {
        let whole = t.bytes();
        whole[..whole.len() - 1].to_vec()
    }),
    case("cut-in-a-stream-of-unknown-size", Single, TRUNCATED, |mut t| {
        t.segment().size = Size::Unknown;
        let end = t.frame(40).inner.start + 100;
        cut(&t, end)
    }),
    case("cut-in-a-dual-track-film", Dual, TRUNCATED, |mut t| {
        let end = t.blocks(2)[40].inner.start + 10;
        cut(&t, end)
    }),
];

pub const LIES: &[Case] = &[
    case("segment-too-long", Single, TRUNCATED, |t| {
        edit(t, |t| t.segment().size = Size::Says(t.segment().inner.len() as u64 + 1000))
    }),
    case("segment-too-short", Single, DAMAGED, |t| {
        edit(t, |t| t.segment().size = Size::Says(t.segment().inner.len() as u64 / 2))
    }),
    case("segment-of-unknown-size", Single, Converts, |t| edit(t, |t| t.segment().size = Size::Unknown)),
    case("segment-huge", Single, TRUNCATED, |t| edit(t, |t| t.segment().size = Size::Says(HUGE))),
    case("cluster-huge", Single, DAMAGED, |t| edit(t, |t| t.cluster(1).size = Size::Says(HUGE))),
    case("cluster-too-short", Single, DAMAGED, |t| {
        edit(t, |t| t.cluster(1).size = Size::Says(t.cluster(1).inner.len() as u64 - 500))
    }),
    case("cluster-of-unknown-size", Single, Converts, |t| edit(t, |t| t.cluster(1).size = Size::Unknown)),
    case("block-beyond-its-cluster", Single, DAMAGED, |t| {
        edit(t, |t| t.frame(20).size = Size::Says(2 << 20))
    }),
    case("block-huge", Single, DAMAGED, |t| edit(t, |t| t.frame(20).size = Size::Says(HUGE))),
    case("block-of-unknown-size", Single, DAMAGED, |t| edit(t, |t| t.frame(20).size = Size::Unknown)),
    case("block-of-two-bytes", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            t.frame(20).data.truncate(2);
        })
    }),
    case("tracks-of-unknown-size", Single, DAMAGED, |t| {
        edit(t, |t| t.at(&[SEGMENT, TRACKS]).size = Size::Unknown)
    }),
    case("tracks-huge", Single, DAMAGED, |t| edit(t, |t| t.at(&[SEGMENT, TRACKS]).size = Size::Says(HUGE))),
    case("track-entry-beyond-tracks", Single, DAMAGED, |t| {
        edit(t, |t| t.track(5).size = Size::Says(t.track(5).inner.len() as u64 + 60))
    }),
    case("void-huge", Single, DAMAGED, |t| edit(t, |t| t.at(&[SEGMENT, VOID]).size = Size::Says(HUGE))),
    case("attachment-huge", Single, DAMAGED, |t| {
        edit(t, |t| t.at(&[SEGMENT, ATTACHMENTS, ATTACHED_FILE, FILE_DATA]).size = Size::Says(1 << 40))
    }),
    case("cues-huge", Single, DAMAGED, |t| edit(t, |t| t.at(&[SEGMENT, CUES]).size = Size::Says(HUGE))),
    case("cues-pointing-nowhere", Single, Converts, |t| {
        edit(t, |t| {
            for point in &mut t.at(&[SEGMENT, CUES]).children {
                let place = point.child(CUE_TRACK_POSITIONS).child(CUE_CLUSTER_POSITION);
                place.data = vec![0x7f; place.data.len()];
            }
        })
    }),
    // Everything is read here, but mkvmerge finds the tags behind the clusters by this index only.
    case("seek-head-pointing-nowhere", Single, Fails("proof.tags"), |t| {
        edit(t, |t| {
            for seek in &mut t.at(&[SEGMENT, SEEK_HEAD]).children {
                if let Some(place) = seek.children.iter_mut().find(|c| c.id == SEEK_POSITION) {
                    place.data = vec![0xff; place.data.len()];
                }
            }
        })
    }),
    case("lace-sizes-beyond-the-block", Single, DAMAGED, |t| {
        // Xiph lacing, 256 frames: the sizes are read from the picture.
        edit(t, |t| t.frame(20).data[3] |= 2)
    }),
    case("fixed-lace-that-does-not-divide", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            let frame = t.frame(20);
            frame.data[3] |= 4;
            frame.data.splice(4..4, [250]);
            let odd = 251 - (frame.data.len() - 5) % 251 + 1;
            frame.data.extend(vec![1; odd]);
        })
    }),
    case("timestamp-scale-zero", Single, DAMAGED, |t| {
        edit(t, |t| {
            let scale = t.at(&[SEGMENT, INFO, TIMESTAMP_SCALE]);
            scale.data = vec![0; scale.data.len()];
        })
    }),
];

pub const SCARS: &[Case] = &[
    case("zeroed-ebml-id", Single, Fails("source.not-matroska"), |t| {
        let mut bytes = t.bytes();
        bytes[..4].fill(0);
        bytes
    }),
    case("other-doc-type", Single, Fails("source.not-matroska"), |t| {
        edit(t, |t| t.at(&[EBML, DOC_TYPE]).data = b"matrimon".to_vec())
    }),
    case("zeroed-segment-id", Single, DAMAGED, |mut t| {
        let at = t.segment().whole.start;
        let mut bytes = t.bytes();
        bytes[at..at + 4].fill(0);
        bytes
    }),
    case("zeroed-tracks-id", Single, DAMAGED, |mut t| {
        let at = t.at(&[SEGMENT, TRACKS]).whole.start;
        let mut bytes = t.bytes();
        bytes[at..at + 4].fill(0);
        bytes
    }),
    case("zeroed-cluster-id", Single, DAMAGED, |mut t| {
        let at = t.cluster(1).whole.start;
        let mut bytes = t.bytes();
        bytes[at..at + 4].fill(0);
        bytes
    }),
    case("zeroed-block-id", Single, DAMAGED, |mut t| {
        let at = t.frame(30).whole.start;
        let mut bytes = t.bytes();
        bytes[at] = 0;
        bytes
    }),
    case("hole-of-4-KiB", Single, DAMAGED, |t| scar(t, 4096, || 0)),
    case("hole-of-64-KiB", Single, DAMAGED, |t| scar(t, 64 << 10, || 0)),
    case("noise-over-8-KiB", Single, DAMAGED, |t| {
        let mut state = 1u32;
        scar(t, 8 << 10, move || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            state.to_be_bytes()[0]
        })
    }),
    case("zeros-at-the-end", Single, Converts, |t| [t.bytes(), vec![0; 5000]].concat()),
    // Sequences may overlap in time, but the other tracks come out at other times.
    case("swapped-clusters", Single, Fails("proof.tracks"), |t| {
        edit(t, |t| {
            t.unindexed();
            let children = &mut t.segment().children;
            let mut clusters = (0..children.len()).filter(|i| children[*i].id == CLUSTER);
            let pair = clusters.next().zip(clusters.next());
            let (a, b) = pair.expect("two clusters");
            children.swap(a, b);
        })
    }),
    case("cluster-time-at-the-end-of-time", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            t.cluster(0).child(CLUSTER_TIMESTAMP).data = i64::MAX.to_be_bytes().to_vec();
        })
    }),
    case("cluster-time-beyond-it", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            t.cluster(1).child(CLUSTER_TIMESTAMP).data = u64::MAX.to_be_bytes().to_vec();
        })
    }),
    case("timestamp-scale-beyond-it", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            t.at(&[SEGMENT, INFO, TIMESTAMP_SCALE]).data = u64::MAX.to_be_bytes().to_vec();
        })
    }),
    case("block-before-zero", Single, Fails("align.order"), |t| {
        edit(t, |t| t.frame(20).data[1..3].copy_from_slice(&i16::MIN.to_be_bytes()))
    }),
];

pub const TRACK_CASES: &[Case] = &[
    case("no-codec-private", Single, Fails("source.unsupported"), |t| {
        edit(t, |t| {
            t.unindexed();
            t.track(1).drop_child(CODEC_PRIVATE);
        })
    }),
    case("hvcc-cut", Single, Fails("source.unsupported"), |t| {
        edit(t, |t| {
            t.unindexed();
            t.track(1).child(CODEC_PRIVATE).data.truncate(20);
        })
    }),
    case("hvcc-with-lying-counts", Single, Fails("source.unsupported"), |t| {
        edit(t, |t| t.track(1).child(CODEC_PRIVATE).data[22] = 255)
    }),
    case("hvcc-with-another-length-size", Single, DAMAGED, |t| {
        edit(t, |t| t.track(1).child(CODEC_PRIVATE).data[21] &= 0xfd)
    }),
    case("track-entry-twice", Single, DAMAGED, |t| {
        edit(t, |t| {
            t.unindexed();
            let again = t.track(1).clone();
            t.at(&[SEGMENT, TRACKS]).children.push(again);
        })
    }),
    case("track-number-twice", Single, DAMAGED, |t| {
        edit(t, |t| t.track(3).child(TRACK_NUMBER).data = vec![2])
    }),
    case("track-number-zero", Single, DAMAGED, |t| {
        edit(t, |t| t.track(3).child(TRACK_NUMBER).data = vec![0])
    }),
    case("block-of-no-track", Single, DAMAGED, |t| edit(t, |t| t.frame(20).data[0] = 0x80 | 9)),
    case("garbage-instead-of-zlib", Single, DAMAGED, |t| edit(t, |t| packed(t, <[u8]>::to_vec))),
    case("zip-bomb", Single, Fails("source.unsupported"), |t| edit(t, |t| packed(t, |_| bomb(200 << 20)))),
    case("deep-nesting", Single, Converts, |t| {
        edit(t, |t| {
            t.unindexed();
            let deep = (0..400).fold(Node::data(VOID, vec![0; 8]), |n, _| Node::master(SIMPLE_TAG, vec![n]));
            t.segment().children.push(Node::master(TAGS, vec![Node::master(TAG, vec![deep])]));
        })
    }),
    case("el-track-of-garbage", Dual, Fails("dv.el-unreadable"), |t| {
        edit(t, |t| t.blocks(2)[7].data[BLOCK_HEAD..].fill(0xa5))
    }),
    case("el-track-out-of-step", Dual, Fails("dv.el-unreadable"), |t| {
        edit(t, |t| {
            let block = t.blocks(2).into_iter().nth(7).expect("so many frames");
            block.data[2] ^= 0x10;
        })
    }),
    case("el-track-without-frames", Dual, Fails("dv.not-profile7"), |t| {
        edit(t, |t| {
            t.unindexed();
            let is_el = |n: &Node| n.data.first() == Some(&0x82);
            for cluster in t.segment().children.iter_mut().filter(|c| c.id == CLUSTER) {
                cluster.children.retain(|c| !(is_el(c) || c.children.iter().any(is_el)));
            }
        })
    }),
];

/// What unpacks to this many zero bytes.
fn bomb(size: usize) -> Vec<u8> {
    use std::io::Write;
    let mut zlib = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    zlib.write_all(&vec![0; size]).expect("a vector takes all");
    zlib.finish().expect("a vector takes all")
}

pub const FRAMES: &[Case] = &[
    case("nal-of-length-zero", Single, DAMAGED, |t| edit_frame(t, 20, |nals| nals.insert(1, Vec::new()))),
    case("nal-beyond-its-block", Single, DAMAGED, |t| {
        edit(t, |t| t.frame(20).data[BLOCK_HEAD..BLOCK_HEAD + 4].copy_from_slice(&[0x7f; 4]))
    }),
    case("frame-without-bytes", Single, DAMAGED, |t| edit_frame(t, 20, Vec::clear)),
    case("frame-without-slices", Single, DAMAGED, |t| {
        edit_frame(t, 20, |nals| nals.retain(|nal| kind(nal) >= 32))
    }),
    case("frame-twice", Single, DAMAGED, |t| edit_frame(t, 20, |nals| nals.extend(nals.clone()))),
    case("forbidden-bit", Single, DAMAGED, |t| edit_frame(t, 20, |nals| nals[0][0] |= 0x80)),
    case("hole-in-a-slice", Single, DAMAGED, |t| {
        edit_frame(t, 20, |nals| {
            let slice = nals.iter_mut().find(|nal| kind(nal) < 32).expect("a slice");
            let end = slice.len() - 10;
            slice[end - 100..end].fill(0);
        })
    }),
    case("parameter-sets-cut", Single, DAMAGED, |t| {
        edit_frame(t, 24, |nals| nals.iter_mut().filter(|n| kind(n) == 33).for_each(|n| n.truncate(6)))
    }),
    case("rpu-emptied", Single, Fails("rpu.invalid"), |t| {
        edit_frame(t, 20, |nals| nals.iter_mut().filter(|n| kind(n) == 62).for_each(|n| n.truncate(2)))
    }),
    case("rpu-of-one-byte", Single, DAMAGED, |t| {
        edit_frame(t, 20, |nals| nals.iter_mut().filter(|n| kind(n) == 62).for_each(|n| n.truncate(1)))
    }),
    case("rpu-cut", Single, Fails("rpu.invalid"), |t| {
        edit_frame(t, 20, |nals| nals.iter_mut().filter(|n| kind(n) == 62).for_each(|n| n.truncate(60)))
    }),
    case("rpu-gone", Single, Fails("rpu.missing"), |t| {
        edit_frame(t, 20, |nals| nals.retain(|nal| kind(nal) != 62))
    }),
    case("rpu-huge", Single, Fails("rpu.invalid"), |t| {
        edit_frame(t, 20, |nals| nals.iter_mut().filter(|n| kind(n) == 62).for_each(|n| n.resize(1 << 20, 7)))
    }),
];
