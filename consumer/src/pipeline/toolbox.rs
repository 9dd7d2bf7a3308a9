//! The programs, looked for when they are first needed.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use common::config::{DoviBackend, ToolsConfig};
use common::job::{Encoder, FailureCode};
use common::process::{ExitReport, Stdout, Supervision, ToolCommand, find_tool, run};
use tokio::sync::OnceCell;

use super::stages::trial::Proof;
use super::{Stage, StageError};
use crate::tools::{dovi_tool, ffmpeg, mkvmerge};

/// A usable ffmpeg.
#[derive(Debug, Clone)]
pub struct Ffmpeg {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// What it can do.
    pub can: ffmpeg::Capabilities,
}

/// An ffmpeg that was built with an encoder. Whether the encoder works here is another question.
#[derive(Debug, Clone, Copy)]
pub struct EncoderTool<'a> {
    /// The program.
    pub ffmpeg: &'a Ffmpeg,
    /// The options that the encoder has in this build.
    pub options: &'a ffmpeg::EncoderOptions,
}

/// Test encodes that were right, by everything that they depend on.
type Proofs = HashMap<(Encoder, String), Arc<OnceCell<Proof>>>;

/// A usable mkvmerge.
#[derive(Debug, Clone)]
pub struct Mkvmerge {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
}

/// A usable dovi_tool.
#[derive(Debug, Clone)]
pub struct DoviTool {
    /// Where it is, absolute.
    pub path: PathBuf,
    /// Its version.
    pub version: String,
}

/// mkvtoolnix 56.0 and 56.1 corrupt Dolby Vision streams (mkvtoolnix issue 3093).
const OLDEST_MKVMERGE: u32 = 57;

/// Before 2.0 its mode 2 kept the luma and chroma mapping of a full enhancement layer (reported by its users; not tried here).
const OLDEST_DOVI_TOOL: (u32, u32) = (2, 0);

const DOVI_TOOL_HINT: &str = "Set tools.dovi_tool to a dovi_tool of github.com/quietvoid/dovi_tool, or \
    dovi.backend = \"internal\", which needs none.";

/// Finds each program once. What was not found is looked for again the next time: it may have been installed.
#[derive(Debug)]
pub struct Toolbox {
    config: ToolsConfig,
    ffmpeg: OnceCell<Ffmpeg>,
    mkvmerge: OnceCell<Mkvmerge>,
    encoders: [OnceCell<ffmpeg::EncoderOptions>; Encoder::ALL.len()],
    proofs: Mutex<Proofs>,
    backend: DoviBackend,
    dovi_tool: OnceCell<DoviTool>,
}

impl Toolbox {
    /// Looks for nothing yet.
    pub fn new(config: ToolsConfig) -> Self {
        Self {
            config,
            ffmpeg: OnceCell::new(),
            mkvmerge: OnceCell::new(),
            encoders: Default::default(),
            proofs: Mutex::default(),
            backend: DoviBackend::Internal,
            dovi_tool: OnceCell::new(),
        }
    }

    /// Who puts the metadata in.
    #[must_use]
    pub fn with_backend(mut self, backend: DoviBackend) -> Self {
        self.backend = backend;
        self
    }

    /// Who that is.
    pub fn backend(&self) -> DoviBackend {
        self.backend
    }

    /// dovi_tool, if it shall put the metadata in.
    ///
    /// # Errors
    /// `tool.missing` also where it is too old or another program, or `tool.failed`.
    pub async fn external(&self) -> Result<Option<&DoviTool>, StageError> {
        if self.backend == DoviBackend::Internal {
            return Ok(None);
        }
        let find = async || {
            let setting = |e: StageError| e.hint(DOVI_TOOL_HINT);
            let path = find(&self.config.dovi_tool).map_err(|mut e| {
                e.message = format!("dovi.backend = \"dovi_tool\" needs tools.dovi_tool: {}", e.message);
                setting(e)
            })?;
            let text = ask(dovi_tool::version(&path)).await.map_err(setting)?;
            match dovi_tool::parse_version(&text) {
                Some((version, number)) if number >= OLDEST_DOVI_TOOL => Ok(DoviTool { path, version }),
                Some((version, _)) => {
                    let (major, minor) = OLDEST_DOVI_TOOL;
                    Err(setting(missing(format!(
                        "{} is version {version}; tools.dovi_tool needs at least {major}.{minor}, \
                         older ones keep the mapping of an enhancement layer that is gone",
                        path.display()
                    ))))
                }
                None => Err(setting(missing(format!("tools.dovi_tool: {} is no dovi_tool", path.display())))),
            }
        };
        self.dovi_tool.get_or_try_init(find).await.map(Some)
    }

