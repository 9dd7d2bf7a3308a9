//! dovi_tool: the widespread program for Dolby Vision metadata, as another way to do what `dovi` does.

mod args;
mod output;
mod version;

pub use args::{Convert, ExtractRpu, InjectRpu, Mux};
pub use output::{is_warning, no_space};
pub use version::{parse_version, version};
