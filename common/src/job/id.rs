//! The identity of a job.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::{LibraryPath, Recipe};

/// Names one job: the same film (root, path, size, mtime) with the same recipe always has the same id.
///
/// 128 bits of BLAKE3, printed as 32 lower-case hex digits. It is a file name on the share and the
/// `message_id` on the broker, so it can hold nothing else.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId([u8; 16]);

/// A text that is not 32 lower-case hex digits.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not a job id (32 lower-case hex digits)")]
pub struct JobIdError(String);

impl JobId {
    /// Derives the id of a film as it lies in the library now. `mtime_ns` is nanoseconds since 1970.
    pub fn of(film: &LibraryPath, size: u64, mtime_ns: i128, recipe: &Recipe) -> Self {
        let mut h = blake3::Hasher::new_derive_key("dovi-fleet job id v1");
        for part in [film.to_string().as_bytes(), recipe.digest().as_bytes()] {
            h.update(&(part.len() as u64).to_le_bytes());
            h.update(part);
        }
        h.update(&size.to_le_bytes());
        h.update(&mtime_ns.to_le_bytes());
        let mut id = [0; 16];
        id.copy_from_slice(&h.finalize().as_bytes()[..16]);
        Self(id)
    }

    /// The first eight digits: enough for a person to tell jobs apart in a table.
    pub fn short(&self) -> String {
        self.to_string()[..8].to_owned()
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|b| write!(f, "{b:02x}"))
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "JobId({self})")
    }
}

impl FromStr for JobId {
    type Err = JobIdError;

    fn from_str(s: &str) -> Result<Self, JobIdError> {
        let err = || JobIdError(s.chars().take(64).collect());
        let digits = s.as_bytes();
        if digits.len() != 32 {
            return Err(err());
        }
        let nibble = |c: u8| match c {
            b'0'..=b'9' => Ok(c - b'0'),
            b'a'..=b'f' => Ok(c - b'a' + 10),
            _ => Err(err()),
        };
        let mut id = [0; 16];
        for (byte, pair) in id.iter_mut().zip(digits.chunks_exact(2)) {
            *byte = nibble(pair[0])? << 4 | nibble(pair[1])?;
        }
        Ok(Self(id))
    }
}

impl TryFrom<String> for JobId {
    type Error = JobIdError;

    fn try_from(s: String) -> Result<Self, JobIdError> {
        s.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(path: &str, size: u64, mtime: i128, crf: f32) -> JobId {
        let film = format!("films:{path}").parse().unwrap();
        JobId::of(&film, size, mtime, &Recipe { crf, ..Recipe::default() })
    }

    #[test]
    fn the_same_film_and_recipe_is_the_same_job_and_any_difference_another() {
        let one = id("a.mkv", 1, 2, 18.0);
        assert_eq!(one, id("a.mkv", 1, 2, 18.0));
        for other in [
            id("b.mkv", 1, 2, 18.0),
            id("a.mkv", 2, 2, 18.0),
            id("a.mkv", 1, 3, 18.0),
            id("a.mkv", 1, 2, 19.0),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn text_form_round_trips_and_rejects_what_could_be_a_path() {
        let one = id("a.mkv", 1, 2, 18.0);
        assert_eq!(one.to_string().parse::<JobId>().unwrap(), one);
        for bad in
            ["", "../../etc/passwd", "ABCDEF00112233445566778899aabbcc", "zz112233445566778899aabbccddeeff"]
        {
            assert!(bad.parse::<JobId>().is_err(), "{bad}");
        }
    }
}
