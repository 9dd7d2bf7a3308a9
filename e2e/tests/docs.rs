//! The pages say what the programs do: every command line, setting and configuration in README and docs is tried.

#![expect(clippy::unwrap_used, reason = "helpers of tests may stop the test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser};
use common::broker::topology;
use common::config::{load, rows};
use common::job::FailureCode;

/// Words with a section's name in front that are no settings: names of files and hosts.
const NO_SETTINGS: &[&str] =
    &["broker.lan", "broker.key", "broker.csr", "broker.ext", "broker.pem", "worker.install"];

/// One page: its name and text.
struct Page {
    name: String,
    text: String,
}

fn pages() -> Vec<Page> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut files: Vec<PathBuf> =
        fs::read_dir(root.join("docs")).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|f| f.extension().is_some_and(|e| e == "md"));
    files.push(root.join("README.md"));
    files.sort();
    assert!(files.len() > 8, "{files:?}");
    let page = |f: PathBuf| Page {
        name: f.strip_prefix(root).unwrap().display().to_string(),
        text: fs::read_to_string(&f).unwrap(),
    };
    files.into_iter().map(page).collect()
}

/// A piece of code: its language (empty between backticks in a line), its text, and where it begins.
struct Code {
    page: String,
    line: usize,
    language: Option<String>,
    text: String,
}

impl Code {
    fn at(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }
}

fn code() -> Vec<Code> {
    let mut all = Vec::new();
    for page in pages() {
        let mut fence: Option<Code> = None;
        for (n, line) in page.text.lines().enumerate() {
            let of = |language, text: &str| Code {
                page: page.name.clone(),
                line: n + 1,
                language,
                text: text.to_owned(),
            };
            match (line.trim_start().strip_prefix("```"), &mut fence) {
                (Some(_), Some(_)) => all.extend(fence.take()),
                (Some(language), None) => fence = Some(of(Some(language.trim().to_owned()), "")),
                (None, Some(block)) => block.text += &format!("{line}\n"),
                (None, None) => all.extend(line.split('`').skip(1).step_by(2).map(|t| of(None, t))),
            }
        }
    }
    all
}

/// Words as a shell makes them; quotes go, a comment and what comes after a pipe or another command as well.
fn words(line: &str) -> Vec<String> {
    let (mut all, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match (c, quote) {
            ('\'' | '"', None) => (quote, word) = (Some(c), Some(word.unwrap_or_default())),
            (c, Some(q)) if c == q => quote = None,
            ('#', None) if word.is_none() => break,
            ('|' | ';' | '&' | '>' | '<', None) => break,
            (c, None) if c.is_whitespace() => all.extend(word.take()),
            (c, _) => word.get_or_insert_default().push(c),
        }
    }
    all.extend(word);
    all
}

/// The program's own command line in a line of a shell, if one is there: `dovi-producer …`, or the same through compose.
fn command(line: &str) -> Option<Vec<String>> {
    let words = words(line.trim().trim_start_matches("$ "));
    if let Some(at) = words
        .iter()
        .position(|w| w.rsplit('/').next().is_some_and(|w| w == "dovi-producer" || w == "dovi-consumer"))
    {
        // What stands in front runs it: `sudo -u dovi`. Installing, copying and asking after it does not.
        let runs = words[..at].iter().all(|w| ["sudo", "-u", "dovi", "exec", "time"].contains(&w.as_str()));
        let mut own = words[at..].to_vec();
        own[0] = own[0].rsplit('/').next().unwrap_or_default().to_owned();
        return runs.then_some(own);
    }
    let compose = words.windows(2).any(|w| w == ["docker", "compose"]) && words.iter().any(|w| w == "run");
    let at = words.iter().position(|w| w == "producer")?;
    let mut own = words[at..].to_vec();
    "dovi-producer".clone_into(&mut own[0]);
    compose.then_some(own)
}

fn parsed(words: &[String]) -> Result<(), clap::Error> {
    match words[0].as_str() {
        "dovi-producer" => producer::cli::Cli::try_parse_from(words).map(drop),
        _ => consumer::cli::Cli::try_parse_from(words).map(drop),
    }
}

