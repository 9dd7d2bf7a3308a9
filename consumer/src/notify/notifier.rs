//! Putting notices into the outbox, and starting and ending the thread that empties it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use common::config::Config;
use common::http::Client;
use common::job::{Notice, Occasion};
use common::share::{Outbox, Owner, ShareState};
use tokio::sync::oneshot;

use super::sender::{Sender, Tally};
use super::target::Target;

/// How long an orderly end waits for the thread.
const FAREWELL: Duration = Duration::from_secs(8);

/// Tells people and media servers, if there are any. Clones are the same.
#[derive(Clone, Default)]
pub struct Notifier(Option<Arc<Shared>>);

/// What the notifier and its thread share.
pub(super) struct Shared {
    pub outbox: Outbox,
    pub targets: Vec<Target>,
    pub stale: Duration,
    pub retry: Duration,
    pub give_up: Duration,
    pub tally: Arc<dyn Tally>,
    post: Mutex<Post>,
    changed: Condvar,
}

/// What the thread finds when it wakes up.
#[derive(Default)]
pub(super) struct Post {
    /// Not in the outbox yet.
    pub fresh: Vec<(String, Notice)>,
    pub nudged: bool,
    pub ended: bool,
    done: Option<oneshot::Receiver<()>>,
}

impl Notifier {
    /// Nobody is told.
    pub fn off() -> Self {
        Self::default()
    }

    /// Starts the thread, if the configuration names anybody. `tally` counts.
    ///
    /// # Errors
    /// No threads left on this machine, or a TLS set-up that fails.
    pub fn start(config: &Config, worker: &str, tally: Arc<dyn Tally>) -> std::io::Result<Self> {
        let notify = &config.notify;
        if notify.targets.is_empty() {
            return Ok(Self::off());
        }
        let client = Client::new(None, notify.timeout()).map_err(std::io::Error::other)?;
        let target = |(name, config): (&String, &common::config::TargetConfig)| {
            Target::new(name, config.clone(), client.clone())
        };
        for (name, target) in &notify.targets {
            target.warnings(name).iter().for_each(|w| tracing::warn!(target = name, "{w}"));
        }
        let (said, done) = oneshot::channel();
        let shared = Arc::new(Shared {
            outbox: Outbox::new(ShareState::new(&config.share.state_dir), Owner::here(worker)),
            targets: notify.targets.iter().map(target).collect(),
            stale: config.worker.stale(),
            retry: notify.retry(),
            give_up: notify.give_up(),
            tally,
            post: Mutex::new(Post { done: Some(done), ..Post::default() }),
            changed: Condvar::new(),
        });
        let sender = Sender::new(shared.clone());
        thread::Builder::new().name("outbox".into()).spawn(move || {
            sender.run();
            // Nobody may be waiting any more.
            let _ = said.send(());
        })?;
        Ok(Self(Some(shared)))
    }

    /// Whether anybody wants to know of this.
    pub fn wants(&self, what: Occasion) -> bool {
        self.0.as_ref().is_some_and(|s| s.targets.iter().any(|t| t.wants(what)))
    }

    /// How old a thing may be to be told.
    pub fn patience(&self) -> Duration {
        self.0.as_ref().map_or(Duration::ZERO, |s| s.give_up)
    }

    /// Puts it into the outbox, for everybody who wants it. When this returns, no crash loses it any more; if the share does
    /// not take it, the thread keeps it. Blocks as long as the share does.
    pub fn tell(&self, notice: &Notice) {
        let Some(shared) = &self.0 else { return };
        for target in shared.targets.iter().filter(|t| t.wants(notice.event)) {
            match shared.outbox.put(&target.name, notice) {
                Ok(new) => tracing::debug!(target = target.name, new, "to be told: {}", notice.title),
                Err(e) => {
                    tracing::debug!(target = target.name, error = %e, "not in the outbox: {}", notice.title);
                    shared.post().fresh.push((target.name.clone(), notice.clone()));
                }
            }
        }
        shared.nudge();
    }

    /// As [`tell`](Self::tell), but from the thread: the share may be what is wrong. Returns at once.
    pub fn tell_soon(&self, notice: &Notice) {
        let Some(shared) = &self.0 else { return };
        let wanting = shared.targets.iter().filter(|t| t.wants(notice.event));
        shared.post().fresh.extend(wanting.map(|t| (t.name.clone(), notice.clone())));
        shared.nudge();
    }

    /// Sends what can be sent at once, and leaves the rest to others. Gives up on a share or a server that hangs.
    pub async fn end(&self) {
        let Some(shared) = &self.0 else { return };
        let done = {
            let mut post = shared.post();
            post.ended = true;
            post.done.take()
        };
        shared.changed.notify_all();
        if let Some(done) = done
            && tokio::time::timeout(FAREWELL, done).await.is_err()
        {
            tracing::warn!(
                "what is still in the outbox is left to other workers, or to this one's next start"
            );
        }
    }
}

impl Shared {
    pub fn post(&self) -> MutexGuard<'_, Post> {
        self.post.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nudge(&self) {
        self.post().nudged = true;
        self.changed.notify_all();
    }

    /// Sleeps until something happens, at most so long. True: it is the end.
    pub fn sleep(&self, most: Duration) -> bool {
        let guard = self.post();
        let waited = self.changed.wait_timeout_while(guard, most, |p| !p.nudged && !p.ended);
        let mut post = waited.unwrap_or_else(PoisonError::into_inner).0;
        post.nudged = false;
        post.ended
    }
}
