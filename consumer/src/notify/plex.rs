//! Plex: `GET /library/sections/KEY/refresh?path=FOLDER` looks at one folder of one library; which library that is, its list
//! says.

use common::config::TargetSecrets;
use common::http::{Request, encoded};
use serde_json::Value;

use super::target::{Undelivered, is_below};

/// A server with hundreds of libraries has some hundred kilobytes.
const MOST: u64 = 4 << 20;

fn get(to: &TargetSecrets, path: &str) -> Request {
    Request::new("GET", format!("{}{path}", to.url), MOST)
        .header("X-Plex-Token", &to.token)
        .header("Accept", "application/json")
}

/// Asks for all libraries.
pub(super) fn sections(to: &TargetSecrets) -> Request {
    get(to, "/library/sections")
}

/// The key of the library that holds this folder.
///
/// # Errors
/// The list is none, or no library does.
pub(super) fn section_of(list: &[u8], folder: &str) -> Result<String, Undelivered> {
    let list: Value = serde_json::from_slice(list)
        .map_err(|_| Undelivered::again("its list of libraries is no JSON: is this Plex?"))?;
    let holds = |section: &&Value| {
        let places = section["Location"].as_array().into_iter().flatten();
        places.filter_map(|l| l["path"].as_str()).any(|place| is_below(folder, place))
    };
    let all = list["MediaContainer"]["Directory"].as_array();
    let key = all.into_iter().flatten().find(holds).and_then(|s| s["key"].as_str().map(str::to_owned));
    // The key becomes part of a path.
    match key.filter(|k| !k.is_empty() && k.bytes().all(|b| b.is_ascii_alphanumeric())) {
        Some(key) => Ok(key),
        None => Err(Undelivered::never(format!(
            "no library of it holds {folder}: set paths to the folder that Plex sees"
        ))),
    }
}

/// Has one folder looked at.
pub(super) fn refresh(to: &TargetSecrets, key: &str, folder: &str) -> Request {
    get(to, &format!("/library/sections/{key}/refresh?path={}", encoded(folder)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_library_is_found_by_its_folder() {
        let list = br#"{"MediaContainer":{"Directory":[
            {"key":"1","Location":[{"id":1,"path":"/data/shows"}]},
            {"key":"2","Location":[{"id":2,"path":"/data/film"},{"id":3,"path":"/data/films/"}]}]}}"#;
        assert_eq!(section_of(list, "/data/films/A (2020)").unwrap(), "2");
        let e = section_of(list, "/data/filmsx/A").unwrap_err();
        assert!(e.is_final && e.problem.contains("/data/filmsx/A"));
        assert!(!section_of(b"<html>", "/x").unwrap_err().is_final);
        let evil = br#"{"MediaContainer":{"Directory":[{"key":"../x","Location":[{"path":"/a"}]}]}}"#;
        assert!(section_of(evil, "/a/b").is_err());
    }
}