    /// The device for VA-API.
    pub fn vaapi_device(&self) -> &Path {
        &self.config.vaapi_device
    }

    /// ffmpeg, whatever encoders it has.
    ///
    /// # Errors
    /// `tool.missing`, or `tool.failed` if it does not even tell its version.
    pub async fn ffmpeg(&self) -> Result<&Ffmpeg, StageError> {
        let find = async || {
            let path = find(&self.config.ffmpeg)?;
            let version = ask(ffmpeg::version(&path)).await?;
            let help = ask(ffmpeg::full_help(&path)).await?;
            let encoders = ask(ffmpeg::encoders(&path)).await?;
            Ok(Ffmpeg { can: ffmpeg::Capabilities::read(&version, &help, &encoders), path })
        };
        self.ffmpeg.get_or_try_init(find).await
    }

    /// ffmpeg with an encoder.
    ///
    /// # Errors
    /// As [`Toolbox::ffmpeg`], and `encode.unsupported` where it was built without.
    pub async fn encoder(&self, encoder: Encoder) -> Result<EncoderTool<'_>, StageError> {
        let ffmpeg = self.ffmpeg().await?;
        let name = encoder_name(encoder);
        if !ffmpeg.can.encoders.contains(name) {
            let message = format!("{} was built without {name}", ffmpeg.path.display());
            return Err(StageError::new(Stage::Preflight, FailureCode::EncodeUnsupported, message));
        }
        let read = async || {
            let own = ask(ffmpeg::encoder_help(&ffmpeg.path, name)).await?;
            let metadata = ask(ffmpeg::metadata_help(&ffmpeg.path)).await?;
            Ok::<_, StageError>(ffmpeg::EncoderOptions::read(&own, &metadata))
        };
        let place = Encoder::ALL.iter().position(|e| *e == encoder).unwrap_or_default();
        Ok(EncoderTool { ffmpeg, options: self.encoders[place].get_or_try_init(read).await? })
    }

    /// Where the proof is kept that an encoder works with these settings; empty until there is one.
    pub(super) fn proof(&self, encoder: Encoder, settings: String) -> Arc<OnceCell<Proof>> {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.entry((encoder, settings)).or_default().clone()
    }

    /// The encoder must show again that it works.
    pub(super) fn forget_proofs(&self, encoder: Encoder) {
        let mut proofs = self.proofs.lock().unwrap_or_else(PoisonError::into_inner);
        proofs.retain(|(of, _), _| *of != encoder);
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
                ))
                .hint("Install a newer mkvtoolnix from https://mkvtoolnix.download, or set tools.mkvmerge to one.")),
                None => Err(missing(format!("{} is no mkvmerge", path.display()))),
            }
        };
        self.mkvmerge.get_or_try_init(find).await
    }
}

/// ffmpeg's name of it.
const fn encoder_name(encoder: Encoder) -> &'static str {
    match encoder {
        Encoder::X265 => "libx265",
        Encoder::Nvenc => "hevc_nvenc",
        Encoder::Qsv => "hevc_qsv",
        Encoder::Vaapi => "hevc_vaapi",
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
        Toolbox::new(ToolsConfig {
            ffmpeg: ffmpeg.into(),
            mkvmerge: mkvmerge.into(),
            ..ToolsConfig::default()
        })
    }

    #[tokio::test]
    async fn the_real_tools_are_found_and_understood() {
        let tools = tools("ffmpeg", "mkvmerge");
        let x265 = tools.encoder(Encoder::X265).await.unwrap();
        assert!(x265.ffmpeg.path.is_absolute() && !x265.ffmpeg.can.version.is_empty());
        assert!(x265.options.own.has("x265-params") && x265.options.metadata.has("colour_primaries"));
        assert!(!tools.mkvmerge().await.unwrap().version.is_empty());
    }

    #[tokio::test]
    async fn dovi_tool_is_asked_for_only_where_it_is_needed() {
        let of = |name: &str, backend| {
            let config = ToolsConfig { dovi_tool: name.into(), ..ToolsConfig::default() };
            Toolbox::new(config).with_backend(backend)
        };
        let absent = "/nonexistent/dovi_tool";
        assert!(of(absent, DoviBackend::Internal).external().await.unwrap().is_none());
        for (name, word) in [(absent, absent), ("true", "is no dovi_tool")] {
            let error = of(name, DoviBackend::DoviTool).external().await.unwrap_err();
            assert_eq!(error.code, FailureCode::ToolMissing, "{error}");
            assert!(error.message.contains(word) && error.message.contains("tools.dovi_tool"), "{error}");
            assert!(error.advice().contains("dovi.backend"), "{}", error.advice());
        }
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
