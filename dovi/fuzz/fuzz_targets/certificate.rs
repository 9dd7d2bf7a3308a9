//! Bodies and files that other programs may have written: job, certificate, failure report.
#![no_main]

use std::fmt::Debug;

use common::job::{Certificate, FailureReport, JobMessage};
use dovi_fuzz::{bounded, watch_panics};
use libfuzzer_sys::fuzz_target;
use serde::Serialize;
use serde::de::DeserializeOwned;

fuzz_target!(init: watch_panics(), |data: &[u8]| bounded(|| {
    let Some((&kind, body)) = data.split_first() else { return };
    match kind % 3 {
        0 => match JobMessage::parse(body) {
            Ok(job) => {
                let again = job.to_body().expect("a job has a JSON form");
                assert_eq!(JobMessage::parse(&again).expect("what was written is a job"), job);
            }
            Err(error) => assert!(!error.to_string().is_empty() && !error.code().hint().is_empty()),
        },
        1 => {
            if let Some(certificate) = stable::<Certificate>(body) {
                assert!(certificate.holds() <= certificate.first_failure().is_none());
            }
        }
        _ => {
            if let Some(report) = stable::<FailureReport>(body) {
                assert!(!report.film().is_empty());
            }
        }
    }
}));

/// Reads, writes, reads: the same value and the same bytes.
fn stable<T: DeserializeOwned + Serialize + PartialEq + Debug>(body: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(body).ok()?;
    let written = serde_json::to_vec(&value).expect("it has a JSON form");
    let again: T = serde_json::from_slice(&written).expect("what was written reads back");
    assert_eq!(again, value);
    assert_eq!(serde_json::to_vec(&again).expect("it has a JSON form"), written);
    Some(value)
}
