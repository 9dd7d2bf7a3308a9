//! The command line.

use std::path::PathBuf;

use clap::{ArgAction, Args, Parser, Subcommand};
use common::manual::Shell;

const EXIT_CODES: &str = "\
Exit codes:
  0   all that was asked for was done
  1   some films or actions failed; each has its line
  2   the command line or the configuration is wrong; nothing was done
  3   the broker, the share or a library folder is not there
  4   stopped from outside (Ctrl-C); what was done is done
  70  a bug; please report it

Examples:
  dovi-producer doctor                      is everything there?
  dovi-producer scan --dry-run              what would be queued, and why
  dovi-producer scan --limit 1              one film as a test
  dovi-producer scan                        queue all that is new
  dovi-producer watch                       go on like that, by itself
  dovi-producer status --watch              how far is it
  dovi-producer failed list                 what could not be done, and why
  dovi-producer pause --now                 all workers stand still";

/// Finds Dolby Vision Profile 7 films and queues them for conversion to Profile 8.1.
#[derive(Debug, Parser)]
#[command(name = "dovi-producer", version, after_help = EXIT_CODES, max_term_width = 100, arg_required_else_help = true)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What every command takes.
    #[command(flatten)]
    pub global: Global,
}

/// What every command takes.
#[derive(Debug, Args)]
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
    /// Walk the library, print what every film is, and queue what is new
    #[command(after_help = "\
A film is queued if it is Profile 7, the recipe wants it, and the fleet has
not seen it yet: not queued, in work, done or failed. Running it again queues
only what is new. Hidden files, *.partial, results of ours, links out of the
library and files younger than library.stable_s (still being copied) are left
alone. The first run makes the state folder on the share and the queues.

PATH is a file or folder below a library root, or a library path such as
films:Some Film/film.mkv.

--json prints one JSON object per line (docs/MESSAGES.md); the last one holds
the totals.

Examples:
  dovi-producer scan --dry-run
  dovi-producer scan '/mnt/nas/films/Some Film (2019)'
  dovi-producer scan --limit 5 --json")]
    Scan(ScanArgs),
    /// Scan whenever something changed in the library, until told to stop
    #[command(after_help = "\
The same rules as `scan`, by itself. On local disks the kernel tells of changes
(inotify); after watch.quiet_s without any, the library is scanned. Network
mounts tell nothing of what other machines change, so everything is scanned
every watch.interval_s as well. A film that is still being copied is looked at
again when it may be complete.

If the broker, the share or a library folder is not there, it says so once,
waits, and goes on when it is back. The log has one line for each scan with
something new. Ctrl-C or SIGTERM ends it, with exit code 0.

--health asks the `watch` that runs on this machine by watch.health_file: exit
code 0 if it watches or scans, 1 with the reason if it waits, hangs or does not
run.

Examples:
  dovi-producer watch
  dovi-producer watch --set watch.interval_s=300
  dovi-producer watch --health")]
    Watch(WatchArgs),
    /// Queue films again, also those that failed (with --force also those that are done)
    #[command(after_help = "\
Without --force: films that failed are queued again, and their reports and
dead letters removed. Films that are queued or in work stay as they are.

With --force: also films that are done, or queued or done with another recipe.
Their certificates are removed from the share. The old results are not: a
worker never overwrites a file, so move the old result away first, or the job
ends as output.exists.

Examples:
  dovi-producer rescan 'films:Some Film (2019)/film.mkv'
  dovi-producer rescan --force /mnt/nas/films/Series")]
    Rescan(RescanArgs),
    /// Bring the share's books and the broker's queue together again, after either lost something
    #[command(after_help = "\
The broker lost its data (a new volume, a purged queue): films that nobody works
on are published again. Publishing a film twice is safe, since workers look at
the share first. If the broker holds at least as many waiting films as the
share, nothing is published; --force does it all the same. Films that workers
hold without a lease yet are not counted, so that some may be published twice.

The share lost entries: films whose messages the broker has are worked on as
ever, and the next scan writes them down again. Films that count as in work,
but whose worker is silent and which are queued nowhere, are freed, so that the
next scan can queue them; that takes a few beats of watching.

