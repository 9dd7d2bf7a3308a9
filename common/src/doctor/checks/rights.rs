//! May the broker's user do what this program needs, and no more?

use crate::broker::{BrokerError, Deed, may};
use crate::doctor::{Check, Finding, Fleet, Level, Role};

/// Tries each deed in a way that changes nothing.
pub const fn rights<W: AsRef<Fleet> + 'static>() -> Check<W> {
    Check {
        name: "rights",
        part: "broker",
        about: "the broker's user may do what this program needs, and no more",
        needs: &["queues"],
        slow: false,
        worst: Level::Failed,
        look: |w| Box::pin(look(w.as_ref())),
    }
}

/// What each program cannot do without, and what a person does with it besides.
const fn needed(role: Role) -> (&'static [Deed], &'static [Deed]) {
    match role {
        Role::Worker => (&[Deed::PublishFilms, Deed::PublishEvents, Deed::TakeFilms], &[]),
        Role::Producer => (&[Deed::PublishFilms], &[Deed::TakeLetters]),
    }
}

async fn look(fleet: &Fleet) -> Vec<Finding> {
    match tried(fleet).await {
        Ok((user, may)) => vec![judge(fleet.role, &user, &may)],
        Err(e) => vec![e.into()],
    }
}

async fn tried(fleet: &Fleet) -> Result<(String, Vec<(Deed, bool)>), BrokerError> {
    let ((must, can), options) = (needed(fleet.role), fleet.broker()?);
    Ok((options.username(), may(&options, &[must, can, &[Deed::Declare]].concat()).await?))
}

fn judge(role: Role, user: &str, may: &[(Deed, bool)]) -> Finding {
    let (must, can) = needed(role);
    let list = |wanted: bool, of: &dyn Fn(&Deed) -> bool| {
        let all: Vec<_> = may.iter().filter(|(d, m)| *m == wanted && of(d)).map(|(d, _)| d.words()).collect();
        all.join(", ")
    };
    let lacks = list(false, &|d| must.contains(d));
    if !lacks.is_empty() {
        let hint = "give the user its rights: `dovi-producer setup --admin http://ADMIN@HOST:15672 --secrets DIR`; \
                    docs/SECURITY.md, \"The broker's users\", has them";
        return Finding::failed(format!("{user} may not {lacks}"), hint);
    }
    let text = format!("{user} may {}", list(true, &|d| *d != Deed::Declare));
    if may.contains(&(Deed::Declare, true)) {
        let hint = "this program does not need that: docs/SECURITY.md, \"The broker's users\", tells of one user for each program";
        return Finding::warning(format!("{text}, and also declare and delete queues"), hint);
    }
    let cannot = list(false, &|d| can.contains(d));
    if cannot.is_empty() {
        return Finding::ok(format!("{text}, and nothing more"));
    }
    Finding::ok(format!("{text}; not {cannot}, which the user dovi-cli may"))
}
