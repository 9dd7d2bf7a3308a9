//! One film: from a file and a recipe to a proven, published result.
//!
//! Knows nothing of queues: it is given a [`FilmTask`] and a [`Context`], and gives back a [`Finished`] or a
//! [`StageError`].
//!
//! ```text
//! prescan ─▶ FilmIndex ─▶ plan ─▶ encode | copy ─▶ VideoStream ─▶ mux ─▶ MuxedFilm ─▶ verify ─▶ VerifiedFilm ─▶ publish
//! ```

mod able;
mod alone;
mod artifact;
mod blocking;
mod certify;
mod context;
mod encoder;
mod error;
mod meter;
mod passes;
mod picture;
mod plan;
mod publishing;
mod runner;
mod selftest;
mod stages;
mod toolbox;

pub use able::{able, try_encoder};
pub use alone::Alone;
pub use artifact::{Announcement, Finished, Partial, Replacing};
pub use context::{Context, FilmTask, Label, Ledger, Source, Stop, Watch, Watcher};
pub use encoder::{Features, Picture};
pub use error::{Stage, StageError};
pub use meter::{Meter, Progress};
pub use plan::{Plan, refusal};
pub use publishing::{Dress, Folders, Publishing, no_results};
pub use runner::{Convert, Stages, run, take_back};
pub use selftest::self_test;
pub use stages::publish::trash_ready;
pub use stages::trial::Proof;
pub use stages::verify::pair as verify_pair;
pub use toolbox::{DoviTool, EncoderTool, Ffmpeg, Mkvmerge, Toolbox};
