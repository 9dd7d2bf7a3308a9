//! Jellyfin: `POST /Library/Media/Updated` looks at the folder of one path.

use common::config::TargetSecrets;
use common::http::Request;
use serde_json::json;

const MOST: u64 = 64 << 10;

/// Tells it of a new file.
pub(super) fn updated(to: &TargetSecrets, path: &str) -> Request {
    Request::new("POST", format!("{}/Library/Media/Updated", to.url), MOST)
        .header("Authorization", format!("MediaBrowser Token=\"{}\"", to.token))
        .json(&json!({"Updates": [{"Path": path, "UpdateType": "Created"}]}))
}
