//! ffmpeg: decoding, encoding, and what this machine's build of it can do.

mod args;
mod capabilities;
mod progress;

pub use args::{DecodeArgs, EncodeArgs, TestEncodeArgs, X265};
pub use capabilities::{Capabilities, encoder_help, full_help, version};
pub use progress::{ProgressParser, Update};

/// Lines that ffmpeg prints on standard error although nothing is wrong with the film.
///
/// Timestamps rounded to milliseconds with a default duration of 42 ms give this one (measured); it goes away with an
/// exact default duration.
const HARMLESS: &[&str] = &["Application provided invalid, non monotonically increasing dts"];

/// Whether a line of a decode test tells of damage.
pub fn is_complaint(line: &str) -> bool {
    !line.trim().is_empty() && !HARMLESS.iter().any(|h| line.contains(h))
}
