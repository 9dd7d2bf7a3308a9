//! SEI messages: read, changed and written as injection does, and read back.
#![no_main]

use dovi::annexb::find_start_code;
use dovi::sei::{
    CONTENT_LIGHT, Cll, MASTERING_DISPLAY, Mdcv, Message, SeiNal, T35, cll_nal, hdr10plus_nal, is_hdr10plus,
    mdcv_nal, prefix_nal,
};
use dovi_fuzz::{bounded, watch_panics};
use libfuzzer_sys::fuzz_target;

fuzz_target!(init: watch_panics(), |nal: &[u8]| bounded(|| {
    let Some(read) = SeiNal::read(nal) else { return };
    let messages: Vec<Message<'_>> = read.messages().collect();
    let total: usize = messages.iter().map(|m| m.payload.len()).sum();
    assert!(total <= nal.len(), "payloads do not overlap");
    same(&prefix_nal(&messages), &messages);
    for message in &messages {
        let payload = message.payload;
        match message.ty {
            MASTERING_DISPLAY => {
                if let Some(mdcv) = Mdcv::parse(payload) {
                    assert_eq!(mdcv.to_payload(), payload);
                    assert!(mdcv.to_x265().starts_with("G("));
                    same(&mdcv_nal(&mdcv), &[*message]);
                }
            }
            CONTENT_LIGHT => {
                if let Some(cll) = Cll::parse(payload) {
                    assert_eq!(cll.to_payload(), payload);
                    same(&cll_nal(&cll), &[*message]);
                }
            }
            T35 if is_hdr10plus(payload) => same(&hdr10plus_nal(payload), &[*message]),
            _ => {}
        }
    }
    // As injection does: all but the static metadata stay.
    let keep: Vec<Message<'_>> =
        messages.iter().filter(|m| !matches!(m.ty, MASTERING_DISPLAY | CONTENT_LIGHT)).copied().collect();
    same(&prefix_nal(&keep), &keep);
}));

/// `nal` is a well-formed prefix SEI of exactly these messages.
fn same(nal: &[u8], messages: &[Message<'_>]) {
    assert!(find_start_code(nal).is_none() && nal.last() != Some(&0));
    // More than a megabyte is carried but not read.
    if nal.len() <= 1 << 20 {
        let again = SeiNal::read(nal).expect("a written SEI reads back");
        assert_eq!(again.messages().collect::<Vec<_>>(), messages);
    }
}
