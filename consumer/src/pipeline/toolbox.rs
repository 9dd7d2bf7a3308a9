//! The programs, looked for when they are first needed.

use std::path::{Path, PathBuf};

use common::config::ToolsConfig;
use common::job::FailureCode;
use common::process::{ExitReport, Stdout, Supervision, ToolCommand, find_tool, run};
use tokio::sync::OnceCell;

use super::{Stage, StageError};
use crate::tools::{ffmpeg, mkvmerge};

/// A usable ffmpeg.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What it can do.
    pub can: ffmpeg::Capabilities,
}

/// A usable mkvmerge.
#[derive(Debug, Clone)]
pub struct Mkvmerge {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
}

/// mkvtoolnix 56.0 and 56.1 corrupt Dolby Vision streams (mkvtoolnix issue 3093).
const OLDEST_MKVMERGE: u32 = 57;

/// Finds each program once. What was not found is looked for again the next time: it may have been installed.
#[derive(Debug)]
pub struct Toolbox {
    config: ToolsConfig,
    ffmpeg: OnceCell<Ffmpeg>,
    mkvmerge: OnceCell<Mkvmerge>,
}

impl Toolbox {
    /// Looks for nothing yet.
    pub fn new(config: ToolsConfig) -> Self {
        Self { config, ffmpeg: OnceCell::new(), mkvmerge: OnceCell::new() }
    }

    /// ffmpeg, with libx265 or not.
    ///
    /// # Errors
    /// `tool.missing`, or `tool.failed` if it does not even tell its version.
    pub async fn ffmpeg(&self) -> Result<&Ffmpeg, StageError> {
        let find = async || {
            let path = find(&self.config.ffmpeg)?;
            let version = ask(ffmpeg::version(&path)).await?;
            let help = ask(ffmpeg::full_help(&path)).await?;
            let encoder = ask(ffmpeg::encoder_help(&path)).await?;
            Ok(Ffmpeg { can: ffmpeg::Capabilities::read(&version, &help, &encoder), path })
        };
        self.ffmpeg.get_or_try_init(find).await
    }

    /// ffmpeg with libx265.
    ///
    /// # Errors
    /// As [`Toolbox::ffmpeg`], and `encode.unsupported`.
    pub async fn encoder(&self) -> Result<&Ffmpeg, StageError> {
        let ffmpeg = self.ffmpeg().await?;
        if !ffmpeg.can.libx265 {
            let message = format!("{} has no encoder libx265", ffmpeg.path.display());
            return Err(StageError::new(Stage::Preflight, FailureCode::EncodeUnsupported, message));
        }
        Ok(ffmpeg)
    }

    /// mkvmerge.
    ///
    /// # Errors
    /// `tool.missing` also where it is too old, or `tool.failed`.
    pub async fn mkvmerge(&self) -> Result<&Mkvmerge, StageError> {
        let find = async || {
            let path = find(&self.config.mkvmerge)?;
            let text = ask(mkvmerge::version(&path)).await?;
            match mkvmerge::parse_version(&text) {
                Some((version, major)) if major >= OLDEST_MKVMERGE => Ok(Mkvmerge { path, version }),
                Some((version, _)) => Err(missing(format!(
                    "{} is version {version}; at least {OLDEST_MKVMERGE} is needed, older ones damage Dolby Vision",
                    path.display()
                ))),
                None => Err(missing(format!("{} is no mkvmerge", path.display()))),
            }
        };
        self.mkvmerge.get_or_try_init(find).await
    }
}

fn missing(message: String) -> StageError {
    StageError::new(Stage::Preflight, FailureCode::ToolMissing, message)
}

fn find(tool: &Path) -> Result<PathBuf, StageError> {
    find_tool(tool, std::env::var_os("PATH").as_deref()).map_err(|e| missing(e.to_string()).because(e))
}

/// Runs a command that prints something short about itself.
async fn ask(command: ToolCommand) -> Result<String, StageError> {
    let watch = Supervision { stdout: Stdout::Capture(1 << 20), ..Supervision::default() };
    let report: ExitReport =
        run(&command, watch).await.map_err(|e| StageError::spawn(Stage::Preflight, e))?;
    if !report.success() {
        return Err(StageError::exit(Stage::Preflight, FailureCode::ToolFailed, &command.name(), &report));
    }
    Ok(String::from_utf8_lossy(&report.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tools(ffmpeg: &str, mkvmerge: &str) -> Toolbox {
        Toolbox::new(ToolsConfig { ffmpeg: ffmpeg.into(), mkvmerge: mkvmerge.into() })
    }

    #[tokio::test]
    async fn the_real_tools_are_found_and_understood() {
        let tools = tools("ffmpeg", "mkvmerge");
        let ffmpeg = tools.encoder().await.unwrap();
        assert!(ffmpeg.path.is_absolute() && !ffmpeg.can.version.is_empty());
        assert!(!tools.mkvmerge().await.unwrap().version.is_empty());
    }

    #[tokio::test]
    async fn what_is_missing_or_something_else_is_named() {
        let tools = tools("/nonexistent/ffmpeg", "true");
        let error = tools.ffmpeg().await.unwrap_err();
        assert_eq!(error.code, FailureCode::ToolMissing);
        assert!(error.message.contains("/nonexistent/ffmpeg"), "{error}");
        assert_eq!(tools.mkvmerge().await.unwrap_err().code, FailureCode::ToolMissing);
    }
}
