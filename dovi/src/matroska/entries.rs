//! Parsing of the small masters: Info, Tracks, Chapters, Tags.
use super::{
    Audio, Colour, DoviConfig, Header, Mastering, MatroskaError, Track, TrackKind, Video,
    ebml::{Elements, float, text, uint},
    encoding, ids,
    reader::MAX_TIME_NS,
};

/// `dvcC`, `dvvC`, `dvwC` as BlockAddIDType.
const DOVI_TYPES: [u64; 3] = [0x6476_6343, 0x6476_7643, 0x6476_7743];

/// More tracks than any file has; a bound on what hostile bytes can make us keep.
const MAX_TRACKS: usize = 1024;

pub(crate) fn info(payload: &[u8], offset: u64, header: &mut Header) -> Result<(), MatroskaError> {
    let mut duration = None;
    for (id, data) in Elements::new(payload) {
        match id {
            ids::TIMESTAMP_SCALE => {
                // RFC 9559 5.1.2.9 forbids 0, and every reader makes something else of it.
                let scale = uint(data).filter(|scale| *scale > 0);
                header.timestamp_scale_ns =
                    scale.ok_or_else(|| MatroskaError::damaged(offset, "timestamp scale of zero"))?;
            }
            ids::DURATION => duration = float(data).filter(|d| d.is_finite() && *d > 0.0),
            ids::TITLE => header.title = Some(text(data)),
            ids::MUXING_APP => header.muxing_app = text(data),
            ids::WRITING_APP => header.writing_app = text(data),
            _ => {}
        }
    }
    let duration = duration.map(|ticks| (ticks * header.timestamp_scale_ns as f64) as u64);
    header.duration_ns = duration.filter(|ns| *ns <= MAX_TIME_NS);
    Ok(())
}

pub(crate) fn tracks(payload: &[u8], offset: u64, header: &mut Header) -> Result<(), MatroskaError> {
    let mut elements = Elements::new(payload);
    for (id, data) in elements.by_ref() {
        if id == ids::TRACK_ENTRY {
            if header.tracks.len() == MAX_TRACKS {
                return Err(MatroskaError::damaged(offset, "more than 1024 tracks"));
            }
            let track = track(data, offset)?;
            if header.track(track.number).is_some() {
                return Err(MatroskaError::damaged(offset, format!("track number {} twice", track.number)));
            }
            header.tracks.push(track);
        }
    }
    if elements.broken {
        return Err(MatroskaError::damaged(offset, "tracks element is unreadable"));
    }
    Ok(())
}

fn track(payload: &[u8], offset: u64) -> Result<Track, MatroskaError> {
    let mut track = Track {
        number: 0,
        uid: 0,
        kind: TrackKind::Other(0),
        codec_id: String::new(),
        codec_private: Vec::new(),
        name: None,
        language: "eng".to_owned(),
        language_ietf: None,
        flag_enabled: true,
        flag_default: true,
        flag_forced: false,
        flag_hearing_impaired: None,
        flag_visual_impaired: None,
        flag_text_descriptions: None,
        flag_original: None,
        flag_commentary: None,
        default_duration_ns: None,
        codec_delay_ns: 0,
        seek_pre_roll_ns: 0,
        video: None,
        audio: None,
        dovi: None,
        encodings: Vec::new(),
        has_block_additions: false,
        addition_types: Vec::new(),
    };
    let flag = |data: &[u8]| uint(data).unwrap_or(0) != 0;
    let mut elements = Elements::new(payload);
    for (id, data) in elements.by_ref() {
        match id {
            ids::TRACK_NUMBER => track.number = uint(data).unwrap_or(0),
            ids::TRACK_UID => track.uid = uint(data).unwrap_or(0),
            ids::TRACK_TYPE => track.kind = kind(uint(data).unwrap_or(0)),
            ids::CODEC_ID => track.codec_id = text(data),
            ids::CODEC_PRIVATE => track.codec_private = data.to_vec(),
            ids::NAME => track.name = Some(text(data)),
            ids::LANGUAGE => track.language = text(data),
            ids::LANGUAGE_BCP47 => track.language_ietf = Some(text(data)),
            ids::FLAG_ENABLED => track.flag_enabled = flag(data),
            ids::FLAG_DEFAULT => track.flag_default = flag(data),
            ids::FLAG_FORCED => track.flag_forced = flag(data),
            ids::FLAG_HEARING_IMPAIRED => track.flag_hearing_impaired = Some(flag(data)),
            ids::FLAG_VISUAL_IMPAIRED => track.flag_visual_impaired = Some(flag(data)),
            ids::FLAG_TEXT_DESCRIPTIONS => track.flag_text_descriptions = Some(flag(data)),
            ids::FLAG_ORIGINAL => track.flag_original = Some(flag(data)),
            ids::FLAG_COMMENTARY => track.flag_commentary = Some(flag(data)),
            ids::DEFAULT_DURATION => {
                track.default_duration_ns = uint(data).filter(|ns| (1..=MAX_TIME_NS).contains(ns));
            }
            ids::SEEK_PRE_ROLL => track.seek_pre_roll_ns = uint(data).unwrap_or(0),
            ids::CODEC_DELAY => track.codec_delay_ns = uint(data).unwrap_or(0),
            ids::MAX_BLOCK_ADDITION_ID => track.has_block_additions |= flag(data),
            ids::VIDEO => track.video = Some(video(data)),
            ids::AUDIO => track.audio = Some(audio(data)),
            ids::CONTENT_ENCODINGS => track.encodings = encoding::parse(data),
            ids::BLOCK_ADDITION_MAPPING => {
                let (kind, record) = mapping(data);
                // A file may repeat mappings without end; a handful tells all there is.
                if track.addition_types.len() < 16 {
                    track.addition_types.push(kind);
                }
                track.dovi =
                    record.filter(|_| DOVI_TYPES.contains(&kind)).and_then(DoviConfig::parse).or(track.dovi);
            }
            _ => {}
        }
    }
    if elements.broken {
        return Err(MatroskaError::damaged(offset, "track entry is unreadable"));
    }
    if track.number == 0 {
        return Err(MatroskaError::damaged(offset, "track entry without a number"));
    }
    // Codec private data with an encoding we cannot undo only matters once its frames are wanted.
    let supported = track.encodings.iter().all(|e| !matches!(e.encoding, super::Encoding::Unsupported(_)));
    if supported {
        let mut private = std::mem::take(&mut track.codec_private);
        if !private.is_empty() {
            encoding::undo(&track.encodings, 2, track.number, offset, &mut private)?;
        }
        track.codec_private = private;
    }
    Ok(track)
}

