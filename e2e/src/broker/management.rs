//! The few HTTP requests to the management plugin that tests need.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use base64::prelude::{BASE64_STANDARD, Engine};
use serde_json::Value;

/// The user RabbitMQ is born with; it may connect from loopback only.
pub(super) const ADMIN: &str = "guest";
const TIMEOUT: Duration = Duration::from_secs(10);

/// Sends one request as [`ADMIN`] and returns status and body (`Null` where there is none).
pub(super) fn request(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<(u16, Value)> {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).context("connect to the management port")?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let body = body.map(Value::to_string).unwrap_or_default();
    let credentials = BASE64_STANDARD.encode(format!("{ADMIN}:{ADMIN}"));
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let head = format!(
        "{method} {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nAuthorization: Basic {credentials}\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).context("read the management plugin's answer")?;
    let answer = String::from_utf8(answer).context("an answer in UTF-8")?;
    let (head, body) = answer.split_once("\r\n\r\n").context("an HTTP answer")?;
    let status = head.split(' ').nth(1).and_then(|s| s.parse().ok()).context("an HTTP status")?;
    Ok((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

/// [`request`] that takes only 2xx for an answer.
pub(super) fn demand(port: u16, method: &str, path: &str, body: Option<&Value>) -> Result<Value> {
    let (status, answer) = request(port, method, path, body)?;
    if !(200..300).contains(&status) {
        bail!("{method} {path}: HTTP status {status}: {answer}");
    }
    Ok(answer)
}

/// `%XX` for everything but unreserved characters, as URL path segments and user names need (RFC 3986 2.3).
pub(super) fn percent(text: &str) -> String {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-._~".contains(&b);
    text.bytes().map(|b| if plain(b) { char::from(b).to_string() } else { format!("%{b:02X}") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percent_keeps_slashes_out_of_paths() {
        assert_eq!(percent("a/b ä~"), "a%2Fb%20%C3%A4~");
    }
}
