//! What the head of the file says about its contents.
use serde::{Deserialize, Serialize};

use super::{ContentEncoding, Edition, Tag};

/// Everything before the first cluster, plus the counts of elements met later.
#[derive(Debug, Clone, Default)]
pub struct Header {
    /// Nanoseconds per timestamp tick.
    pub timestamp_scale_ns: u64,
    /// Declared duration; a claim only, truncated files keep it.
    pub duration_ns: Option<u64>,
    /// Segment title.
    pub title: Option<String>,
    /// Library that wrote the file.
    pub muxing_app: String,
    /// Program that wrote the file.
    pub writing_app: String,
    /// Tracks in file order; the position is mkvmerge's track id.
    pub tracks: Vec<Track>,
    /// Attachments met so far.
    pub attachments: Vec<Attachment>,
    /// Editions with their chapters met so far.
    pub editions: Vec<Edition>,
    /// Tags met so far.
    pub tags: Vec<Tag>,
}

impl Header {
    /// The track with this number.
    #[must_use]
    pub fn track(&self, number: u64) -> Option<&Track> {
        self.tracks.iter().find(|t| t.number == number)
    }

    /// Number of chapters over all editions, without those inside others.
    #[must_use]
    pub fn chapters(&self) -> usize {
        self.editions.iter().map(|e| e.chapters.len()).sum()
    }
}

/// Kind of a track (RFC 9559 section 5.1.4.1.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum TrackKind {
    /// 1
    Video,
    /// 2
    Audio,
    /// 17
    Subtitle,
    /// 18
    Buttons,
    /// Anything else.
    Other(u8),
}

/// One TrackEntry.
#[derive(Debug, Clone)]
pub struct Track {
    /// Number used by blocks.
    pub number: u64,
    /// Unique id.
    pub uid: u64,
    /// Kind.
    pub kind: TrackKind,
    /// Codec, e.g. `V_MPEGH/ISO/HEVC`.
    pub codec_id: String,
    /// Codec private data (hvcC for HEVC), content encodings undone.
    pub codec_private: Vec<u8>,
    /// Name.
    pub name: Option<String>,
    /// ISO 639-2 language, "eng" if absent as the specification has it.
    pub language: String,
    /// BCP 47 language, which overrides the other.
    pub language_ietf: Option<String>,
    /// FlagEnabled.
    pub flag_enabled: bool,
    /// FlagDefault.
    pub flag_default: bool,
    /// FlagForced.
    pub flag_forced: bool,
    /// FlagHearingImpaired, if written.
    pub flag_hearing_impaired: Option<bool>,
    /// FlagVisualImpaired, if written.
    pub flag_visual_impaired: Option<bool>,
    /// FlagTextDescriptions, if written.
    pub flag_text_descriptions: Option<bool>,
    /// FlagOriginal, if written.
    pub flag_original: Option<bool>,
    /// FlagCommentary, if written.
    pub flag_commentary: Option<bool>,
    /// Nominal frame duration.
    pub default_duration_ns: Option<u64>,
    /// Codec delay; block timestamps are not shifted by it here.
    pub codec_delay_ns: u64,
    /// How much a decoder has to decode before a seek target.
    pub seek_pre_roll_ns: u64,
    /// Video part.
    pub video: Option<Video>,
    /// Audio part.
    pub audio: Option<Audio>,
    /// Dolby Vision configuration record (dvcC or dvvC).
    pub dovi: Option<DoviConfig>,
    /// Packing of the frames, in decoding order.
    pub encodings: Vec<ContentEncoding>,
    /// Blocks may carry BlockAdditions.
    pub has_block_additions: bool,
    /// BlockAddIDType of every BlockAdditionMapping, e.g. `dvcC` or `hvcE` as a number.
    pub addition_types: Vec<u64>,
}

