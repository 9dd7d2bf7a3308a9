//! dovi-producer once more: cargo tells an integration test where the programs of its own package lie, and no others.

use std::process::ExitCode;

fn main() -> ExitCode {
    producer::run(std::env::args_os()).into()
}
