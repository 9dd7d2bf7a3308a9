//! Every file the work on a film leaves on the way, and where the disk has room for it.

mod layout;
mod partials;
mod space;

pub use layout::{Workspace, WorkspaceError, certificate_name, partial_name, remove_partials_of, sweep};
pub use partials::{Found, FoundPartial, find_ours, token_of_partial};
pub use space::{MARGIN, Needs, needs, needs_of_dovi_tool};