/// Video settings of a track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Video {
    /// Coded width in samples.
    pub width: u64,
    /// Coded height in samples.
    pub height: u64,
    /// Display width, if written.
    pub display_width: Option<u64>,
    /// Display height, if written.
    pub display_height: Option<u64>,
    /// Samples a player leaves out at the left, top, right and bottom (PixelCrop).
    pub crop: [u64; 4],
    /// Display unit (0 pixels, 3 aspect ratio).
    pub display_unit: u64,
    /// FlagInterlaced is 1.
    pub interlaced: bool,
    /// Colour element.
    pub colour: Option<Colour>,
}

/// Colour element; code points are those of ITU-T H.273.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Colour {
    /// Primaries.
    pub primaries: Option<u64>,
    /// Transfer characteristics.
    pub transfer: Option<u64>,
    /// Matrix coefficients.
    pub matrix: Option<u64>,
    /// 1 limited, 2 full.
    pub range: Option<u64>,
    /// Horizontal and vertical chroma siting (1 co-sited with the left/top sample, 2 half).
    pub siting: Option<(u64, u64)>,
    /// MaxCLL, nits.
    pub max_cll: Option<u64>,
    /// MaxFALL, nits.
    pub max_fall: Option<u64>,
    /// Mastering display.
    pub mastering: Option<Mastering>,
}

/// Mastering display as the container stores it: chromaticities as floats, luminances in nits.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Mastering {
    /// Red x, y.
    pub red: (f64, f64),
    /// Green x, y.
    pub green: (f64, f64),
    /// Blue x, y.
    pub blue: (f64, f64),
    /// White x, y.
    pub white: (f64, f64),
    /// Maximum luminance, nits.
    pub max_nits: f64,
    /// Minimum luminance, nits.
    pub min_nits: f64,
}

/// Audio settings of a track.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Audio {
    /// Channels.
    pub channels: u64,
    /// Sampling frequency, Hz.
    pub sampling_hz: f64,
    /// Bits per sample, if written.
    pub bit_depth: Option<u64>,
}

/// Dolby Vision configuration record: a claim of the container, the RPU decides.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DoviConfig {
    /// Profile.
    pub profile: u8,
    /// Level.
    pub level: u8,
    /// RPU present.
    pub rpu: bool,
    /// Enhancement layer present.
    pub el: bool,
    /// Base layer present.
    pub bl: bool,
    /// Base layer signal compatibility id.
    pub compat: u8,
}

impl DoviConfig {
    /// Parses the record; `None` if it is shorter than five bytes.
    #[must_use]
    pub fn parse(record: &[u8]) -> Option<Self> {
        let [_, _, a, b, c, ..] = *record else { return None };
        Some(Self {
            profile: a >> 1,
            level: (a & 1) << 5 | b >> 3,
            rpu: b & 4 != 0,
            el: b & 2 != 0,
            bl: b & 1 != 0,
            compat: c >> 4,
        })
    }
}

/// An attached file, without its bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// Unique id, 0 if absent.
    pub uid: u64,
    /// File name.
    pub name: String,
    /// MIME type.
    pub mime: String,
    /// Description, if there is one.
    pub description: Option<String>,
    /// Bytes.
    pub size: u64,
    /// BLAKE3 of the bytes as 64 hex digits; empty if they were not read.
    pub hash: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Records as mkvmerge writes them (measured).
    #[test]
    fn configuration_records_of_profile_7_and_8() {
        let p7 = DoviConfig { profile: 7, level: 6, rpu: true, el: true, bl: true, compat: 6 };
        assert_eq!(DoviConfig::parse(&[1, 0, 0x0E, 0x37, 0x60, 0]), Some(p7));
        let p8 = DoviConfig { profile: 8, level: 6, rpu: true, el: false, bl: true, compat: 1 };
        assert_eq!(DoviConfig::parse(&[1, 0, 0x10, 0x35, 0x10]), Some(p8));
        assert_eq!(DoviConfig::parse(&[1, 0, 0x10, 0x35]), None);
    }
}
