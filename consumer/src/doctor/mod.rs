//! The checks of `dovi-consumer doctor`: one file each, here or in `common::doctor::checks`, in the table below.

mod dovi_tool;
mod encoder;
mod encoders;
mod ffmpeg;
mod known;
mod machine;
mod mkvmerge;
mod output;
mod scratch;
mod scratch_speed;
mod self_test;
mod trash;

use common::doctor::{Check, checks};

pub use machine::Machine;

/// Every check, fast ones first, and each after those that it needs.
pub const CHECKS: &[Check<Machine>] = &[
    checks::settings(),
    mkvmerge::CHECK,
    ffmpeg::CHECK,
    dovi_tool::CHECK,
    scratch::CHECK,
    checks::library(),
    output::CHECK,
    trash::CHECK,
    checks::share(),
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
    checks::clock(),
    scratch_speed::CHECK,
    encoder::CHECK,
    encoders::CHECK,
    self_test::CHECK,
];
