//! Is the share there, or to be made?

use common::doctor::{Check, Finding, Fleet, Level};

use crate::first_run::{self, Start};
use crate::render::safe_path;

pub const CHECK: Check<Fleet> = Check {
    name: "share",
    part: "share",
    about: "the share is mounted: its sentinel can be seen, or the first run may make it",
    needs: &["settings"],
    slow: false,
    worst: Level::Failed,
    look: |f| Box::pin(std::future::ready(vec![look(f)])),
};

fn look(fleet: &Fleet) -> Finding {
    let share = fleet.share();
    let shown = safe_path(share.dir());
    match first_run::look(&share) {
        Ok(Start::Ready) => Finding::ok(shown),
        Ok(Start::First) => {
            let hint = "`dovi-producer setup` makes it, or the first `dovi-producer scan`";
            Finding::warning(format!("{shown} is not made yet"), hint).blocking()
        }
        Err(failure) => failure.into(),
    }
}
