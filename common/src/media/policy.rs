//! The policies: from what a film is and what the recipe says to whether it is converted.

use dovi::film::{Evidence, FilmIndex, MissingPolicy, Sample, ScanError, Verdict};

use crate::job::{FailureCode, FelPolicy, Recipe};

use super::fitness::{Picture, unencodable, unfit};
use super::refusal::{Refusal, word};

/// Half a second: a longer gap is no slip of a muxer, and the frame before says nothing about its end.
pub(super) const LONGEST_GAP: u64 = 12;
/// What shall happen to a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Convert it.
    Queue {
        /// Why, and what is lost, for people.
        reason: String,
    },
    /// Leave it alone. The code is also the failure code, should the film be in the queue all the same.
    Skip(Refusal),
}

impl Decision {
    /// Leaves a film alone, with the general advice of the code.
    pub fn skip(code: FailureCode, what: impl Into<String>) -> Self {
        Self::Skip(Refusal::new(code, what))
    }

    fn queue(reason: impl Into<String>) -> Self {
        Self::Queue { reason: reason.into() }
    }

    /// Whether the film is wanted.
    pub fn wanted(&self) -> bool {
        matches!(self, Self::Queue { .. })
    }

    /// The reason for people.
    pub fn reason(&self) -> String {
        match self {
            Self::Queue { reason } => reason.clone(),
            Self::Skip(refusal) => refusal.to_string(),
        }
    }
}

/// Applies the recipe's policies to a verdict. It makes no difference whether the verdict is from samples or from the
/// whole film; that of the whole film counts.
pub fn decide(verdict: Verdict, evidence: &Evidence, recipe: &Recipe) -> Decision {
    let bare = if evidence.el_bytes == 0 { " (which is not in the file, only its metadata is)" } else { "" };
    let rules: Vec<String> = evidence.rules.iter().map(|r| format!("{r:?}: {}", r.words(evidence))).collect();
    let rules = rules.join("; ");
    let expands = format!("the enhancement layer expands brightness ({rules})");
    match (verdict, recipe.fel, recipe.fel_expanding) {
        (Verdict::Mel, ..) => Decision::queue(format!("minimal enhancement layer{bare}, nothing is lost")),
        (Verdict::Fel, FelPolicy::Allow, _) => {
            Decision::queue(format!("full enhancement layer{bare}, its detail is dropped"))
        }
        (Verdict::Fel, FelPolicy::Refuse, _) => Decision::Skip(
            Refusal::new(
                FailureCode::FelRefused,
                format!("full enhancement layer{bare} ({})", evidence.layers()),
            )
            .unless("recipe.fel = \"allow\" converts it without the layer's detail"),
        ),
        (Verdict::FelExpanding, _, FelPolicy::Allow) => {
            Decision::queue(format!("{expands}, allowed by recipe.fel_expanding"))
        }
        (Verdict::FelExpanding, _, FelPolicy::Refuse) => Decision::Skip(
            Refusal::new(FailureCode::FelExpanding, expands)
                .unless("recipe.fel_expanding = \"allow\" converts it all the same"),
        ),
        (other, ..) => Decision::skip(FailureCode::NotProfile7, not_profile7(other, evidence)),
    }
}

fn not_profile7(verdict: Verdict, evidence: &Evidence) -> String {
    let what = match verdict {
        Verdict::Profile8 { compat: 1 } => "Profile 8.1 already".to_owned(),
        Verdict::Profile8 { compat } => format!("Profile 8.{compat}, only Profile 7 is converted"),
        Verdict::Profile5 => "Profile 5: its base layer is no HDR10 picture".to_owned(),
        Verdict::OtherProfile(p) => format!("Profile {p}, only Profile 7 is converted"),
        _ => match evidence.claim {
            Some(claim) => {
                return format!(
                    "the container says Profile {}, but no frame has an RPU ({}): the Dolby Vision metadata was \
                     stripped",
                    claim.profile,
                    evidence.certainty()
                );
            }
            None => "no Dolby Vision".to_owned(),
        },
    };
    match evidence.claim.filter(|claim| !evidence.profiles.contains_key(&claim.profile)) {
        Some(claim) => format!("{what} (the container says Profile {}, the RPUs count)", claim.profile),
        None => what,
    }
}

