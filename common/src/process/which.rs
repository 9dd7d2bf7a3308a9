//! Finding a tool.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

/// A tool that is not there.
#[derive(Debug, thiserror::Error)]
pub enum WhichError {
    /// No such file on `PATH` or at the given place.
    #[error("{} is not installed or not on PATH", tool.display())]
    NotFound {
        /// The tool as asked for.
        tool: PathBuf,
    },
    /// The file is there, but this user may not execute it.
    #[error("{} is there, but may not be executed by this user", found.display())]
    NotExecutable {
        /// The file.
        found: PathBuf,
    },
}

/// Finds the file that would run for `tool`: a path with a slash as it is, a bare name along `path` (pass
/// `std::env::var_os("PATH")`).
///
/// # Errors
/// [`WhichError`] tells a missing tool from one that may not be executed.
pub fn find_tool(tool: &Path, path: Option<&OsStr>) -> Result<PathBuf, WhichError> {
    let bare = tool.components().count() == 1 && !tool.as_os_str().as_encoded_bytes().contains(&b'/');
    let candidates: Vec<PathBuf> = if bare {
        path.map(|p| std::env::split_paths(p).map(|dir| dir.join(tool)).collect()).unwrap_or_default()
    } else {
        vec![tool.to_owned()]
    };
    let files: Vec<_> = candidates.into_iter().filter(|c| c.is_file()).collect();
    if let Some(good) =
        files.iter().find(|f| rustix::fs::access(f.as_path(), rustix::fs::Access::EXEC_OK).is_ok())
    {
        // It may run in another folder than this one.
        return Ok(std::path::absolute(good).unwrap_or_else(|_| good.clone()));
    }
    Err(match files.into_iter().next() {
        Some(found) => WhichError::NotExecutable { found },
        None => WhichError::NotFound { tool: tool.to_owned() },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tool_is_found_by_name_and_by_path_and_a_plain_file_is_none() {
        let path = std::env::var_os("PATH");
        let sh = find_tool(Path::new("sh"), path.as_deref()).unwrap();
        assert_eq!(find_tool(&sh, None).unwrap(), sh);
        assert!(matches!(
            find_tool(Path::new("no-such-tool"), path.as_deref()),
            Err(WhichError::NotFound { .. })
        ));
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("tool"), "x").unwrap();
        let found = find_tool(Path::new("tool"), Some(dir.path().as_os_str()));
        assert!(matches!(found, Err(WhichError::NotExecutable { .. })), "{found:?}");
    }
}
