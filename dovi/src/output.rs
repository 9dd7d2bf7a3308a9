//! Which pictures a decoder puts out: the set an encoder fed by that decoder will produce frames for.
//!
//! A stream may hold pictures that no decoder shows: RASL pictures whose IRAP opens a sequence, and pictures
//! still waiting for output when an end of sequence is followed by a CRA (seamless branching). Measured with
//! ffmpeg 5.1: 96 of 99 and 115 of 120 frames come out. Counting such pictures shifts all metadata behind them.

use std::collections::BTreeMap;

use crate::poc::Picture;

/// The output process of H.265 C.5.2, in decode order, with the one bumping rule that real decoders wait for:
/// more than `sps_max_num_reorder_pics` pictures waiting.
#[derive(Debug, Clone, Default)]
pub struct OutputProcess {
    /// POC and decode index of pictures that wait for output; at most `sps_max_num_reorder_pics`.
    waiting: BTreeMap<i64, u64>,
}

impl OutputProcess {
    /// Nothing decoded yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next picture in decode order. Appends the decode index of every picture that is now known to
    /// be never put out: this one, or earlier ones that this one discards.
    pub fn push(&mut self, picture: &Picture, hidden: &mut Vec<u64>) {
        if picture.opens_cvs {
            let waiting = std::mem::take(&mut self.waiting);
            if picture.no_output_of_prior_pics {
                hidden.extend(waiting.into_values());
            }
        }
        if !picture.output {
            hidden.push(picture.decode_index);
            return;
        }
        self.waiting.insert(picture.poc, picture.decode_index);
        // The standard allows 15 at most, whatever a damaged SPS says.
        while self.waiting.len() > picture.max_num_reorder.min(15) as usize {
            self.waiting.pop_first();
        }
    }
}
