//! What goes from stage to stage.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use common::job::{Certificate, LibraryPath};
use common::share::FileIdentity;
use dovi::film::FilmIndex;
use dovi::hash::VclHash;
use serde::{Deserialize, Serialize};

/// A film that was read whole.
#[derive(Debug)]
pub struct Scanned {
    /// Everything known about it.
    pub index: Arc<FilmIndex>,
    /// What a person should know.
    pub notices: Vec<String>,
}

/// The new video track in the scratch folder: Profile 8.1, every RPU in its place.
#[derive(Debug)]
pub struct VideoStream {
    /// A raw HEVC stream, or a Matroska file of this one track.
    pub path: PathBuf,
    /// Hash of its slices.
    pub vcl: VclHash,
}

impl VideoStream {
    /// Whether it is a Matroska file, whose frames have their times already.
    pub fn has_times(&self) -> bool {
        self.path.extension().is_some_and(|e| e == "mkv")
    }
}

/// A file under a hidden name in the result's folder; removed when dropped, unless it was given its name.
#[derive(Debug)]
pub struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Takes care of a file that is about to be made.
    pub fn at(path: PathBuf) -> Self {
        Self { path }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // After publishing the name is gone, which is as good.
        if let Err(e) = std::fs::remove_file(&self.path)
            && e.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(path = %self.path.display(), error = %e, "a partial result stays behind");
        }
    }
}

/// A whole film that nobody has looked at yet.
#[derive(Debug)]
pub struct MuxedFilm {
    /// The file.
    pub partial: Partial,
    /// What mkvmerge warned of.
    pub warnings: Vec<String>,
}

/// What is written down before a result gets its name, so that the next attempt recognises it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Announcement {
    /// The certificate that will be written.
    pub certificate: Certificate,
    /// Hash of the result's picture data.
    pub payload: VclHash,
    /// The original, if the result takes its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replacing: Option<Replacing>,
}

/// Which file gives way to which, so that the next attempt can tell how far this one came.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Replacing {
    /// The original.
    pub original: FileIdentity,
    /// The result.
    pub result: FileIdentity,
    /// The original's name below the trash folder of its library root.
    pub trash: LibraryPath,
}

/// A film that is published.
#[derive(Debug)]
pub struct Finished {
    /// Its final name.
    pub target: PathBuf,
    /// Its proof.
    pub certificate: Certificate,
    /// An earlier attempt had published it and died before it could say so.
    pub adopted: bool,
}