Entries of films that are done or given up are removed.

Examples:
  dovi-producer reconcile --dry-run         what is amiss?
  dovi-producer reconcile                   after the broker lost its volume")]
    Reconcile(ReconcileArgs),
    /// Show what is queued, in work, done and failed
    #[command(after_help = "\
Reads the share, so it works without the broker, and says so. \"ready in 14 to
19 h\" is the middle 80 % of what may be, learned from finished films of the
same recipe, picture size and worker (docs/OPERATIONS.md).

--watch is a view that stays; ? shows its keys, q ends it. Where standard output
is no terminal it prints the lines again and again. NO_COLOR is heard.

Examples:
  dovi-producer status
  dovi-producer status --watch
  dovi-producer status --json | jq .counts
  dovi-producer status --json | jq -r '.eta | .low_s, .high_s'")]
    Status(StatusArgs),
    /// Look at films that were given up, try them again, or drop them
    #[command(
        subcommand,
        after_help = "\
Examples:
  dovi-producer failed list
  dovi-producer failed show 3fa1            the beginning of an id is enough
  dovi-producer failed retry 3fa1"
    )]
    Failed(FailedCommand),
    /// Let workers take no more films, until `resume`
    #[command(after_help = "\
The film in hand is finished first. With --now it stands still at once: its
programs use no processor time, and keep what they have done, until `resume`
lets them go on. Without names it is for all workers, also for those that come
later. It is written on the share, so that it outlives restarts of workers and
of the broker; a worker whose machine is switched off while it stands still
begins its film anew.

Says who heard it. Exit code 1 if nobody did, or not everybody.

Examples:
  dovi-producer pause
  dovi-producer pause vm2 --now")]
    Pause(PauseArgs),
    /// Let workers take films again
    #[command(after_help = "\
The latest order counts: `pause` and then `resume vm1` lets vm1 alone go on.
Working hours of a worker (worker.hours, worker.quiet) stay in force.

Examples:
  dovi-producer resume
  dovi-producer resume vm2")]
    Resume(ResumeArgs),
    /// Let workers end after the film in hand
    #[command(after_help = "\
The worker's exit code is 0, and its service is not started again by itself.
With --now the film in hand is given back to the queue, uncounted, and the exit
code is 4. So is that of a worker that stands still (`pause --now`).

Examples:
  dovi-producer drain vm2
  dovi-producer drain --all --now")]
    Drain(DrainArgs),
    /// Drop films: stop those in work, and never begin those that are queued
    #[command(after_help = "\
JOB is a job's id, its first digits, a library path such as films:Some
Film/film.mkv, or a path of this machine; a folder is every queued film below
it. A film that is dropped counts as given up, with the code `cancelled`:
`failed list` shows it, `failed retry` queues it again. Nothing half done stays
behind.

Exit code 1 if a film could not be dropped, for example since it is done, or
since its worker does not answer.

Examples:
  dovi-producer cancel 3fa1
  dovi-producer cancel 'films:Some Film (2019)/film.mkv'")]
    Cancel(CancelArgs),
    /// Have films taken before all others
    #[command(after_help = "\
JOB is as for `cancel`. The next worker that is free takes it; films in work are
not stopped for it. Several go in the order in which they were named. Works on
every RabbitMQ from 3.10 on: such a film gets a second message in a queue of its
own (dovi.films.first), and whoever meets its first one later finds the film
done.

Exit code 1 if a film is not waiting, for example since a worker has it already.

Examples:
  dovi-producer priority 3fa1
  dovi-producer priority /mnt/nas/films/Series")]
    Priority(PriorityArgs),
    /// Tell what a file is, with the evidence; needs no configuration, queues nothing
    #[command(after_help = "\
Reads some places of the file, which takes well under a second. --full reads
all of it: then every frame counts, and damage anywhere is found.

Examples:
  dovi-producer inspect film.mkv
  dovi-producer inspect --full --json film.mkv | jq .verdict")]
    Inspect(InspectArgs),
    /// Create the share's state folder, the queues and the broker's users; may be run again at any time
    #[command(after_help = "\
Alone it makes the state folder and declares the queues with the configured
user, who must be allowed to.

