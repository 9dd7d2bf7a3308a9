//! Settings and programs.

use super::bench::{BOTH, Bench, Case, WORKER};

pub const CASES: &[Case] = &[
    Case { programs: BOTH, check: "settings", level: "ok", says: "x265 ultrafast", arrange: |_| true },
    Case {
        programs: BOTH,
        check: "settings",
        level: "failed",
        says: "share.state_dir",
        arrange: without_a_share,
    },
    Case { programs: WORKER, check: "mkvmerge", level: "ok", says: "mkvmerge", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "mkvmerge",
        level: "warning",
        says: "65.0.0",
        arrange: |b| mkvmerge(b, "65.0.0"),
    },
    Case {
        programs: WORKER,
        check: "mkvmerge",
        level: "failed",
        says: "at least 57",
        arrange: |b| mkvmerge(b, "56.1.0"),
    },
    Case {
        programs: WORKER,
        check: "mkvmerge",
        level: "failed",
        says: "apt-get install",
        arrange: |b| absent(b, "tools.mkvmerge"),
    },
    Case { programs: WORKER, check: "ffmpeg", level: "ok", says: "ffmpeg", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "ffmpeg",
        level: "warning",
        says: "4.2.2, 5.1 and 7.0.2",
        arrange: old_ffmpeg,
    },
    Case {
        programs: WORKER,
        check: "ffmpeg",
        level: "failed",
        says: "apt-get install",
        arrange: |b| absent(b, "tools.ffmpeg"),
    },
    Case {
        programs: WORKER,
        check: "ffmpeg",
        level: "failed",
        says: "is no ffmpeg",
        arrange: |b| b.script("tools.ffmpeg", "true"),
    },
    Case { programs: WORKER, check: "dovi_tool", level: "skipped", says: "internal", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "dovi_tool",
        level: "ok",
        says: "2.3.1",
        arrange: |b| dovi_tool(b, "2.3.1"),
    },
    Case {
        programs: WORKER,
        check: "dovi_tool",
        level: "failed",
        says: "at least 2.0",
        arrange: |b| dovi_tool(b, "1.5.4"),
    },
    Case { programs: WORKER, check: "encoder", level: "ok", says: "libx265", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "encoder",
        level: "failed",
        says: "/nonexistent/renderD128",
        arrange: without_a_chip,
    },
    Case { programs: WORKER, check: "encoders", level: "ok", says: "work here: x265", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "encoders",
        level: "warning",
        says: "work here: none",
        arrange: without_encoders,
    },
    Case { programs: WORKER, check: "self-test", level: "ok", says: "every frame proven", arrange: |_| true },
    Case {
        programs: WORKER,
        check: "self-test",
        level: "failed",
        says: "mkvmerge",
        arrange: broken_mkvmerge,
    },
];

fn without_a_share(bench: &mut Bench) -> bool {
    bench.unset("share.state_dir");
    true
}

fn absent(bench: &mut Bench, key: &str) -> bool {
    bench.set(key, "/nonexistent/program");
    true
}

fn mkvmerge(bench: &mut Bench, version: &str) -> bool {
    bench.script("tools.mkvmerge", &format!("echo \"mkvmerge v{version} ('Any Song') 64-bit\""))
}

fn dovi_tool(bench: &mut Bench, version: &str) -> bool {
    bench.set("dovi.backend", "dovi_tool");
    bench.script("tools.dovi_tool", &format!("echo dovi_tool {version}"))
}

fn old_ffmpeg(bench: &mut Bench) -> bool {
    let ffmpeg = e2e::tool::ffmpeg_under_test();
    bench.script(
        "tools.ffmpeg",
        &format!("exec {ffmpeg} \"$@\" | sed 's/^ffmpeg version [^ ]*/ffmpeg version 3.4.8/'"),
    )
}

fn without_a_chip(bench: &mut Bench) -> bool {
    bench.set("recipe.encoder", "vaapi");
    bench.set("tools.vaapi_device", "/nonexistent/renderD128");
    true
}

/// As some minimal builds are.
fn without_encoders(bench: &mut Bench) -> bool {
    let ffmpeg = e2e::tool::ffmpeg_under_test();
    let strip = format!(
        "case \"$*\" in *-encoders*) {ffmpeg} \"$@\" | grep -v -e 265 -e hevc ;; *) exec {ffmpeg} \"$@\" ;; esac"
    );
    bench.script("tools.ffmpeg", &strip)
}

/// It knows its version, and cannot write.
fn broken_mkvmerge(bench: &mut Bench) -> bool {
    bench.script(
        "tools.mkvmerge",
        "case \"$1\" in --version) exec mkvmerge --version ;; esac\necho 'Error: broken' >&2\nexit 2",
    )
}
