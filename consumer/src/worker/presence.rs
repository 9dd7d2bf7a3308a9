//! Tells the share that this worker is there, and how it is. Nothing depends on it, and nothing waits for it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use common::share::{Owner, Pause, ShareState, WorkerFile, WorkerInfo, WorkerState};
use tokio::sync::oneshot;

use super::health::Illness;

/// A file that changes with every film of many slots is written this often at most.
const BREATH: Duration = Duration::from_secs(1);
/// How long an orderly end waits for a share that may hang.
const FAREWELL: Duration = Duration::from_secs(5);
/// A namesake that was silent for so many beats is taken for gone.
const BEATS_ALIVE: u32 = 30;

/// This worker as others see it. Clones are the same worker.
#[derive(Debug, Clone)]
pub struct Presence(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    file: WorkerFile,
    now: Mutex<Now>,
    changed: Condvar,
}

#[derive(Debug)]
struct Now {
    info: WorkerInfo,
    started: bool,
    draining: bool,
    busy: u32,
    illness: Option<Illness>,
    remark: Option<String>,
    paused: Option<(Pause, String)>,
    dirty: bool,
    ended: bool,
}

impl Now {
    /// What is most worth knowing comes first.
    fn state(&self) -> WorkerState {
        match () {
            () if self.draining => WorkerState::Draining,
            () if self.illness.is_some() => WorkerState::Ill,
            () if self.paused.as_ref().is_some_and(|(p, _)| p.frozen || self.busy == 0) => {
                WorkerState::Paused
            }
            () if self.busy > 0 => WorkerState::Busy,
            () if self.started => WorkerState::Idle,
            () => WorkerState::Starting,
        }
    }

    fn refresh(&mut self) {
        let (at, state) = (jiff::Timestamp::now(), self.state());
        if state != self.info.state {
            self.info.state = state;
            self.info.since = at;
        }
        self.info.code = self.illness.as_ref().map(|i| i.code.to_string());
        self.info.pause = self.paused.as_ref().map(|(pause, _)| pause.clone());
        let illness = self.illness.as_ref().map(|i| i.why.clone());
        let paused = self.paused.as_ref().map(|(_, why)| why.clone());
        self.info.why = illness.or(paused).or_else(|| self.remark.clone());
        self.info.updated_at = at;
    }
}

impl Presence {
    /// Nothing is written before [`Presence::begin`].
    pub fn new(share: ShareState, owner: &Owner, slots: u16, beat: Duration) -> Self {
        let at = jiff::Timestamp::now();
        let info = WorkerInfo {
            v: 1,
            name: owner.worker.clone(),
            host: owner.host.clone(),
            pid: owner.pid,
            origin: owner.origin.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
            slots,
            state: WorkerState::Starting,
            why: None,
            code: None,
            pause: None,
            order: None,
            since: at,
            done: 0,
            failed: 0,
            started_at: at,
            updated_at: at,
            beat_s: beat.as_secs_f64(),
        };
        let now = Now {
            info,
            started: false,
            draining: false,
            busy: 0,
            illness: None,
            remark: None,
            paused: None,
            dirty: true,
            ended: false,
        };
        let file = WorkerFile::new(share, owner.clone());
        Self(Arc::new(Shared { file, now: Mutex::new(now), changed: Condvar::new() }))
    }

    /// Writes from now on, on a thread of its own: a share that hangs holds nobody up. The answer comes when the last word
    /// is written; see [`Presence::end`].
    ///
    /// # Errors
    /// No threads left on this machine.
    pub fn begin(&self) -> std::io::Result<oneshot::Receiver<()>> {
        let (said, done) = oneshot::channel();
        let shared = self.0.clone();
        thread::Builder::new().name("presence".into()).spawn(move || {
            shared.write_until_the_end();
            // Nobody may be waiting any more.
            let _ = said.send(());
        })?;
        Ok(done)
    }

    /// Everything it needs was there, for the first time or again.
    pub fn well(&self) {
        self.change(|now| {
            now.started = true;
            now.illness = None;
        });
    }

    /// It takes no films.
    pub fn ill(&self, illness: &Illness) {
        self.change(|now| now.illness = Some(illness.clone()));
    }

    /// Why it takes films slowly; `None`: it does not.
    pub fn remark(&self, text: Option<String>) {
        self.change(|now| now.remark = text);
    }

    /// Why it takes no further film, with a sentence for people; `None`: it takes them.
    pub fn paused(&self, pause: Option<(Pause, String)>) {
        self.change(|now| now.paused = pause);
    }

    /// It heard this order: whoever gave it waits for the answer.
    pub fn heard(&self, order: &str) {
        if self.0.now().info.order.as_deref() != Some(order) {
            self.change(|now| now.info.order = Some(order.to_owned()));
        }
    }

    /// It was told to stop.
    pub fn drains(&self) {
        self.change(|now| now.draining = true);
    }

    /// A film was begun.
    pub fn takes(&self) {
        self.change(|now| now.busy += 1);
    }

    /// It has one film less. `Some(true)`: finished; `Some(false)`: failed; `None`: somebody else has it.
    pub fn leaves(&self, done: Option<bool>) {
        self.change(|now| {
            now.busy = now.busy.saturating_sub(1);
            match done {
                Some(true) => now.info.done += 1,
                Some(false) => now.info.failed += 1,
                None => {}
            }
        });
    }

    /// Removes the file: a worker that ended in order is no worker. Gives up on a share that hangs.
    pub async fn end(&self, written: Option<oneshot::Receiver<()>>) {
        self.change(|now| now.ended = true);
        if let Some(written) = written
            && tokio::time::timeout(FAREWELL, written).await.is_err()
        {
            tracing::warn!("the share does not answer; this worker's file stays in workers/");
        }
    }

