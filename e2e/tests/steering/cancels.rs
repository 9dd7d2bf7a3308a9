//! Films that are dropped.

use common::job::FailureCode;
use common::share::WorkerState;
use e2e::wait;

use super::fleet::{ENCODED, Fleet, SOON, mel, until};
use super::person::{Process, encoder_of, says, until_seen};

pub fn a_film_in_work_and_one_that_waits_are_dropped(fleet: &Fleet) {
    let (running, waiting) = (mel("film").frames(480), mel("film").at("waits.mkv"));
    let (in_work, queued) = (fleet.film(&running, "slow"), fleet.film(&waiting, "ultrafast"));
    fleet.publish(&in_work);
    let worker = fleet.worker("w", &[]);
    let lease = wait::until_some(ENCODED, "the encode", || fleet.encoding(&in_work))
        .unwrap_or_else(|e| panic!("{e}\n{}", worker.log()));
    let encoder = encoder_of(lease.pid);
    fleet.publish(&queued);

    let (exit, text) = says(fleet, &["cancel", &queued.id.to_string()[..8]]);
    assert_eq!(exit, 0, "{text}");
    assert!(text.contains("cancelled") && text.contains("films:waits.mkv  (it was waiting)"), "{text}");
    let (exit, text) = says(fleet, &["cancel", "films:film.mkv"]);
    assert_eq!(exit, 0, "{text}\n{}", worker.log());
    assert!(text.contains("(stopped in encode by w)"), "{text}");

    for job in [&in_work, &queued] {
        let report = fleet.report(job).unwrap();
        assert_eq!(report.code, FailureCode::Cancelled, "{report:?}");
        assert!(fleet.share().cancelled(job.id).unwrap().is_none(), "it has done its work");
    }
    assert!(Process::of(encoder).is_none_or(|p| p.state == 'Z'), "the encoder is gone");
    // The message of the other one reaches the worker too, which lets it go.
    until(&worker, SOON, "an empty queue and two dead letters", || {
        let depths = fleet.depths();
        fleet.waiting() == 0 && depths.failed.ready == 2
    });
    until_seen(fleet, "w", "health", |w| w.state == WorkerState::Idle);
    assert_eq!(fleet.left(), [] as [std::path::PathBuf; 0]);
    assert!(!fleet.result(&running).exists());

    let (exit, text) = says(fleet, &["cancel", "films:waits.mkv"]);
    assert_eq!(exit, 2, "it is no longer queued: {text}");
    let (exit, text) = says(fleet, &["failed", "retry", &queued.id.to_string()]);
    assert_eq!(exit, 0, "{text}");
    until(&worker, ENCODED, "the certificate", || fleet.certificate(&queued).is_some());
    fleet.proven(&waiting, &queued);
    let (exit, text) = says(fleet, &["cancel", &queued.id.to_string()]);
    assert!(exit == 1 && text.contains("films:waits.mkv  (it is done already)"), "{exit}: {text}");
    worker.signal("TERM");
    assert_eq!(worker.ends(SOON), 0);
}
