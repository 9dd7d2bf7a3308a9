//! dovi-consumer: turns queued Profile 7 films into proven Profile 8.1 films.

use std::process::ExitCode;

fn main() -> ExitCode {
    consumer::run(std::env::args_os()).into()
}
