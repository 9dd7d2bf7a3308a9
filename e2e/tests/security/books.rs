//! `reconcile` where the share lost something and the broker did not.

use std::time::Duration;

use common::share::{Acquire, Folder, Lease, LeaseKeeper, LeaseObserver, Owner};
use e2e::broker::PrivateBroker;
use e2e::wait;
use serde_json::Value;

use crate::fleet::{Fleet, SOON};

pub fn and_queue_come_together_again(broker: &PrivateBroker) {
    let fleet = Fleet::new(broker, "books");
    let job = fleet.film("one");
    fleet.produced(&["scan"]);
    entries_are_lost(&fleet);
    fleet.work();
    assert!(fleet.has_certificate(&job));
    fleet.wait_for("an empty queue", |d| d.films.ready == 0 && d.failed.ready == 0);

    // Its worker died before it took the entry away.
    fleet.share().write(Folder::Queued, job.id, &job).unwrap();
    let totals = reconcile(&fleet, &["--dry-run"]);
    assert_eq!((&totals["entries_removed"], &totals["waiting_on_share"]), (&0.into(), &0.into()), "{totals}");
    assert_eq!(reconcile(&fleet, &[])["entries_removed"], 1);
    assert!(fleet.share().ids(Folder::Queued).unwrap().entries.is_empty());
    a_lease_of_nobody_is_freed(&fleet);
}

fn reconcile(fleet: &Fleet<'_>, args: &[&str]) -> Value {
    let said = fleet.produced(&[&["reconcile", "--json"], args].concat());
    serde_json::from_str(said.lines().last().unwrap()).unwrap()
}

fn entries_are_lost(fleet: &Fleet<'_>) {
    let queued = fleet.share().ids(Folder::Queued).unwrap().entries;
    assert_eq!(queued.len(), 1);
    for (id, ()) in queued {
        fleet.share().remove(Folder::Queued, id).unwrap();
    }
    let said = fleet.produced(&["reconcile"]);
    assert!(said.contains("0 films wait on the share, 1 on the broker") && said.contains("entry"), "{said}");
    fleet.wait_for("one message still", |d| d.films.ready == 1);
    // Written down again; the film is there twice now, and is done once.
    fleet.produced(&["scan"]);
    assert_eq!(fleet.share().ids(Folder::Queued).unwrap().entries.len(), 1);
    fleet.wait_for("two messages", |d| d.films.ready == 2);
}

/// A worker that had the film and is gone, and neither a message nor an entry.
fn a_lease_of_nobody_is_freed(fleet: &Fleet<'_>) {
    let (dead, alive) = (fleet.film("two"), fleet.film("three"));
    let observer = LeaseObserver::new(fleet.share(), Owner::here("w9"));
    let claim = |job| -> Lease {
        match observer.acquire(job, Duration::from_secs(600)).unwrap() {
            Acquire::Mine(lease) => lease,
            other => panic!("{other:?}"),
        }
    };
    // Its process lives, so that only silence tells; nothing beats for the first.
    let _silent = claim(dead.id);
    let beating = LeaseKeeper::start(claim(alive.id), Duration::from_millis(200)).unwrap();
    let scan = fleet.produced(&["scan", "--json"]);
    assert_eq!(scan.matches("\"action\":\"running\"").count(), 2, "{scan}");

    let mut said = Value::Null;
    let freed = wait::until(SOON, "a lease to be freed", || {
        said = reconcile(fleet, &[]);
        said["leases_freed"] == 1
    });
    freed.unwrap_or_else(|e| panic!("{e}: {said}"));
    assert!(fleet.share().read_lease(dead.id).unwrap().is_none());
    assert!(fleet.share().read_lease(alive.id).unwrap().is_some(), "a living worker keeps its film");
    assert!(!beating.lost().is_cancelled());
    fleet.produced(&["scan"]);
    let queued = fleet.share().ids(Folder::Queued).unwrap().entries;
    assert_eq!(queued.iter().map(|(id, ())| *id).collect::<Vec<_>>(), [dead.id]);
}
