//! The shapes in which people are told: a generic webhook, Discord, ntfy.

use common::config::TargetSecrets;
use common::http::Request;
use common::job::{Notice, Occasion};
use common::text::cut;
use serde_json::json;

/// Nothing in an answer is read.
const MOST: u64 = 64 << 10;

fn with_token(request: Request, token: &str) -> Request {
    if token.is_empty() { request } else { request.header("Authorization", format!("Bearer {token}")) }
}

/// The notice as it is.
pub(super) fn webhook(to: &TargetSecrets, notice: &Notice) -> Request {
    let body = serde_json::to_value(notice).unwrap_or_default();
    let request = Request::new("POST", &to.url, MOST).json(&body).header("Idempotency-Key", &notice.id);
    with_token(request, &to.token)
}

/// An embed (Discord, "Execute Webhook"): title at most 256 characters, description 4096. `allowed_mentions` keeps a film called
/// `@everyone` from calling everyone.
pub(super) fn discord(to: &TargetSecrets, notice: &Notice) -> Request {
    let color = match notice.event {
        Occasion::Done | Occasion::QueueEmpty => 0x2e_a0_43,
        Occasion::Failed => 0xd0_30_2f,
        Occasion::Ill => 0xd2_99_22,
        Occasion::Test => 0x58_65_f2,
    };
    let body = json!({
        "username": "dovi-fleet",
        "allowed_mentions": {"parse": []},
        "embeds": [{
            "title": cut(&notice.title, 250),
            "description": cut(&words(notice), 2000),
            "color": color,
            "timestamp": notice.at,
        }],
    });
    Request::new("POST", &to.url, MOST).json(&body)
}

/// JSON to the server's root, which takes any text, while headers take ASCII only (ntfy, "Publish as JSON"). The last part of
/// the URL is the topic.
pub(super) fn ntfy(to: &TargetSecrets, notice: &Notice) -> Option<Request> {
    let (root, topic) = to.url.rsplit_once('/')?;
    if topic.is_empty() || root.ends_with('/') {
        return None;
    }
    let (tag, priority) = match notice.event {
        Occasion::Done => ("white_check_mark", 3),
        Occasion::Failed => ("x", 4),
        Occasion::Ill => ("warning", 4),
        Occasion::QueueEmpty => ("checkered_flag", 3),
        Occasion::Test => ("wave", 3),
    };
    let body = json!({
        "topic": topic, "title": cut(&notice.title, 250), "message": cut(&words(notice), 2000),
        "tags": [tag], "priority": priority,
    });
    Some(with_token(Request::new("POST", root, MOST).json(&body), &to.token))
}

/// What happened, and what to do.
fn words(notice: &Notice) -> String {
    match &notice.hint {
        Some(hint) if !hint.is_empty() => format!("{}\n{hint}", notice.text),
        _ => notice.text.clone(),
    }
}
