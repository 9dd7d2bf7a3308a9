//! Which track of the result is which of the source. A track that lost its id is still the same track.

use dovi::film::TrackDigest;

/// Pairs of positions in the two lists of tracks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pairing {
    /// For each track of the source, the result's; `None` if it is missing.
    pub found: Vec<Option<usize>>,
    /// The result's tracks that are no track of the source.
    pub added: Vec<usize>,
}

impl Pairing {
    /// By unique id; then by payload; then in order, by kind, codec and a likeness in amount.
    pub fn of(source: &[TrackDigest], result: &[TrackDigest]) -> Self {
        let mut pairing = Self { found: vec![None; source.len()], added: (0..result.len()).collect() };
        pairing.round(source, result, |s, r| s.uid != 0 && s.uid == r.uid && s.kind == r.kind);
        pairing.round(source, result, |s, r| {
            s.kind == r.kind && s.frames > 0 && !s.payload.is_empty() && s.payload == r.payload
        });
        let alike = |a: u64, b: u64| a.abs_diff(b) * 10 <= a.max(b);
        pairing.round(source, result, |s, r| {
            (&s.kind, &s.codec_id) == (&r.kind, &r.codec_id)
                && (alike(s.frames, r.frames) || alike(s.bytes, r.bytes))
        });
        pairing
    }

    fn round(
        &mut self,
        source: &[TrackDigest],
        result: &[TrackDigest],
        same: impl Fn(&TrackDigest, &TrackDigest) -> bool,
    ) {
        for (want, found) in source.iter().zip(&mut self.found).filter(|(_, f)| f.is_none()) {
            if let Some(at) = self.added.iter().position(|i| same(want, &result[*i])) {
                *found = Some(self.added.remove(at));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn track(uid: u64, kind: &str, payload: &str, frames: u64) -> TrackDigest {
        TrackDigest {
            number: uid,
            uid,
            kind: kind.into(),
            codec_id: "X".into(),
            payload: payload.into(),
            frames,
            bytes: frames * 10,
            first_pts_ns: None,
            last_pts_ns: None,
            mean_pts_ns: None,
            shown_ns: 0,
            untimed: 0,
            stacked: 0,
        }
    }

    #[test]
    fn a_lost_id_is_found_by_payload_and_a_lost_payload_by_id_or_order() {
        let source = [track(1, "audio", "a", 90), track(2, "audio", "b", 90), track(3, "subtitle", "c", 9)];
        let ids = [track(7, "audio", "b", 90), track(8, "audio", "a", 90), track(9, "subtitle", "c", 9)];
        assert_eq!(
            Pairing::of(&source, &ids),
            Pairing { found: vec![Some(1), Some(0), Some(2)], added: vec![] }
        );
        let damaged = [track(1, "audio", "x", 90), track(8, "audio", "y", 90), track(3, "subtitle", "c", 9)];
        assert_eq!(Pairing::of(&source, &damaged).found, [Some(0), Some(1), Some(2)]);
    }

    #[test]
    fn missing_and_added_tracks_are_both() {
        let source = [track(1, "subtitle", "a", 100), track(2, "subtitle", "b", 100)];
        let result = [track(2, "subtitle", "b", 100), track(5, "subtitle", "z", 3)];
        assert_eq!(Pairing::of(&source, &result), Pairing { found: vec![None, Some(0)], added: vec![1] });
    }
}
