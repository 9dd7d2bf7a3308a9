//! Are the settings there that a fleet needs, and what do they come to?

use crate::doctor::{Check, Finding, Fleet, Level, Role};

/// Settings that cannot be read at all end the program before any check.
pub const fn settings<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "settings",
        part: "settings",
        about: "library, share and output are set",
        needs: &[],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(std::future::ready(vec![look(w.as_ref())])),
    }
}

fn look(fleet: &Fleet) -> Finding {
    match fleet.config.require_fleet() {
        Ok(()) => Finding::ok(format!("recipe: {}", fleet.config.recipe.summary())),
        Err(e) => {
            let program = if fleet.role == Role::Worker { "dovi-consumer" } else { "dovi-producer" };
            let alone =
                if fleet.role == Role::Worker { "; `convert` and `verify` work without it" } else { "" };
            let hint = format!(
                "write it into /etc/dovi-fleet/config.toml (README has one to copy){alone}; \
                 `{program} config show` prints what is in force and where it came from"
            );
            Finding::failed(e.to_string(), hint)
        }
    }
}
