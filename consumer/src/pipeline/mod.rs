//! One film: from a file and a recipe to a proven, published result.
//!
//! Knows nothing of queues: it is given a [`FilmTask`] and a [`Context`], and gives back a [`Finished`] or a
//! [`StageError`].
//!
//! ```text
//! prescan ─▶ FilmIndex ─▶ plan ─▶ encode | copy ─▶ VideoStream ─▶ mux ─▶ MuxedFilm ─▶ verify ─▶ VerifiedFilm ─▶ publish
//! ```

mod artifact;
mod blocking;
mod certify;
mod context;
mod error;
mod meter;
mod plan;
mod runner;
mod stages;
mod toolbox;

pub use artifact::{Announcement, Finished, Partial};
pub use context::{Context, FilmTask, Label, Ledger, Source, Stop, Watch, Watcher};
pub use error::{Stage, StageError};
pub use meter::{Meter, Progress};
pub use plan::{Plan, refusal};
pub use runner::run;
pub use stages::verify::pair as verify_pair;
pub use toolbox::{Ffmpeg, Mkvmerge, Toolbox};
