//! Why a film is left alone, in one shape for the scan, `inspect`, `convert` and the dead letter.

use std::fmt;

use dovi::film::ScanError;

use crate::job::FailureCode;

use super::policy::LONGEST_GAP;

/// For films that are whole, and no setting would help.
pub(super) const KEEP: &str = "Keep the original: films of this kind are not converted.";

/// Why a film is not converted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable reason.
    pub code: FailureCode,
    /// What it is about the film, with the evidence.
    pub what: String,
    /// What a person may do about it: where a setting would allow the film, that setting.
    pub advice: String,
    /// The advice names a setting, so it belongs into the sentence.
    setting: bool,
}

impl Refusal {
    /// With the general advice of its code.
    pub fn new(code: FailureCode, what: impl Into<String>) -> Self {
        Self { code, what: what.into(), advice: code.hint().to_owned(), setting: false }
    }

    /// With a setting that would allow the film.
    #[must_use]
    pub fn unless(mut self, setting: impl Into<String>) -> Self {
        (self.advice, self.setting) = (setting.into(), true);
        self
    }

    /// With other advice.
    #[must_use]
    pub fn advice(mut self, advice: impl Into<String>) -> Self {
        (self.advice, self.setting) = (advice.into(), false);
        self
    }
}

/// The whole sentence: what it is, and the setting that would allow it.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)?;
        if self.setting { write!(f, "; {}", self.advice) } else { Ok(()) }
    }
}

impl From<&ScanError> for Refusal {
    fn from(error: &ScanError) -> Self {
        let code = error.code().parse().unwrap_or(FailureCode::SourceUnsupported);
        let refusal = Self::new(code, error.to_string());
        match error {
            ScanError::RpuMissing { longest_run, .. } if *longest_run > LONGEST_GAP => refusal.advice(
                format!("Make the rip again; a gap of more than {LONGEST_GAP} frames is never filled."),
            ),
            ScanError::RpuMissing { missing, frames, .. } if missing < frames => {
                let percent = *missing as f64 / *frames as f64 * 100.0;
                // Rounded up, so that the value named is one that works.
                let percent = (percent * 100.0).ceil() / 100.0;
                refusal.unless(format!(
                    "recipe.max_missing_rpu_percent = {percent} or more fills the gaps from the frame before"
                ))
            }
            ScanError::Unsupported(_) | ScanError::Interlaced(_) => refusal.advice(KEEP),
            _ => refusal,
        }
    }
}

/// The verdict in a word for a file that could not be understood.
pub(super) fn word(code: FailureCode) -> &'static str {
    match code {
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
    }
}
