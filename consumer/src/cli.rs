//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};
use common::config::Decode;
use common::manual::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0   all that was asked for was done
  1   some film was not converted, or a check did not hold; each has its line
  2   the command line or the configuration is wrong; nothing was done
  3   a program, the share, a disk or the broker is not there
  4   stopped from outside (Ctrl-C); nothing half done was left
  70  a bug; please report it

Examples:
  dovi-consumer doctor                      can this machine do the work?
  dovi-consumer run                         take films from the queue
  dovi-consumer convert film.mkv            one film, here and now, no queue
  dovi-consumer verify film.mkv result.mkv  is the result what it should be?
  dovi-consumer notify test                 is everybody told?";

/// Turns Dolby Vision Profile 7 films into proven Profile 8.1 films.
#[derive(Debug, Parser)]
#[command(name = "dovi-consumer", version, after_help = EXIT_CODES, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// What every command takes.
#[derive(Debug, Clone, Args)]
pub struct Global {
    /// Read this file after /etc/dovi-fleet/config.toml and ./dovi-fleet.toml
    #[arg(long, global = true, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// Set one setting, for example --set recipe.crf=20 (may be repeated)
    #[arg(long = "set", global = true, value_name = "KEY=VALUE", value_parser = key_value)]
    pub set: Vec<(String, String)>,
    /// Print the causes below an error, and more log lines
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    pub verbose: bool,
}

fn key_value(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((key, value)) if key.contains('.') => Ok((key.to_owned(), value.to_owned())),
        _ => Err("write it as section.key=value".into()),
    }
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take films from the queue, one at a time, until stopped
    #[command(after_help = "\
Waits for the broker and the share for ever. A film is acknowledged only after
its result is published and its certificate written. Losing the broker does not
stop a running film.

The first SIGTERM or Ctrl-C takes no more films and finishes the one in hand;
the second stops it too, and the film goes back to the queue without counting as
a try. With --drain now the first one does that already. Exit code 0 says that
every film in hand was finished, 4 that one was stopped and given back.

A worker that finds itself ill (a program broken or missing, a disk full, the
share gone) takes no films, says why in its log and in `dovi-producer status`,
and goes on by itself when the cause is gone.

Several may run on one machine; each takes its own film.

Examples:
  dovi-consumer run
  dovi-consumer run --slots 2               two films at a time
  dovi-consumer run --once                  one film, to try it
  dovi-consumer run --idle-exit 600         end when nothing came for 10 minutes")]
    Run(RunArgs),
    /// Convert films here and now, without broker and share
    #[command(after_help = "\
Runs the same steps as a worker: read everything, encode or copy, put together,
verify, publish. The original is never written to, and a file that exists is
never overwritten. Beside each result lies its certificate
(<result>.certificate.json).

Needs no configuration; settings of a configuration that is there apply, and the
options here go before them.

Examples:
  dovi-consumer convert film.mkv            writes 'film [DV8].mkv' beside it
  dovi-consumer convert --mode copy film.mkv -o out/
  dovi-consumer convert --crf 20 --preset slower *.mkv -o /mnt/results")]
    Convert(ConvertArgs),
    /// Prove that RESULT is SOURCE in Profile 8.1; works for results of any program
    #[command(after_help = "\
Reads both files whole. Every check is printed with what was found; exit code 1
if one does not hold.

Examples:
  dovi-consumer verify film.mkv 'film [DV8].mkv'
  dovi-consumer verify --decode full film.mkv result.mkv
  dovi-consumer verify --json film.mkv result.mkv | jq '.checks[] | .name, .ok'")]
    Verify(VerifyArgs),
    /// Check programs, encoder, disks, share and broker, with a hint for whatever is wrong
    #[command(after_help = "\
Changes nothing that stays. Exit code 0 if a worker could start, also with
warnings; 3 if a check has failed.

Each check says ok, skipped (and why), warning or failed, what was measured, and
what to do. One that needs another is skipped where that one has failed.

Examples:
  dovi-consumer doctor
  dovi-consumer doctor --fast                 a health check for scripts
  dovi-consumer doctor --only share,broker    only these
  dovi-consumer doctor --json | jq 'select(.level == \"failed\")'
  dovi-consumer doctor --management http://dovi-monitor@nas:15672
      (with --management-password-file FILE, or DOVI_MANAGEMENT_PASSWORD)")]
    Doctor(DoctorArgs),
    /// Say how the worker of this name on this machine is, for health checks
    #[command(after_help = "\
Reads the worker's own file on the share. Exit code 0 if it works, waits for
films, is paused or about to end; 1 if it does not run, is silent or ill (the
sentence says why); 3 if the share is not there.

Examples:
  dovi-consumer health
  dovi-consumer health --set worker.name=vm2")]
    Health,
    /// Look at the configuration
    #[command(
        subcommand,
        after_help = "\
Examples:
  dovi-consumer config show                 what is in force, and from where"
    )]
    Config(ConfigCommand),
    /// Who is told of films that are done or failed: try it, and see what could not be told
    #[command(
        subcommand,
        after_help = "\
Examples:
  dovi-consumer notify test           does everybody hear it?
  dovi-consumer notify list           what could not be told, and why"
    )]
    Notify(NotifyCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  dovi-consumer completions bash >/etc/bash_completion.d/dovi-consumer
  dovi-consumer completions zsh >~/.zfunc/_dovi-consumer
  dovi-consumer completions fish >~/.config/fish/completions/dovi-consumer.fish")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write a man page for every command
    #[command(
        hide = true,
        after_help = "\
Examples:
  dovi-consumer man /usr/local/share/man/man1"
    )]
    Man {
        /// Folder for the pages; made if it is not there
        dir: PathBuf,
    },
}

