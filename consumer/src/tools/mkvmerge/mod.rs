//! mkvmerge: putting a film together.

mod options;
mod output;
mod version;

pub use options::{Colour, Mux, Timing, VideoTrack};
pub use output::{Line, MuxLog, parse_line};
pub use version::{parse_version, version};
