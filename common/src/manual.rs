//! What is made of a program's command line beside `--help`: shell completions and man pages.

use std::io::{self, Write};
use std::path::Path;

pub use clap_complete::Shell;

use crate::exit::{Exit, Failure};
use crate::text::safe_path;

/// Prints the completion script for a shell, which reads it at its start.
///
/// # Errors
/// Standard output is closed or fails.
pub fn print_completions(mut command: clap::Command, shell: Shell) -> Result<Exit, Failure> {
    let name = command.get_name().to_owned();
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command, name, &mut script);
    match io::stdout().write_all(&script) {
        Ok(()) => Ok(Exit::Ok),
        Err(e) if e.kind() == io::ErrorKind::BrokenPipe => Err(Failure::closed_pipe()),
        Err(e) => Err(Failure::environment("standard output cannot be written").because(&e)),
    }
}

/// Writes one man page for the program and one for each of its commands: `<program>.1`, `<program>-<command>.1`. The folder is
/// made if it is missing.
///
/// # Errors
/// A file cannot be written.
pub fn write_pages(command: clap::Command, dir: &Path) -> Result<Exit, Failure> {
    let written = std::fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map(|()| Exit::Ok).map_err(|e| {
        Failure::environment(format!("the man pages cannot be written into {}: {e}", safe_path(dir)))
            .hint("name a folder that you may write to")
    })
}
