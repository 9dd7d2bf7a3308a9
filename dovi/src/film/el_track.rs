//! An enhancement layer in a track of its own: which track it is, and which of its frames belongs to which picture.
use std::collections::HashMap;

use super::{
    Hvcc, ScanError,
    au::Au,
    base_layer::Row,
    collect::{Collector, Found},
    select::{describe, is_el},
};
use crate::matroska::{Block, Header, Track};

/// Timestamps of the two tracks may be rounded differently by this much.
const PAIRING_NS: i64 = 1_000_000;

/// A track that may turn out to be the enhancement layer.
pub(crate) struct ElCandidate {
    pub(crate) number: u64,
    /// Position among all tracks.
    pub(crate) position: usize,
    length_size: u8,
    pub(crate) rpus: Collector,
    /// Time and RPU of every frame, in decode order.
    pub(crate) frames: Vec<(i64, Option<Found>)>,
    pub(crate) slices: u64,
    pub(crate) bytes: u64,
    /// The first thing wrong with it; matters only if its RPUs are needed.
    pub(crate) error: Option<ScanError>,
}

impl ElCandidate {
    pub(crate) fn new(track: &Track, position: usize, convert: bool) -> Self {
        Self {
            number: track.number,
            position,
            length_size: Hvcc::parse(&track.codec_private).map_or(4, |h| h.length_size),
            rpus: Collector::new(convert),
            frames: Vec::new(),
            slices: 0,
            bytes: 0,
            error: None,
        }
    }

    pub(crate) fn take(&mut self, block: &Block, payload: &[u8]) {
        if self.error.is_some() {
            return;
        }
        let frame = self.frames.len() as u64;
        let au = Au::dissect(payload, self.length_size)
            .map_err(|e| ScanError::ElTrack(format!("frame {frame} at byte {}: {e}", block.offset)));
        let found = au.and_then(|au| {
            self.slices += u64::from(au.pictures);
            self.bytes += au.vcl_bytes();
            self.rpus.take(&au, frame, block.offset)
        });
        match found {
            Ok(found) => self.frames.push((block.pts_ns, found)),
            Err(error) => self.error = Some(error),
        }
    }
}

/// The enhancement layer among the candidates, if there is one: the track with the film's RPUs, or, if the base layer
/// has them, the one that calls itself an enhancement layer.
pub(crate) fn choose(
    base_rpus: u64,
    mut all: Vec<ElCandidate>,
    header: &Header,
) -> Result<Option<ElCandidate>, ScanError> {
    let claims = |el: &ElCandidate| header.tracks.get(el.position).is_some_and(is_el);
    if base_rpus > 0 {
        return Ok(all.into_iter().find(claims));
    }
    all.retain(|el| el.rpus.rpus > 0 || el.error.is_some() && claims(el));
    if all.len() > 1 {
        let tracks = all.iter().filter_map(|el| header.tracks.get(el.position));
        let tracks: Vec<String> = tracks.map(describe).collect();
        return Err(ScanError::Ambiguous(format!(
            "{} could each be the enhancement layer",
            tracks.join(" and ")
        )));
    }
    match all.pop() {
        Some(el) => match el.error {
            Some(error) => Err(error),
            None => Ok(Some(el)),
        },
        None => Ok(None),
    }
}

/// RPUs for the frames of the base layer (in decode order), and what is worth a person's eye. Both layers of a frame
/// have the same number and the same time; where a layer lacks frames, only the time is left.
pub(crate) fn pair(
    rows: &[Row],
    el: &[(i64, Option<Found>)],
) -> Result<(Vec<Option<Found>>, Vec<String>), ScanError> {
    let near = |a: i64, b: i64| a.abs_diff(b) <= PAIRING_NS.unsigned_abs();
    if rows.len() == el.len() && rows.iter().zip(el).all(|(row, (pts, _))| near(row.pts_ns, *pts)) {
        return Ok((el.iter().map(|(_, found)| *found).collect(), Vec::new()));
    }
    let by_pts: HashMap<i64, usize> = (0..).zip(el).map(|(i, (pts, _))| (*pts, i)).collect();
    if by_pts.len() != el.len() {
        return Err(ScanError::ElTrack(format!(
            "it has {} frames, some with equal timestamps, the base layer {}: nothing tells which belong together",
            el.len(),
            rows.len()
        )));
    }
    let mut used = vec![false; el.len()];
    let mut moved = 0u64;
    let paired: Vec<Option<Found>> = (0..)
        .zip(rows)
        .map(|(n, row)| {
            let steps = [0, -PAIRING_NS, PAIRING_NS];
            let at = steps.into_iter().find_map(|s| by_pts.get(&row.pts_ns.saturating_add(s)).copied())?;
            used[at] = true;
            moved += u64::from(at != n);
            el[at].1
        })
        .collect();
    let stray = used.iter().filter(|used| !**used).count();
    if let Some(first) = used.iter().position(|used| !*used) {
        return Err(ScanError::ElTrack(format!(
            "{stray} of its {} frames are at times when the base layer ({} frames) has none, the first is \
             frame {first} at {:.3} s",
            el.len(),
            rows.len(),
            el[first].0 as f64 / 1e9
        )));
    }
    let note = if rows.len() == el.len() {
        format!(
            "{moved} frames of the enhancement layer track are stored in another order, paired by their times"
        )
    } else {
        format!(
            "enhancement layer track has {} frames, the base layer {}; paired by their times",
            el.len(),
            rows.len()
        )
    };
    Ok((paired, vec![note]))
}
