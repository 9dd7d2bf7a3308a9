//! A whole file: every block, then what a library walk and a conversion make of it.
#![no_main]

use std::io::Cursor;
use std::ops::ControlFlow;

use dovi::copy::copy_p81;
use dovi::film::{FilmIndex, MissingPolicy, ScanOptions, sample, scan};
use dovi::matroska::MatroskaReader;
use dovi_fuzz::{bounded, watch_panics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    blocks(data);
    match sample(Cursor::new(data)) {
        Ok(sample) => {
            assert!(sample.frames > 0 && sample.track_id < sample.header.tracks.len());
            assert!(!sample.verdict.to_string().is_empty() && sample.integrity.file_end == data.len() as u64);
        }
        Err(error) => assert!(error.code().contains('.') && !error.to_string().is_empty()),
    }
    for options in [ScanOptions::default(), ScanOptions { hash_tracks: false, convert: false }] {
        match scan(Cursor::new(data), &options, &mut |_| ControlFlow::Continue(())) {
            Ok(index) if options.convert => converted(data, index),
            Ok(index) => sound(&index),
            Err(error) => assert!(error.code().contains('.') && !error.to_string().is_empty()),
        }
    }
}));

/// Every block of every track, and the calls that jump about.
fn blocks(data: &[u8]) {
    let Ok(mut reader) = MatroskaReader::with_buffer(Cursor::new(data), 4096) else { return };
    let (mut buf, mut count) = (Vec::new(), 0u64);
    while let Ok(Some(block)) = reader.next_block(&mut |_| true, &mut buf) {
        assert!(block.offset < data.len() as u64 && reader.position() <= data.len() as u64);
        assert!(reader.header().track(block.track).is_some());
        count += 1;
    }
    // A frame takes at least one byte of a lace, or four of a block head.
    assert!(count <= 256 * data.len() as u64);
    reader.read_tail();
    assert!(reader.integrity().file_end == data.len() as u64 && reader.header().attachments.len() <= 4096);
    let tracks: Vec<u64> = reader.header().tracks.iter().map(|t| t.number).take(4).collect();
    for track in tracks {
        for at in reader.cue_clusters(track).into_iter().take(4) {
            if reader.seek_cluster(at).is_ok() {
                let _ = reader.next_block(&mut |_| true, &mut buf);
            }
        }
    }
    for at in [0, data.len() as u64 / 2, data.len() as u64, u64::MAX] {
        if let Ok(true) = reader.resync(at) {
            let _ = reader.next_block(&mut |_| true, &mut buf);
        }
    }
}

fn sound(index: &FilmIndex) {
    let frames = usize::try_from(index.frames).expect("frames of a file in memory");
    assert!(frames > 0 && index.pts_ns.len() == frames && index.output.len() == frames);
    assert!(index.rpus.len() == frames && index.display_of.len() == frames);
    assert!(index.pts_ns.is_sorted_by(|a, b| a < b), "display order is time order");
    let mut taken = vec![false; frames];
    index.display_of.iter().for_each(|i| taken[*i as usize] = true);
    assert!(taken.iter().all(|taken| *taken), "every display index is some frame's");
    let expected = index.expected();
    assert!(expected.frames() <= index.frames && expected.display(expected.frames()).is_none());
    assert_eq!(index.rpus.missing().count() as u64, index.counts.missing);
}

fn converted(data: &[u8], mut index: FilmIndex) {
    sound(&index);
    let policy = MissingPolicy { max_share: 0.5, max_run: 4 };
    let filled = index.rpus.fill_missing(policy);
    assert!(filled.is_err() || index.rpus.missing().count() == 0);
    let mut out = Vec::new();
    match copy_p81(Cursor::new(data), &mut out, &index, &mut |_| ControlFlow::Continue(())) {
        Ok(report) => {
            assert_eq!(
                (report.frames, report.rpus, report.bytes),
                (index.frames, index.frames, out.len() as u64)
            );
        }
        Err(error) => assert!(error.code().contains('.') && !error.to_string().is_empty()),
    }
}
