//! Is the share there?

use super::blocking;
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::safe_path;

/// The sentinel of the state folder can be seen. The producer's own check knows the first run as well.
pub const fn share<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "share",
        part: "share",
        about: "the share is mounted: its sentinel can be seen",
        needs: &["settings"],
        slow: false,
        worst: Level::Failed,
        look: |w| {
            let share = w.as_ref().share();
            Box::pin(blocking(move || match share.check() {
                Ok(()) => vec![Finding::ok(safe_path(share.dir()))],
                Err(e) => vec![e.into()],
            }))
        },
    }
}
