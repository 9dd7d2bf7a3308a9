//! What both programs say of themselves: `--help` of every command, completions, man pages.

use std::fs;

use clap::{Command, CommandFactory};
use common::text::columns;

/// A terminal as wide as the narrowest that people use.
const WIDTH: usize = 80;

fn programs() -> [Command; 2] {
    [producer::cli::Cli::command(), consumer::cli::Cli::command()].map(|mut c| {
        c.build();
        c
    })
}

/// Every command with its whole name.
fn walk(command: &Command, name: &str, visit: &mut dyn FnMut(&str, &Command)) {
    visit(name, command);
    for sub in command.get_subcommands().filter(|c| c.get_name() != "help") {
        walk(sub, &format!("{name} {}", sub.get_name()), visit);
    }
}

fn each(mut visit: impl FnMut(&str, &Command)) {
    for program in programs() {
        let name = program.get_name().to_owned();
        walk(&program, &name, &mut visit);
    }
}

#[test]
fn every_command_says_what_it_does_with_an_example() {
    let mut faults = Vec::new();
    let mut seen = 0;
    each(|name, command| {
        seen += 1;
        let about = command.get_about().map(ToString::to_string).unwrap_or_default();
        if about.is_empty() || about.ends_with('.') && name.contains(' ') {
            faults.push(format!("{name}: one line that says what it does, without a full stop: {about:?}"));
        }
        let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let examples = more.split("Examples:\n").nth(1).unwrap_or_default();
        let good = |l: &&str| l.starts_with(&format!("  {name}")) || name.contains(' ') && l.contains(name);
        if !examples.lines().any(|l| good(&l)) {
            faults.push(format!("{name}: no example of itself after \"Examples:\""));
        }
        for argument in command.get_arguments().filter(|a| !a.is_hide_set()) {
            if argument.get_help().is_none() {
                faults.push(format!("{name}: {} says nothing", argument.get_id()));
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(seen > 25, "{seen}");
}

#[test]
fn help_fits_80_columns_without_being_broken_up() {
    let mut faults = Vec::new();
    each(|name, command| {
        let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        for line in more.lines().filter(|l| columns(l) > WIDTH) {
            faults.push(format!("{name}: {} columns: {line}", columns(line)));
        }
        let shown = command.clone().term_width(WIDTH).render_long_help().to_string();
        for line in shown.lines().filter(|l| columns(l) > WIDTH) {
            faults.push(format!("{name} --help: {} columns: {line}", columns(line)));
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// An example that clap would refuse is worse than none. Pipes, quotes and shell words are taken away first.
#[test]
fn every_example_can_be_parsed() {
    let mut tried = 0;
    let mut faults = Vec::new();
    each(|_, command| {
        let more = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let lines = more.split("Examples:\n").nth(1).unwrap_or_default().lines();
        for line in lines.filter(|l| l.starts_with("  dovi-")) {
            let line = line.trim().split(" | ").next().unwrap_or_default();
            let line = line.split(" >").next().unwrap_or_default();
            // What stands behind two blanks explains the example.
            let line = line.split("  ").next().unwrap_or_default();
            let words = words(line);
            let program = programs().into_iter().find(|p| p.get_name() == words[0]);
            let parsed = program.expect("one of the two").try_get_matches_from(&words);
            tried += 1;
            if let Err(e) = parsed
                && e.use_stderr()
            {
                faults.push(format!("{line}\n{e}"));
            }
        }
    });
    assert!(faults.is_empty(), "{}", faults.join("\n"));
    assert!(tried > 40, "{tried}");
}

fn words(line: &str) -> Vec<String> {
    let mut words = Vec::new();
    for (n, part) in line.split('\'').enumerate() {
        if n % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

#[test]
fn man_pages_and_completions_are_made_of_every_command() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    for program in programs() {
        let name = program.get_name().to_owned();
        common::manual::write_pages(program, dir.path()).expect("pages are written");
        let page = fs::read_to_string(dir.path().join(format!("{name}.1"))).expect("the program's page");
        assert!(page.contains(".SH NAME") && page.contains("Exit codes"), "{page}");
    }
    let page = fs::read_to_string(dir.path().join("dovi-producer-failed-retry.1")).expect("a command's page");
    assert!(page.contains("dovi\\-producer failed retry \\-\\-all"), "{page}");
    for (program, words) in [
        (env!("CARGO_BIN_EXE_producer-under-test"), ["scan", "status", "watch", "failed"]),
        (env!("CARGO_BIN_EXE_consumer-under-test"), ["convert", "verify", "slots", "doctor"]),
    ] {
        for shell in ["bash", "zsh", "fish"] {
            let said = e2e::tool::command(program).args(["completions", shell]).output().expect("it runs");
            assert!(said.status.success());
            let script = String::from_utf8_lossy(&said.stdout);
            for word in words {
                assert!(script.contains(word), "{shell} knows no {word}");
            }
        }
    }
}