/// What the first signal does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Drain {
    /// Finish the film in hand.
    Finish,
    /// Stop it and give it back.
    Now,
}

/// `run`
#[derive(Debug, Args)]
pub struct RunArgs {
    /// What the first signal does with the film in hand
    #[arg(long, value_enum, default_value = "finish", value_name = "HOW")]
    pub drain: Drain,
    /// Films to work on at the same time
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64), value_name = "N")]
    pub slots: u16,
    /// End after one film
    #[arg(long)]
    pub once: bool,
    /// End when no film came for so long
    #[arg(long, value_name = "SECONDS")]
    pub idle_exit: Option<f64>,
}

/// Encode or keep the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModeArg {
    /// Decode and encode again: smaller.
    Encode,
    /// Keep every bit of the base layer: lossless and fast.
    Copy,
}

/// Convert such films or leave them alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Policy {
    /// Convert.
    Allow,
    /// Leave alone.
    Refuse,
}

/// How much of a result is decoded for its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DecodeArg {
    /// Nothing: the proof is from the bytes.
    Off,
    /// Some pictures, compared with the source's.
    Sample,
    /// Also every frame once (slow).
    Full,
}

impl From<DecodeArg> for Decode {
    fn from(arg: DecodeArg) -> Self {
        match arg {
            DecodeArg::Off => Self::Off,
            DecodeArg::Sample => Self::Sample,
            DecodeArg::Full => Self::Full,
        }
    }
}

/// `convert`
#[derive(Debug, Args)]
pub struct ConvertArgs {
    /// The films
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    /// A folder, or for a single film the name of the result; otherwise beside the film with output.suffix
    #[arg(short, long, value_name = "OUT")]
    pub output: Option<PathBuf>,
    /// Encode the picture again, or keep it
    #[arg(long, value_enum)]
    pub mode: Option<ModeArg>,
    /// x265 preset, ultrafast to placebo
    #[arg(long)]
    pub preset: Option<String>,
    /// Constant rate factor, 0 to 51; lower is better and larger
    #[arg(long)]
    pub crf: Option<f32>,
    /// One further x265 option (may be repeated)
    #[arg(long = "x265", value_name = "KEY=VALUE")]
    pub x265: Vec<String>,
    /// Films with a full enhancement layer
    #[arg(long, value_enum)]
    pub fel: Option<Policy>,
    /// Films whose enhancement layer expands brightness
    #[arg(long, value_enum)]
    pub fel_expanding: Option<Policy>,
    /// How much of the result is decoded for its proof [default: verify.decode]
    #[arg(long, value_enum, value_name = "HOW")]
    pub decode: Option<DecodeArg>,
    /// Folder for the video stream on the way
    #[arg(long, value_name = "DIR")]
    pub scratch: Option<PathBuf>,
    /// Print one JSON object per film, its certificate or its failure
    #[arg(long)]
    pub json: bool,
}

/// `verify`
#[derive(Debug, Args)]
pub struct VerifyArgs {
    /// The Profile 7 film
    pub source: PathBuf,
    /// What was made of it
    pub result: PathBuf,
    /// How much of the result is decoded [default: verify.decode]
    #[arg(long, value_enum, value_name = "HOW")]
    pub decode: Option<DecodeArg>,
    /// Print the certificate as JSON
    #[arg(long)]
    pub json: bool,
}

/// `doctor`
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// One JSON object per line (docs/MESSAGES.md)
    #[arg(long)]
    pub json: bool,
    /// Only these checks
    #[arg(long, value_name = "CHECK,…", value_delimiter = ',')]
    pub only: Vec<String>,
    /// Leave out the checks that take a second or more
    #[arg(long)]
    pub fast: bool,
    /// Name the checks and what each looks at
    #[arg(long)]
    pub list: bool,
    /// Read the broker's own tables too, for example http://dovi-monitor@192.168.1.10:15672
    #[arg(long, value_name = "URL")]
    pub management: Option<String>,
    /// File whose first line is that user's password; else DOVI_MANAGEMENT_PASSWORD
    #[arg(long, value_name = "FILE", requires = "management")]
    pub management_password_file: Option<PathBuf>,
}

/// `notify …`
#[derive(Debug, Subcommand)]
pub enum NotifyCommand {
    /// Tell everybody below [notify.targets], or only those named, that this is a test
    #[command(after_help = "\
People get a message. Media servers are asked whether they are there and take
the token; nothing is scanned. Exit code 0 if all took it, 1 if not.

Examples:
  dovi-consumer notify test           everybody
  dovi-consumer notify test phone     one of them")]
    Test {
        /// Names below [notify.targets]; none: all
        #[arg(value_name = "NAME")]
        names: Vec<String>,
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// What still waits to be told, and what was given up, with the reason
    #[command(after_help = "\
Reads outbox/ below share.state_dir: what waits there of all workers, and what
was given up in the last 30 days.

Examples:
  dovi-consumer notify list
  dovi-consumer notify list --json | jq 'select(.state == \"given up\")'")]
    List {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting in force and where it came from; secrets are hidden
    #[command(after_help = "\
Examples:
  dovi-consumer config show
  dovi-consumer config show --set recipe.crf=20 | grep recipe")]
    Show {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::exit::Exit;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_exit_code_is_in_the_help() {
        for exit in [Exit::Ok, Exit::Some, Exit::Usage, Exit::Environment, Exit::Interrupted, Exit::Bug] {
            let line = format!("\n  {:<3} ", exit as u8);
            assert!(EXIT_CODES.contains(&line), "{exit:?}");
        }
    }
}
