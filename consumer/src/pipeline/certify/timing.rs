//! V11: every frame is shown when it was, and the film ends when it did.

use common::job::Check;
use dovi::film::FilmIndex;

use super::findings::Findings;
use super::pair::Pair;
use super::words::seconds;

impl Pair<'_> {
    pub(super) fn timing(&self) -> Check {
        let mut f = Findings::new("timing");
        // A result counts in milliseconds. Where the source counts finer, half of one is lost to rounding.
        let finer = self.source.header.timestamp_scale_ns < 1_000_000;
        let most = if finer { 1_500_000 } else { 1_000_000 };
        let frames = (0u64..).zip(&self.result.pts_ns);
        let off = frames.filter_map(|(i, found)| Some((i, self.planned_pts_ns(i)?, *found)));
        let (mut worst, mut first, mut wrong) = (0, None, 0u64);
        let (mut least, mut greatest) = (i64::MAX, i64::MIN);
        for (i, want, found) in off {
            let by = found - want;
            (least, greatest) = (least.min(by), greatest.max(by));
            worst = worst.max(by.unsigned_abs());
            if by.unsigned_abs() > most {
                wrong += 1;
                first.get_or_insert((i, want, found));
            }
        }
        let ms = |ns: u64| ns as f64 / 1e6;
        if let Some((i, want, found)) = first {
            f.wrong(if wrong == self.result.frames && least.abs_diff(greatest) <= most {
                let side = if least > 0 { "late" } else { "early" };
                format!("every frame is shown {:.3} ms too {side}", ms(worst))
            } else {
                format!(
                    "frame {i} is shown at {} instead of {}; {wrong} of {} frames are off, by up to {:.3} ms",
                    seconds(found),
                    seconds(want),
                    self.result.frames,
                    ms(worst)
                )
            });
        } else {
            self.end(&mut f);
        }
        self.nominal(&mut f);
        let (begin, end) = (self.result.pts_ns.first().copied(), ends(self.result));
        let sound = |i: &FilmIndex| {
            i.tracks.iter().filter(|t| t.kind == "audio").filter_map(|t| t.first_pts_ns).min()
        };
        f.figure("first_ns", begin);
        f.figure("end_ns", end);
        f.figure("source_end_ns", ends(self.source));
        f.figure("worst_ns", worst);
        f.figure("frame_ns", self.result.video.rate.frame_ns());
        f.figure("first_audio_ns", sound(self.result));
        let (begin, end) = (begin.unwrap_or(0), end.unwrap_or(0));
        f.finish(format!(
            "{} to {}, every frame at most {:.3} ms off",
            seconds(begin),
            seconds(end),
            worst as f64 / 1e6
        ))
    }

    /// The end of the last frame, at most one frame off. Frames that are not in the result are not missed here.
    fn end(&self, f: &mut Findings) {
        let last = self.count().checked_sub(1).and_then(|i| self.planned_pts_ns(i));
        let (Some(last), Some(found)) = (last, self.result.pts_ns.last()) else { return };
        let frame = self.source.video.rate.frame_ns().unwrap_or(42_000_000);
        if self.result.frames == self.count() && last.abs_diff(*found) > frame.unsigned_abs() {
            f.wrong(format!("the last frame is shown at {} instead of {}", seconds(*found), seconds(last)));
        }
    }

    /// The nominal frame duration, which players use for their clock. Written from rounded times it may be 42 ms for
    /// 41.708 ms (measured), which no player minds.
    fn nominal(&self, f: &mut Findings) {
        let (want, found) = (self.source.video.rate.frame_ns(), self.result.video.default_duration_ns);
        if let Some((want, found)) = want.zip(found)
            && want.unsigned_abs().abs_diff(found) > 500_000
        {
            let claimed = self.source.video.default_duration_ns == Some(found);
            let text = format!(
                "the nominal frame duration is {:.3} ms instead of {:.3} ms",
                found as f64 / 1e6,
                want as f64 / 1e6
            );
            f.odd(text, claimed);
        }
    }
}

/// When the last frame ends.
fn ends(index: &FilmIndex) -> Option<i64> {
    let frame =
        index.video.rate.frame_ns().or(index.video.default_duration_ns.and_then(|d| d.try_into().ok()));
    Some(index.pts_ns.last()? + frame.unwrap_or(0))
}
