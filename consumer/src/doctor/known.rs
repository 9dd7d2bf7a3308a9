//! What is known of versions of other programs. Capabilities are asked for and tried out; this is for the rest.

use common::doctor::Finding;
use common::text::safe_path;
use std::path::Path;

/// One thing that is known about a range of versions.
struct Known {
    tool: &'static str,
    /// Older than this (major, minor).
    below: (u32, u32),
    /// What is known, and how.
    why: &'static str,
    hint: &'static str,
}

/// Checked in this order; the first that fits is told. What is too old for any use is refused by the toolbox.
const TABLE: &[Known] = &[
    Known {
        tool: "mkvmerge",
        below: (74, 0),
        why: "results of 74 and later were proven; of this one nothing is known but that 57 mended a fault that damaged Dolby Vision \
              (mkvtoolnix issue 3093)",
        hint: "the self-test below decides, and so does the proof of every film; a newer one: \
               `apt-get install mkvtoolnix` from https://mkvtoolnix.download",
    },
    Known {
        tool: "ffmpeg",
        below: (4, 2),
        why: "4.2.2, 5.1 and 7.0.2 were tried, nothing older",
        hint: "the test encode and the self-test below decide; a newer one: `apt-get install ffmpeg`",
    },
];

/// A good finding, or a warning with what is known of this version.
pub fn judge(tool: &'static str, path: &Path, version: &str) -> Finding {
    let text = format!("{version}, {}", safe_path(path));
    let number = number(version);
    let known = TABLE.iter().find(|k| k.tool == tool && number.is_some_and(|n| n < k.below));
    let finding = match known {
        Some(k) => Finding::warning(format!("{text}: {}", k.why), k.hint),
        None => Finding::ok(text),
    };
    finding.measured("version", version)
}

/// `5.1.9-0+deb12u1`, `n7.0`, `74.0.0`; `None` for a nightly build's `N-112000-gdeadbeef`, which is newer than any table.
fn number(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('n').split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next().and_then(|p| p.parse().ok()).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use common::doctor::Level;

    use super::*;

    #[test]
    fn versions_are_read_as_distributions_write_them() {
        assert_eq!(number("5.1.9-0+deb12u1"), Some((5, 1)));
        assert_eq!(number("4.2.2-static"), Some((4, 2)));
        assert_eq!((number("n7.0"), number("74")), (Some((7, 0)), Some((74, 0))));
        assert_eq!(number("N-112000-gdeadbeef"), None);
        let level = |tool, version| judge(tool, Path::new("/x"), version).level;
        assert_eq!((level("mkvmerge", "65.0.0"), level("mkvmerge", "74.0.0")), (Level::Warning, Level::Ok));
        assert_eq!((level("ffmpeg", "4.1"), level("ffmpeg", "N-112000-g1")), (Level::Warning, Level::Ok));
    }
}
