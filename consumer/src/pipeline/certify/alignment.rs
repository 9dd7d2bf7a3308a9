//! V3: the RPU of every frame is the planned one, byte for byte; and if not, whose it is.

use std::collections::HashMap;

use common::job::Check;
use dovi::film::RpuHash;

use super::findings::Findings;
use super::pair::Pair;
use super::words::count;

/// Runs of wrong frames that are told one by one.
const TOLD: usize = 4;

/// What is wrong with a frame's RPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// There is none.
    Missing,
    /// The source has no frame here.
    Surplus,
    /// It is the source's, as it was.
    Unconverted,
    /// It belongs to the frame so many places later (negative: earlier).
    Moved(i64),
    /// It says what the planned one says, in other bytes.
    Rewritten,
    /// It belongs to no frame.
    Foreign,
}

impl Pair<'_> {
    /// The check, and the number of wrong frames.
    pub(super) fn alignment(&self) -> (Check, u64) {
        let mut f = Findings::new("alignment");
        let frames = self.count().max(self.result.frames);
        let is_wrong = |i: &u64| {
            self.planned_hash(*i).is_none() || self.planned_hash(*i) != self.result.rpus.raw_hash(*i)
        };
        let wrong: Vec<u64> = (0..frames).filter(is_wrong).collect();
        if let Some(first) = wrong.first() {
            let places = self.places();
            let faults: Vec<(u64, Fault)> = wrong.iter().map(|i| (*i, self.fault(*i, &places))).collect();
            let runs = runs(&faults);
            let mut told: Vec<String> = runs.iter().take(TOLD).map(|run| tell(*run)).collect();
            if runs.len() > TOLD {
                told.push(format!("and {} more such runs", runs.len() - TOLD));
            }
            f.wrong(format!("{} of {frames} frames have a wrong rpu: {}", wrong.len(), told.join(", ")));
            f.figure("first_wrong", *first);
        }
        let n = wrong.len() as u64;
        f.figure("frames", frames);
        f.figure("wrong", n);
        (f.finish(format!("0 wrong: the rpu of each of {} is the planned one", count(frames, "frame"))), n)
    }

    fn planned_hash(&self, i: u64) -> Option<RpuHash> {
        self.source.rpus.p81_hash(self.display(i)?)
    }

    /// Which frames of the result each planned RPU is for, ascending.
    fn places(&self) -> HashMap<RpuHash, Vec<u64>> {
        let mut places: HashMap<RpuHash, Vec<u64>> = HashMap::new();
        for i in 0..self.count() {
            if let Some(hash) = self.planned_hash(i) {
                places.entry(hash).or_default().push(i);
            }
        }
        places
    }

    fn fault(&self, i: u64, places: &HashMap<RpuHash, Vec<u64>>) -> Fault {
        let Some(found) = self.result.rpus.raw_hash(i) else { return Fault::Missing };
        let Some(display) = self.display(i) else { return Fault::Surplus };
        if self.source.rpus.raw_hash(display) == Some(found) {
            return Fault::Unconverted;
        }
        if let Some(delta) = places.get(&found).and_then(|all| nearest(all, i)) {
            return Fault::Moved(delta);
        }
        let level = |of: &dovi::film::FilmIndex, i: u64| {
            usize::try_from(i).ok().and_then(|i| of.levels.get(i).copied().flatten())
        };
        match (level(self.source, display), level(self.result, i)) {
            (Some(s), Some(r)) if (s.l1, s.l5, s.scene_cut) == (r.l1, r.l5, r.scene_cut) => Fault::Rewritten,
            _ => Fault::Foreign,
        }
    }
}

/// Distance from `i` to the nearest number of an ascending list.
fn nearest(all: &[u64], i: u64) -> Option<i64> {
    let at = all.partition_point(|p| *p < i);
    let around = all[at.saturating_sub(1)..].iter().take(2);
    around.map(|p| p.cast_signed() - i.cast_signed()).min_by_key(|d| d.unsigned_abs())
}

/// A run of neighbouring frames with the same fault: first, last, fault.
type Run = (u64, u64, Fault);

fn runs(faults: &[(u64, Fault)]) -> Vec<Run> {
    let mut runs: Vec<Run> = Vec::new();
    for (i, fault) in faults {
        match runs.last_mut() {
            Some((_, last, of)) if *last + 1 == *i && of == fault => *last = *i,
            _ => runs.push((*i, *i, *fault)),
        }
    }
    runs
}

fn tell((first, last, fault): Run) -> String {
    let (one, who) = if first == last {
        (true, format!("frame {first}"))
    } else {
        (false, format!("frames {first} to {last}"))
    };
    let has = if one { "has" } else { "have" };
    match fault {
        Fault::Missing => format!("{who} {has} none"),
        Fault::Surplus => format!("{who} {} beyond the end of the source", if one { "is" } else { "are" }),
        Fault::Unconverted => format!("{who} {has} the source's own, not converted"),
        Fault::Moved(d) if one => format!("{who} has that of frame {}", first.saturating_add_signed(d)),
        Fault::Moved(1) => format!("{who} have that of the frame after"),
        Fault::Moved(-1) => format!("{who} have that of the frame before"),
        Fault::Moved(d) => {
            let side = if d > 0 { "after" } else { "before" };
            format!("{who} have that of the frame {} places {side}", d.unsigned_abs())
        }
        Fault::Rewritten => {
            format!("{who} {has} one with the right levels in other bytes (converted otherwise)")
        }
        Fault::Foreign => format!("{who} {has} one that belongs to no frame of the source"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_the_same_fault_are_told_at_once() {
        let moved = [(3, Fault::Moved(1)), (4, Fault::Moved(1)), (5, Fault::Moved(-2)), (9, Fault::Missing)];
        let told: Vec<String> = runs(&moved).into_iter().map(tell).collect();
        assert_eq!(
            told,
            ["frames 3 to 4 have that of the frame after", "frame 5 has that of frame 3", "frame 9 has none"]
        );
    }

    #[test]
    fn of_equal_rpus_the_nearest_counts() {
        assert_eq!(nearest(&[2, 5, 9], 6), Some(-1));
        assert_eq!(nearest(&[2, 5, 9], 30), Some(-21));
        assert_eq!(nearest(&[2, 5, 9], 0), Some(2));
        assert_eq!(nearest(&[], 1), None);
    }
}
