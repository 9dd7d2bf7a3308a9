//! The only place that calls the `dolby_vision` crate on bytes from a film.
use std::panic::{AssertUnwindSafe, catch_unwind};

use dolby_vision::rpu::{ConversionMode, dovi_rpu::DoviRpu};

use super::{RpuInfo, guard};

/// Largest NAL 62 that is looked at. RPUs seen in practice have 150 to 400 bytes, level-rich ones a few KiB.
const MAX_RPU_BYTES: usize = 64 * 1024;

/// Why an RPU cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RpuError {
    /// The NAL is larger than any RPU can be.
    #[error("rpu of {0} bytes is larger than the limit of {MAX_RPU_BYTES}")]
    TooLarge(usize),
    /// A count inside the RPU is beyond what the syntax allows; parsing it would only allocate.
    #[error("rpu syntax out of range: {0}")]
    OutOfRange(&'static str),
    /// The parser refused it: CRC, prefix, or a field outside its range.
    #[error("rpu does not parse: {0}")]
    Parse(String),
    /// The parser has no code for this syntax (it panicked, e.g. on linear-interpolation curves).
    #[error("rpu uses unsupported syntax: {0}")]
    Unsupported(String),
    /// This profile has no profile 8.1 form whose picture would be right.
    #[error("rpu of profile {0} has no profile 8.1 form for an unchanged base layer")]
    Profile(u8),
    /// The converted RPU could not be written.
    #[error("rpu cannot be written: {0}")]
    Write(String),
}

/// Parses a complete NAL 62 (with its `7C 01` header, escaped, no start code), CRC checked.
///
/// # Errors
/// See [`RpuError`]; the parser's panics become [`RpuError::Unsupported`].
pub fn parse(nal62: &[u8]) -> Result<DoviRpu, RpuError> {
    if nal62.len() > MAX_RPU_BYTES {
        return Err(RpuError::TooLarge(nal62.len()));
    }
    let nal62 = trim_zeros(nal62);
    guard::check(nal62)?;
    shielded(|| DoviRpu::parse_unspec62_nalu(nal62).map_err(|e| RpuError::Parse(one_line(&e))))
}

/// The profile 8.1 form of a NAL 62, as a complete NAL 62 (header, escaped, no start code).
///
/// Profile 8 comes back byte for byte. Profile 7 loses its NLQ part, and with a FEL also the mapping curve, which is
/// the predictor of a residual that is no longer there.
///
/// # Errors
/// [`RpuError::Profile`] for profiles whose base layer is no HDR10 picture (4, 5), else as [`parse`].
pub fn to_p81(nal62: &[u8]) -> Result<Vec<u8>, RpuError> {
    let (info, converted) = describe(nal62, true)?;
    converted.ok_or(RpuError::Profile(info.profile))
}

/// Facts of a NAL 62 and, when `convert` is set, its profile 8.1 form, from one parse. Profiles without such a form
/// (see [`RpuError::Profile`]) give `None`.
///
/// # Errors
/// As [`parse`], or [`RpuError::Write`].
pub fn describe(nal62: &[u8], convert: bool) -> Result<(RpuInfo, Option<Vec<u8>>), RpuError> {
    let mut rpu = parse(nal62)?;
    let info = shielded(|| Ok(RpuInfo::of(&rpu)))?;
    let converted = match (convert, rpu.dovi_profile) {
        (true, 8) => Some(trim_zeros(nal62).to_vec()),
        (true, 7) => Some(shielded(|| {
            // The enum, never its number: `From<u8>` maps unknown modes to "lossless".
            rpu.convert_with_mode(ConversionMode::To81).map_err(|e| RpuError::Write(one_line(&e)))?;
            written(&rpu)
        })?),
        _ => None,
    };
    Ok((info, converted))
}

/// A copy of a profile 8 NAL 62 that does not announce a new scene, for a frame whose own RPU is missing.
///
/// # Errors
/// As [`parse`], or [`RpuError::Write`].
pub fn without_scene_refresh(nal62: &[u8]) -> Result<Vec<u8>, RpuError> {
    let mut rpu = parse(nal62)?;
    let Some(dm) = rpu.vdr_dm_data.as_mut().filter(|dm| dm.scene_refresh_flag != 0) else {
        return Ok(trim_zeros(nal62).to_vec());
    };
    dm.scene_refresh_flag = 0;
    rpu.modified = true;
    shielded(|| written(&rpu))
}

/// The writer accepts some unusual field values that the parser then refuses (measured); such an RPU must not reach a
/// film, so what was written is read back.
fn written(rpu: &DoviRpu) -> Result<Vec<u8>, RpuError> {
    let nal = rpu.write_hevc_unspec62_nalu().map_err(|e| RpuError::Write(one_line(&e)))?;
    match DoviRpu::parse_unspec62_nalu(&nal) {
        Ok(back) if back.dovi_profile == 8 => Ok(nal),
        Ok(back) => Err(RpuError::Write(format!("it reads back as profile {}", back.dovi_profile))),
        Err(error) => Err(RpuError::Write(format!("it does not read back: {}", one_line(&error)))),
    }
}

/// Zero bytes after the end are stuffing, not RPU; the parser keeps them and would write them back.
fn trim_zeros(nal: &[u8]) -> &[u8] {
    let end = nal.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
    &nal[..end]
}

fn shielded<T>(work: impl FnOnce() -> Result<T, RpuError>) -> Result<T, RpuError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(result) => result,
        Err(panic) => {
            let text = panic
                .downcast_ref::<&str>()
                .map(|s| (*s).to_owned())
                .or_else(|| panic.downcast_ref::<String>().cloned())
                .unwrap_or_else(|| "parser panicked".to_owned());
            Err(RpuError::Unsupported(text))
        }
    }
}

fn one_line(error: &dyn std::fmt::Display) -> String {
    format!("{error:#}").replace('\n', " ")
}
