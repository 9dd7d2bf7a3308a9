//! Parameter sets, slice headers and picture order counts that x265 never writes, built bit by bit.
#[path = "support/bits.rs"]
mod bits;

use std::sync::Arc;

use bits::Bits;
use dovi::nal::{NalHeader, NalType};
use dovi::params::{ParamError, ParamSets, Pps, Sps, Vui};
use dovi::poc::PocTracker;
use dovi::slice::{SliceError, SliceHeader, SliceType};
use proptest::prelude::*;

/// An SPS that uses every optional part before the VUI.
fn sps(id: u64, sub_layers: u64, lsb_bits: u64) -> Bits {
    let mut b = Bits::default();
    b.u(4, 0).u(3, sub_layers).u(1, 1);
    b.u(2, 0).u(1, 1).u(5, 2).u(32, 0x2000_0000).u(48, 0x9000_0000_0000).u(8, 153);
    for layer in 0..sub_layers {
        b.u(1, layer % 2).u(1, 1);
    }
    if sub_layers > 0 {
        b.u(2 * (8 - sub_layers as u32), 0);
    }
    for layer in 0..sub_layers {
        b.u(if layer % 2 == 1 { 64 } else { 0 }, 0).u(if layer % 2 == 1 { 24 } else { 0 }, 0).u(8, 120);
    }
    b.ue(id).ue(1).ue(3840).ue(2176).u(1, 1).ue(0).ue(0).ue(4).ue(4);
    b.ue(2).ue(2).ue(lsb_bits - 4).u(1, 1);
    for layer in 0..=sub_layers {
        b.ue(5).ue(layer + 2).ue(0);
    }
    b.ue(0).ue(3).ue(0).ue(3).ue(1).ue(1);
    // Scaling lists: one predicted, the others explicit.
    b.u(1, 1).u(1, 1);
    for size in 0..4 {
        for matrix in 0..if size == 3 { 2 } else { 6 } {
            if matrix == 1 {
                b.u(1, 0).ue(1);
                continue;
            }
            b.u(1, 1);
            if size > 1 {
                b.se(-3);
            }
            for coefficient in 0..64.min(1 << (4 + 2 * size)) {
                b.se(coefficient % 5 - 2);
            }
        }
    }
    b.u(2, 3).u(1, 1).u(8, 0x77).ue(0).ue(1).u(1, 1);
    // Three reference picture sets: explicit (3 entries), predicted (2 of 4), predicted from those two.
    b.ue(3).ue(2).ue(1).ue(0).u(1, 1).ue(0).u(1, 1).ue(4).u(1, 0);
    b.u(1, 1).u(1, 0).ue(0).u(1, 1).u(2, 0b01).u(2, 0b00).u(2, 0b00);
    b.u(1, 1).u(1, 1).ue(2).u(1, 1).u(1, 1).u(1, 1);
    b.u(1, 1).ue(2).u(lsb_bits as u32 + 1, 5).u(lsb_bits as u32 + 1, 6);
    b.u(2, 3);
    b
}

fn with_vui(mut b: Bits) -> Vec<u8> {
    b.u(1, 1).u(1, 1).u(8, 255).u(16, 1).u(16, 1).u(1, 1).u(1, 0);
    b.u(1, 1).u(3, 5).u(1, 0).u(1, 1).u(8, 9).u(8, 16).u(8, 9);
    b.u(1, 1).ue(2).ue(2).u(1, 0).u(1, 1).u(1, 1).u(1, 1).ue(0).ue(0).ue(0).ue(3);
    b.u(1, 1).u(32, 1001).u(32, 24000).u(1, 0).u(1, 0).u(1, 0);
    b.u(1, 0).nal(NalType::SPS)
}

#[test]
fn every_optional_part_of_an_sps_is_walked() {
    for sub_layers in [0, 1, 6] {
        let parsed = Sps::parse(&with_vui(sps(7, sub_layers, 16))).unwrap();
        assert_eq!((parsed.id, parsed.width, parsed.height), (7, 3840, 2160));
        assert_eq!((parsed.bit_depth_luma, parsed.bit_depth_chroma, parsed.log2_max_poc_lsb), (10, 10, 16));
        assert_eq!((parsed.general_profile_idc, parsed.high_tier, parsed.level_idc), (2, true, 153));
        assert_eq!((u64::from(parsed.max_num_reorder), parsed.vui_damaged), (sub_layers + 2, false));
        let vui = Vui {
            colour_primaries: 9,
            transfer: 16,
            matrix: 9,
            full_range: false,
            chroma_loc: Some(2),
            field_seq: true,
            timing: Some((1001, 24000)),
        };
        assert_eq!(parsed.vui, Some(vui));
    }
}

#[test]
fn a_cut_vui_leaves_the_order_readable() {
    let whole = with_vui(sps(0, 0, 8));
    let cut = Sps::parse(&whole[..60]).unwrap();
    assert_eq!((cut.vui, cut.vui_damaged, cut.log2_max_poc_lsb), (None, true, 8));
    assert!(matches!(Sps::parse(&whole[..20]), Err(ParamError::Sps(_))));
}

fn pps(id: u64, sps: u64, output_flag: u64, extra: u64) -> Vec<u8> {
    let mut b = Bits::default();
    b.ue(id).ue(sps).u(1, 0).u(1, output_flag).u(3, extra).u(20, 0);
    b.nal(NalType::PPS)
}

