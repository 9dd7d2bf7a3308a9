//! A source and what was made of it.

use common::job::{Check, Mode};
use dovi::film::{Expected, FilmIndex, Resemblance};
use dovi::hash::VclHash;

use super::pairing::Pairing;

/// What the result should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expectation {
    /// Whether every frame of the source was kept, or those that a decoder shows were encoded again.
    pub mode: Mode,
    /// Hash of the picture data, if it is known.
    pub payload: Option<VclHash>,
}

/// What a result of unknown origin wants to be. A copy keeps the size of nearly every picture, an encode of nearly none;
/// a copy with damaged slices is still a copy.
pub fn guess(source: &FilmIndex, result: &FilmIndex) -> Expectation {
    let frames = source.frames.max(result.frames);
    let alike = Resemblance::of(&source.pictures, &result.pictures).equal_sizes;
    if source.vcl == result.vcl || alike * 2 > frames {
        Expectation { mode: Mode::Copy, payload: Some(source.vcl) }
    } else {
        Expectation { mode: Mode::Encode, payload: None }
    }
}

/// The checks of a pair, and the number of frames with a wrong RPU.
pub fn checks(source: &FilmIndex, result: &FilmIndex, want: Expectation) -> (Vec<Check>, u64) {
    let tracks = Pairing::of(&source.tracks, &result.tracks);
    let pair = Pair { source, result, expected: source.expected(), want, tracks };
    let (alignment, wrong) = pair.alignment();
    let mut all = vec![pair.frames(), pair.rpus(), alignment, pair.levels(), pair.profile()];
    all.extend(pair.payload());
    all.extend([
        pair.hdr10(),
        pair.timing(),
        pair.tracks(),
        pair.chapters(),
        pair.attachments(),
        pair.tags(),
    ]);
    (all, wrong)
}

pub(super) struct Pair<'a> {
    pub(super) source: &'a FilmIndex,
    pub(super) result: &'a FilmIndex,
    pub(super) expected: Expected<'a>,
    pub(super) want: Expectation,
    pub(super) tracks: Pairing,
}

impl Pair<'_> {
    /// Frames the result should have.
    pub(super) fn count(&self) -> u64 {
        if self.want.mode == Mode::Copy { self.source.frames } else { self.expected.frames() }
    }

    /// Display index in the source of frame `i` of the result.
    pub(super) fn display(&self, i: u64) -> Option<u64> {
        if self.want.mode == Mode::Copy {
            (i < self.source.frames).then_some(i)
        } else {
            self.expected.display(i)
        }
    }

    /// When frame `i` of the result should be shown.
    pub(super) fn planned_pts_ns(&self, i: u64) -> Option<i64> {
        self.source.pts_ns.get(usize::try_from(self.display(i)?).ok()?).copied()
    }
}
