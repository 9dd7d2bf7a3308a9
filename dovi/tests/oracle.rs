//! Converter and injector against what dovi_tool 2.3.1 wrote: byte for byte where it is right, and proof where it is not.
//!
//! dovi_tool itself is not needed: its outputs are kept as digests. `oracle_live.rs` runs it.

#[path = "support/hevc.rs"]
mod support;

#[path = "support/oracle.rs"]
mod oracle;

use oracle::{
    GAP, RADL, RIGHT, all, digest, digests, injected, injected_by, misplaced, our_order, p7_rpus, p81_rpus,
    parser_order, profile7, rpu_file, stream,
};
use support::{naive_nals, ty};

/// What dovi_tool made of a stream.
fn theirs(stream: &str, what: &str) -> String {
    digests()[&(stream.to_owned(), what.to_owned())].clone()
}

/// RPUs in decode order.
fn in_decode_order(rpus: &[Vec<u8>], truth: &[u64]) -> Vec<Vec<u8>> {
    truth.iter().map(|display| rpus[*display as usize].clone()).collect()
}

#[test]
fn the_streams_are_those_that_dovi_tool_was_given_and_what_their_names_say() {
    for name in all() {
        let (bytes, truth) = stream(name);
        assert_eq!(digest(&bytes), theirs(name, "stream"), "{name}");
        assert_eq!(digest(&profile7(&bytes, &truth, None)), theirs(name, "profile7"), "{name}");
        let nals = naive_nals(&bytes);
        let any = |types: &[u8]| nals.iter().any(|nal| types.contains(&ty(nal)));
        let slices = nals.iter().filter(|nal| ty(nal) < 32).count();
        assert_eq!(any(&[21]) && any(&[8, 9]), name == "open", "{name}: CRA and RASL");
        assert_eq!(any(&[6, 7]), name == RADL, "{name}: RADL");
        assert_eq!(slices / truth.len(), if name == "slices" { 2 } else { 1 }, "{name}: slices of a picture");
        let layered = nals.iter().any(|nal| ty(nal) < 32 && nal[1] & 7 > 1);
        assert_eq!(layered, name == "temporal-layers", "{name}");
        assert_eq!(any(&[35]), name == "closed", "{name}: access unit delimiters");
    }
}

#[test]
fn a_converted_stream_is_that_of_dovi_tool_byte_for_byte() {
    let rpus = p81_rpus();
    for name in all() {
        let (bytes, truth) = stream(name);
        let (ours, report) = injected(&profile7(&bytes, &truth, None), &rpus, truth.len());
        assert_eq!(digest(&ours), theirs(name, "convert"), "{name}");
        assert_eq!(report.dropped_foreign_nals, 3 * truth.len() as u64, "{name}");
        assert_eq!(misplaced(&ours, &truth, &rpus), 0, "{name}");
    }
}

#[test]
fn converted_metadata_in_display_order_is_that_of_dovi_tool_byte_for_byte() {
    for name in RIGHT {
        let (bytes, truth) = stream(name);
        let converted = in_decode_order(&p81_rpus(), &truth);
        assert_eq!(digest(&rpu_file(&converted, &our_order(&bytes))), theirs(name, "extract"), "{name}");
    }
}

#[test]
fn an_injected_stream_is_that_of_dovi_tool_byte_for_byte() {
    let rpus = p81_rpus();
    for name in RIGHT {
        let (bytes, truth) = stream(name);
        let (ours, report) = injected(&bytes, &rpus, truth.len());
        assert_eq!(digest(&ours), theirs(name, "inject"), "{name}");
        assert_eq!((report.sei_inserted, misplaced(&ours, &truth, &rpus)), (0, 0), "{name}");
    }
}

