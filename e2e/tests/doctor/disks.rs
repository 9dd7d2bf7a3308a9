//! Library, results, scratch.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::share::{ResultsFolder, ShareState};

use super::bench::{BOTH, Bench, Case, PRODUCER, WORKER};
use super::liar::lies;

pub const CASES: &[Case] = &[
    Case { programs: BOTH, check: "library", level: "ok", says: "films = ", arrange: |_| true },
    Case { programs: BOTH, check: "library", level: "warning", says: "no film among", arrange: no_films },
    Case { programs: BOTH, check: "library", level: "failed", says: "findmnt", arrange: no_library },
    Case {
        programs: BOTH,
        check: "library",
        level: "failed",
        says: "is an empty folder",
        arrange: empty_library,
    },
    Case { programs: BOTH, check: "library", level: "failed", says: "cannot be read", arrange: secret_film },
    Case {
        programs: WORKER,
        check: "scratch",
        level: "ok",
        says: "free",
        arrange: |b| b.mount("scratch", "size=100g"),
    },
    Case {
        programs: WORKER,
        check: "scratch",
        level: "warning",
        says: "60 GB",
        arrange: |b| b.mount("scratch", "size=2g"),
    },
    Case {
        programs: WORKER,
        check: "scratch",
        level: "failed",
        says: "df -h",
        arrange: |b| b.mount("scratch", "size=1m"),
    },
    Case {
        programs: WORKER,
        check: "scratch",
        level: "failed",
        says: "read-only",
        arrange: read_only_scratch,
    },
    Case { programs: WORKER, check: "scratch", level: "failed", says: "ls -ld", arrange: closed_scratch },
    Case {
        programs: WORKER,
        check: "scratch-speed",
        level: "ok",
        says: "MB/s",
        arrange: |b| b.mount("scratch", "size=2g"),
    },
    Case { programs: WORKER, check: "scratch-speed", level: "failed", says: "an SSD", arrange: slow_scratch },
    Case {
        programs: WORKER,
        check: "scratch-speed",
        level: "skipped",
        says: "too little room",
        arrange: |b| b.mount("scratch", "size=8m"),
    },
    Case {
        programs: WORKER,
        check: "output",
        level: "ok",
        says: "free",
        arrange: |b| b.mount("out", "size=100g"),
    },
    Case { programs: WORKER, check: "output", level: "failed", says: "mkdir -p", arrange: no_output },
    Case { programs: WORKER, check: "output", level: "failed", says: "touch", arrange: other_output },
    Case {
        programs: WORKER,
        check: "output",
        level: "failed",
        says: "df -h",
        arrange: |b| b.mount("out", "size=1m"),
    },
    Case {
        programs: WORKER,
        check: "output",
        level: "failed",
        says: "library.roots.films",
        arrange: beside_small_films,
    },
    Case { programs: PRODUCER, check: "output", level: "ok", says: "out", arrange: |_| true },
    Case {
        programs: PRODUCER,
        check: "output",
        level: "warning",
        says: "nor is its parent",
        arrange: far_output,
    },
    Case {
        programs: PRODUCER,
        check: "output",
        level: "failed",
        says: "lies inside output.dir",
        arrange: library_in_output,
    },
    Case { programs: WORKER, check: "trash", level: "skipped", says: "not needed", arrange: |_| true },
    Case { programs: WORKER, check: "trash", level: "ok", says: "one step", arrange: replace },
    Case { programs: WORKER, check: "trash", level: "failed", says: "file system", arrange: far_trash },
];

fn no_films(bench: &mut Bench) -> bool {
    fs::rename(bench.path("lib/film.mkv"), bench.path("lib/film.txt")).unwrap();
    true
}

fn no_library(bench: &mut Bench) -> bool {
    bench.set("library.roots.films", "/mnt/nsa/films");
    true
}

fn empty_library(bench: &mut Bench) -> bool {
    fs::remove_file(bench.path("lib/film.mkv")).unwrap();
    true
}

fn secret_film(bench: &mut Bench) -> bool {
    fs::set_permissions(bench.path("lib/film.mkv"), fs::Permissions::from_mode(0o000)).unwrap();
    bench.as_nobody();
    true
}

fn read_only_scratch(bench: &mut Bench) -> bool {
    bench.mount("scratch", "size=2g") && bench.read_only("scratch")
}

fn closed_scratch(bench: &mut Bench) -> bool {
    fs::set_permissions(bench.path("scratch"), fs::Permissions::from_mode(0o555)).unwrap();
    bench.as_nobody();
    true
}

/// Ten writes of a mebibyte in a second.
fn slow_scratch(bench: &mut Bench) -> bool {
    bench.mount("scratch", "size=2g") && lies(bench, &[("LIAR_SLOW_US", "100000")])
}

fn no_output(bench: &mut Bench) -> bool {
    fs::remove_dir(bench.path("out")).unwrap();
    true
}

/// A worker has marked the folder; then it is not mounted any more.
fn other_output(bench: &mut Bench) -> bool {
    let results = ResultsFolder::new(bench.path("out"));
    results.open(&ShareState::new(bench.path("state"))).unwrap();
    fs::remove_file(results.marker()).unwrap();
    true
}

fn beside_small_films(bench: &mut Bench) -> bool {
    let mounted = bench.mount("lib", "size=1m");
    fs::write(bench.path("lib/film.mkv"), "film").unwrap();
    bench.set("output.mode", "beside");
    mounted
}

fn far_output(bench: &mut Bench) -> bool {
    bench.set("output.dir", "/nonexistent/nas/converted");
    true
}

fn library_in_output(bench: &mut Bench) -> bool {
    let dir = bench.dir.path().display().to_string();
    bench.set("output.dir", &dir);
    true
}

fn replace(bench: &mut Bench) -> bool {
    bench.set("output.mode", "replace");
    true
}

fn far_trash(bench: &mut Bench) -> bool {
    bench.set_path("output.trash_dir", "trash");
    replace(bench) && bench.mount("trash", "size=1m")
}
