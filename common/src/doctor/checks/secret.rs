//! Is the broker's password there, and does nobody else read it?

use crate::broker::exposed;
use crate::doctor::{Check, Finding, Fleet, Level};
use crate::text::safe_path;

/// `broker.password_file`, where it is used.
pub const fn secret<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "secret",
        part: "broker",
        about: "the broker's password can be read by this program and by nobody else",
        needs: &["settings"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(std::future::ready(vec![look(w.as_ref())])),
    }
}

fn look(fleet: &Fleet) -> Finding {
    let broker = &fleet.config.broker;
    let shown = safe_path(&broker.password_file);
    let failed = |text: String| {
        let hint =
            "put the password into its first line, readable by this program's user (`id`) alone: mode 0600";
        Finding::failed(text, hint)
    };
    match (broker.secret(), exposed(broker)) {
        (Err(e), _) => failed(e.to_string()),
        (Ok(password), _) if shown.is_empty() && password.is_empty() => {
            // The URL may hold one: only the broker can tell.
            Finding::ok("no password is set; the broker will say whether it wants one")
        }
        (Ok(password), _) if password.is_empty() => failed(format!("{shown} is empty")),
        (Ok(_), Some(text)) => {
            Finding::warning(text, "whoever reads it can do at the broker what this user may")
        }
        (Ok(_), None) if shown.is_empty() => {
            let hint =
                "broker.password_file keeps it out of copies of the configuration and of the environment";
            Finding::ok("the password is in the settings themselves").hint(hint)
        }
        (Ok(_), None) => Finding::ok(format!("{shown}, not for everybody")),
    }
}
