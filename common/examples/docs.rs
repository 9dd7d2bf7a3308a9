//! Prints the generated pages of docs/: `cargo run -p common --example docs -- failures > docs/FAILURES.md`
//! (or `configuration > docs/CONFIGURATION.md`). A test keeps the pages and this program equal.

use std::fmt::Write;

use common::config::DEFAULTS;
use common::job::FailureCode;

fn main() -> std::process::ExitCode {
    let page = std::env::args().nth(1).unwrap_or_default();
    match page.as_str() {
        "failures" => print!("{}", failures()),
        "configuration" => print!("{}", configuration()),
        _ => {
            eprintln!("usage: cargo run -p common --example docs -- failures|configuration");
            return std::process::ExitCode::from(2);
        }
    }
    std::process::ExitCode::SUCCESS
}

const FAILURES_HEAD: &str = "\
# Failure codes

Generated from `common/src/job/failure.rs` by `cargo run -p common --example docs -- failures`; do not edit.

The codes are stable: scripts may match them. They stand in dead letters (`dovi-producer failed list`), in
`failed/<job>.json` below `share.state_dir`, and in the workers' logs. In every case the original stays untouched and
nothing unproven is left under a final name.

| class | what the machine does |
|---|---|
| permanent | the same input gives the same answer: the film goes to `dovi.failed` at once, with its report |
| transient | tried again after `broker.retry_delays_s`, at most `retry.max_attempts` times in all (failed proofs and wrong frame counts: not twice in a row), then `dovi.failed` |
| resource | the film goes back to the queue, no attempt counted; this worker waits `worker.pause_s` and says why |
| interrupted | the film goes back to the queue, no attempt counted |
| bug | the film goes to `dovi.failed` at once; it should be impossible, so please report it |

| code | class | meaning | what to do |
|---|---|---|---|
";

/// docs/FAILURES.md
pub fn failures() -> String {
    let mut page = FAILURES_HEAD.to_owned();
    for code in FailureCode::ALL {
        let hint = code.hint().replace('|', "\\|");
        let _ = writeln!(page, "| `{code}` | {} | {} | {hint} |", code.class(), code.meaning());
    }
    page
}

const CONFIGURATION_HEAD: &str = "\
# Configuration

Generated from `common/src/config/defaults.toml` by `cargo run -p common --example docs -- configuration`; do not edit.

Both programs read the same settings. Later wins: the defaults below, `/etc/dovi-fleet/config.toml`,
`./dovi-fleet.toml`, the file given with `--config`, the environment, flags. `dovi-producer config show` and
`dovi-consumer config show` print every value in force and where it came from, with secrets hidden.

In the environment a setting is `DOVI_FLEET__SECTION__KEY`, for example `DOVI_FLEET__BROKER__URL` or
`DOVI_FLEET__LIBRARY__ROOTS__FILMS`. Lists can be set in files only. Values that look like numbers are read as numbers,
so a password belongs into `broker.password_file`. Settings that end in `_s` are seconds.

An unknown key or a value that makes no sense stops the program with a sentence that names it.
";

/// docs/CONFIGURATION.md
pub fn configuration() -> String {
    let mut page = CONFIGURATION_HEAD.to_owned();
    let mut section = "";
    let mut notes: Vec<&str> = Vec::new();
    let mut table_open = false;
    for line in DEFAULTS.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            section = name;
            notes.clear();
            table_open = false;
            let _ = writeln!(page, "\n## `[{section}]`\n");
        } else if section.is_empty() || line.is_empty() {
            // The head of the defaults file says what the head of this page says.
        } else if let Some(note) = line.strip_prefix('#') {
            let note = note.trim_start();
            match note.split_once(" = ") {
                // A key that has no default: the section's own example.
                Some((key, _)) if key.chars().all(|c| c.is_ascii_lowercase()) => {
                    let _ = writeln!(page, "{}\n\n```toml\n[{section}]\n{note}\n```", notes.join(" "));
                    notes.clear();
                }
                _ => notes.push(note),
            }
        } else if let Some((key, value)) = line.split_once(" = ") {
            if !table_open {
                page.push_str("| setting | default | meaning |\n|---|---|---|\n");
                table_open = true;
            }
            let meaning = notes.join(" ").replace('|', "\\|");
            let _ = writeln!(page, "| `{section}.{key}` | `{value}` | {meaning} |");
            notes.clear();
        }
    }
    page
}
