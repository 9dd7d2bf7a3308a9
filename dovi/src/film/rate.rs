//! Frame rate from timestamps, never from what a header claims alone.
use serde::{Deserialize, Serialize};

/// Matroska timestamps are usually rounded to milliseconds; a frame off by more is not on the grid.
const TOLERANCE_NS: i128 = 1_000_000 + 1_000;

/// Rates of film and television, in frames per second.
const KNOWN: [(u32, u32); 9] =
    [(24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (48, 1), (50, 1), (60000, 1001), (60, 1)];

/// Frame rate of the video track.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Rate {
    /// Every frame lies within 1 ms of the grid `start + i * den / num` seconds.
    Cfr {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: u32,
    },
    /// Frames lie on no grid, or there are gaps.
    Vfr,
}

impl Rate {
    /// Finds the grid on which all of `pts_ns` (display order) lie. The rate nearest to the track's default duration
    /// is tried first, then the known rates by how well they fit, then the default duration itself.
    #[must_use]
    pub fn detect(pts_ns: &[i64], default_duration_ns: Option<u64>) -> Self {
        let claimed = default_duration_ns.and_then(|d| u32::try_from(d).ok()).filter(|d| *d > 0);
        let near = claimed.and_then(|duration| {
            KNOWN.into_iter().find(|(num, den)| {
                let exact = 1e9 * f64::from(*den) / f64::from(*num);
                (exact - f64::from(duration)).abs() < 2.0
            })
        });
        if let Some((num, den)) = near
            && deviation(pts_ns, num, den).is_some()
        {
            return Self::Cfr { num, den };
        }
        let best = KNOWN
            .into_iter()
            .filter_map(|(num, den)| deviation(pts_ns, num, den).map(|worst| (worst, num, den)))
            .min();
        if let Some((_, num, den)) = best {
            return Self::Cfr { num, den };
        }
        match claimed {
            Some(duration) if deviation(pts_ns, 1_000_000_000, duration).is_some() => {
                Self::Cfr { num: 1_000_000_000, den: duration }
            }
            _ => Self::Vfr,
        }
    }

    /// Duration of one frame in nanoseconds, rounded; `None` for variable rate.
    #[must_use]
    pub fn frame_ns(self) -> Option<i64> {
        match self {
            Self::Cfr { num, den } => {
                Some((i64::from(den) * 1_000_000_000 + i64::from(num) / 2) / i64::from(num.max(1)))
            }
            Self::Vfr => None,
        }
    }
}

/// Greatest distance from the grid in ns, `None` if beyond tolerance or if there are fewer than two frames.
fn deviation(pts_ns: &[i64], num: u32, den: u32) -> Option<i128> {
    let (first, rest) = pts_ns.split_first()?;
    if rest.is_empty() {
        return None;
    }
    let mut worst = 0;
    for (i, pts) in (1i128..).zip(rest) {
        let grid = i128::from(*first) + i * i128::from(den) * 1_000_000_000 / i128::from(num);
        let off = (i128::from(*pts) - grid).abs();
        if off > TOLERANCE_NS {
            return None;
        }
        worst = worst.max(off);
    }
    Some(worst)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(num: i64, den: i64, frames: i64, start_ms: i64) -> Vec<i64> {
        (0..frames)
            .map(|i| {
                let us = start_ms * 1000 + i * den * 1_000_000 / num;
                (us + 500) / 1000 * 1_000_000
            })
            .collect()
    }

    #[test]
    fn film_rates_are_told_apart_from_rounded_timestamps() {
        let film = grid(24000, 1001, 240, 84);
        assert_eq!(Rate::detect(&film, None), Rate::Cfr { num: 24000, den: 1001 });
        assert_eq!(Rate::detect(&film, Some(41_708_333)), Rate::Cfr { num: 24000, den: 1001 });
        // A wrong claim does not win over the timestamps.
        assert_eq!(Rate::detect(&film, Some(40_000_000)), Rate::Cfr { num: 24000, den: 1001 });
        assert_eq!(Rate::detect(&grid(24, 1, 240, 0), None), Rate::Cfr { num: 24, den: 1 });
    }

    #[test]
    fn a_gap_or_an_odd_grid_is_no_known_rate() {
        let mut gap = grid(24, 1, 100, 0);
        gap[50..].iter_mut().for_each(|pts| *pts += 41_000_000);
        assert_eq!(Rate::detect(&gap, Some(41_666_666)), Rate::Vfr);
        let odd = grid(12, 1, 50, 0);
        assert_eq!(Rate::detect(&odd, None), Rate::Vfr);
        assert_eq!(Rate::detect(&odd, Some(83_333_333)), Rate::Cfr { num: 1_000_000_000, den: 83_333_333 });
    }
}
