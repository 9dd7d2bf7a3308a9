//! Which pictures come out of a decoder, against ffmpeg's.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/hevc.rs"]
mod support;

use std::collections::BTreeSet;

use dovi::annexb::write_nal;
use dovi::au::AuReader;
use dovi::nal::NalType;
use dovi::output::OutputProcess;
use support::{FRAMES, STRUCTURES, naive_nals, shown, structure, ty};

/// Decode indices of hidden pictures: by the code under test, and by ffmpeg.
fn hidden(stream: &[u8]) -> (BTreeSet<u64>, BTreeSet<u64>) {
    let mut reader = AuReader::new(stream);
    let mut output = OutputProcess::new();
    let mut ours = Vec::new();
    let mut starts = Vec::new();
    let (mut at, mut end) = (0u64, 0);
    while let Some(unit) = reader.next_au().unwrap() {
        output.push(&unit.picture, &mut ours);
        starts.push(at - end);
        at += unit.bytes().len() as u64;
        end = unit.of_type(NalType::EOS).map(|nal| nal.len() as u64 + 4).sum();
    }
    assert_eq!(at, stream.len() as u64);
    // ffmpeg counts the first of the four bytes of a start code to the packet before, and an end of sequence to
    // the packet behind.
    let out: BTreeSet<u64> =
        shown(stream).into_iter().map(|place| starts.partition_point(|s| *s <= place) as u64 - 1).collect();
    let theirs = (0..starts.len() as u64).filter(|n| !out.contains(n)).collect();
    (ours.into_iter().collect(), theirs)
}

/// The stream, rewritten from its `skip`th IRAP access unit on, with an end of sequence before IRAP `end`.
fn rewritten(name: &str, skip: usize, end: usize) -> Vec<u8> {
    let mut out = Vec::new();
    let mut irap = 0;
    for nal in naive_nals(&structure(name).0) {
        if ty(nal) == 32 {
            irap += 1;
            if irap == end {
                write_nal(&mut out, &[0x48, 0x01]).unwrap();
            }
        }
        if irap > skip {
            write_nal(&mut out, nal).unwrap();
        }
    }
    out
}

#[test]
fn everything_comes_out_of_a_plain_stream() {
    for (name, _) in STRUCTURES.iter().filter(|(name, _)| *name != "aud") {
        let (ours, theirs) = hidden(&rewritten(name, 0, 0));
        assert_eq!((ours.len(), theirs.len()), (0, 0), "{name}");
    }
}

#[test]
fn a_stream_that_starts_at_a_cra_hides_its_rasl_pictures() {
    for (name, rasl) in [("open", 3), ("long-b", 8)] {
        let (ours, theirs) = hidden(&rewritten(name, 1, 0));
        assert_eq!(ours, theirs, "{name}");
        assert_eq!(ours.len(), rasl, "{name}");
    }
}

#[test]
fn an_end_of_sequence_before_a_cra_hides_waiting_pictures_too() {
    for end in [2, 3, 4] {
        let (ours, theirs) = hidden(&rewritten("open", 0, end));
        assert_eq!(ours, theirs, "end of sequence before IRAP {end}");
        assert!((4..FRAMES / 10).contains(&ours.len()), "RASL and waiting ones: {ours:?}");
    }
}

#[test]
fn an_end_of_sequence_before_an_idr_hides_nothing() {
    let (ours, theirs) = hidden(&rewritten("closed", 0, 3));
    assert_eq!((ours.len(), theirs.len()), (0, 0));
}
