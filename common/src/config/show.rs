//! `config show`: every value in force, where it came from, secrets hidden.

use ::config::Value;

use super::load::Loaded;

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// `section.key`
    pub key: String,
    /// The value as text; secrets as `(hidden)`.
    pub value: String,
    /// `default`, a file name, `environment` or `flag`.
    pub from: String,
}

/// All settings in force, sorted by key.
pub fn rows(loaded: &Loaded) -> Vec<Row> {
    let mut rows: Vec<Row> = Vec::new();
    for (name, layer) in &loaded.layers {
        let Ok(tree) = layer.clone().try_deserialize::<Value>() else { continue };
        let mut leaves = Vec::new();
        flatten("", &tree, &mut leaves);
        for (key, value) in leaves {
            rows.retain(|r| r.key != key);
            let value = hide(&key, value);
            rows.push(Row { key, value, from: name.clone() });
        }
    }
    rows.sort_by(|a, b| a.key.cmp(&b.key));
    rows
}

/// Every value below, by its whole key.
pub(super) fn flatten(prefix: &str, value: &Value, into: &mut Vec<(String, String)>) {
    match value.clone().into_table() {
        Ok(table) if !matches!(value.kind, ::config::ValueKind::Array(_)) => {
            for (key, inner) in &table {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, inner, into);
            }
        }
        _ => {
            let text = match value.clone().into_array() {
                // `into_array` takes a lone string apart at its spaces, so only what is a list already.
                Ok(list) if matches!(value.kind, ::config::ValueKind::Array(_)) => {
                    list.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                }
                _ => value.to_string(),
            };
            into.push((prefix.to_owned(), text));
        }
    }
}

fn hide(key: &str, value: String) -> String {
    match key {
        "broker.password" if !value.is_empty() => "(hidden)".into(),
        // amqp://user:secret@host/vhost
        "broker.url" => match (value.find("://"), value.rfind('@')) {
            (Some(scheme), Some(at)) if at > scheme => {
                format!("{}://(hidden){}", &value[..scheme], &value[at..])
            }
            _ => value,
        },
        _ if key.starts_with("notify.targets.") => match key.rsplit('.').next() {
            Some("token") if !value.is_empty() => "(hidden)".into(),
            Some("url") => address_only(&value),
            _ => value,
        },
        _ => value,
    }
}

/// `https://host/(hidden)`: paths and queries of such URLs are secrets.
fn address_only(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return "(hidden)".into() };
    let address = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = address.rsplit('@').next().unwrap_or_default();
    if rest.len() == host.len() { url.to_owned() } else { format!("{scheme}://{host}/(hidden)") }
}

#[cfg(test)]
mod tests {
    use super::super::load;
    use super::*;

    fn shown(flags: &[(&str, &str)]) -> Vec<Row> {
        let flags = flags.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        rows(&load(None, &flags).unwrap())
    }

    #[test]
    fn the_defaults_are_valid_and_a_flag_is_named_as_the_origin() {
        let rows = shown(&[("recipe.crf", "21")]);
        let crf = rows.iter().find(|r| r.key == "recipe.crf").unwrap();
        assert_eq!((crf.value.as_str(), crf.from.as_str()), ("21", "flag"));
        let preset = rows.iter().find(|r| r.key == "recipe.preset").unwrap();
        assert_eq!((preset.value.as_str(), preset.from.as_str()), ("slow", "default"));
        let delays = rows.iter().find(|r| r.key == "broker.retry_delays_s").unwrap();
        assert_eq!(delays.value, "60, 600, 3600");
    }

    #[test]
    fn secrets_are_never_shown() {
        let rows = shown(&[("broker.password", "hunter2"), ("broker.url", "amqp://me:hunter2@host/dovi")]);
        assert!(rows.iter().all(|r| !r.value.contains("hunter2")), "{rows:?}");
    }

    #[test]
    fn unknown_settings_and_nonsense_are_named() {
        let fails = |k: &str, v: &str| load(None, &vec![(k.into(), v.into())]).unwrap_err().to_string();
        assert!(fails("recipe.crfx", "1").contains("crfx"));
        assert!(fails("recipe.crf", "99").contains("recipe.crf"));
        assert!(fails("worker.stale_s", "1").contains("three beats"));
        assert!(fails("output.suffix", "a/b").contains("slash"));
    }
}
