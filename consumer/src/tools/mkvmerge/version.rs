//! mkvmerge's version.

use std::path::Path;

use common::process::ToolCommand;

/// Asks for the version.
pub fn version(mkvmerge: &Path) -> ToolCommand {
    ToolCommand::new(mkvmerge).arg("--version")
}

/// The version as printed, and its major number: `mkvmerge v74.0.0 ('You Oughta Know') 64-bit`.
pub fn parse_version(text: &str) -> Option<(String, u32)> {
    let version = text.lines().next()?.strip_prefix("mkvmerge v")?.split_whitespace().next()?;
    Some((version.to_owned(), version.split('.').next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        let line = "mkvmerge v74.0.0 ('You Oughta Know') 64-bit\n";
        assert_eq!(parse_version(line), Some(("74.0.0".into(), 74)));
        assert_eq!(parse_version("bash: mkvmerge: not found"), None);
    }
}
