//! RPU conversion and hostile RPUs.
#[path = "support/films.rs"]
mod films;

use dolby_vision::rpu::generate::{GenerateConfig, GenerateProfile, VideoShot};
use dovi::{
    nal::{escape, unescape},
    rpu::{CmVersion, ElType, L1, L6, RpuError, describe, nits_to_pq12, parse, pq12_to_nits, to_p81},
};
use films::{AVG, Kind, Rpus};
use proptest::prelude::*;

fn one(kind: Kind) -> Vec<u8> {
    Rpus::of(kind).nals(4).remove(3)
}

/// CRC-32/MPEG-2, bit by bit.
fn crc(data: &[u8]) -> u32 {
    data.iter().fold(u32::MAX, |mut crc, byte| {
        crc ^= u32::from(*byte) << 24;
        for _ in 0..8 {
            crc = if crc & 0x8000_0000 == 0 { crc << 1 } else { crc << 1 ^ 0x04C1_1DB7 };
        }
        crc
    })
}

/// Changes the plain bytes of an RPU and makes its CRC right again.
fn forged(nal: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut plain = unescape(&nal[2..], usize::MAX);
    let end = plain.len() - 5;
    plain.truncate(end);
    change(&mut plain);
    let sum = crc(&plain[1..]);
    plain.extend(sum.to_be_bytes());
    plain.push(0x80);
    [&nal[..2], &escape(&plain)].concat()
}

#[test]
fn facts_of_a_profile_7_rpu() {
    let (info, p81) = describe(&one(Kind::Fel), true).unwrap();
    assert_eq!((info.profile, info.el, info.cm_version), (7, Some(ElType::Fel), Some(CmVersion::V40)));
    assert_eq!(info.l1, Some(L1 { min: 0, max: 2900, avg: AVG + 3 }));
    assert_eq!(info.l6, Some(L6 { max_nits: 1000, min_0_0001: 50, max_cll: 1000, max_fall: 400 }));
    assert_eq!((info.source_max_pq, info.scene_refresh, info.uses_previous), (3079, false, false));
    assert!(info.identity_mapping() && info.nlq_luma.is_some());
    let (converted, _) = describe(&p81.unwrap(), false).unwrap();
    assert_eq!((converted.profile, converted.el, converted.l1), (8, None, info.l1));
    assert_eq!(describe(&one(Kind::Mel), false).unwrap().0.el, Some(ElType::Mel));
    assert_eq!((pq12_to_nits(3079).round(), nits_to_pq12(1000.0)), (1001.0, 3079));
}

#[test]
fn profile_8_is_untouched_and_profile_5_has_no_8_1_form() {
    let p81 = one(Kind::P81);
    assert_eq!(to_p81(&p81).unwrap(), p81);
    let padded = [p81.as_slice(), &[0, 0]].concat();
    assert_eq!(to_p81(&padded).unwrap(), p81);
    assert_eq!(to_p81(&one(Kind::P5)).unwrap_err(), RpuError::Profile(5));
}

/// Profile 8.4 has MMR chroma curves, which real discs have as well.
#[test]
fn mmr_curves_pass_the_bounds_check() {
    let config = GenerateConfig {
        profile: GenerateProfile::Profile84,
        length: 1,
        shots: vec![VideoShot { duration: 1, ..VideoShot::default() }],
        ..GenerateConfig::default()
    };
    let nal = config.generate_rpu_list().unwrap()[0].write_hevc_unspec62_nalu().unwrap();
    assert_eq!(parse(&nal).unwrap().dovi_profile, 8);
}

#[test]
fn damage_and_foreign_bytes_are_refused() {
    let good = one(Kind::Mel);
    for at in 3..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 0x04;
        assert!(to_p81(&bad).is_err(), "flip in byte {at} went unnoticed");
    }
    assert!(to_p81(&good[..good.len() - 3]).is_err());
    assert!(to_p81(&[]).is_err() && to_p81(&[0x7C, 1]).is_err());
    assert_eq!(to_p81(&vec![0x7C; 70_000]).unwrap_err(), RpuError::TooLarge(70_000));
    assert_eq!(parse(&forged(&good, |_| {})).unwrap().dovi_profile, 7);
}

/// A count of nearly 2^32 pivots must not be allocated: that would end the process.
#[test]
fn hostile_counts_are_refused_before_anything_is_allocated() {
    let good = one(Kind::P81);
    let mut refused = 0;
    for at in 4..60 {
        let nal = forged(&good, |plain| plain[at..at + 3].fill(0));
        refused += u32::from(matches!(parse(&nal), Err(RpuError::OutOfRange(_))));
    }
    assert!(refused > 10, "{refused}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn forged_rpus_never_panic(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        kind in prop::sample::select(vec![Kind::Mel, Kind::FelCurve, Kind::P81]),
    ) {
        let nal = forged(&one(kind), |plain| {
            for (at, value) in edits {
                let at = at.index(plain.len() - 1) + 1;
                plain[at] = value;
            }
        });
        if let Ok(p81) = to_p81(&nal) {
            prop_assert_eq!(parse(&p81).map(|rpu| rpu.dovi_profile), Ok(8));
        }
    }
}
