//! The verdict policy.

use dovi::film::{Sample, ScanError, Verdict};

use crate::job::{FailureCode, FelPolicy, Recipe};

/// What shall happen to a film.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Convert it.
    Queue {
        /// Why, and what is lost, for people.
        reason: String,
    },
    /// Leave it alone.
    Skip {
        /// The stable reason; also the failure code, should the film be in the queue all the same.
        code: FailureCode,
        /// The reason for people.
        reason: String,
    },
}

impl Decision {
    /// Leaves a film alone.
    pub fn skip(code: FailureCode, reason: impl Into<String>) -> Self {
        Self::Skip { code, reason: reason.into() }
    }

    fn queue(reason: &str) -> Self {
        Self::Queue { reason: reason.to_owned() }
    }

    /// Whether the film is wanted.
    pub fn wanted(&self) -> bool {
        matches!(self, Self::Queue { .. })
    }

    /// The reason for people.
    pub fn reason(&self) -> &str {
        match self {
            Self::Queue { reason } | Self::Skip { reason, .. } => reason,
        }
    }
}

/// Applies the recipe's policies to a verdict. It makes no difference whether the verdict is from samples or from the
/// whole film; that of the whole film counts.
pub fn decide(verdict: Verdict, recipe: &Recipe) -> Decision {
    let not_profile7 = |reason: &str| Decision::skip(FailureCode::NotProfile7, reason);
    match verdict {
        Verdict::Mel => Decision::queue("minimal enhancement layer, nothing is lost"),
        Verdict::Fel => match recipe.fel {
            FelPolicy::Allow => Decision::queue("full enhancement layer, its detail is dropped"),
            FelPolicy::Refuse => {
                Decision::skip(FailureCode::FelRefused, "full enhancement layer, and recipe.fel = \"refuse\"")
            }
        },
        Verdict::FelExpanding => match recipe.fel_expanding {
            FelPolicy::Allow => {
                Decision::queue("enhancement layer expands brightness, allowed by the recipe")
            }
            FelPolicy::Refuse => {
                let reason = "enhancement layer expands brightness, and recipe.fel_expanding = \"refuse\"";
                Decision::skip(FailureCode::FelExpanding, reason)
            }
        },
        Verdict::Profile8 { compat: 1 } => not_profile7("Profile 8.1 already"),
        Verdict::Profile8 { compat } => {
            not_profile7(&format!("Profile 8.{compat}, only Profile 7 is converted"))
        }
        Verdict::Profile5 => not_profile7("Profile 5: its base layer is no HDR10 picture"),
        Verdict::OtherProfile(p) => not_profile7(&format!("Profile {p}, only Profile 7 is converted")),
        Verdict::Hdr10 | Verdict::Hlg | Verdict::Sdr => not_profile7("no Dolby Vision"),
    }
}

/// The verdict in a word, and the decision, for a film of which samples were read: one that is cut short is left alone,
/// whatever its beginning is.
pub fn decide_sample(sample: &Sample, recipe: &Recipe) -> (String, Decision) {
    let i = &sample.integrity;
    if !i.truncated {
        return (sample.verdict.to_string(), decide(sample.verdict, recipe));
    }
    let reason = match i.declared_end {
        Some(end) => format!("the file has {} bytes, its own structure says {end}", i.file_end),
        None => "the file ends before its own structure says it should".to_owned(),
    };
    ("truncated".to_owned(), Decision::skip(FailureCode::SourceTruncated, reason))
}

/// The verdict in a word, and the decision, for a file that could not be understood.
pub fn refused(error: &ScanError) -> (&'static str, Decision) {
    let code = error.code().parse().unwrap_or(FailureCode::SourceUnsupported);
    let word = match code {
        FailureCode::SourceEmpty => "empty",
        FailureCode::SourceNotMatroska => "not-MKV",
        FailureCode::SourceTruncated => "truncated",
        FailureCode::SourceDamaged
        | FailureCode::RpuInvalid
        | FailureCode::RpuMissing
        | FailureCode::RpuDuplicate => "damaged",
        FailureCode::SourceUnreadable | FailureCode::SourceMissing => "unreadable",
        FailureCode::SourceNoVideo => "no-HEVC",
        FailureCode::SourceAmbiguous => "ambiguous",
        FailureCode::NotProfile7 => "not-P7",
        _ => "unsupported",
    };
    (word, Decision::skip(code, error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(verdict: Verdict, recipe: &Recipe) -> Option<FailureCode> {
        match decide(verdict, recipe) {
            Decision::Queue { .. } => None,
            Decision::Skip { code, .. } => Some(code),
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
            assert_eq!(code(verdict, &Recipe::default()), default, "{verdict}, default recipe");
            assert_eq!(code(verdict, &recipe(allow, allow)), all, "{verdict}, all allowed");
            assert_eq!(code(verdict, &recipe(refuse, refuse)), none, "{verdict}, all refused");
        }
    }

    #[test]
    fn whatever_is_queued_is_profile7() {
        for verdict in
            [Verdict::Profile5, Verdict::Hdr10, Verdict::Mel, Verdict::Fel, Verdict::OtherProfile(20)]
        {
            let wanted = decide(verdict, &Recipe::default()).wanted();
            assert!(!wanted || verdict.is_profile7(), "{verdict}");
        }
    }
}