#[test]
fn with_leading_pictures_behind_an_idr_dovi_tool_is_wrong_and_we_are_not() {
    let (rpus, (bytes, truth)) = (p81_rpus(), stream(RADL));
    let (ours, _) = injected(&bytes, &rpus, truth.len());
    assert_eq!(misplaced(&ours, &truth, &rpus), 0);
    assert_ne!(digest(&ours), theirs(RADL, "inject"));

    // Its output is known byte for byte all the same: that of its library's order.
    let order = parser_order(&bytes);
    let its = injected_by(&bytes, &rpus, &order);
    assert_eq!(digest(&its), theirs(RADL, "inject"));
    assert_eq!((misplaced(&its, &truth, &rpus), truth.len()), (99, 120));

    // The same on the way out: metadata of a film with such pictures is sorted wrongly.
    let converted = in_decode_order(&rpus, &truth);
    assert_eq!(digest(&rpu_file(&converted, &order)), theirs(RADL, "extract"));
    assert_ne!(digest(&rpu_file(&converted, &our_order(&bytes))), theirs(RADL, "extract"));
}

#[test]
fn one_missing_rpu_moves_the_rest_of_a_film_through_dovi_tool_and_stops_us() {
    let (rpus, (bytes, truth)) = (p81_rpus(), stream("closed"));
    let mut left = in_decode_order(&rpus, &truth);
    left.remove(GAP);
    let extracted = rpu_file(&left, &parser_order(&bytes));
    assert_eq!(digest(&extracted), theirs("closed-gap", "extract"));

    let its: Vec<Vec<u8>> =
        naive_nals(&extracted).into_iter().map(|rpu| [&[0x7c, 0x01], rpu].concat()).collect();
    assert_eq!(its.len(), truth.len() - 1);
    let its = injected_by(&bytes, &its, &parser_order(&bytes));
    assert_eq!(digest(&its), theirs("closed-gap", "inject"));
    assert_eq!((misplaced(&its, &truth, &rpus), truth.len()), (88, 120));

    // By frame and not by count, the gap is one frame, and it is an error until somebody fills it.
    let hole = truth[GAP];
    let known = Gap { rpus: &rpus, hole };
    let plan = support::plan(&known, truth.len());
    let expect = dovi::expect::StreamExpectation { width: 128, height: 72, ..plan.expect };
    let plan = dovi::inject::InjectPlan { expect, ..plan };
    let error = dovi::inject::inject(bytes.as_slice(), Vec::new(), &plan, &mut |_| {}).unwrap_err();
    assert_eq!((error.code(), error.to_string()), ("rpu.missing", format!("no RPU for frame {hole}")));
    let mut filled = rpus.clone();
    filled[hole as usize] = rpus[hole as usize - 1].clone();
    let (ours, _) = injected(&bytes, &filled, truth.len());
    assert_eq!(misplaced(&ours, &truth, &rpus), 1, "only the frame that had none");
}

/// All RPUs but one.
struct Gap<'a> {
    rpus: &'a Vec<Vec<u8>>,
    hole: u64,
}

impl dovi::inject::RpuByDisplay for Gap<'_> {
    fn rpu(&self, display: u64) -> Option<&[u8]> {
        (display != self.hole).then(|| self.rpus[display as usize].as_slice())
    }
}

#[test]
fn the_metadata_is_of_all_three_kinds_and_conversion_makes_one_of_them() {
    let of = |nal: &Vec<u8>| dovi::rpu::RpuInfo::of(&dovi::rpu::parse(nal).unwrap());
    let infos: Vec<_> = p7_rpus().iter().map(of).collect();
    assert!(infos.iter().all(|i| i.profile == 7));
    assert_eq!(infos.iter().filter(|i| !i.identity_mapping()).count(), 24, "FEL with a curve");
    let converted: Vec<_> = p81_rpus().iter().map(of).collect();
    assert!(converted.iter().all(|i| i.profile == 8 && i.el.is_none() && i.identity_mapping()));
    let numbers = |all: &[dovi::rpu::RpuInfo]| all.iter().map(|i| i.l1.unwrap().avg).collect::<Vec<_>>();
    assert_eq!(numbers(&infos), numbers(&converted));
    assert!(numbers(&converted).windows(2).all(|w| w[1] == w[0] + 1));
}
