//! V1: not one frame more or less.

use common::job::Check;

use super::findings::Findings;
use super::pair::Pair;
use super::words::{count, seconds};

/// Frames named one by one.
const NAMED: usize = 3;

impl Pair<'_> {
    pub(super) fn frames(&self) -> Check {
        let mut f = Findings::new("frames");
        let (planned, found) = (self.count(), self.result.frames);
        if planned != found {
            let at = self.unmatched().map(|at| format!("; {at}")).unwrap_or_default();
            f.wrong(format!("the number of frames is {found} instead of {planned}{at}"));
        }
        let statistic = self.number_of_frames_tag();
        if let Some(n) = statistic.filter(|n| *n != found) {
            f.wrong(format!("the tag NUMBER_OF_FRAMES says {n}, the film has {found}"));
        }
        let never_shown = self.source.frames - planned.min(self.source.frames);
        f.figure("planned", planned);
        f.figure("packets", found);
        f.figure("in_source", self.source.frames);
        f.figure("never_shown", never_shown);
        f.figure("number_of_frames_tag", statistic);
        let left_out = match never_shown {
            0 => String::new(),
            n => format!(", {n} of the source are never shown"),
        };
        f.finish(format!("{}{left_out}", count(found, "frame")))
    }

    /// What mkvmerge counted when it wrote the result.
    fn number_of_frames_tag(&self) -> Option<u64> {
        let header = &self.result.header;
        let uid = header.tracks[self.result.video.track_id].uid;
        let of_film = |t: &&dovi::matroska::Tag| t.targets.tracks == [uid];
        let all = header.tags.iter().filter(of_film).flat_map(|t| &t.simple);
        let named = all.filter(|s| s.name == "NUMBER_OF_FRAMES");
        let mut texts = named.filter_map(|s| match &s.value {
            dovi::matroska::TagValue::Text(text) => text.parse().ok(),
            _ => None,
        });
        texts.next_back()
    }

    /// Which frames are missing or too many, by their times; `None` if the times do not tell.
    fn unmatched(&self) -> Option<String> {
        let frame = self.source.video.rate.frame_ns().unwrap_or(33_000_000);
        let want: Vec<i64> = (0..self.count()).filter_map(|i| self.planned_pts_ns(i)).collect();
        let found = &self.result.pts_ns;
        let (missing, extra) = (lonely(&want, found, frame / 2), lonely(found, &want, frame / 2));
        let difference = want.len().abs_diff(found.len());
        if missing.len() + extra.len() != difference {
            return None;
        }
        let list = |times: &[usize], of: &[i64]| {
            let named = times.iter().take(NAMED).map(|i| format!("{} (frame {i})", seconds(of[*i])));
            let more = times.len().checked_sub(NAMED).filter(|n| *n > 0);
            named.chain(more.map(|n| format!("{n} more"))).collect::<Vec<_>>().join(", ")
        };
        Some(if extra.is_empty() {
            format!("nothing is shown at {}", list(&missing, &want))
        } else {
            format!("the source shows nothing at {}", list(&extra, found))
        })
    }
}

/// Indices of the times in `a` that have none in `b` within `near`; both ascend.
fn lonely(a: &[i64], b: &[i64], near: i64) -> Vec<usize> {
    let mut at = 0;
    let mut alone = Vec::new();
    for (i, t) in a.iter().enumerate() {
        while b.get(at).is_some_and(|u| *u < t - near) {
            at += 1;
        }
        if b.get(at).is_some_and(|u| *u <= t + near) {
            at += 1;
        } else {
            alone.push(i);
        }
    }
    alone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_without_a_partner_are_found() {
        assert_eq!(lonely(&[0, 42, 83, 125], &[0, 83, 126], 20), [1]);
        assert_eq!(lonely(&[0, 83, 126], &[0, 42, 83, 125], 20), [0; 0]);
        assert_eq!(lonely(&[5, 6], &[], 20), [0, 1]);
    }
}
