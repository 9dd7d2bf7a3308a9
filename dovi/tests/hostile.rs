//! Small hostile files that were once taken for more than they are: found by fuzzing and by damaging films.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::io::{Cursor, Write};

use dovi::film::{ScanOptions, sample, scan};
use dovi::matroska::{MatroskaError, MatroskaReader};
use flate2::{Compression, write::ZlibEncoder};

/// An element: id, size of eight bytes, payload.
fn element(id: u32, payload: &[u8]) -> Vec<u8> {
    let id = id.to_be_bytes().into_iter().skip_while(|b| *b == 0);
    let size = (payload.len() as u64 | 1 << 56).to_be_bytes();
    id.chain(size).chain(payload.iter().copied()).collect()
}

fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, &value.to_be_bytes())
}

/// What is different about a file with one video track.
#[derive(Default)]
struct Odd {
    /// More of Info.
    info: Vec<u8>,
    /// More of the track entry.
    track: Vec<u8>,
    /// Everything behind Tracks.
    clusters: Vec<u8>,
    /// The segment has no size.
    endless: bool,
}

impl Odd {
    fn file(self) -> Cursor<Vec<u8>> {
        let info = [element(0x4D80, b"test"), self.info].concat();
        // A configuration record without parameter sets.
        let mut hvcc = vec![0; 23];
        (hvcc[0], hvcc[21]) = (1, 3);
        let entry = [
            number(0xD7, 1),
            number(0x83, 1),
            element(0x86, b"V_MPEGH/ISO/HEVC"),
            element(0x63A2, &hvcc),
            self.track,
        ];
        let tracks = element(0x1654_AE6B, &element(0xAE, &entry.concat()));
        let body = [element(0x1549_A966, &info), tracks, self.clusters].concat();
        let mut segment = element(0x1853_8067, &body);
        if self.endless {
            segment[5..12].fill(0xFF);
        }
        Cursor::new([element(0x1A45_DFA3, &element(0x4282, b"matroska")), segment].concat())
    }
}

/// A cluster with one block of track 1.
fn cluster(time: &[u8], frame: &[u8]) -> Vec<u8> {
    let block = [&[0x81, 0, 0, 0x80][..], frame].concat();
    element(0x1F43_B675, &[element(0xE7, time), element(0xA3, &block)].concat())
}

/// Reads all blocks; the size of the last frame.
fn read(odd: Odd) -> Result<usize, MatroskaError> {
    let mut reader = MatroskaReader::open(odd.file())?;
    let mut buf = Vec::new();
    while reader.next_block(&mut |_| true, &mut buf)?.is_some() {}
    Ok(buf.len())
}

fn is_damage(result: &Result<usize, MatroskaError>) -> bool {
    matches!(result, Err(MatroskaError::Damaged { .. }))
}

#[test]
fn times_that_no_film_has_are_damage() {
    let at = |time: &[u8]| read(Odd { clusters: cluster(time, b"x"), ..Odd::default() });
    assert_eq!(at(&[9]).unwrap(), 1);
    assert!(is_damage(&at(&i64::MAX.to_be_bytes())) && is_damage(&at(&u64::MAX.to_be_bytes())));
    assert!(is_damage(&at(&[0; 117])), "nine bytes are no number");
    let scale = |scale: u64| {
        let clusters = cluster(&[1], b"x");
        read(Odd { info: number(0x2A_D7B1, scale), clusters, ..Odd::default() })
    };
    assert_eq!(scale(1_000_000).unwrap(), 1);
    assert!(is_damage(&scale(0)) && is_damage(&scale(u64::MAX)));
}

/// Adding half a frame to a duration of 2^64 ns overflowed; so did the end of a film without blocks.
#[test]
fn durations_that_no_film_has_are_no_claim() {
    for endless in [false, true] {
        let odd = || Odd {
            info: element(0x4489, &f64::MAX.to_be_bytes()),
            track: number(0x23_E383, u64::MAX),
            clusters: cluster(&[0], &[0, 0, 0, 2, 0x46, 1]),
            endless,
        };
        let reader = MatroskaReader::open(odd().file()).unwrap();
        assert_eq!(
            (reader.header().duration_ns, reader.header().tracks[0].default_duration_ns),
            (None, None)
        );
        assert!(sample(odd().file()).is_ok_and(|sample| sample.duration_ns.is_none()));
        let empty = Odd { info: element(0x4489, &90_000f64.to_be_bytes()), endless, ..Odd::default() };
        let scanned =
            scan(empty.file(), &ScanOptions::default(), &mut |_| std::ops::ControlFlow::Continue(()));
        let code = scanned.err().map(|e| e.code());
        assert_eq!(code, Some(if endless { "source.truncated" } else { "source.no-video" }));
    }
}

fn zlib(data: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(data).unwrap();
    encoder.finish().unwrap()
}

/// A content encoding: 0 is zlib, 3 is header stripping.
fn encoding(order: u64, algorithm: u64, settings: &[u8]) -> Vec<u8> {
    let compression = [number(0x4254, algorithm), element(0x4255, settings)].concat();
    element(0x6240, &[number(0x5031, order), element(0x5034, &compression)].concat())
}

#[test]
fn a_few_bytes_do_not_become_a_hundred_megabytes() {
    let packed = |encodings: &[Vec<u8>], frame: &[u8]| {
        let track = element(0x6D80, &encodings.concat());
        read(Odd { track, clusters: cluster(&[0], frame), ..Odd::default() })
    };
    let one = [encoding(0, 0, &[])];
    let large = zlib(&vec![0; 20 << 20]);
    assert_eq!(packed(&one, &large).unwrap(), 20 << 20);
    let bomb = zlib(&vec![0; 30 << 20]);
    assert!(matches!(packed(&one, &bomb), Err(MatroskaError::TooLarge { .. })));
    let twice = [encoding(1, 0, &[]), encoding(0, 0, &[])];
    assert!(matches!(packed(&twice, &zlib(&large)), Err(MatroskaError::Unsupported { .. })));
    assert_eq!(packed(&[encoding(0, 3, &[7; 4096])], b"x").unwrap(), 4097);
    let long = packed(&[encoding(0, 3, &[7; 4097])], b"x");
    assert!(matches!(long, Err(MatroskaError::Unsupported { .. })));
}
