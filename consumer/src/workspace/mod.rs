//! Every file the work on a film leaves on the way, and where the disk has room for it.

mod layout;
mod space;

pub use layout::{Workspace, WorkspaceError, certificate_name, partial_name, remove_partials_of, sweep};
pub use space::{Needs, needs, needs_of_dovi_tool};
