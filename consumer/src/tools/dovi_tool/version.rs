//! dovi_tool's version.

use std::path::Path;

use common::process::ToolCommand;

/// Asks for the version.
pub fn version(dovi_tool: &Path) -> ToolCommand {
    ToolCommand::new(dovi_tool).arg("--version")
}

/// The version as printed, and its first two numbers: `dovi_tool 2.3.1`, or `dovi_tool 2.3.1-17-gd4734e5` for a build
/// between two releases.
pub fn parse_version(text: &str) -> Option<(String, (u32, u32))> {
    let version = text.lines().next()?.strip_prefix("dovi_tool ")?.split_whitespace().next()?;
    let mut numbers = version.split(['.', '-']).map(str::parse);
    let (major, minor) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
    Some((version.to_owned(), (major, minor)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_read() {
        assert_eq!(parse_version("dovi_tool 2.3.1\n"), Some(("2.3.1".into(), (2, 3))));
        let between = "dovi_tool 2.3.1-17-gd4734e5\n";
        assert_eq!(parse_version(between), Some(("2.3.1-17-gd4734e5".into(), (2, 3))));
        assert_eq!(parse_version("dovi_tool 1.10.0"), Some(("1.10.0".into(), (1, 10))));
        for other in ["", "dovi_tool", "dovi_tool x.y", "hdr10plus_tool 1.7.0", "GNU coreutils 9.1"] {
            assert_eq!(parse_version(other), None, "{other}");
        }
    }
}