#[test]
fn slices_use_the_latest_sets_of_their_ids() {
    let mut params = ParamSets::new();
    let slice = |pps_id: u64, extra: u32, hidden: Option<u64>, lsb_bits: u32| {
        let mut b = Bits::default();
        b.u(1, 1).ue(pps_id).u(extra, 0).ue(1);
        if let Some(output) = hidden {
            b.u(1, output);
        }
        b.u(lsb_bits, 9).u(30, 0);
        b.nal(NalType(1))
    };
    let plain = slice(3, 0, None, 8);
    assert_eq!(SliceHeader::parse(&plain, &params), Err(SliceError::NoPps(3)));
    params.feed(&pps(3, 2, 0, 0)).unwrap();
    assert_eq!(SliceHeader::parse(&plain, &params), Err(SliceError::NoSps(2)));
    params.feed(&with_vui(sps(2, 0, 8))).unwrap();
    let header = SliceHeader::parse(&plain, &params).unwrap();
    assert_eq!((header.poc_lsb, header.pic_output, header.slice_type), (9, true, SliceType::P));

    params.feed(&pps(3, 2, 1, 5)).unwrap();
    assert_eq!(
        params.pps(3),
        Some(Pps { id: 3, sps_id: 2, output_flag_present: true, extra_slice_header_bits: 5 })
    );
    params.feed(&with_vui(sps(2, 0, 12))).unwrap();
    let header = SliceHeader::parse(&slice(3, 5, Some(0), 12), &params).unwrap();
    assert_eq!((header.poc_lsb, header.pic_output, header.sps.log2_max_poc_lsb), (9, false, 12));

    let mut other_layer = with_vui(sps(2, 0, 16));
    other_layer[1] = 9;
    params.feed(&other_layer).unwrap();
    assert_eq!(params.sps(2).map(|sps| sps.log2_max_poc_lsb), Some(12));
    assert_eq!(SliceHeader::parse(&[2, 1, 0x40, 0], &params), Err(SliceError::NotFirst));
    assert_eq!(SliceHeader::parse(&[0x40, 1, 0x80], &params), Err(SliceError::NotASlice(32)));
}

fn slice_of(poc: i64, sps: &Arc<Sps>, ty: NalType) -> (SliceHeader, NalHeader) {
    let poc_lsb = if ty.is_idr() { 0 } else { poc.rem_euclid(1 << sps.log2_max_poc_lsb) as u32 };
    let slice = SliceHeader {
        pps_id: 0,
        sps: Arc::clone(sps),
        slice_type: SliceType::P,
        no_output_of_prior_pics: false,
        pic_output: true,
        poc_lsb,
    };
    (slice, NalHeader { ty, layer_id: 0, temporal_id: 0 })
}

proptest! {
    /// Counts survive being cut to a few bits, over any number of wraps, also below zero.
    #[test]
    fn counts_are_rebuilt_from_their_low_bits(
        lsb_bits in 4u64..=16,
        gops in prop::collection::vec((1i64..8, 0i64..7), 1..300),
    ) {
        let sps = Arc::new(Sps::parse(&with_vui(sps(0, 0, lsb_bits))).unwrap());
        let mut tracker = PocTracker::new();
        let mut count = |poc: i64, ty: NalType| {
            let (slice, header) = slice_of(poc, &sps, ty);
            tracker.picture(&slice, header).poc
        };
        prop_assert_eq!(count(0, NalType::IDR_W_RADL), 0);
        for poc in -3..0 {
            prop_assert_eq!(count(poc, NalType::RADL_R), poc);
        }
        let mut anchor = 0;
        for (size, back) in gops {
            anchor += size;
            prop_assert_eq!(count(anchor, NalType(1)), anchor);
            // A picture nobody refers to must not move the anchor.
            prop_assert_eq!(count(anchor - back, NalType(0)), anchor - back);
        }
    }
}

#[test]
fn sequences_begin_where_the_standard_says() {
    let sps = Arc::new(Sps::parse(&with_vui(sps(0, 0, 8))).unwrap());
    let mut tracker = PocTracker::new();
    let mut step = |poc: i64, ty: NalType| {
        let (slice, header) = slice_of(poc, &sps, ty);
        let picture = tracker.picture(&slice, header);
        (picture.cvs, picture.poc, picture.output, picture.no_output_of_prior_pics)
    };
    assert_eq!(step(40, NalType::CRA), (0, 40, true, false), "first in the stream");
    assert_eq!(step(38, NalType::RASL_N), (0, 38, false, false));
    assert_eq!(step(39, NalType::RADL_N), (0, 39, true, false));
    assert_eq!(step(300, NalType(1)), (0, 44, true, false), "256 counts apart look alike");
    assert_eq!(step(60, NalType::CRA), (0, 60, true, false), "inside a sequence");
    assert_eq!(step(58, NalType::RASL_N), (0, 58, true, false));
    assert_eq!(step(70, NalType::BLA_W_LP), (1, 70, true, false));
    assert_eq!(step(69, NalType::RASL_N), (1, 69, false, false));
    assert_eq!(step(0, NalType::IDR_N_LP), (2, 0, true, false));
    tracker.end_of_sequence();
    let (slice, header) = slice_of(10, &sps, NalType::CRA);
    let picture = tracker.picture(&slice, header);
    assert_eq!((picture.cvs, picture.opens_cvs, picture.no_output_of_prior_pics), (3, true, true));
    assert_eq!((picture.decode_index, tracker.decoded()), (9, 10));
}
