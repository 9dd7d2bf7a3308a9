//! dovi-producer: scans the library and queues Profile 7 films.

use std::process::ExitCode;

fn main() -> ExitCode {
    producer::run(std::env::args_os()).into()
}
