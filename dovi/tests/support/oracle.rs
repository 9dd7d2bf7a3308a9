//! The streams of testdata, what dovi_tool makes of them as digests, and the order in which it thinks.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "every test file uses another part of this module"
)]

use std::collections::BTreeMap;
use std::path::PathBuf;

use dovi::annexb::write_nal;
use dovi::au::AuReader;
use dovi::inject::{InjectPlan, InjectReport, RpuByDisplay, inject};
use dovi::order::DisplayOrder;
use dovi::rpu::to_p81;
use hevc_parser::HevcParser;

use crate::support::{expected, naive_nals, truth, ty};

/// The streams where dovi_tool is right.
pub const RIGHT: [&str; 4] = ["closed", "open", "slices", "temporal-layers"];
/// The one where it is not: an encode with RADL pictures.
pub const RADL: &str = "radl";
/// Decode index of the access unit without RPU in the stream with a gap.
pub const GAP: usize = 30;

/// All streams.
pub fn all() -> impl Iterator<Item = &'static str> {
    RIGHT.into_iter().chain([RADL])
}

/// A file of testdata.
pub fn path(name: &str) -> PathBuf {
    [env!("CARGO_MANIFEST_DIR"), "tests", "testdata", name].iter().collect()
}

/// A base layer as x265 wrote it, and the display index of each access unit by ffmpeg's decoder.
pub fn stream(name: &str) -> (Vec<u8>, Vec<u64>) {
    let bytes = std::fs::read(path(&format!("{name}.hevc"))).unwrap();
    let truth = truth(&bytes);
    (bytes, truth)
}

/// Profile 7 RPUs by display index: MEL, FEL and FEL with a curve by turns, 24 frames each.
pub fn p7_rpus() -> Vec<Vec<u8>> {
    let bytes = std::fs::read(path("profile7.rpus")).unwrap();
    naive_nals(&bytes).into_iter().map(<[u8]>::to_vec).collect()
}

/// The same in Profile 8.1, by the code under test.
pub fn p81_rpus() -> Vec<Vec<u8>> {
    p7_rpus().iter().map(|nal| to_p81(nal).unwrap()).collect()
}

/// A Profile 7 stream: base layer, two units of enhancement layer, and the RPU of the picture. `without` is the decode
/// index of an access unit that gets no RPU.
pub fn profile7(stream: &[u8], truth: &[u64], without: Option<usize>) -> Vec<u8> {
    let (mut reader, rpus, mut out) = (AuReader::new(stream), p7_rpus(), Vec::new());
    while let Some(unit) = reader.next_au().unwrap() {
        let decode = unit.picture.decode_index as usize;
        for (_, nal) in unit.nals() {
            write_nal(&mut out, nal).unwrap();
        }
        for slice in [[0x7e, 1, 0x02, 1, 0xd0, 0x55], [0x7e, 1, 0x02, 1, 0x50, 0xaa]] {
            write_nal(&mut out, &slice).unwrap();
        }
        if without != Some(decode) {
            write_nal(&mut out, &rpus[truth[decode] as usize]).unwrap();
        }
    }
    out
}

/// Injects with nothing but RPUs.
pub fn injected(stream: &[u8], rpus: &dyn RpuByDisplay, frames: usize) -> (Vec<u8>, InjectReport) {
    let expect = dovi::expect::StreamExpectation { width: 128, height: 72, ..expected() };
    let plan = InjectPlan { rpus, frames: frames as u64, mdcv: None, cll: None, hdr10plus: None, expect };
    let mut out = Vec::new();
    let report = inject(stream, &mut out, &plan, &mut |_| {}).unwrap();
    (out, report)
}

/// Display index by decode index, by the code under test.
pub fn our_order(stream: &[u8]) -> Vec<u64> {
    let (mut reader, mut order, mut placed) = (AuReader::new(stream), DisplayOrder::new(), Vec::new());
    while let Some(unit) = reader.next_au().unwrap() {
        order.push(&unit.picture, &mut placed).unwrap();
    }
    order.finish(&mut placed).unwrap();
    placed.iter().map(|place| place.display_index).collect()
}

/// Display index by decode index, by the library that dovi_tool asks.
pub fn parser_order(stream: &[u8]) -> Vec<u64> {
    let (mut parser, mut offsets) = (HevcParser::default(), Vec::new());
    parser.get_offsets(stream, &mut offsets);
    let last = *offsets.last().unwrap();
    parser.split_nals(stream, &offsets, last, true).unwrap();
    parser.finish();
    let mut frames: Vec<_> =
        parser.ordered_frames().iter().map(|f| (f.decoded_number, f.presentation_number)).collect();
    frames.sort_unstable();
    frames.into_iter().map(|(_, display)| display).collect()
}

/// What `extract-rpu` writes of these RPUs in decode order: sorted by `order`, without header, behind a start code of four
/// bytes. As dovi_tool does, RPU `n` counts as that of access unit `n`.
pub fn rpu_file(rpus: &[Vec<u8>], order: &[u64]) -> Vec<u8> {
    let mut sorted: Vec<_> = order.iter().zip(rpus).collect();
    sorted.sort_by_key(|(display, _)| **display);
    let mut out = Vec::new();
    for (_, rpu) in sorted {
        write_nal(&mut out, &rpu[2..]).unwrap();
    }
    out
}

/// What `inject-rpu --no-add-aud` writes: each access unit, and the RPU that `order` says. The last one is repeated where
/// they are too few.
pub fn injected_by(stream: &[u8], rpus: &[Vec<u8>], order: &[u64]) -> Vec<u8> {
    let (mut reader, mut out) = (AuReader::new(stream), Vec::new());
    while let Some(unit) = reader.next_au().unwrap() {
        for (_, nal) in unit.nals() {
            write_nal(&mut out, nal).unwrap();
        }
        let at = order[unit.picture.decode_index as usize] as usize;
        write_nal(&mut out, rpus.get(at).or(rpus.last()).unwrap()).unwrap();
    }
    out
}

/// Access units whose RPU is not the one planned for the picture that the decoder shows there.
pub fn misplaced(stream: &[u8], truth: &[u64], planned: &[Vec<u8>]) -> usize {
    let rpus: Vec<_> = naive_nals(stream).into_iter().filter(|nal| ty(nal) == 62).collect();
    assert_eq!(rpus.len(), truth.len(), "one RPU in each access unit");
    truth.iter().zip(rpus).filter(|(display, rpu)| planned[**display as usize] != *rpu).count()
}

/// `digests.txt`: what was made of which stream, and its digest.
pub fn digests() -> BTreeMap<(String, String), String> {
    let text = std::fs::read_to_string(path("digests.txt")).unwrap();
    let rows = text.lines().filter(|line| !line.starts_with('#'));
    rows.map(|row| match row.split_whitespace().collect::<Vec<_>>()[..] {
        [stream, what, digest] => ((stream.to_owned(), what.to_owned()), digest.to_owned()),
        _ => panic!("not a row: {row}"),
    })
    .collect()
}

/// The digest of some bytes.
pub fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}
