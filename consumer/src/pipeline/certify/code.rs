//! Which failure a check that does not hold is.

use common::job::{Check, FailureCode};

/// The failure code of a check.
pub fn code_of(check: &Check) -> FailureCode {
    match check.name.as_str() {
        "frames" => FailureCode::ProofFrames,
        "rpus" => FailureCode::ProofRpus,
        "alignment" => FailureCode::ProofAlignment,
        "levels" => FailureCode::ProofLevels,
        "profile" => FailureCode::ProofProfile,
        "tracks" => FailureCode::ProofTracks,
        "chapters" => FailureCode::ProofChapters,
        "attachments" => FailureCode::ProofAttachments,
        "tags" => FailureCode::ProofTags,
        "hdr10" => FailureCode::ProofHdr10,
        "timing" => FailureCode::ProofTiming,
        "picture" => FailureCode::ProofPicture,
        "decode" => FailureCode::ProofDecode,
        _ => FailureCode::ProofPayload,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_has_a_code_of_its_name() {
        for name in [
            "frames",
            "rpus",
            "alignment",
            "levels",
            "profile",
            "payload",
            "tracks",
            "chapters",
            "attachments",
            "tags",
            "hdr10",
            "timing",
            "picture",
            "decode",
        ] {
            assert_eq!(code_of(&Check::new(name, false, "")).as_str(), format!("proof.{name}"));
        }
    }
}
