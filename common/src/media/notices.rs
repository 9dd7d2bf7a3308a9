//! What a person should know about a film, whether or not it is converted.

use dovi::film::{FilmIndex, grouped};

/// Observations about a film that was read whole, in words.
pub fn notices(index: &FilmIndex) -> Vec<String> {
    let mut all: Vec<String> =
        index.hdr10.disagreements.iter().chain(&index.evidence.notes).cloned().collect();
    let c = &index.counts;
    let hdr10plus_gap = if c.hdr10plus > 0 { index.frames - c.hdr10plus.min(index.frames) } else { 0 };
    for (n, what) in [
        (c.duplicate, "frames with more than one rpu (the first counts)"),
        (c.not_last, "frames whose rpu is not the last of their data"),
        (c.not_output, "frames never shown by a decoder (they refer to pictures that are gone)"),
        (c.equal_pts, "frames at the time of the frame before"),
        (c.backward_pts, "frames at an earlier time than the frame before"),
        (hdr10plus_gap, "frames without HDR10+ metadata among others that have it"),
    ] {
        if n > 0 {
            all.push(format!("{what}: {}", grouped(n)));
        }
    }
    all
}
