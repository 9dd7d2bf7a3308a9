//! ffmpeg and mkvmerge for the fault loop: the real ones, except where a fault is due. See `e2e::soak`.

use std::process::ExitCode;

fn main() -> ExitCode {
    e2e::soak::tool_main()
}
