//! What systemd hears of this worker: sd_notify(3). Without systemd nobody listens, and nothing is said.

use std::time::Duration;

use sd_notify::NotifyState;

use super::presence::Presence;

/// How fresh the words of `systemctl status` are.
const WORDS: Duration = Duration::from_secs(20);

/// Says that the service is up, and from then on that it lives and what it is at. Ends only by being aborted.
///
/// It runs on the runtime that everything else runs on, and asks the worker how it is each time: a runtime whose threads
/// all hang, or a lock that nobody gives back, falls silent, and after `WatchdogSec=` systemd starts the worker again. A
/// share or a broker that hangs does not: who waits for those is alive.
pub async fn keep_alive(presence: Presence) {
    if std::env::var_os("NOTIFY_SOCKET").is_none() {
        return;
    }
    // Three chances before systemd's patience ends.
    let every = sd_notify::watchdog_enabled().map_or(WORDS, |patience| WORDS.min(patience / 3));
    let mut tick = tokio::time::interval(every);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    // Up is who can be asked and told to stop; a share or a broker that is away is waited for afterwards.
    say(&[NotifyState::Ready]);
    loop {
        tick.tick().await;
        say(&[NotifyState::Watchdog, NotifyState::Status(&presence.words())]);
    }
}

fn say(words: &[NotifyState<'_>]) {
    if let Err(e) = sd_notify::notify(words) {
        tracing::debug!(error = %e, "systemd was not told");
    }
}
