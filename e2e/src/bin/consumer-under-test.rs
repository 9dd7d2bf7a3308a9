//! dovi-consumer once more: cargo tells an integration test where the programs of its own package lie, and no others.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Only the fault loop sets the variable that this looks at.
    e2e::soak::install();
    consumer::run(std::env::args_os()).into()
}
