//! A byte stream in pieces: cut into NAL units, grouped into access units, put into display order.
#![no_main]

use std::io::Read;

use dovi::annexb::{AnnexBError, NalReader, find_start_code, write_nal};
use dovi::au::{AuParser, AuReader};
use dovi::order::DisplayOrder;
use dovi_fuzz::{Pieces, bounded, watch_panics};
use libfuzzer_sys::fuzz_target;

/// Small limits, so that small inputs reach them.
const MAX_NAL: usize = 16 << 10;
const MAX_AU: usize = 32 << 10;

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    let Some((&seed, stream)) = data.split_first() else { return };
    let whole = cut(stream);
    let pieces = cut(Pieces::new(stream, seed));
    assert_eq!(text(&whole), text(&pieces), "short reads change what is found");
    if let Ok(nals) = &whole {
        let mut again = Vec::new();
        for nal in nals {
            assert!(!nal.is_empty() && nal.last() != Some(&0) && find_start_code(nal).is_none());
            write_nal(&mut again, nal).expect("a vector takes all");
        }
        assert_eq!(cut(again.as_slice()).expect("what was written is a stream"), *nals);
    }
    access_units(stream, seed);
}));

fn cut(source: impl Read) -> Result<Vec<Vec<u8>>, AnnexBError> {
    let mut reader = NalReader::with_max_nal(source, MAX_NAL);
    let mut nals = Vec::new();
    while let Some(nal) = reader.next_nal()? {
        nals.push(nal.to_vec());
    }
    Ok(nals)
}

fn text(cut: &Result<Vec<Vec<u8>>, AnnexBError>) -> Result<&[Vec<u8>], String> {
    cut.as_deref().map_err(ToString::to_string)
}

fn access_units(stream: &[u8], seed: u8) {
    let nals = NalReader::with_max_nal(Pieces::new(stream, seed), MAX_NAL);
    let mut reader = AuReader::with_parts(nals, AuParser::with_max_bytes(MAX_AU));
    let (mut order, mut placed) = (DisplayOrder::new(), Vec::new());
    let mut units = 0;
    loop {
        match reader.next_au() {
            Err(_) => return,
            Ok(None) => break,
            Ok(Some(unit)) => {
                assert_eq!(unit.picture.decode_index, units, "pictures are numbered as they come");
                assert!(unit.nals().any(|(header, _)| header.ty.is_slice() && header.layer_id == 0));
                assert!(unit.bytes().len() <= MAX_AU);
                units += 1;
                if order.push(&unit.picture, &mut placed).is_err() {
                    return;
                }
                reader.recycle(unit);
            }
        }
    }
    if order.finish(&mut placed).is_err() {
        return;
    }
    assert_eq!(placed.len() as u64, units, "every picture has a place");
    let mut taken = vec![false; placed.len()];
    for (decode, place) in (0u64..).zip(&placed) {
        assert_eq!(place.decode_index, decode, "places come in decode order");
        let slot = usize::try_from(place.display_index).ok().and_then(|i| taken.get_mut(i));
        let slot = slot.expect("display indices have no gaps");
        assert!(!std::mem::replace(slot, true), "two pictures in one place");
    }
}
