//! The checks of `dovi-producer doctor`: one file each, here or in `common::doctor::checks`, in the table below.

mod output;
mod share;
mod workers;

use common::doctor::{Check, Fleet, checks};

/// Every check, each after those that it needs.
pub const CHECKS: &[Check<Fleet>] = &[
    checks::settings(),
    checks::library(),
    output::CHECK,
    share::CHECK,
    checks::share_mount(),
    checks::share_rights(),
    checks::share_files(),
    checks::share_dates(),
    checks::secret(),
    checks::broker(),
    checks::queues(),
    checks::rights(),
    checks::arguments(),
    checks::ack_timeout(),
    workers::CHECK,
    checks::clock(),
];
