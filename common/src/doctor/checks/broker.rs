//! Does the broker answer, and does it take the password?

use std::time::Instant;

use crate::broker::Link;
use crate::doctor::{Check, Finding, Fleet, Level};

/// One connection, made and closed.
pub const fn broker<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "broker",
        part: "broker",
        about: "the broker answers and takes the password",
        needs: &["settings", "secret"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    let options = match fleet.broker() {
        Ok(options) => options,
        Err(e) => return vec![e.into()],
    };
    let began = Instant::now();
    match Link::connect(&options, "check").await {
        Err(e) => vec![e.into()],
        Ok(link) => {
            let seconds = began.elapsed().as_secs_f64();
            link.close().await;
            let text = format!("{options} takes the password (connected in {:.0} ms)", seconds * 1000.0);
            vec![Finding::ok(text).measured("connect_s", (seconds * 1000.0).round() / 1000.0)]
        }
    }
}
