//! What will be done to a film, decided from what it is and what was asked for. Pure.

use common::job::{Mode, Recipe};
use common::media::{self, Decision};
use dovi::expect::StreamExpectation;
use dovi::film::{FilmIndex, Rate};
use dovi::sei::Mdcv;

use super::encoder::{COLOUR, Picture};
use super::{Stage, StageError};
use crate::tools::mkvmerge::Colour;

/// Seconds between key frames at most. Discs have one; players seek well enough with this.
const KEY_SECONDS: f64 = 5.0;

/// Why a film is not converted although it can be read; `None` if it is.
pub fn refusal(index: &FilmIndex, recipe: &Recipe) -> Option<StageError> {
    match media::decide_film(index, recipe) {
        Decision::Queue { .. } => None,
        Decision::Skip(refusal) => Some(StageError::refused(Stage::Prescan, refusal)),
    }
}

/// When the frames of the result are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Clock {
    /// Evenly, from `start_ms` on.
    Constant {
        /// Frames per second, numerator.
        num: u32,
        /// Frames per second, denominator.
        den: u32,
        /// First frame.
        start_ms: i64,
    },
    /// Each at its own time, in nanoseconds, in display order.
    Each(Vec<i64>),
}

/// What will be done.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// Encode or copy.
    pub mode: Mode,
    /// Frames of the result.
    pub frames: u64,
    /// What the encoder has to know, for an encode.
    pub picture: Picture,
    /// What the encoder's stream must be.
    pub expect: StreamExpectation,
    /// Times of the frames.
    pub clock: Clock,
    /// Colour for the container.
    pub colour: Colour,
    /// mkvmerge ids of the source's tracks that the result does not have: the film, and its enhancement layer.
    pub without: Vec<u64>,
    /// The source has other video tracks.
    pub other_video: bool,
    /// Order of the result's tracks: `None` is the new one.
    pub order: Vec<Option<u64>>,
}

impl Plan {
    /// The plan for a film that was not refused.
    pub fn new(index: &FilmIndex, recipe: &Recipe) -> Self {
        let v = &index.video;
        let expected = index.expected();
        let frames = if recipe.mode == Mode::Copy { index.frames } else { expected.frames() };
        let fps = match v.rate {
            Rate::Cfr { num, den } => f64::from(num) / f64::from(den.max(1)),
            Rate::Vfr => 24.0,
        };
        let film = v.track_id as u64;
        let el = v.el_track.map(|el| el.track_id as u64);
        let without: Vec<u64> = [Some(film), el].into_iter().flatten().collect();
        let ids = 0..index.header.tracks.len() as u64;
        let order = ids.filter(|id| Some(*id) != el).map(|id| (id != film).then_some(id)).collect();
        let picture = Picture {
            width: v.width,
            height: v.height,
            chroma_loc: v.vui.and_then(|v| v.chroma_loc),
            mdcv: index.hdr10.mdcv,
            cll: index.hdr10.cll,
            keyint: (fps * KEY_SECONDS).round().clamp(1.0, 600.0) as u32,
        };
        Self {
            mode: recipe.mode,
            frames,
            expect: picture.expectation(),
            picture,
            clock: clock(index, frames),
            colour: colour(index),
            without,
            other_video: index.tracks.iter().any(|t| t.kind == "video"),
            order,
        }
    }
}

/// A film of which the decoder leaves frames out has gaps, whatever its rate.
fn clock(index: &FilmIndex, frames: u64) -> Clock {
    let all = frames == index.frames;
    match index.video.rate {
        Rate::Cfr { num, den } if all => Clock::Constant { num, den, start_ms: to_ms(index.video.start_ns) },
        _ if all => Clock::Each(index.pts_ns.clone()),
        _ => {
            let expected = index.expected();
            Clock::Each((0..frames).filter_map(|i| expected.pts_ns(i)).collect())
        }
    }
}

fn to_ms(ns: i64) -> i64 {
    (ns + 500_000).div_euclid(1_000_000)
}

fn colour(index: &FilmIndex) -> Colour {
    let vui = index.video.vui;
    let source = &index.header.tracks[index.video.track_id];
    let container = source.video.as_ref().and_then(|v| v.colour.as_ref());
    // Left, top left: the two that occur (H.265 figure E.1). Matroska: 1 is co-sited with the first sample, 2 is half.
    let siting = match vui.and_then(|v| v.chroma_loc) {
        Some(2) => Some((1, 1)),
        Some(0) => Some((1, 2)),
        _ => container.and_then(|c| c.siting),
    };
    let mdcv: Option<&Mdcv> = index.hdr10.mdcv.as_ref();
    let unit = |n: u16| f64::from(n) / 50_000.0;
    Colour {
        matrix: Some(COLOUR.2.into()),
        range: Some(1),
        transfer: Some(COLOUR.1.into()),
        primaries: Some(COLOUR.0.into()),
        siting,
        light: index.hdr10.cll.map(|c| (c.max_cll.into(), c.max_fall.into())),
        chromaticity: mdcv.map(|m| {
            let [g, b, r] = m.primaries_gbr;
            [r.0, r.1, g.0, g.1, b.0, b.1].map(unit)
        }),
        white: mdcv.map(|m| [unit(m.white.0), unit(m.white.1)]),
        luminance: mdcv.map(|m| (f64::from(m.max_luminance) / 1e4, f64::from(m.min_luminance) / 1e4)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_rounded_as_matroska_rounds_them() {
        assert_eq!([0, 499_999, 500_000, 83_416_667, -1_000_000].map(to_ms), [0, 0, 1, 83, -1]);
    }
}
