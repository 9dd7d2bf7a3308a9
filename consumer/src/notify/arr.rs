//! Radarr and Sonarr (API v3): finds the film or series whose folder holds the file, and has it looked at.

use common::config::{TargetKind, TargetSecrets};
use common::http::Request;
use serde::Deserialize;
use serde_json::{Value, json};

use super::target::{Undelivered, is_below};

/// Ten thousand films have some fifty megabytes.
const LIST: u64 = 200 << 20;
const MOST: u64 = 1 << 20;

/// Of each film or series no more than this is kept.
#[derive(Deserialize)]
struct Item {
    id: i64,
    #[serde(default)]
    path: String,
}

/// Asks for everything it has.
pub(super) fn list(to: &TargetSecrets, kind: TargetKind) -> Request {
    let what = if kind == TargetKind::Sonarr { "series" } else { "movie" };
    Request::new("GET", format!("{}/api/v3/{what}", to.url), LIST).header("X-Api-Key", &to.token)
}

/// What it is to do about the file.
///
/// # Errors
/// The list is none, or nothing in it has the file's folder.
pub(super) fn rescan(list: &[u8], kind: TargetKind, path: &str) -> Result<Value, Undelivered> {
    let items: Vec<Item> = serde_json::from_slice(list)
        .map_err(|_| Undelivered::again("its list is no JSON: does the URL lead to the program itself?"))?;
    let holding = items.iter().filter(|i| !i.path.is_empty() && is_below(path, &i.path));
    // The nearest folder, where one lies in another.
    let Some(item) = holding.max_by_key(|i| i.path.len()) else {
        return Err(Undelivered::never(format!(
            "nothing of it lies where {path} is: set paths to the folder that it sees"
        )));
    };
    Ok(match kind {
        TargetKind::Sonarr => json!({"name": "RescanSeries", "seriesId": item.id}),
        _ => json!({"name": "RescanMovie", "movieId": item.id}),
    })
}

/// Sends it.
pub(super) fn command(to: &TargetSecrets, command: &Value) -> Request {
    Request::new("POST", format!("{}/api/v3/command", to.url), MOST)
        .header("X-Api-Key", &to.token)
        .json(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_folder_is_looked_at() {
        let list = br#"[{"id":1,"path":"/films","title":"x"},{"id":2,"path":"/films/A (2020)/"},{"id":3},
            {"id":4,"path":"/films/A"}]"#;
        let want = json!({"name": "RescanMovie", "movieId": 2});
        assert_eq!(rescan(list, TargetKind::Radarr, "/films/A (2020)/A.mkv").unwrap(), want);
        let want = json!({"name": "RescanSeries", "seriesId": 1});
        assert_eq!(rescan(list, TargetKind::Sonarr, "/films/B/S01/e.mkv").unwrap(), want);
        assert!(rescan(list, TargetKind::Radarr, "/other/A.mkv").unwrap_err().is_final);
        assert!(!rescan(b"<html>", TargetKind::Radarr, "/other/A.mkv").unwrap_err().is_final);
    }
}
