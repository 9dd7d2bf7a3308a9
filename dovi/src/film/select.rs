//! Which track is the film.
use super::ScanError;
use crate::matroska::{Header, Track, TrackKind};

const HEVC: &str = "V_MPEGH/ISO/HEVC";

/// Positions in `Header::tracks`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Base layer.
    pub(crate) bl: usize,
    /// A second HEVC track that could be the enhancement layer; its RPUs decide.
    pub(crate) el: Option<usize>,
}

fn size(track: &Track) -> (u64, u64) {
    track.video.as_ref().map_or((0, 0), |v| (v.width, v.height))
}

/// The film is the largest HEVC video track. A second one is taken for an enhancement layer if it says so (a Dolby
/// Vision record with EL, while the larger has none) or has half the width and height. Other codecs (cover art as
/// MJPEG, AVC extras) and smaller HEVC tracks are not the film.
pub(crate) fn select(header: &Header) -> Result<Selection, ScanError> {
    let videos: Vec<(usize, &Track)> =
        header.tracks.iter().enumerate().filter(|(_, t)| t.kind == TrackKind::Video).collect();
    let mut hevc: Vec<(usize, &Track)> = videos.iter().filter(|(_, t)| t.codec_id == HEVC).copied().collect();
    let is_el = |t: &Track| t.dovi.is_some_and(|d| d.profile == 7 && d.el);
    // Largest first; of equal ones those that are no enhancement layer by their own word, then file order.
    hevc.sort_by_key(|(i, t)| (std::cmp::Reverse(size(t).0 * size(t).1), is_el(t), *i));
    let Some((bl, bl_track)) = hevc.first().copied() else {
        let found: Vec<&str> = videos.iter().map(|(_, t)| t.codec_id.as_str()).collect();
        let found = if found.is_empty() { "no video track at all".to_owned() } else { found.join(", ") };
        return Err(ScanError::NoVideo(found));
    };
    let (width, height) = size(bl_track);
    let half = |t: &Track| width > 0 && size(t) == (width / 2, height / 2);
    let others = &hevc[1..];
    let by_record = others.iter().find(|(_, t)| is_el(t) && !is_el(bl_track));
    let el = by_record.or_else(|| others.iter().find(|(_, t)| half(t))).map(|(i, _)| *i);
    let rivals: Vec<String> = others
        .iter()
        .filter(|(i, t)| size(t) == (width, height) && Some(*i) != el)
        .map(|(_, t)| t.number.to_string())
        .collect();
    if !rivals.is_empty() {
        return Err(ScanError::Ambiguous(format!(
            "hevc tracks {} and {} all have {width}x{height}",
            bl_track.number,
            rivals.join(", ")
        )));
    }
    if bl_track.video.as_ref().is_some_and(|v| v.interlaced) {
        return Err(ScanError::Unsupported("interlaced video".to_owned()));
    }
    Ok(Selection { bl, el })
}

/// Position of a track among the video tracks, as ffmpeg's `0:v:N` counts.
pub(crate) fn video_position(header: &Header, track: usize) -> usize {
    header.tracks.iter().take(track).filter(|t| t.kind == TrackKind::Video).count()
}