fn kind(code: u64) -> TrackKind {
    match code {
        1 => TrackKind::Video,
        2 => TrackKind::Audio,
        17 => TrackKind::Subtitle,
        18 => TrackKind::Buttons,
        other => TrackKind::Other(u8::try_from(other).unwrap_or(u8::MAX)),
    }
}

/// Type and extra data of a BlockAdditionMapping.
fn mapping(payload: &[u8]) -> (u64, Option<&[u8]>) {
    let (mut kind, mut record) = (0, None);
    for (id, data) in Elements::new(payload) {
        match id {
            ids::BLOCK_ADD_ID_TYPE => kind = uint(data).unwrap_or(0),
            ids::BLOCK_ADD_ID_EXTRA_DATA => record = Some(data),
            _ => {}
        }
    }
    (kind, record)
}

fn video(payload: &[u8]) -> Video {
    let mut video = Video::default();
    for (id, data) in Elements::new(payload) {
        match id {
            ids::FLAG_INTERLACED => video.interlaced = uint(data) == Some(1),
            ids::PIXEL_WIDTH => video.width = uint(data).unwrap_or(0),
            ids::PIXEL_HEIGHT => video.height = uint(data).unwrap_or(0),
            ids::DISPLAY_WIDTH => video.display_width = uint(data),
            ids::DISPLAY_HEIGHT => video.display_height = uint(data),
            ids::PIXEL_CROP_LEFT => video.crop[0] = uint(data).unwrap_or(0),
            ids::PIXEL_CROP_TOP => video.crop[1] = uint(data).unwrap_or(0),
            ids::PIXEL_CROP_RIGHT => video.crop[2] = uint(data).unwrap_or(0),
            ids::PIXEL_CROP_BOTTOM => video.crop[3] = uint(data).unwrap_or(0),
            ids::DISPLAY_UNIT => video.display_unit = uint(data).unwrap_or(0),
            ids::COLOUR => video.colour = Some(colour(data)),
            _ => {}
        }
    }
    video
}

fn colour(payload: &[u8]) -> Colour {
    let mut colour = Colour::default();
    let (mut horizontal, mut vertical) = (None, None);
    for (id, data) in Elements::new(payload) {
        match id {
            ids::PRIMARIES => colour.primaries = uint(data),
            ids::TRANSFER => colour.transfer = uint(data),
            ids::MATRIX_COEFFICIENTS => colour.matrix = uint(data),
            ids::RANGE => colour.range = uint(data),
            ids::CHROMA_SITING_HORZ => horizontal = uint(data),
            ids::CHROMA_SITING_VERT => vertical = uint(data),
            ids::MAX_CLL => colour.max_cll = uint(data),
            ids::MAX_FALL => colour.max_fall = uint(data),
            ids::MASTERING => colour.mastering = Some(mastering(data)),
            _ => {}
        }
    }
    colour.siting = horizontal.zip(vertical);
    colour
}

fn mastering(payload: &[u8]) -> Mastering {
    let mut m = Mastering::default();
    for (id, data) in Elements::new(payload) {
        let value = float(data).filter(|v| v.is_finite()).unwrap_or(0.0);
        match id {
            ids::RED_X => m.red.0 = value,
            ids::RED_Y => m.red.1 = value,
            ids::GREEN_X => m.green.0 = value,
            ids::GREEN_Y => m.green.1 = value,
            ids::BLUE_X => m.blue.0 = value,
            ids::BLUE_Y => m.blue.1 = value,
            ids::WHITE_X => m.white.0 = value,
            ids::WHITE_Y => m.white.1 = value,
            ids::LUMINANCE_MAX => m.max_nits = value,
            ids::LUMINANCE_MIN => m.min_nits = value,
            _ => {}
        }
    }
    m
}

fn audio(payload: &[u8]) -> Audio {
    let mut audio = Audio { channels: 1, sampling_hz: 8000.0, bit_depth: None };
    for (id, data) in Elements::new(payload) {
        match id {
            ids::CHANNELS => audio.channels = uint(data).unwrap_or(1),
            ids::SAMPLING_FREQUENCY => {
                audio.sampling_hz = float(data).filter(|f| f.is_finite()).unwrap_or(0.0);
            }
            ids::BIT_DEPTH => audio.bit_depth = uint(data),
            _ => {}
        }
    }
    audio
}
