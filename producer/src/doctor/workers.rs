//! Is anybody there to do the work?

use common::broker::{BrokerError, depths};
use common::doctor::{Check, Finding, Fleet, Level};

pub const CHECK: Check<Fleet> = Check {
    name: "workers",
    part: "broker",
    about: "a worker is connected",
    needs: &["queues"],
    slow: false,
    worst: Level::Warning,
    look: |f| Box::pin(look(f)),
};

async fn look(fleet: &Fleet) -> Vec<Finding> {
    let seen = match fleet.broker() {
        Ok(options) => depths(&options).await,
        Err(e) => Err(e),
    };
    vec![match seen {
        Ok(d) if d.films.consumers == 0 => {
            let text = format!("no worker is connected, {} films are waiting", d.films.ready);
            let hint = "start one where films shall be converted: `systemctl start dovi-consumer`, \
                        `docker compose --profile worker up -d`, or `dovi-consumer run`";
            Finding::warning(text, hint).measured("connected", 0).measured("films_waiting", d.films.ready)
        }
        Ok(d) => Finding::ok(format!("{} connected, {} films are waiting", d.films.consumers, d.films.ready))
            .measured("connected", d.films.consumers)
            .measured("films_waiting", d.films.ready),
        Err(e @ BrokerError::Forbidden { .. }) => {
            let hint = "`dovi-producer status` cannot show the queues with this user; docs/SECURITY.md has the rights";
            Finding::warning(e.to_string(), hint)
        }
        // It answered a moment ago.
        Err(e) => Finding::warning(e.to_string(), e.hint()),
    }]
}
