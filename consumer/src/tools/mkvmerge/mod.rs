//! mkvmerge: putting a film together.

mod options;
mod output;
mod tags;
mod version;

pub use options::{Colour, Display, Mux, Timing, VideoTrack};
pub use output::{Line, MuxLog, parse_line};
pub use tags::tag_file;
pub use version::{parse_version, version};