With --admin it also makes the virtual host and one user for each program, with
no more rights than it needs (docs/SECURITY.md) and a random password, which is
written to DIR and never printed. A password that is there is used again, so
that a second run changes nothing. URL is that of the management API without a
password in it, for example http://admin@localhost:15672; the password comes
from --admin-password-file or the environment (DOVI_ADMIN_PASSWORD).

With --definitions nothing is talked to: FILE is for a broker's first start
(definitions.local.path in rabbitmq.conf). Such a broker has no guest user.

Examples:
  dovi-producer setup
  dovi-producer setup --admin http://admin@localhost:15672 --secrets ./secrets
  dovi-producer setup --definitions fleet.json --secrets ./secrets")]
    Setup(SetupArgs),
    /// Check broker, share, library and output, with a hint for whatever is wrong
    #[command(after_help = "\
Changes nothing. Exit code 0 if films can be queued, also with warnings; 3 if a
check has failed.

Each check says ok, skipped (and why), warning or failed, what was measured, and
what to do. One that needs another is skipped where that one has failed.

Examples:
  dovi-producer doctor
  dovi-producer doctor --fast                 a health check for scripts
  dovi-producer doctor --only share,broker    only these
  dovi-producer doctor --json | jq 'select(.level == \"failed\")'
  dovi-producer doctor --management http://dovi-monitor@nas:15672
      (with --management-password-file FILE, or DOVI_MANAGEMENT_PASSWORD)")]
    Doctor(DoctorArgs),
    /// Look at the configuration
    #[command(
        subcommand,
        after_help = "\
Examples:
  dovi-producer config show                 what is in force, and from where"
    )]
    Config(ConfigCommand),
    /// Print a completion script for a shell
    #[command(after_help = "\
Examples:
  dovi-producer completions bash >/etc/bash_completion.d/dovi-producer
  dovi-producer completions zsh >~/.zfunc/_dovi-producer
  dovi-producer completions fish >~/.config/fish/completions/dovi-producer.fish")]
    Completions {
        /// Which shell
        shell: Shell,
    },
    /// Write a man page for every command
    #[command(
        hide = true,
        after_help = "\
Examples:
  dovi-producer man /usr/local/share/man/man1"
    )]
    Man {
        /// Folder for the pages; made if it is not there
        dir: PathBuf,
    },
}