#[test]
fn every_command_line_is_understood() {
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for code in code() {
        // A sentence may name a command without what it needs; a block is there to be copied.
        let named = code.language.is_none();
        if !named && !matches!(code.language.as_deref(), Some("sh" | "bash" | "shell" | "console")) {
            continue;
        }
        for line in code.text.replace("\\\n", " ").lines() {
            let Some(mut own) = command(line) else { continue };
            if named && own.last().is_some_and(|w| w == "…" || w == "...") {
                own.pop();
            }
            tried += 1;
            let Err(e) = parsed(&own) else { continue };
            let part = matches!(
                e.kind(),
                ErrorKind::MissingRequiredArgument
                    | ErrorKind::MissingSubcommand
                    | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
            );
            let help = matches!(e.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            if !(help || named && part) {
                wrong.push(format!(
                    "{}: {}: {}",
                    code.at(),
                    own.join(" "),
                    e.to_string().lines().next().unwrap_or_default()
                ));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "only {tried} command lines were found: is the search out of date?");
}

/// Every key of the defaults, as `section.key`.
fn settings() -> BTreeSet<String> {
    rows(&load(None, &Vec::new()).unwrap()).into_iter().map(|row| row.key).collect()
}

/// Tables whose keys are names of the user's own.
const NAMED: [&str; 2] = ["library.roots", "notify.targets"];

/// Names of queues and exchanges; `dovi.retry` stands for all of its tiers.
fn is_on_the_broker(word: &str) -> bool {
    let mut names = topology::QUEUES.iter().map(|q| q.name).chain(topology::EXCHANGES.iter().map(|e| e.name));
    names.any(|n| n == word || n.starts_with(&format!("{word}.")))
        || [topology::TEMPORARY, topology::ORDERS]
            .iter()
            .any(|prefix| word.starts_with(prefix.trim_end_matches('.')))
}

#[test]
fn every_setting_exists() {
    let known = settings();
    let sections: BTreeSet<&str> = known.iter().filter_map(|k| k.split('.').next()).collect();
    let codes: BTreeSet<&str> = FailureCode::ALL.iter().map(|c| c.as_str()).collect();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for code in code().iter().filter(|c| c.language.is_none()) {
        let is_word = |c: char| c.is_ascii_alphanumeric() || "._-/".contains(c);
        for word in code.text.split(|c: char| !is_word(c)) {
            // `share.state_dir/done` is a setting and a folder below, `/etc/dovi-fleet/share.credentials` a file.
            let word = word.split('/').next().unwrap_or_default().trim_matches('.');
            let Some((section, key)) = word.split_once('.') else { continue };
            let other = word.ends_with(".rs")
                || codes.contains(word)
                || NO_SETTINGS.contains(&word)
                || is_on_the_broker(word);
            if !sections.contains(section) || key.is_empty() || other {
                continue;
            }
            tried += 1;
            if !known.contains(word) && !NAMED.iter().any(|table| word.starts_with(table)) {
                wrong.push(format!("{}: there is no setting {word}", code.at()));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 60, "only {tried} settings were found: is the search out of date?");
}

/// `[sections]` in a block of TOML, or written into a file in a block of shell.
#[test]
fn every_configuration_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let mut tried = 0;
    for code in code() {
        let text = match code.language.as_deref() {
            Some("toml") => code.text.clone(),
            Some("sh" | "bash") => {
                let mut parts = code.text.split("<<'END'\n");
                let first = parts.next().is_some_and(|p| p.ends_with(".toml "));
                parts
                    .next()
                    .filter(|_| first)
                    .map(|p| p.split("\nEND").next().unwrap_or_default().to_owned())
                    .unwrap_or_default()
            }
            _ => continue,
        };
        if !text.contains('[') {
            continue;
        }
        let file = dir.path().join("config.toml");
        fs::write(&file, &text).unwrap();
        let read = load(Some(&file), &Vec::new());
        assert!(read.is_ok(), "{}: {}\n{text}", code.at(), read.unwrap_err());
        tried += 1;
    }
    assert!(tried >= 4, "only {tried} configurations were found");
}

/// Links between pages lead to files and headings that are there.
#[test]
fn every_link_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut wrong = Vec::new();
    for page in pages() {
        let here = root.join(&page.name);
        for link in page.text.split("](").skip(1).filter_map(|l| l.split(')').next()) {
            if link.contains("://") || link.contains(' ') {
                continue;
            }
            let (file, heading) = link.split_once('#').unwrap_or((link, ""));
            let target = if file.is_empty() { here.clone() } else { here.parent().unwrap().join(file) };
            let text = if target.is_dir() {
                Ok(String::new())
            } else {
                fs::read(&target).map(|b| String::from_utf8_lossy(&b).into_owned())
            };
            let found = text.map(|t| {
                heading.is_empty() || t.lines().filter(|l| l.starts_with('#')).any(|l| anchor(l) == heading)
            });
            if !matches!(found, Ok(true)) {
                wrong.push(format!("{}: {link}", page.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Files of this repository that the pages name, from its root or from the room that the page speaks of.
#[test]
fn every_file_exists() {
    const ROOMS: &[&str] = &[
        "",
        "consumer/src",
        "producer/src",
        "common/src",
        "consumer/src/pipeline",
        "consumer/src/pipeline/stages",
        "dovi/src",
    ];
    const KINDS: &[&str] = &["rs", "sh", "md", "toml", "yml", "service", "conf"];
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for code in code().iter().filter(|c| c.language.is_none()) {
        let word = code.text.trim_matches('/');
        let kind = Path::new(word).extension().and_then(|e| e.to_str()).unwrap_or_default();
        let ours = word.contains('/')
            && KINDS.contains(&kind)
            && !word.contains([' ', '=', '{', '<', '*', '~', '$']);
        // Absolute paths and those below `./` are other machines'.
        if !ours || code.text.starts_with(['/', '.']) || word.contains(".service.d/") {
            continue;
        }
        tried += 1;
        if !ROOMS.iter().any(|room| root.join(room).join(word).is_file()) {
            wrong.push(format!("{}: there is no {word}", code.at()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(tried > 20, "only {tried} files were found: is the search out of date?");
}

/// As GitHub makes it from a heading.
fn anchor(heading: &str) -> String {
    let text = heading.trim_start_matches('#').trim().to_lowercase();
    text.chars()
        .filter(|c| c.is_alphanumeric() || " -_".contains(*c))
        .map(|c| if c == ' ' { '-' } else { c })
        .collect()
}

#[test]
fn the_search_finds_what_it_shall() {
    for (program, command) in
        [("dovi-producer", producer::cli::Cli::command()), ("dovi-consumer", consumer::cli::Cli::command())]
    {
        assert_eq!(command.get_name(), program);
        assert!(command.get_subcommands().count() > 4);
    }
    assert_eq!(words("a 'b c' --x=\"y z\" # d | e"), ["a", "b c", "--x=y z"]);
    assert_eq!(
        command("sudo -u dovi /usr/local/bin/dovi-consumer doctor | cat").unwrap(),
        ["dovi-consumer", "doctor"]
    );
    assert_eq!(command("docker compose run --rm producer scan -n").unwrap(), ["dovi-producer", "scan", "-n"]);
    assert_eq!(command("install target/release/dovi-consumer /usr/local/bin/"), None);
}
