//! Do the queues have the arguments that the fleet relies on?

use crate::broker::{BrokerError, topology};
use crate::doctor::{Check, Finding, Fleet, Level};

/// By the broker's own table if somebody may read it, otherwise by declaring each once more, if this user may.
pub const fn arguments<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "arguments",
        part: "broker",
        about: "the queues have the arguments of this configuration (broker.retry_delays_s)",
        needs: &["queues"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    match compared(fleet).await {
        Ok(true) => vec![Finding::ok("every queue has the arguments of this configuration")],
        Ok(false) => {
            let hint = "a user with the tag monitoring can: `--management http://dovi-monitor@HOST:15672 --management-password-file FILE`";
            vec![Finding::skipped("this user may not see them, and need not").hint(hint)]
        }
        Err(e) => vec![e.into()],
    }
}

async fn compared(fleet: &Fleet) -> Result<bool, BrokerError> {
    let options = fleet.broker()?;
    match fleet.admin()? {
        Some(admin) => admin.compare_queues(&options).await.map(|()| true),
        None => Ok(topology::compare(&options).await?.is_some()),
    }
}
