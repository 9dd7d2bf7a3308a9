//! The share: there, writable, true to its promises, on time.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::share::ShareState;

use super::bench::{BOTH, Bench, Case, PRODUCER};
use super::liar::lies;

pub const CASES: &[Case] = &[
    Case { programs: BOTH, check: "share", level: "ok", says: "state", arrange: |_| true },
    Case { programs: BOTH, check: "share", level: "failed", says: "mount the share", arrange: gone },
    Case {
        programs: PRODUCER,
        check: "share",
        level: "warning",
        says: "dovi-producer setup",
        arrange: first_run,
    },
    Case { programs: BOTH, check: "share-mount", level: "ok", says: " at ", arrange: |_| true },
    Case {
        programs: BOTH,
        check: "share-mount",
        level: "warning",
        says: "in memory",
        arrange: |b| on_a_disk(b, "size=8m"),
    },
    Case { programs: BOTH, check: "share-rights", level: "ok", says: "can be written to", arrange: |_| true },
    Case { programs: BOTH, check: "share-rights", level: "failed", says: "ls -ld", arrange: closed },
    Case { programs: BOTH, check: "share-rights", level: "failed", says: "read-only", arrange: read_only },
    Case {
        programs: BOTH,
        check: "share-rights",
        level: "failed",
        says: "df -h",
        arrange: |b| on_a_disk(b, "size=512k"),
    },
    Case { programs: BOTH, check: "share-files", level: "ok", says: "given once", arrange: |_| true },
    Case {
        programs: BOTH,
        check: "share-files",
        level: "failed",
        says: "a claim is no claim",
        arrange: |b| lies(b, &[("LIAR_NOT_EXCLUSIVE", "1")]),
    },
    Case {
        programs: BOTH,
        check: "share-dates",
        level: "ok",
        says: "stay as they are set",
        arrange: |_| true,
    },
    Case {
        programs: BOTH,
        check: "share-dates",
        level: "warning",
        says: "is another one",
        arrange: |b| lies(b, &[("LIAR_NO_DATES", "1")]),
    },
    Case { programs: BOTH, check: "clock", level: "ok", says: "agrees", arrange: |_| true },
    Case {
        programs: BOTH,
        check: "clock",
        level: "warning",
        says: "by 5 min",
        arrange: |b| lies(b, &[("LIAR_CLOCK_S", "330")]),
    },
    Case { programs: BOTH, check: "clock", level: "warning", says: "jumped by 50 s", arrange: jumping_clock },
    Case {
        programs: BOTH,
        check: "clock",
        level: "failed",
        says: "timedatectl",
        arrange: |b| lies(b, &[("LIAR_CLOCK_S", "-200000")]),
    },
];

fn gone(bench: &mut Bench) -> bool {
    fs::remove_dir_all(bench.path("state")).unwrap();
    fs::create_dir(bench.path("state")).unwrap();
    true
}

fn first_run(bench: &mut Bench) -> bool {
    fs::remove_dir_all(bench.path("state")).unwrap();
    true
}

/// A share in memory.
fn on_a_disk(bench: &mut Bench, options: &str) -> bool {
    fs::remove_dir_all(bench.path("state")).unwrap();
    let mounted = bench.mount("state", options);
    ShareState::new(bench.path("state")).init().unwrap();
    mounted
}

fn closed(bench: &mut Bench) -> bool {
    fs::set_permissions(bench.path("state/leases"), fs::Permissions::from_mode(0o555)).unwrap();
    bench.as_nobody();
    for folder in ["queued", "done", "failed", "logs"] {
        fs::set_permissions(bench.path("state").join(folder), fs::Permissions::from_mode(0o777)).unwrap();
    }
    true
}

fn read_only(bench: &mut Bench) -> bool {
    on_a_disk(bench, "size=8m") && bench.read_only("state")
}

/// From the second look on: the first is made when the checks begin.
fn jumping_clock(bench: &mut Bench) -> bool {
    lies(bench, &[("LIAR_CLOCK_S", "50"), ("LIAR_CLOCK_FROM", "1")])
}
