//! The demo: a folder of its own with broker, library, share and results; both programs as a person would run them.
//!
//! | file | holds |
//! |---|---|
//! | `workspace` | the folder, what may be wiped, the configuration file |
//! | `programs` | finding and running the two programs |
//! | `fleet` | what the share says about every queued film |
//! | `view` | the live picture: redrawn on a terminal, lines elsewhere |
//! | `summary` | the closing table |

mod fleet;
mod programs;
mod summary;
mod view;
mod workspace;

pub use fleet::{FilmState, Fleet, State};
pub use programs::{Daemon, Programs};
pub use summary::{Checked, Line, summary};
pub use view::View;
pub use workspace::{Recipe, Workspace};