/// The verdict in a word, and the decision, for a film of which samples were read: one that is cut short or damaged is
/// left alone, whatever its beginning is.
pub fn decide_sample(sample: &Sample, recipe: &Recipe) -> (String, Decision) {
    let i = &sample.integrity;
    let verdict = sample.verdict.to_string();
    if i.truncated {
        let what = match i.declared_end {
            Some(end) => format!("the file has {} bytes, its own structure says {end}", i.file_end),
            None => "the file ends before its own structure says it should".to_owned(),
        };
        let code = FailureCode::SourceTruncated;
        return (word(code).to_owned(), Decision::skip(code, what));
    }
    let decision = decide(sample.verdict, &sample.evidence, recipe);
    if !decision.wanted() {
        return (verdict, decision);
    }
    if let Some(place) = sample.unreadable.iter().find(|u| u.certain)
        && let Ok(code) = place.code.parse()
    {
        return (word(code).to_owned(), Decision::skip(code, place.text.clone()));
    }
    if let Some(gaps) = gaps(sample, recipe) {
        return (verdict, Decision::Skip(gaps));
    }
    let picture = sample.sps.as_ref().and_then(|sps| {
        let picture = Picture { bits: sps.bit_depth_luma, chroma: sps.chroma_format_idc, vui: sps.vui };
        unfit(&sample.evidence, &picture, recipe)
    });
    (verdict, picture.map_or(decision, Decision::Skip))
}

/// So many frames without RPU among those looked at that the whole film has too many, whatever the others are. One
/// alone may be the very last frame. Where the RPUs are in another track, places do not show both ends alike.
fn gaps(sample: &Sample, recipe: &Recipe) -> Option<Refusal> {
    let missing = sample.frames.saturating_sub(sample.rpus);
    let frames = sample.evidence.frames_of?.max(sample.frames);
    let allowed = missing_policy(recipe).max_share * frames as f64;
    if sample.el_track.is_some() || sample.rpus == 0 || missing < 2 || missing as f64 <= allowed {
        return None;
    }
    let what = format!("no rpu on at least {missing} frames ({})", sample.evidence.certainty());
    Some(Refusal::new(FailureCode::RpuMissing, what))
}

/// The decision for a film that was read whole. [`dovi::film::RpuTable::fill_missing`] has still to be called.
pub fn decide_film(index: &FilmIndex, recipe: &Recipe) -> Decision {
    let decision = decide(index.verdict, &index.evidence, recipe);
    if !decision.wanted() {
        return decision;
    }
    let v = &index.video;
    let picture = Picture { bits: v.bit_depth, chroma: v.chroma_format_idc, vui: v.vui };
    let first = index.counts.irregular_pts_at.and_then(|i| index.pts_ns.get(usize::try_from(i).ok()?));
    let refusal = unfit(&index.evidence, &picture, recipe)
        .or_else(|| unencodable(&index.counts, first.copied(), recipe))
        .or_else(|| index.rpus.check_missing(missing_policy(recipe)).err().map(|e| Refusal::from(&e)));
    refusal.map_or(decision, Decision::Skip)
}

/// When gaps in the metadata may be filled. The very last frame always may.
pub fn missing_policy(recipe: &Recipe) -> MissingPolicy {
    MissingPolicy { max_share: recipe.max_missing_rpu_percent / 100.0, max_run: LONGEST_GAP }
}

/// The verdict in a word, and the decision, for a file that could not be understood.
pub fn refused(error: &ScanError) -> (&'static str, Decision) {
    let refusal = Refusal::from(error);
    (word(refusal.code), Decision::Skip(refusal))
}

#[cfg(test)]
mod tests {
    use dovi::film::Rule;
    use dovi::matroska::DoviConfig;

    use super::*;

    fn evidence() -> Evidence {
        Evidence { frames: 240, fel_rpus: 240, el_bytes: 9, ..Evidence::default() }
    }

    fn code(decision: &Decision) -> Option<FailureCode> {
        match decision {
            Decision::Queue { .. } => None,
            Decision::Skip(refusal) => Some(refusal.code),
        }
    }