    /// How it is, the code of its illness, and why.
    pub fn now(&self) -> (WorkerState, Option<String>, Option<String>) {
        let now = self.0.now();
        let illness = now.illness.as_ref();
        (now.state(), illness.map(|i| i.code.to_string()), illness.map(|i| i.why.clone()))
    }

    /// How it is, in one line for people.
    pub fn words(&self) -> String {
        let mut now = self.0.now();
        now.refresh();
        let info = &now.info;
        let why = info.why.as_deref().map(|why| format!(": {}", why.replace('\n', " "))).unwrap_or_default();
        format!("{}{why}; {} done, {} failed since the start", info.state.name(), info.done, info.failed)
    }

    fn change(&self, change: impl FnOnce(&mut Now)) {
        let mut now = self.0.now();
        change(&mut now);
        now.dirty = true;
        drop(now);
        self.0.changed.notify_all();
    }
}

impl Shared {
    fn now(&self) -> MutexGuard<'_, Now> {
        self.now.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_until_the_end(&self) {
        let beat = Duration::from_secs_f64(self.now().info.beat_s);
        loop {
            let info = {
                let mut now = self.now();
                if now.ended {
                    break;
                }
                now.dirty = false;
                now.refresh();
                now.info.clone()
            };
            let begun = Instant::now();
            if let Err(e) = self.file.write(&info, (beat * BEATS_ALIVE).max(Duration::from_secs(60))) {
                // The reason is told where it matters; this file is for people only.
                tracing::debug!(error = %e, "this worker's file in workers/ was not written");
            }
            let breath = BREATH.min(beat);
            let guard = self.now();
            let wait = self.changed.wait_timeout_while(guard, beat, |now| !now.dirty && !now.ended);
            drop(wait);
            // Changes that come in a bunch are one.
            let guard = self.now();
            let rest = breath.saturating_sub(begun.elapsed());
            drop(self.changed.wait_timeout_while(guard, rest, |now| !now.ended));
        }
        if let Err(e) = self.file.remove() {
            tracing::debug!(error = %e, "this worker's file stays in workers/");
        }
    }
}

#[cfg(test)]
mod tests {
    use common::job::FailureCode;
    use common::share::PauseCause;

    use super::*;

    const BEAT: Duration = Duration::from_millis(20);

    fn seen(share: &ShareState) -> Option<WorkerInfo> {
        share.workers().unwrap().0.into_iter().next().map(|s| s.info)
    }

    async fn until(share: &ShareState, what: &str, hold: impl Fn(&WorkerInfo) -> bool) -> WorkerInfo {
        let begun = Instant::now();
        loop {
            match seen(share) {
                Some(info) if hold(&info) => return info,
                other if begun.elapsed() > Duration::from_secs(20) => panic!("no {what}: {other:?}"),
                _ => tokio::time::sleep(BEAT).await,
            }
        }
    }

    #[tokio::test]
    async fn others_see_how_it_is_until_it_ends() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        share.init().unwrap();
        let presence = Presence::new(share.clone(), &Owner::here("w"), 2, BEAT);
        let written = presence.begin().unwrap();
        until(&share, "start", |i| i.state == WorkerState::Starting && i.slots == 2).await;
        presence.well();
        until(&share, "idleness", |i| i.state == WorkerState::Idle).await;
        presence.takes();
        until(&share, "work", |i| i.state == WorkerState::Busy).await;
        presence.leaves(Some(true));
        presence.ill(&Illness { code: FailureCode::ToolMissing, why: "no ffmpeg".into() });
        let ill = until(&share, "illness", |i| i.state == WorkerState::Ill).await;
        assert_eq!((ill.done, ill.failed), (1, 0));
        assert_eq!((ill.code.as_deref(), ill.why.as_deref()), (Some("tool.missing"), Some("no ffmpeg")));
        presence.well();
        let pause =
            Pause { cause: PauseCause::Order, frozen: false, until: None, by: Some("me@here".into()) };
        presence.takes();
        presence.paused(Some((pause.clone(), "paused by me@here".into())));
        presence.heard("1f");
        let told = until(&share, "the answer", |i| i.order.as_deref() == Some("1f")).await;
        assert_eq!(
            (told.state, told.pause),
            (WorkerState::Busy, Some(pause.clone())),
            "it finishes its film"
        );
        presence.paused(Some((Pause { frozen: true, ..pause.clone() }, "frozen".into())));
        until(&share, "standing still", |i| i.state == WorkerState::Paused).await;
        presence.paused(Some((pause, "paused by me@here".into())));
        presence.leaves(Some(true));
        let paused = until(&share, "the pause", |i| i.state == WorkerState::Paused && i.done == 2).await;
        assert_eq!(paused.why.as_deref(), Some("paused by me@here"));
        presence.paused(None);
        presence.drains();
        until(&share, "draining", |i| i.state == WorkerState::Draining && i.why.is_none()).await;
        presence.end(Some(written)).await;
        assert!(seen(&share).is_none());
    }

    #[tokio::test]
    async fn without_the_share_it_says_nothing_and_harms_nobody() {
        let dir = tempfile::tempdir().unwrap();
        let share = ShareState::new(dir.path());
        let presence = Presence::new(share.clone(), &Owner::here("w"), 1, BEAT);
        let written = presence.begin().unwrap();
        presence.well();
        let direct = WorkerFile::new(share.clone(), Owner::here("w"));
        let info = presence.0.now().info.clone();
        assert!(direct.write(&info, BEAT).is_err());
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0, "an empty mount point stays empty");
        share.init().unwrap();
        until(&share, "idleness", |i| i.state == WorkerState::Idle).await;
        presence.end(Some(written)).await;
    }
}
