//! Starts ffmpeg, ffprobe and the mkvtoolnix programs: argument arrays only, never a shell string.

use std::ffi::{OsStr, OsString};
use std::io::ErrorKind;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The Debian package a program comes from, for messages about missing tools.
fn package_of(program: &str) -> &'static str {
    match program {
        "ffmpeg" | "ffprobe" => "ffmpeg",
        "mkvmerge" | "mkvextract" | "mkvinfo" => "mkvtoolnix",
        "mediainfo" => "mediainfo",
        "epmd" | "erl" => "erlang-base",
        _ => "rabbitmq-server",
    }
}

/// A command without standard input, with messages in English and names taken as UTF-8.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null()).env("LC_ALL", "C.UTF-8");
    command
}

/// ffmpeg that asks nothing, overwrites, and prints errors only.
pub fn ffmpeg() -> Command {
    let mut command = command("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-v", "error", "-y"]);
    command
}

/// The ffmpeg that the programs under test use: `DOVI_TEST_FFMPEG`, otherwise the one on the path. Films are made, and
/// results judged, with the latter in any case.
pub fn ffmpeg_under_test() -> String {
    std::env::var("DOVI_TEST_FFMPEG").unwrap_or_else(|_| "ffmpeg".into())
}

/// ffprobe that prints errors only.
pub fn ffprobe() -> Command {
    let mut command = command("ffprobe");
    command.args(["-hide_banner", "-v", "error"]);
    command
}

/// `file:` in front of a path: without it ffmpeg takes `a:b` as a protocol and `-x` as an option (measured).
pub fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

/// The absolute form of a path: mkvmerge takes a leading `@` as an option file and `+` as an append (measured).
///
/// # Errors
/// The current folder is gone.
pub fn absolute(path: &Path) -> Result<std::path::PathBuf> {
    std::path::absolute(path).with_context(|| format!("absolute form of {}", path.display()))
}

/// Runs to the end, returns standard output; only exit code 0 is good.
///
/// # Errors
/// The program is missing (naming its package) or failed (with the last lines it printed).
pub fn run(command: &mut Command) -> Result<Vec<u8>> {
    run_accepting(command, &[0])
}

/// [`run`] with a choice of good exit codes: mkvmerge ends with 1 after mere warnings.
///
/// # Errors
/// As [`run`].
pub fn run_accepting(command: &mut Command, good: &[i32]) -> Result<Vec<u8>> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = match command.output() {
        Ok(output) => output,
        Err(e) if e.kind() == ErrorKind::NotFound => {
            bail!("{name} is not installed: apt-get install {}", package_of(&name))
        }
        Err(e) => return Err(e).with_context(|| format!("start {name}")),
    };
    if output.status.code().is_none_or(|code| !good.contains(&code)) {
        // mkvmerge complains on standard output, everybody else on standard error.
        let said = [&output.stderr[..], &output.stdout[..]].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        let tail: Vec<&str> = said.lines().rev().take(8).collect();
        let tail: Vec<&str> = tail.into_iter().rev().collect();
        bail!("{name} ended with {}: {}\n  {command:?}", output.status, tail.join("\n  "));
    }
    Ok(output.stdout)
}

/// Runs and parses standard output as JSON.
///
/// # Errors
/// As [`run`], or the output is no JSON.
pub fn run_json(command: &mut Command) -> Result<serde_json::Value> {
    let name = command.get_program().to_owned();
    let output = run_accepting(command, &[0, 1])?;
    serde_json::from_slice(&output).with_context(|| format!("JSON printed by {}", name.display()))
}

/// Checks that all `programs` can be started, so that a long run does not fail half-way for want of one.
///
/// # Errors
/// Names the first program that is missing and its package.
pub fn require(programs: &[&str]) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    for program in programs {
        let found = std::env::split_paths(&path).any(|dir| dir.join(OsStr::new(program)).is_file());
        if !found {
            bail!("{program} is not installed: apt-get install {}", package_of(program));
        }
    }
    Ok(())
}
