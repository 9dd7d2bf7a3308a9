//! The message that asks for one film.

use serde::{Deserialize, Serialize};

use super::{FailureCode, JobId, LibraryPath, PathError, Recipe};

/// The version this program writes. A reader takes versions 1 to this one.
pub const MESSAGE_VERSION: u32 = 1;

/// How much picture a film holds, as its container declares it: for estimates of the time it takes, and for nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// Luma samples.
    pub width: u32,
    /// Luma samples.
    pub height: u32,
    /// Frames: declared duration by declared frame duration.
    pub frames: u64,
}

/// One film to convert. Everything a worker needs besides its own configuration.
///
/// Unknown fields are ignored, so that an older worker can read what a newer producer of the same version wrote.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct JobMessage {
    /// Format version, [`MESSAGE_VERSION`].
    pub v: u32,
    /// The job's identity, see [`JobId::of`].
    pub id: JobId,
    /// The film.
    pub film: LibraryPath,
    /// Size in bytes when it was queued; a worker refuses a film that changed since.
    pub size: u64,
    /// Modification time in nanoseconds since 1970 when it was queued.
    pub mtime_ns: i64,
    /// What to do with it.
    pub recipe: Recipe,
    /// The producer's verdict, for people reading the queue; the worker makes its own.
    pub verdict: String,
    /// When it was queued.
    pub queued_at: jiff::Timestamp,
    /// How much picture it holds; none where the container does not say, and in messages of older producers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub extent: Option<Extent>,
}

/// A body that is no job.
#[derive(Debug, thiserror::Error)]
pub enum MalformedMessage {
    /// Not JSON, or not of the job's shape.
    #[error("the message is not a job: {0}")]
    Shape(#[from] serde_json::Error),
    /// A version this program does not know.
    #[error("the message has version {found}, this program reads 1 to {MESSAGE_VERSION}: update it")]
    Version {
        /// The version in the message.
        found: u64,
    },
    /// The film's path is not plain.
    #[error("the message names no film: {0}")]
    Path(#[from] PathError),
    /// The id is not the one that the content has.
    #[error("the message says it is job {said}, its content is job {is}")]
    Id {
        /// The id in the message.
        said: JobId,
        /// The id of the content.
        is: JobId,
    },
    /// The recipe holds a value that no encoder takes.
    #[error("the message asks for something impossible: {0}")]
    Recipe(String),
}

impl MalformedMessage {
    /// The stable code for the dead letter.
    pub fn code(&self) -> FailureCode {
        match self {
            Self::Version { .. } => FailureCode::MessageVersion,
            Self::Path(_) => FailureCode::MessagePath,
            Self::Shape(_) | Self::Id { .. } | Self::Recipe(_) => FailureCode::MessageMalformed,
        }
    }
}

impl JobMessage {
    /// A job for a film as it lies there now.
    pub fn new(film: LibraryPath, size: u64, mtime_ns: i64, recipe: Recipe, verdict: String) -> Self {
        let id = JobId::of(&film, size, i128::from(mtime_ns), &recipe);
        Self {
            v: MESSAGE_VERSION,
            id,
            film,
            size,
            mtime_ns,
            recipe,
            verdict,
            queued_at: jiff::Timestamp::now(),
            extent: None,
        }
    }

    /// Reads a message body, which is untrusted: version first, then shape, path, recipe and identity.
    ///
    /// # Errors
    /// [`MalformedMessage`] says which of these is wrong.
    pub fn parse(body: &[u8]) -> Result<Self, MalformedMessage> {
        #[derive(Deserialize)]
        struct Head {
            v: u64,
            film: serde_json::Value,
        }
        let head: Head = serde_json::from_slice(body)?;
        if head.v == 0 || head.v > u64::from(MESSAGE_VERSION) {
            return Err(MalformedMessage::Version { found: head.v });
        }
        if let Some(film) = head.film.as_str() {
            film.parse::<LibraryPath>()?;
        }
        let job: Self = serde_json::from_slice(body)?;
        job.recipe.validate().map_err(MalformedMessage::Recipe)?;
        let is = JobId::of(&job.film, job.size, i128::from(job.mtime_ns), &job.recipe);
        if is != job.id {
            return Err(MalformedMessage::Id { said: job.id, is });
        }
        Ok(job)
    }

    /// The body to publish.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form.
    pub fn to_body(&self) -> Result<Vec<u8>, serde_json::Error> {
        serde_json::to_vec(self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> JobMessage {
        JobMessage::new("films:A (2020)/A.mkv".parse().unwrap(), 7, 9, Recipe::default(), "MEL".into())
    }

    #[test]
    fn a_job_survives_the_wire() {
        let job = job();
        assert_eq!(JobMessage::parse(&job.to_body().unwrap()).unwrap(), job);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let with = |key: &str, value: serde_json::Value| {
            let mut v = serde_json::to_value(job()).unwrap();
            v[key] = value;
            JobMessage::parse(&serde_json::to_vec(&v).unwrap()).unwrap_err().code()
        };
        assert_eq!(with("v", 2.into()), FailureCode::MessageVersion);
        assert_eq!(with("film", "films:../x".into()), FailureCode::MessagePath);
        assert_eq!(with("size", 8.into()), FailureCode::MessageMalformed);
        assert_eq!(with("recipe", "copy".into()), FailureCode::MessageMalformed);
        assert_eq!(JobMessage::parse(b"hello").unwrap_err().code(), FailureCode::MessageMalformed);
    }

    #[test]
    fn the_first_version_stays_readable() {
        let golden = include_bytes!("../../tests/data/golden/job.json");
        let job = JobMessage::parse(golden).unwrap();
        assert_eq!(job.film.to_string(), "films:The Long Harbour (2019)/film.mkv");
        assert_eq!(job.recipe, Recipe::default());
    }
}
