//! The library: which files are films, and which of them are complete.

mod candidate;
mod roots;
mod stable;
mod walk;

pub use candidate::{Candidate, read_candidates};
pub use roots::{Place, Root, RootError, Roots};
pub use stable::Clock;
pub use walk::{Found, Walk, Warning, walk};
pub(crate) use walk::{OwnFolders, has_film_name, is_hidden};
