//! Colour tags for encoders that take them from the picture and from ffmpeg's common options: PQ and BT.2020, limited range.
//!
//! Every player and mkvmerge believe what the sequence parameter set says, and no later step can repair it. So the tags
//! are given three times: on every picture, to the encoder, and once more written into the finished stream.

use super::setting::{Setting, Unsupported};
use crate::tools::ffmpeg::EncoderOptions;

/// Marks every picture as what it is, without touching it: where tags of picture and encoder differ, ffmpeg 7.1 and later
/// would convert.
pub(super) const MARK: &str =
    "setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc";

/// H.265 figure E.1 by ffmpeg's names, type 0 to 5.
const LOCATIONS: [&str; 6] = ["left", "center", "topleft", "top", "bottomleft", "bottom"];

/// For the encoder.
pub(super) fn settings(chroma_loc: Option<u8>) -> Vec<Setting> {
    let mut all = vec![
        Setting::generic("color_primaries", "bt2020"),
        Setting::generic("color_trc", "smpte2084"),
        Setting::generic("colorspace", "bt2020nc"),
        Setting::generic("color_range", "tv"),
    ];
    let location = chroma_loc.and_then(|c| LOCATIONS.get(usize::from(c)));
    all.extend(location.map(|name| Setting::generic("chroma_sample_location", &name)));
    all
}

/// The bitstream filter that writes them into the finished stream (H.273: 9, 16, 9; H.265 E.2.1). Not every driver writes
/// what it was told.
pub(super) fn metadata_filter(
    encoder: &'static str,
    chroma_loc: Option<u8>,
    options: &EncoderOptions,
) -> Result<String, Unsupported> {
    let mut tags = vec![
        ("colour_primaries", 9),
        ("transfer_characteristics", 16),
        ("matrix_coefficients", 9),
        ("video_full_range_flag", 0),
    ];
    tags.extend(chroma_loc.map(|c| ("chroma_sample_loc_type", c)));
    if let Some((name, value)) = tags.iter().find(|(name, _)| !options.metadata.has(name)) {
        return Err(Unsupported { encoder, option: format!("-bsf:v hevc_metadata={name}={value}") });
    }
    let tags: Vec<String> = tags.iter().map(|(name, value)| format!("{name}={value}")).collect();
    Ok(format!("hevc_metadata={}", tags.join(":")))
}
