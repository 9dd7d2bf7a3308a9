//! V2: one RPU in every frame, the last thing in it, of profile 8, and nothing of an enhancement layer.

use common::job::Check;

use super::findings::Findings;
use super::pair::Pair;
use super::words::count;

impl Pair<'_> {
    pub(super) fn rpus(&self) -> Check {
        let mut f = Findings::new("rpus");
        let (c, e) = (&self.result.counts, &self.result.evidence);
        let first =
            |list: &[u64]| list.first().map(|i| format!(", the first is frame {i}")).unwrap_or_default();
        if c.missing > 0 {
            f.wrong(format!("{} without rpu{}", count(c.missing, "frame"), first(&c.missing_first)));
        }
        f.zero("frames with their rpu more than once", c.duplicate);
        f.zero("rpus that are not last in their access unit", c.not_last);
        f.zero("nal units of an enhancement layer", c.el_nals);
        for (profile, n) in e.profiles.iter().filter(|(p, _)| **p != 8) {
            f.wrong(format!("{} of profile {profile} instead of 8", count(*n, "rpu")));
        }
        let nlq = self.result.levels.iter().flatten().filter(|l| l.nlq).count() as u64;
        f.zero("rpus that need an enhancement layer (nlq)", nlq);
        f.figure("rpus", c.rpus);
        f.figure("frames", self.result.frames);
        f.figure("missing", c.missing);
        f.figure("duplicate", c.duplicate);
        f.figure("not_last", c.not_last);
        f.figure("el_nals", c.el_nals);
        f.figure("profile_8", e.profiles.get(&8).copied().unwrap_or(0));
        f.figure("nlq", nlq);
        f.finish(format!(
            "{} of profile 8, one per access unit and last, no enhancement layer",
            count(c.rpus, "rpu")
        ))
    }
}
