//! `health`: how the worker on this machine is, for the health check of a container.

use common::share::{Owner, SeenWorker, ShareState, WorkerState};

use super::{load_config, quiet_log};
use crate::cli::Global;
use crate::exit::{Exit, Failure};

pub(super) fn run(global: &Global) -> Result<Exit, Failure> {
    let config = load_config(global, &[])?;
    config.require_fleet()?;
    quiet_log(&config, global);
    let own = Owner::here(config.worker.display_name());
    let (workers, _) = ShareState::new(&config.share.state_dir).workers()?;
    match judge(&workers, &own) {
        Ok(text) => {
            println!("{text}");
            Ok(Exit::Ok)
        }
        Err(text) => Err(Failure::new(Exit::Some, text)),
    }
}

/// The worker of this name and machine that was heard of last.
fn judge(workers: &[SeenWorker], own: &Owner) -> Result<String, String> {
    let ours = workers.iter().filter(|w| w.info.name == own.worker && w.info.host == own.host);
    let Some(worker) = ours.min_by_key(|w| w.quiet) else {
        return Err(format!("no worker {} runs on {}", own.worker, own.host));
    };
    if worker.is_silent() {
        return Err(format!("the worker was not heard of for {}", common::text::duration(worker.quiet)));
    }
    let state = worker.info.state;
    let why = worker.info.why.as_deref().map(common::text::safe).unwrap_or_default();
    let text = match why {
        why if why.is_empty() => state.name().to_owned(),
        // "paused by anna@nas" is enough.
        why if why.starts_with(state.name()) => why,
        why => format!("{}: {why}", state.name()),
    };
    match state {
        WorkerState::Ill | WorkerState::Stopped => Err(text),
        _ => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn only_the_worker_of_this_machine_counts_and_only_if_it_can_work() {
        let own = Owner::here("w");
        let worker = |host: &str, state: &str, quiet| {
            let info = serde_json::from_value(serde_json::json!({
                "v": 1, "name": "w", "host": host, "pid": 1, "state": state, "why": "a disk is full",
                "since": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z", "beat_s": 20.0,
            }));
            SeenWorker { info: info.unwrap(), quiet: Duration::from_secs(quiet) }
        };
        let here = own.host.as_str();
        assert!(judge(&[], &own).is_err());
        assert!(judge(&[worker("elsewhere", "idle", 0)], &own).is_err());
        assert_eq!(judge(&[worker(here, "ill", 0)], &own).unwrap_err(), "ill: a disk is full");
        assert!(judge(&[worker(here, "busy", 600)], &own).unwrap_err().contains("not heard of for 10 min"));
        let later = [worker(here, "ill", 600), worker(here, "busy", 3), worker("elsewhere", "ill", 0)];
        assert!(judge(&later, &own).unwrap().starts_with("busy"));
    }

    /// Docker and systemd are not to end a worker that does as it was told.
    #[test]
    fn who_is_paused_or_about_to_end_is_well() {
        let own = Owner::here("w");
        let says = |state: &str, why: Option<&str>| {
            let info = serde_json::from_value(serde_json::json!({
                "v": 1, "name": "w", "host": own.host, "pid": 1, "state": state, "why": why,
                "since": "2026-01-01T00:00:00Z", "started_at": "2026-01-01T00:00:00Z",
                "updated_at": "2026-01-01T00:00:00Z", "beat_s": 20.0,
            }));
            judge(&[SeenWorker { info: info.unwrap(), quiet: Duration::ZERO }], &own)
        };
        assert_eq!(says("paused", Some("paused by anna@nas")).unwrap(), "paused by anna@nas");
        assert_eq!(
            says("paused", Some("standing still, told so")).unwrap(),
            "paused: standing still, told so"
        );
        assert_eq!(says("draining", None).unwrap(), "draining");
        assert_eq!(says("starting", None).unwrap(), "starting");
        assert!(says("stopped", None).is_err());
    }
}
