//! NAL units with lengths of two bytes: parameter sets, slice headers, picture order counts, output.
#![no_main]

use std::collections::BTreeSet;

use dovi::expect::StreamExpectation;
use dovi::nal::{NalHeader, NalType, escape, split_length_prefixed, unescape};
use dovi::output::OutputProcess;
use dovi::params::{ParamSets, Pps, Sps};
use dovi::poc::PocTracker;
use dovi::slice::{SliceHeader, is_first_slice};
use dovi_fuzz::{bounded, watch_panics};
use libfuzzer_sys::fuzz_target;

const EXPECTED: StreamExpectation = StreamExpectation {
    width: 3840,
    height: 2160,
    bit_depth: 10,
    primaries: 9,
    transfer: 16,
    matrix: 9,
    full_range: false,
    chroma_loc: Some(2),
};

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    let mut params = ParamSets::new();
    let mut tracker = PocTracker::new();
    let mut output = OutputProcess::new();
    let (mut hidden, mut pictures) = (Vec::new(), 0);
    for nal in split_length_prefixed(data, 2).map_while(Result::ok) {
        emulation(nal);
        let Ok(header) = NalHeader::parse(nal) else { continue };
        let fed = params.feed(nal);
        match header.ty {
            NalType::SPS => {
                let sps = Sps::parse(nal);
                assert!(header.layer_id != 0 || fed.is_ok() == sps.is_ok());
                if let Ok(sps) = sps {
                    assert!(sps.width > 0 && sps.height > 0 && (4..=16).contains(&sps.log2_max_poc_lsb));
                    // A mismatch is fine, but it has words.
                    assert!(EXPECTED.check(&sps).map_or_else(|e| !e.to_string().is_empty(), |()| true));
                }
            }
            NalType::PPS => assert!(header.layer_id != 0 || fed.is_ok() == Pps::parse(nal).is_ok()),
            NalType::EOS | NalType::EOB => tracker.end_of_sequence(),
            ty if ty.is_vcl() && is_first_slice(nal) => {
                let Ok(slice) = SliceHeader::parse(nal, &params) else { continue };
                let picture = tracker.picture(&slice, header);
                assert_eq!(picture.decode_index, pictures);
                assert!(picture.cvs <= pictures);
                pictures += 1;
                output.push(&picture, &mut hidden);
            }
            _ => {}
        }
    }
    assert_eq!(tracker.decoded(), pictures);
    assert!(hidden.iter().all(|index| *index < pictures));
    let unique: BTreeSet<&u64> = hidden.iter().collect();
    assert_eq!(unique.len(), hidden.len(), "a picture is hidden once");
}));

/// What is escaped holds no start code and reads back; an RBSP never ends in a zero byte (H.265 7.3.2.11).
fn emulation(rbsp: &[u8]) {
    let escaped = escape(rbsp);
    assert!(!escaped.windows(3).any(|w| w[0] == 0 && w[1] == 0 && w[2] < 3));
    assert_ne!(escaped.last(), Some(&0));
    if rbsp.last() != Some(&0) {
        assert_eq!(unescape(&escaped, usize::MAX), rbsp);
    }
}
