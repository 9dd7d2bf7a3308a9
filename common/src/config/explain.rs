//! Why a configuration cannot be read, in words that name the setting, the place it came from, and what it could be.

use ::config::{ConfigError as Cause, Value};

use super::ConfigError;
use super::load::Layers;
use super::show::flatten;

/// Settings that are one of some words. What is missing here is explained by its page only.
const WORDS: &[(&str, &str)] = &[
    ("output.mode", "separate, beside, replace"),
    ("output.hardlinks", "refuse, break"),
    ("output.mtime", "source, now"),
    ("recipe.mode", "encode, copy"),
    ("recipe.encoder", "x265, nvenc, qsv, vaapi"),
    ("recipe.fel", "allow, refuse"),
    ("recipe.fel_expanding", "allow, refuse"),
    ("dovi.backend", "internal, dovi_tool"),
    ("verify.decode", "off, sample, full"),
    ("log.format", "text, json"),
];

/// A file that is no TOML.
pub(super) fn unreadable(from: &str, e: &Cause) -> ConfigError {
    let cause = match e {
        Cause::FileParse { cause, .. } => cause.to_string(),
        other => other.to_string(),
    };
    ConfigError::Read {
        text: format!("{from} cannot be read: {}", cause.trim_end()),
        hint: "a line is `key = value` below its [section], and texts stand in quotes: films = \"/mnt/nas/films\"".into(),
    }
}

/// Layers that were read one by one, but do not make a configuration together.
pub(super) fn unfit(layers: &Layers, e: &Cause) -> ConfigError {
    let text = e.to_string();
    if text.contains("unknown field")
        && let Some(found) = unknown(layers)
    {
        return found;
    }
    let page = "docs/CONFIGURATION.md explains every setting; `config show` prints what is in force";
    match e {
        // What was meant for a secret is not repeated.
        Cause::Type { expected, key: Some(key), .. } if key.starts_with("broker.") => {
            let text = format!("{key} should be {}{}", plain(expected), place(layers, key));
            ConfigError::Read { text, hint: page.into() }
        }
        Cause::Type { unexpected, expected, key: Some(key), .. } => {
            let text = format!(
                "{key} is {}, and should be {}{}",
                said(unexpected),
                plain(expected),
                place(layers, key)
            );
            ConfigError::Read { text, hint: page.into() }
        }
        Cause::At { error, key: Some(key), .. } => match WORDS.iter().find(|(k, _)| k == key) {
            Some((_, words)) => {
                let text = format!("{key} is {:?}{}", value(layers, key), place(layers, key));
                ConfigError::Read { text, hint: format!("it is one of: {words}") }
            }
            None => {
                ConfigError::Read { text: format!("{key}: {error}{}", place(layers, key)), hint: page.into() }
            }
        },
        _ => ConfigError::Read { text, hint: page.into() },
    }
}

/// The first key that the defaults do not have.
fn unknown(layers: &Layers) -> Option<ConfigError> {
    let keys = |n: usize| leaves(layers, n).into_iter().map(|(k, _)| k);
    let known: Vec<String> = keys(0).chain(["library.roots".into()]).collect();
    let fits = |key: &str| known.iter().any(|k| k == key || key.starts_with(&format!("{k}.")));
    let (from, key) = (1..layers.len())
        .flat_map(|n| keys(n).map(move |k| (layers[n].0.as_str(), k)))
        .find(|(_, key)| !fits(key))?;
    let like = known.iter().max_by(|a, b| likeness(a, &key).total_cmp(&likeness(b, &key)))?;
    let section = key.split('.').next().unwrap_or_default();
    let of = |k: &&String| k.split('.').next() == Some(section);
    let siblings: Vec<&str> = known.iter().filter(of).filter_map(|k| Some(k.split_once('.')?.1)).collect();
    let hint = if likeness(like, &key) > 0.8 {
        format!("did you mean {like}?")
    } else if siblings.is_empty() {
        let mut sections: Vec<&str> = known.iter().filter_map(|k| k.split('.').next()).collect();
        sections.sort_unstable();
        sections.dedup();
        format!("the sections are: {}", sections.join(", "))
    } else {
        format!("in [{section}] there are: {}", siblings.join(", "))
    };
    Some(ConfigError::Read { text: format!("there is no setting {key} ({})", whence(from)), hint })
}

fn likeness(a: &str, b: &str) -> f64 {
    strsim::jaro_winkler(a, b)
}

fn leaves(layers: &Layers, n: usize) -> Vec<(String, String)> {
    let mut all = Vec::new();
    if let Ok(tree) = layers[n].1.clone().try_deserialize::<Value>() {
        flatten("", &tree, &mut all);
    }
    all
}

/// The layer that decided about a key, and what it says.
fn decider<'a>(layers: &'a Layers, key: &str) -> Option<(&'a str, String)> {
    let mut all = (1..layers.len()).rev().flat_map(|n| {
        leaves(layers, n).into_iter().filter(|(k, _)| k == key).map(move |(_, v)| (layers[n].0.as_str(), v))
    });
    all.next()
}

fn value(layers: &Layers, key: &str) -> String {
    decider(layers, key).map(|(_, v)| v).unwrap_or_default()
}

fn place(layers: &Layers, key: &str) -> String {
    decider(layers, key).map(|(from, _)| format!(" ({})", whence(from))).unwrap_or_default()
}

fn whence(from: &str) -> String {
    match from {
        "environment" => "in the environment".into(),
        "flag" => "on the command line".into(),
        file => format!("in {file}"),
    }
}

fn said(unexpected: &impl ToString) -> String {
    unexpected.to_string().replacen("string", "the text", 1)
}

/// serde's names of types are no English.
fn plain(expected: &str) -> &str {
    match expected {
        "a floating point" => "a number",
        e if e.contains("integer") => "a whole number",
        "a boolean" => "true or false",
        e => e,
    }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    fn said(key: &str, value: &str) -> (String, String) {
        match load(None, &vec![(key.into(), value.into())]).unwrap_err() {
            ConfigError::Read { text, hint } => (text, hint),
            e => panic!("{e}"),
        }
    }

    #[test]
    fn every_word_that_is_named_is_taken_and_others_are_not() {
        for (key, words) in WORDS {
            for word in words.split(", ") {
                let read = load(None, &vec![((*key).into(), word.into())]);
                assert!(!matches!(read, Err(ConfigError::Read { .. })), "{key} = {word}: {read:?}");
            }
            let (text, hint) = said(key, "nonsense");
            assert!(
                text.contains("\"nonsense\" (on the command line)") && hint.ends_with(words),
                "{text}: {hint}"
            );
        }
    }

    #[test]
    fn a_typing_error_is_met_with_what_was_meant() {
        assert_eq!(said("recipe.cfr", "1").1, "did you mean recipe.crf?");
        assert_eq!(said("wroker.beat_s", "1").1, "did you mean worker.beat_s?");
        assert!(said("log.zzz", "1").1.starts_with("in [log] there are: "));
        assert!(said("zzz.q", "1").1.starts_with("the sections are: broker, "));
        let (text, _) = said("worker.beat_s", "often");
        assert_eq!(text, "worker.beat_s is the text \"often\", and should be a number (on the command line)");
    }
}
