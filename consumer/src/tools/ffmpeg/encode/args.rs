//! The command line of an encode, the same for a film and for a test.

use std::path::PathBuf;

use common::process::ToolCommand;

use super::setting::{Setting, Unsupported};
use super::{Nvenc, Qsv, Vaapi, X265, colour};
use crate::tools::ffmpeg::{Capabilities, EncoderOptions, Input};

/// An encoder with its settings.
#[derive(Debug, Clone, PartialEq)]
pub enum VideoEncoder {
    /// libx265
    X265(X265),
    /// hevc_nvenc
    Nvenc(Nvenc),
    /// hevc_qsv
    Qsv(Qsv),
    /// hevc_vaapi
    Vaapi(Vaapi),
}

/// What an encoder adds to the command line.
#[derive(Debug, Default)]
pub(super) struct Arguments {
    /// The VA-API device to open.
    pub(super) device: Option<PathBuf>,
    /// Filters on the way to the encoder.
    pub(super) filter: Option<String>,
    /// The pixel format that it is given.
    pub(super) format: Option<&'static str>,
    /// Its options, in this order.
    pub(super) settings: Vec<Setting>,
    /// Colour tags are written into the finished stream, with this chroma location.
    pub(super) tags: Option<Option<u8>>,
}

impl VideoEncoder {
    /// ffmpeg's name of it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::X265(_) => "libx265",
            Self::Nvenc(_) => Nvenc::NAME,
            Self::Qsv(_) => Qsv::NAME,
            Self::Vaapi(_) => Vaapi::NAME,
        }
    }

    fn arguments(&self) -> Arguments {
        match self {
            Self::X265(e) => e.arguments(),
            Self::Nvenc(e) => e.arguments(),
            Self::Qsv(e) => e.arguments(),
            Self::Vaapi(e) => e.arguments(),
        }
    }
}

/// Decode pictures and encode them to a raw HEVC stream on standard output.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The pictures.
    pub input: Input,
    /// The encoder.
    pub encoder: VideoEncoder,
}

impl EncodeArgs {
    /// The command line.
    ///
    /// Every decoded frame is encoded exactly once: the default frame rate conversion would drop frames of a film with
    /// variable frame rate, and invent some before one that starts late (110 and 122 instead of 120, measured).
    ///
    /// # Errors
    /// [`Unsupported`]: this build lacks something that the encode cannot do without.
    pub fn command(&self, can: &Capabilities, options: &EncoderOptions) -> Result<ToolCommand, Unsupported> {
        let encoder = self.encoder.name();
        let add = self.encoder.arguments();
        let mut command =
            ToolCommand::new(&self.ffmpeg).args(["-nostdin", "-hide_banner", "-nostats", "-v", "warning"]);
        if let Some(device) = add.device {
            if !can.vaapi_device {
                let option = format!("-vaapi_device {}", device.display());
                return Err(Unsupported { encoder, option });
            }
            command = command.arg2("-vaapi_device", device);
        }
        command = self
            .input
            .add_to(command)
            .args(["-an", "-sn", "-dn"])
            .args(can.passthrough())
            .arg2_opt("-vf", add.filter)
            .arg2("-c:v", encoder)
            .arg2_opt("-pix_fmt", add.format);
        for setting in &add.settings {
            command = setting.add_to(command, encoder, can, options)?;
        }
        if let Some(chroma_loc) = add.tags {
            command = command.arg2("-bsf:v", colour::metadata_filter(encoder, chroma_loc, options)?);
        }
        Ok(command.args(["-f", "hevc", "pipe:1"]))
    }
}

#[cfg(test)]
#[path = "args_tests.rs"]
mod tests;
