//! The verdict: what kind of film this is, in one word.
use std::{fmt, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// What a film is, decided by its RPUs; the container's record is only a claim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Profile 7, minimal enhancement layer on every frame.
    Mel,
    /// Profile 7 with a full enhancement layer on at least one frame, no sign that it expands brightness.
    Fel,
    /// Profile 7 FEL whose metadata was made for a brighter picture than the base layer (rule R1 or R2).
    FelExpanding,
    /// Profile 8 with this base layer compatibility (1 HDR10, 2 SDR, 4 HLG).
    Profile8 {
        /// Compatibility id.
        compat: u8,
    },
    /// Profile 5: the base layer is no HDR10 picture.
    Profile5,
    /// Another profile.
    OtherProfile(u8),
    /// PQ without Dolby Vision.
    Hdr10,
    /// HLG without Dolby Vision.
    Hlg,
    /// Neither PQ nor HLG.
    Sdr,
}

impl Verdict {
    /// Profile 7 of any kind: what this system converts.
    #[must_use]
    pub fn is_profile7(self) -> bool {
        matches!(self, Self::Mel | Self::Fel | Self::FelExpanding)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mel => f.pad("MEL"),
            Self::Fel => f.pad("FEL"),
            Self::FelExpanding => f.pad("FEL-expanding"),
            Self::Profile8 { compat } => f.pad(&format!("P8.{compat}")),
            Self::Profile5 => f.pad("P5"),
            Self::OtherProfile(profile) => f.pad(&format!("P{profile}")),
            Self::Hdr10 => f.pad("HDR10"),
            Self::Hlg => f.pad("HLG"),
            Self::Sdr => f.pad("SDR"),
        }
    }
}

/// The text is no verdict.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no verdict")]
pub struct UnknownVerdict(String);

impl FromStr for Verdict {
    type Err = UnknownVerdict;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Ok(match text {
            "MEL" => Self::Mel,
            "FEL" => Self::Fel,
            "FEL-expanding" => Self::FelExpanding,
            "P5" => Self::Profile5,
            "HDR10" => Self::Hdr10,
            "HLG" => Self::Hlg,
            "SDR" => Self::Sdr,
            _ => {
                let unknown = || UnknownVerdict(text.to_owned());
                let number = text.strip_prefix('P').ok_or_else(unknown)?;
                match number.strip_prefix("8.") {
                    Some(compat) => Self::Profile8 { compat: compat.parse().map_err(|_| unknown())? },
                    None => Self::OtherProfile(number.parse().map_err(|_| unknown())?),
                }
            }
        })
    }
}

impl Serialize for Verdict {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Verdict {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_form_is_reversible() {
        for verdict in [
            Verdict::Mel,
            Verdict::Fel,
            Verdict::FelExpanding,
            Verdict::Profile8 { compat: 1 },
            Verdict::Profile5,
            Verdict::OtherProfile(4),
            Verdict::Hdr10,
            Verdict::Hlg,
            Verdict::Sdr,
        ] {
            assert_eq!(verdict.to_string().parse(), Ok(verdict));
        }
        assert!("P".parse::<Verdict>().is_err());
    }
}
