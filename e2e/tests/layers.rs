//! Keeps the rooms apart: reads every source file and checks who names whom.

use std::fs;
use std::path::{Path, PathBuf};

/// Files below `dir` must not contain `word` in code (comments are free to explain).
struct Rule {
    dir: &'static str,
    except: &'static [&'static str],
    word: &'static str,
    why: &'static str,
}

const RULES: &[Rule] = &[
    Rule { dir: "dovi/src", except: &[], word: "tokio", why: "the byte work is synchronous" },
    Rule {
        dir: "dovi/src",
        except: &[],
        word: "std::fs",
        why: "the byte work does not know that files have names",
    },
    Rule {
        dir: "dovi/src",
        except: &[],
        word: "std::path",
        why: "the byte work does not know that files have names",
    },
    Rule {
        dir: "common/src",
        except: &["common/src/broker"],
        word: "lapin",
        why: "broker is the only user of lapin",
    },
    Rule { dir: "producer/src", except: &[], word: "lapin", why: "broker is the only user of lapin" },
    Rule { dir: "consumer/src", except: &[], word: "lapin", why: "broker is the only user of lapin" },
    Rule {
        dir: "common/src",
        except: &["common/src/http.rs"],
        word: "ureq",
        why: "http is the only user of the HTTP client",
    },
    Rule {
        dir: "consumer/src/pipeline",
        except: &[],
        word: "notify",
        why: "the pipeline tells its watcher, and nobody else",
    },
    Rule {
        dir: "common/src",
        except: &["common/src/process"],
        word: "process::Command",
        why: "only process spawns",
    },
    Rule { dir: "producer/src", except: &[], word: "process::Command", why: "only process spawns" },
    Rule { dir: "consumer/src", except: &[], word: "process::Command", why: "only process spawns" },
    Rule {
        dir: "common/src/process",
        except: &[],
        word: "ffmpeg",
        why: "process does not know what it runs",
    },
    Rule {
        dir: "consumer/src/pipeline",
        except: &[],
        word: "broker",
        why: "below worker nobody has heard of RabbitMQ",
    },
    Rule {
        dir: "consumer/src/tools",
        except: &[],
        word: "broker",
        why: "below worker nobody has heard of RabbitMQ",
    },
    Rule {
        dir: "consumer/src/pipeline",
        except: &[],
        word: "JobMessage",
        why: "below worker nobody has heard of a job message",
    },
    Rule {
        dir: "consumer/src/tools",
        except: &[],
        word: "pipeline",
        why: "tools hold flags and parsers, no policy",
    },
    Rule {
        dir: "consumer/src/tools",
        except: &[],
        word: "FailureCode",
        why: "tools hold flags and parsers, no policy",
    },
    Rule {
        dir: "producer/src",
        except: &[],
        word: "consumer::",
        why: "the programs never import each other",
    },
    Rule {
        dir: "consumer/src",
        except: &[],
        word: "producer::",
        why: "the programs never import each other",
    },
];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("e2e lies in the workspace").to_owned()
}

fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display())) {
        let path = entry.expect("a readable folder").path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|e| e == "rs") {
            into.push(path);
        }
    }
}

/// The code of a line: without its comment, and nothing of a line that is only a string or a comment.
fn code(line: &str) -> &str {
    line.split("//").next().unwrap_or_default()
}

#[test]
fn imports_go_downwards_only() {
    let root = root();
    let mut broken = Vec::new();
    for rule in RULES {
        let mut files = Vec::new();
        sources(&root.join(rule.dir), &mut files);
        assert!(!files.is_empty(), "{} holds no source: is the rule out of date?", rule.dir);
        files.retain(|f| !rule.except.iter().any(|e| f.starts_with(root.join(e))));
        for file in files {
            let text = fs::read_to_string(&file).expect("source is UTF-8");
            // Unit tests stand at the end of a file, and may name what they like.
            let shipped = text.lines().take_while(|l| l.trim() != "#[cfg(test)]");
            for (n, line) in shipped.enumerate().filter(|(_, l)| code(l).contains(rule.word)) {
                let file = file.strip_prefix(&root).unwrap_or(&file).display();
                broken.push(format!("{file}:{}: {:?} ({}): {}", n + 1, rule.word, rule.why, line.trim()));
            }
        }
    }
    assert!(broken.is_empty(), "rules broken:\n{}", broken.join("\n"));
}

#[test]
fn crates_depend_downwards_only() {
    let root = root();
    for (krate, forbidden) in [
        ("dovi", &["common", "producer", "consumer", "e2e", "tokio", "lapin"][..]),
        ("common", &["producer", "consumer", "e2e"][..]),
        ("producer", &["consumer", "e2e", "lapin"][..]),
        ("consumer", &["producer", "e2e", "lapin"][..]),
    ] {
        let manifest = fs::read_to_string(root.join(krate).join("Cargo.toml")).expect("a manifest");
        for name in forbidden {
            let used = manifest
                .lines()
                .any(|l| l.starts_with(&format!("{name}.")) || l.starts_with(&format!("{name} ")));
            assert!(!used, "{krate} must not depend on {name}");
        }
    }
}

#[test]
fn no_file_is_a_room_of_its_own() {
    let root = root();
    let mut files = Vec::new();
    for krate in ["dovi", "common", "producer", "consumer", "e2e"] {
        sources(&root.join(krate), &mut files);
    }
    let long: Vec<_> = files
        .iter()
        .map(|f| (fs::read_to_string(f).expect("source is UTF-8").lines().count(), f))
        .filter(|(lines, _)| *lines > 600)
        .collect();
    assert!(long.is_empty(), "split by responsibility: {long:?}");
}
