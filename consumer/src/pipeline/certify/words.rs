//! Values as people read them.

use std::fmt::Display;

/// The value, or `none`.
pub fn or_none<T: Display>(value: Option<T>) -> String {
    value.map_or_else(|| "none".into(), |v| v.to_string())
}

/// In quotes, or `none`.
pub fn quoted(text: Option<&str>) -> String {
    text.map_or_else(|| "none".into(), |t| format!("\"{t}\""))
}

/// `1.251 s`
pub fn seconds(ns: i64) -> String {
    format!("{:.3} s", ns as f64 / 1e9)
}

/// `0:20:05.250`, as players show it.
pub fn clock(ns: u64) -> String {
    let ms = (ns + 500_000) / 1_000_000;
    format!("{}:{:02}:{:02}.{:03}", ms / 3_600_000, ms / 60_000 % 60, ms / 1000 % 60, ms % 1000)
}

/// `1 frame`, `2 frames`
pub fn count(n: u64, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_like_text() {
        assert_eq!((or_none(Some(3)), or_none(None::<u8>)), ("3".into(), "none".into()));
        assert_eq!((quoted(Some("a")), quoted(None)), ("\"a\"".into(), "none".into()));
        assert_eq!(clock(3_605_250_400_000), "1:00:05.250");
        assert_eq!((count(1, "chapter"), count(0, "chapter")), ("1 chapter".into(), "0 chapters".into()));
    }
}
