//! `pause`, `resume`, `drain`, `cancel`, `priority`: telling workers what to do, and saying who heard it.

mod answers;
mod cancel;
mod jobs;
mod orders;
mod priority;

pub(super) use cancel::cancel;
pub(super) use orders::{drain, pause, resume};
pub(super) use priority::priority;

use common::share::Owner;

/// `user@host`, for people.
fn signature() -> String {
    let user = ["USER", "LOGNAME"].iter().find_map(|name| std::env::var(name).ok());
    let user = user.filter(|u| !u.is_empty()).unwrap_or_else(|| "somebody".into());
    format!("{user}@{}", Owner::here("dovi-producer").host)
}
