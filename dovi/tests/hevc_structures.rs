//! Real x265 streams of every GOP structure: order, access units and injection against ffmpeg's decoder.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/hevc.rs"]
mod support;

use std::collections::HashSet;

use dovi::au::{AuParser, AuReader};
use dovi::hash::VclHasher;
use dovi::inject::inject;
use dovi::nal::{NalType, split_length_prefixed};
use dovi::order::{DisplayOrder, Method};
use hevc_parser::HevcParser;
use support::{FRAMES, Numbered, STRUCTURES, after_first_slices, naive_nals, number, plan, structure, ty};

/// Display index by decode index, by the code under test.
fn order_of(stream: &[u8]) -> (Vec<u64>, Method) {
    let mut reader = AuReader::new(stream);
    let mut order = DisplayOrder::new();
    let mut placed = Vec::new();
    while let Some(unit) = reader.next_au().unwrap() {
        assert!(unit.picture.output, "x265 hides no picture");
        order.push(&unit.picture, &mut placed).unwrap();
        reader.recycle(unit);
    }
    order.finish(&mut placed).unwrap();
    assert!(placed.iter().map(|place| place.decode_index).eq(0..placed.len() as u64));
    (placed.iter().map(|place| place.display_index).collect(), order.method())
}

#[test]
fn display_order_is_the_decoders() {
    for (name, _) in STRUCTURES {
        let (stream, truth) = structure(name);
        assert_eq!(truth.len(), FRAMES, "{name}: the decoder shows every frame");
        let reordered = truth.iter().zip(0..).filter(|(display, decode)| *display != decode).count();
        assert_eq!(
            reordered > FRAMES / 3,
            name != "no-b",
            "{name}: the structure really reorders: {reordered}"
        );
        assert_eq!(order_of(stream), (truth.clone(), Method::Dense), "{name}");
    }
}

#[test]
fn the_structures_are_what_their_names_say() {
    for (name, _) in STRUCTURES {
        let (stream, _) = structure(name);
        let nals = naive_nals(stream);
        let any = |types: &[u8]| nals.iter().any(|nal| types.contains(&ty(nal)));
        let slices = nals.iter().filter(|nal| ty(nal) < 32).count();
        assert_eq!(
            any(&[21]) && any(&[8, 9]),
            ["open", "aud", "long-b", "short-poc"].contains(&name),
            "{name}"
        );
        assert_eq!(any(&[6, 7]), name == "radl", "{name}");
        assert_eq!(any(&[35]), name == "aud", "{name}");
        assert_eq!(slices, if name == "slices" { 2 * FRAMES } else { FRAMES }, "{name}");
        let layered = nals.iter().any(|nal| ty(nal) < 32 && nal[1] & 7 > 1);
        assert_eq!(layered, name == "temporal-layers", "{name}");
    }
}

#[test]
fn every_rpu_meets_its_frame() {
    for (name, _) in STRUCTURES {
        let (stream, truth) = structure(name);
        let rpus = Numbered::new(FRAMES);
        let mut out = Vec::new();
        let mut told = Vec::new();
        let report =
            inject(stream.as_slice(), &mut out, &plan(&rpus, FRAMES), &mut |n| told.push(n)).unwrap();

        let pictures = after_first_slices(&out);
        assert_eq!(pictures.len(), FRAMES, "{name}");
        let mut used = HashSet::new();
        for (decode, picture) in pictures.iter().enumerate() {
            let of_picture: Vec<_> = picture.iter().filter(|nal| ty(nal) == 62).collect();
            assert_eq!(of_picture.len(), 1, "{name}: one RPU in picture {decode}");
            assert_eq!(number(of_picture[0]), truth[decode], "{name}: RPU of picture {decode}");
            let next_unit =
                picture.iter().position(|nal| matches!(ty(nal), 32..=35 | 39)).unwrap_or(picture.len());
            assert_eq!(ty(picture[next_unit - 1]), 62, "{name}: the RPU is last in picture {decode}");
            used.insert(number(of_picture[0]));
        }
        assert_eq!(used.len(), FRAMES, "{name}");

        let without: Vec<_> = naive_nals(&out).into_iter().filter(|nal| ty(nal) != 62).collect();
        assert_eq!(without, naive_nals(stream), "{name}: nothing else changed");
        let mut vcl = VclHasher::new();
        naive_nals(stream).into_iter().for_each(|nal| vcl.update(nal));
        assert_eq!((report.vcl, report.bytes), (vcl.finish(), out.len() as u64), "{name}");
        assert_eq!((report.frames, report.rpus_written), (FRAMES as u64, FRAMES as u64));
        assert_eq!((report.dropped_foreign_nals, report.sei_inserted, report.sei_replaced), (0, 0, 0));
        assert_eq!(report.reordered_by, Method::Dense);
        assert!(report.max_held_aus <= 20, "{name}: held {}", report.max_held_aus);
        assert!(told.iter().copied().eq(1..=FRAMES as u64), "{name}: progress");
    }
}

#[test]
fn hevc_parser_agrees_where_it_is_right() {
    for name in ["closed", "open"] {
        let (stream, _) = structure(name);
        let mut oracle = HevcParser::default();
        let mut offsets = Vec::new();
        oracle.get_offsets(stream, &mut offsets);
        let last = *offsets.last().unwrap();
        oracle.split_nals(stream, &offsets, last, true).unwrap();
        oracle.finish();
        let mut theirs: Vec<_> = oracle
            .ordered_frames()
            .iter()
            .map(|frame| (frame.decoded_number, frame.presentation_number))
            .collect();
        theirs.sort_unstable();
        let theirs: Vec<u64> = theirs.into_iter().map(|(_, display)| display).collect();
        assert_eq!(order_of(stream).0, theirs, "{name}");
    }
}

#[test]
fn length_prefixed_blocks_give_the_same_units() {
    for name in ["open", "slices", "aud"] {
        let (stream, _) = structure(name);
        let mut reader = AuReader::new(stream.as_slice());
        let mut parser = AuParser::new();
        let mut units = 0;
        while let Some(unit) = reader.next_au().unwrap() {
            let block: Vec<u8> = unit
                .nals()
                .flat_map(|(_, nal)| (nal.len() as u32).to_be_bytes().into_iter().chain(nal.iter().copied()))
                .collect();
            for nal in split_length_prefixed(&block, 4) {
                assert!(parser.push(nal.unwrap()).unwrap().is_none(), "{name}: one unit in one block");
            }
            assert_eq!(parser.flush().unwrap().as_ref(), Some(&unit), "{name}");
            assert_eq!(
                unit.of_type(NalType::SPS).count(),
                usize::from(unit.picture.nal_type.is_irap()),
                "{name}"
            );
            units += 1;
        }
        assert_eq!(units, FRAMES, "{name}");
    }
}

#[test]
fn sps_says_what_was_encoded() {
    let (stream, _) = structure("temporal-layers");
    let unit = AuReader::new(stream.as_slice()).next_au().unwrap().unwrap();
    support::expected().check(&unit.sps).unwrap();
    let vui = unit.sps.vui.unwrap();
    assert_eq!(vui.timing, Some((1001, 24000)));
    assert_eq!((unit.sps.general_profile_idc, unit.sps.vui_damaged), (2, false));
    let unit = AuReader::new(structure("short-poc").0.as_slice()).next_au().unwrap().unwrap();
    assert!(1 << unit.sps.log2_max_poc_lsb < FRAMES, "picture order counts wrap in this stream");
}
