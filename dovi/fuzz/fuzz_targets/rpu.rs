//! RPUs: parsing, facts, and the profile 8.1 form.
//!
//! The first byte chooses: a NAL unit as it is, or the bits of an RPU that get prefix, checksum and emulation
//! prevention put around them. Without that nearly every input would end at the checksum.
#![no_main]

use dovi::nal::escape;
use dovi::rpu::{RpuError, describe, parse, to_p81, without_scene_refresh};
use dovi_fuzz::{bounded, crc32_mpeg2, watch_panics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    let Some((&kind, data)) = data.split_first() else { return };
    if kind & 1 == 0 {
        return check(data);
    }
    // Prefix 25, then the checksum over everything between it and the final 80.
    let mut rbsp = vec![25];
    rbsp.extend_from_slice(data);
    rbsp.extend(crc32_mpeg2(data).to_be_bytes());
    rbsp.push(0x80);
    check(&[&[0x7C, 0x01][..], &escape(&rbsp)].concat());
}));

fn check(nal: &[u8]) {
    let parsed = parse(nal);
    let described = describe(nal, false);
    let converted = to_p81(nal);
    let (Ok(parsed), Ok((info, none))) = (&parsed, &described) else {
        assert!(converted.is_err() || described.is_ok(), "what has no facts has no other form");
        return;
    };
    assert!(none.is_none() && info.profile == parsed.dovi_profile);
    if let Some(l1) = info.l1 {
        assert!(l1.min <= 4095 && l1.max <= 4095 && l1.avg <= 4095);
    }
    let p81 = match converted {
        Ok(p81) => p81,
        Err(error) => {
            let refused =
                matches!(error, RpuError::Profile(_) | RpuError::Write(_) | RpuError::Unsupported(_));
            assert!(refused, "it was parsed before: {error}");
            return;
        }
    };
    assert!(matches!(info.profile, 7 | 8));
    assert_eq!(p81.get(..3), Some(&[0x7C, 0x01, 25][..]));
    let (after, _) = describe(&p81, false).expect("the profile 8.1 form parses again");
    assert_eq!(after.profile, 8);
    assert_eq!(after.el, None, "profile 8 has no enhancement layer");
    assert_eq!((after.l1, after.l5, after.l6), (info.l1, info.l5, info.l6), "levels stay");
    assert_eq!(after.scene_refresh, info.scene_refresh);
    assert_eq!(to_p81(&p81).as_deref(), Ok(p81.as_slice()), "converting twice changes nothing");
    if let Ok(quiet) = without_scene_refresh(&p81) {
        let (still, _) = describe(&quiet, false).expect("it parses again");
        assert!(still.profile == 8 && !still.scene_refresh && still.l1 == info.l1);
        assert_eq!(without_scene_refresh(&quiet).as_deref(), Ok(quiet.as_slice()));
    }
}
