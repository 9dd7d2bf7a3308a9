//! An arbitrary byte stream through injection: an error, or exactly what was planned.
//!
//! The first byte sets the plan, the second how the stream is cut into reads.
#![no_main]

use dovi::au::AuReader;
use dovi::expect::StreamExpectation;
use dovi::hash::VclHasher;
use dovi::inject::{InjectError, InjectPlan, inject};
use dovi::nal::{NalHeader, NalType};
use dovi::order::DisplayOrder;
use dovi::params::Sps;
use dovi::sei::{Cll, MASTERING_DISPLAY, Mdcv, SeiNal, hdr10plus_nal};
use dovi_fuzz::{Pieces, bounded, watch_panics};
use libfuzzer_sys::fuzz_target;

const MDCV: Mdcv = Mdcv {
    primaries_gbr: [(13250, 34500), (7500, 3000), (34000, 16000)],
    white: (15635, 16450),
    max_luminance: 10_000_000,
    min_luminance: 1,
};

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    let &[flags, seed, ref stream @ ..] = data else { return };
    let (found, sps) = survey(stream);
    // A quarter of the plans is about another number of frames.
    let planned = if flags & 3 == 3 { found ^ 1 } else { found };
    let rpus: Vec<Vec<u8>> = (0..planned).map(rpu).collect();
    let dynamic: Vec<Option<Vec<u8>>> = (0..planned).map(|i| (i % 3 != 0).then(|| hdr10plus(i))).collect();
    let plan = InjectPlan {
        rpus: &rpus,
        frames: planned,
        mdcv: (flags & 4 != 0).then_some(MDCV),
        cll: (flags & 8 != 0).then_some(Cll { max_cll: 1000, max_fall: 400 }),
        hdr10plus: if flags & 16 != 0 { Some(&dynamic) } else { None },
        expect: sps.as_ref().map_or(DEFAULT, expectation),
    };
    let mut out = Vec::new();
    let mut told = 0;
    let result = inject(Pieces::new(stream, seed), &mut out, &plan, &mut |frames| told = frames);
    let report = match result {
        Ok(report) => report,
        Err(InjectError::RpuMissing(_) | InjectError::RpuInvalid(_) | InjectError::SeiInvalid(_)) => {
            panic!("the plan has everything")
        }
        Err(error) => return assert!(!error.to_string().is_empty() && !error.code().is_empty()),
    };
    assert_eq!((report.frames, report.rpus_written, told), (planned, planned, planned));
    assert_eq!(report.bytes, out.len() as u64);
    prove(&out, &plan, &rpus, &report.vcl);
}));

/// Access units of a stream that is sound to its end (else those before the damage), and its first SPS.
fn survey(stream: &[u8]) -> (u64, Option<Sps>) {
    let mut reader = AuReader::new(stream);
    let (mut count, mut sps) = (0, None);
    while let Ok(Some(unit)) = reader.next_au() {
        count += 1;
        sps.get_or_insert_with(|| Sps::clone(&unit.sps));
        reader.recycle(unit);
    }
    (count, sps)
}

fn prove(out: &[u8], plan: &InjectPlan<'_>, rpus: &[Vec<u8>], vcl: &dovi::hash::VclHash) {
    let mut reader = AuReader::new(out);
    let (mut order, mut placed) = (DisplayOrder::new(), Vec::new());
    let mut found = Vec::new();
    let mut hasher = VclHasher::new();
    while let Some(unit) = reader.next_au().expect("what was written is a stream") {
        let nals: Vec<(NalHeader, &[u8])> = unit.nals().collect();
        for (header, nal) in &nals {
            if header.ty.is_vcl() && header.layer_id == 0 {
                hasher.update_vcl(nal);
            }
        }
        assert!(nals.iter().all(|(header, _)| header.ty != NalType::EL), "nothing of an enhancement layer");
        let of_type = |ty| nals.iter().filter(move |(header, _)| header.ty == ty);
        assert_eq!(of_type(NalType::RPU).count(), 1, "one RPU for each access unit");
        // Only an end of sequence or of bitstream, and what comes behind it, may follow the RPU.
        let at = nals.iter().position(|(header, _)| header.ty == NalType::RPU).expect("counted");
        let next = nals.get(at + 1).map(|(header, _)| header.ty);
        assert!(matches!(next, None | Some(NalType::EOS | NalType::EOB)), "{next:?} follows the RPU");
        if unit.picture.nal_type.is_irap() && plan.mdcv.is_some() {
            let messages = of_type(NalType::PREFIX_SEI).filter_map(|(_, nal)| SeiNal::read(nal));
            let ours: Vec<bool> = messages
                .flat_map(|sei| {
                    let all = sei.messages().filter(|m| m.ty == MASTERING_DISPLAY);
                    all.map(|m| Mdcv::parse(m.payload) == Some(MDCV)).collect::<Vec<_>>()
                })
                .collect();
            assert!(!ours.is_empty() && ours.iter().all(|ours| *ours), "the planned mastering display only");
        }
        found.push(nals[at].1.to_vec());
        order.push(&unit.picture, &mut placed).expect("its order was known before");
        reader.recycle(unit);
    }
    order.finish(&mut placed).expect("its order was known before");
    assert_eq!((found.len(), placed.len() as u64), (rpus.len(), plan.frames), "exactly the planned frames");
    for (found, place) in found.iter().zip(&placed) {
        let planned = usize::try_from(place.display_index).ok().and_then(|i| rpus.get(i));
        assert_eq!(Some(found), planned, "the RPU of display index {}", place.display_index);
    }
    assert_eq!(hasher.finish(), *vcl, "slices are written as they came");
}

/// A NAL unit 62 that names its frame.
fn rpu(display: u64) -> Vec<u8> {
    let digits = display.to_be_bytes().map(|byte| [byte >> 4 | 0x40, byte & 15 | 0x40]);
    [&[0x7C, 0x01, 25][..], digits.as_flattened(), &[0x80]].concat()
}

fn hdr10plus(display: u64) -> Vec<u8> {
    hdr10plus_nal(&[&[0xb5, 0, 0x3c, 0, 1, 4, 1][..], &display.to_be_bytes()].concat())
}

const DEFAULT: StreamExpectation = StreamExpectation {
    width: 320,
    height: 180,
    bit_depth: 10,
    primaries: 9,
    transfer: 16,
    matrix: 9,
    full_range: false,
    chroma_loc: None,
};

/// What the stream says of itself, where that can be expected at all.
fn expectation(sps: &Sps) -> StreamExpectation {
    StreamExpectation {
        width: sps.width,
        height: sps.height,
        bit_depth: sps.bit_depth_luma,
        primaries: sps.vui.map_or(9, |v| v.colour_primaries),
        transfer: sps.vui.map_or(16, |v| v.transfer),
        matrix: sps.vui.map_or(9, |v| v.matrix),
        full_range: sps.vui.is_some_and(|v| v.full_range),
        chroma_loc: None,
    }
}
