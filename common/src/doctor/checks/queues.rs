//! Are the exchanges and queues there?

use crate::broker::topology;
use crate::doctor::{Check, Finding, Fleet, Level};

const HINT: &str =
    "run `dovi-producer setup` once, as a user who may declare; docs/SECURITY.md, \"Making them\"";

/// Every one by its name, looked at passively.
pub const fn queues<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "queues",
        part: "broker",
        about: "all exchanges and queues exist",
        needs: &["broker"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    let looked = match fleet.broker() {
        Ok(options) => topology::missing(&options).await,
        Err(e) => Err(e),
    };
    match looked {
        Ok(missing) if missing.is_empty() => {
            let (exchanges, queues) = (topology::EXCHANGES.len(), topology::QUEUES.len());
            vec![Finding::ok(format!("all {exchanges} exchanges and {queues} queues"))]
        }
        Ok(missing) if !missing.iter().any(|name| topology::is_needed(name)) => {
            let text =
                format!("there is no {}: `dovi-producer priority` has no effect", missing.join(", no "));
            vec![Finding::warning(text, HINT)]
        }
        Ok(missing) => {
            vec![Finding::failed(format!("there is no {}", missing.join(", no ")), HINT)]
        }
        Err(e) => vec![e.into()],
    }
}