/// `scan`
#[derive(Debug, Args)]
pub struct ScanArgs {
    /// Files or folders of the library; none = all of it
    pub paths: Vec<PathBuf>,
    /// Change nothing, only print what would be done; needs no broker
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Queue at most this many films
    #[arg(long, value_name = "N")]
    pub limit: Option<u64>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `watch`
#[derive(Debug, Args)]
pub struct WatchArgs {
    /// Only say how the `watch` that runs on this machine is
    #[arg(long)]
    pub health: bool,
}

/// `rescan`
#[derive(Debug, Args)]
pub struct RescanArgs {
    /// Files or folders of the library
    #[arg(required = true)]
    pub paths: Vec<PathBuf>,
    /// Also films that are done
    #[arg(long)]
    pub force: bool,
    /// Change nothing, only print what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `reconcile`
#[derive(Debug, Args)]
pub struct ReconcileArgs {
    /// Change nothing, only print what would be done
    #[arg(short = 'n', long)]
    pub dry_run: bool,
    /// Publish them whatever the broker's counts say
    #[arg(long)]
    pub force: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `status`
#[derive(Debug, Args)]
pub struct StatusArgs {
    /// Keep it on the screen, up to date, until q
    #[arg(short, long, conflicts_with = "json")]
    pub watch: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `failed …`
#[derive(Debug, Subcommand)]
pub enum FailedCommand {
    /// One line per film that was given up
    #[command(after_help = "\
Examples:
  dovi-producer failed list
  dovi-producer failed list --json | jq -r .code | sort | uniq -c")]
    List {
        /// One JSON object per line
        #[arg(long)]
        json: bool,
    },
    /// The whole report of one film
    #[command(after_help = "\
Examples:
  dovi-producer failed show 3fa1
  dovi-producer failed show 3fa1 --json | jq .tool.tail")]
    Show {
        /// The job's id, or its first digits
        id: String,
        /// The report as JSON
        #[arg(long)]
        json: bool,
    },
    /// Queue films again: the dead letter goes only after the broker has the new message
    #[command(after_help = "\
Works also if only the dead letter or only the report on the share is left.

Examples:
  dovi-producer failed retry 3fa1
  dovi-producer failed retry --all")]
    Retry(Pick),
    /// Drop the dead letters of films
    #[command(after_help = "\
The report on the share stays, so that the next scan does not queue the film
again. To get it done after all, use `dovi-producer rescan PATH`.

Examples:
  dovi-producer failed discard 3fa1 77c0
  dovi-producer failed discard --all")]
    Discard(Pick),
}

/// Which failed films.
#[derive(Debug, Args)]
pub struct Pick {
    /// Job ids, or their first digits
    #[arg(required_unless_present = "all")]
    pub ids: Vec<String>,
    /// All of them
    #[arg(long, conflicts_with = "ids")]
    pub all: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `pause`
#[derive(Debug, Args)]
pub struct PauseArgs {
    /// Names of workers; none = all
    #[arg(value_name = "WORKER")]
    pub workers: Vec<String>,
    /// The films in hand stand still too
    #[arg(long)]
    pub now: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `resume`
#[derive(Debug, Args)]
pub struct ResumeArgs {
    /// Names of workers; none = all
    #[arg(value_name = "WORKER")]
    pub workers: Vec<String>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `drain`
#[derive(Debug, Args)]
pub struct DrainArgs {
    /// Names of workers
    #[arg(value_name = "WORKER", required_unless_present = "all")]
    pub workers: Vec<String>,
    /// All that are there
    #[arg(long, conflicts_with = "workers")]
    pub all: bool,
    /// Give the films in hand back
    #[arg(long)]
    pub now: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `cancel`
#[derive(Debug, Args)]
pub struct CancelArgs {
    /// Job ids, their first digits, or files or folders of the library
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<String>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `priority`
#[derive(Debug, Args)]
pub struct PriorityArgs {
    /// Job ids, their first digits, or files or folders of the library
    #[arg(required = true, value_name = "JOB")]
    pub jobs: Vec<String>,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `inspect`
#[derive(Debug, Args)]
pub struct InspectArgs {
    /// Any files
    #[arg(required = true)]
    pub files: Vec<PathBuf>,
    /// Read every byte instead of some places
    #[arg(long)]
    pub full: bool,
    /// One JSON object per line
    #[arg(long)]
    pub json: bool,
}

/// `setup`
#[derive(Debug, Args)]
pub struct SetupArgs {
    /// Make virtual host, queues and users as this administrator of the management API
    #[arg(long, value_name = "URL", requires = "secrets", conflicts_with = "definitions")]
    pub admin: Option<String>,
    /// File whose first line is the administrator's password
    #[arg(long, value_name = "FILE", requires = "admin")]
    pub admin_password_file: Option<PathBuf>,
    /// Folder of the users' passwords, one file each that only you can read
    #[arg(long, value_name = "DIR")]
    pub secrets: Option<PathBuf>,
    /// Give every user a new password
    #[arg(long, requires = "secrets")]
    pub rotate: bool,
    /// Write a definitions file for a broker's first start
    #[arg(long, value_name = "FILE", requires = "secrets")]
    pub definitions: Option<PathBuf>,
    /// One JSON object per line
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

/// `config …`
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Every setting in force and where it came from; secrets are hidden
    #[command(after_help = "\
Examples:
  dovi-producer config show
  dovi-producer config show --set recipe.crf=20 | grep recipe")]
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

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn retry_needs_ids_or_all_but_not_both() {
        let parse =
            |args: &[&str]| Cli::try_parse_from([&["dovi-producer", "failed", "retry"], args].concat());
        assert!(parse(&[]).is_err());
        assert!(parse(&["3fa1", "--all"]).is_err());
        assert!(parse(&["--all"]).is_ok());
        assert!(Cli::try_parse_from(["dovi-producer", "--set", "crf=1", "scan"]).is_err());
    }
}