    #[test]
    fn the_policy_table() {
        let recipe = |fel, fel_expanding| Recipe { fel, fel_expanding, ..Recipe::default() };
        let (allow, refuse) = (FelPolicy::Allow, FelPolicy::Refuse);
        use FailureCode as C;
        for (verdict, [default, all, none]) in [
            (Verdict::Mel, [None, None, None]),
            (Verdict::Fel, [None, None, Some(C::FelRefused)]),
            (Verdict::FelExpanding, [Some(C::FelExpanding), None, Some(C::FelExpanding)]),
            (Verdict::Profile8 { compat: 1 }, [Some(C::NotProfile7); 3]),
            (Verdict::Profile8 { compat: 4 }, [Some(C::NotProfile7); 3]),
            (Verdict::Profile5, [Some(C::NotProfile7); 3]),
            (Verdict::OtherProfile(4), [Some(C::NotProfile7); 3]),
            (Verdict::Hdr10, [Some(C::NotProfile7); 3]),
            (Verdict::Hlg, [Some(C::NotProfile7); 3]),
            (Verdict::Sdr, [Some(C::NotProfile7); 3]),
        ] {
            let code = |recipe: &Recipe| code(&decide(verdict, &evidence(), recipe));
            assert_eq!(code(&Recipe::default()), default, "{verdict}, default recipe");
            assert_eq!(code(&recipe(allow, allow)), all, "{verdict}, all allowed");
            assert_eq!(code(&recipe(refuse, refuse)), none, "{verdict}, all refused");
            // Whatever is queued is Profile 7.
            assert!(verdict.is_profile7() || all.is_some(), "{verdict}");
        }
    }

    #[test]
    fn a_refusal_names_evidence_and_setting() {
        let e = Evidence {
            rules: vec![Rule::R1, Rule::R2],
            bl_mdl_nits: Some(1000.0),
            rpu_mdl_nits: Some(3999.7),
            max_l1_nits: Some(2053.0),
            bl_peak_nits: 1000.0,
            longest_over: 48,
            ..evidence()
        };
        assert_eq!(
            decide(Verdict::FelExpanding, &e, &Recipe::default()).reason(),
            "the enhancement layer expands brightness (R1: base layer mastered at 1000 nits, metadata for 4000; \
             R2: 48 frames in a row up to 2050 nits over a base layer of 1000); recipe.fel_expanding = \"allow\" \
             converts it all the same"
        );
        let refuse = Recipe { fel: FelPolicy::Refuse, ..Recipe::default() };
        assert_eq!(
            decide(Verdict::Fel, &evidence(), &refuse).reason(),
            "full enhancement layer (FEL on all 240 RPUs); recipe.fel = \"allow\" converts it without the layer's detail"
        );
        let claim = |profile| DoviConfig { profile, level: 6, rpu: true, el: true, bl: true, compat: 6 };
        let stripped = Evidence { frames: 240, claim: Some(claim(7)), ..Evidence::default() };
        assert_eq!(
            decide(Verdict::Hdr10, &stripped, &Recipe::default()).reason(),
            "the container says Profile 7, but no frame has an RPU (from all 240 frames): the Dolby Vision metadata \
             was stripped"
        );
        let other = Evidence { profiles: [(8, 240)].into(), ..stripped };
        assert_eq!(
            decide(Verdict::Profile8 { compat: 1 }, &other, &Recipe::default()).reason(),
            "Profile 8.1 already (the container says Profile 7, the RPUs count)"
        );
        let bare = Evidence { el_bytes: 0, ..evidence() };
        assert!(decide(Verdict::Mel, &bare, &Recipe::default()).reason().contains("not in the file"));
    }

    #[test]
    fn every_error_of_a_read_is_a_refusal_with_advice() {
        let missing =
            |missing, longest_run| ScanError::RpuMissing { missing, frames: 1000, longest_run, first: 7 };
        let few = Refusal::from(&missing(3, 2));
        assert_eq!(
            few.advice,
            "recipe.max_missing_rpu_percent = 0.3 or more fills the gaps from the frame before"
        );
        let run = Refusal::from(&missing(13, 13));
        assert!(run.advice.contains("more than 12 frames is never filled"), "{run:?}");
        let (word, decision) = refused(&ScanError::Order("x".into()));
        assert_eq!((word, code(&decision)), ("unsupported", Some(FailureCode::AlignOrder)));
    }
}
