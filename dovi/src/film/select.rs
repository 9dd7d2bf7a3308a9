//! Which track is the film.
use super::ScanError;
use crate::matroska::{Header, Track, TrackKind};

const HEVC: &str = "V_MPEGH/ISO/HEVC";
/// Tracks looked at for an enhancement layer; a film has one at most.
const MAX_EL: usize = 4;

/// Positions in `Header::tracks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    /// Base layer.
    pub(crate) bl: usize,
    /// HEVC tracks that could be the enhancement layer; their RPUs and records decide.
    pub(crate) el: Vec<usize>,
}

fn size(track: &Track) -> (u64, u64) {
    track.video.as_ref().map_or((0, 0), |v| (v.width, v.height))
}

/// Calls itself an enhancement layer.
pub(crate) fn is_el(track: &Track) -> bool {
    track.dovi.is_some_and(|d| d.profile == 7 && d.el)
}

/// Calls itself an enhancement layer and nothing else. A whole film of one track says BL and EL.
fn is_only_el(track: &Track) -> bool {
    track.dovi.is_some_and(|d| d.profile == 7 && d.el && !d.bl)
}

/// `track 2 (3840x2160, "Main feature", says Profile 7)`
pub(crate) fn describe(track: &Track) -> String {
    let (width, height) = size(track);
    let name = track.name.as_ref().map_or(String::new(), |n| format!(", {n:?}"));
    let claim = track.dovi.map_or(String::new(), |d| format!(", says Profile {}", d.profile));
    format!("track {} ({width}x{height}{name}{claim})", track.number)
}

/// The film is the largest HEVC video track. A second one may be its enhancement layer if it has half the width and
/// height, or the same size and a Dolby Vision record that names nothing but an EL. Other codecs (cover art as MJPEG,
/// AVC extras) and other smaller HEVC tracks are not the film.
pub(crate) fn select(header: &Header) -> Result<Selection, ScanError> {
    let videos: Vec<(usize, &Track)> =
        header.tracks.iter().enumerate().filter(|(_, t)| t.kind == TrackKind::Video).collect();
    let mut hevc: Vec<(usize, &Track)> = videos.iter().filter(|(_, t)| t.codec_id == HEVC).copied().collect();
    // Largest first; of equal ones those that are no enhancement layer by their own word, then file order.
    hevc.sort_by_key(|(i, t)| (std::cmp::Reverse(size(t).0.saturating_mul(size(t).1)), is_only_el(t), *i));
    let Some((bl, film)) = hevc.first().copied() else {
        let found: Vec<&str> = videos.iter().map(|(_, t)| t.codec_id.as_str()).collect();
        let found = if found.is_empty() { "no video track at all".to_owned() } else { found.join(", ") };
        return Err(ScanError::NoVideo(found));
    };
    let (width, height) = size(film);
    let may_be_el = |t: &Track| {
        let half = width > 1 && size(t) == (width / 2, height / 2);
        half || size(t) == (width, height) && is_only_el(t) && !is_only_el(film)
    };
    let rivals = |t: &Track| size(t) == (width, height) || t.dovi.is_some() && film.dovi.is_none();
    let (layers, others): (Vec<_>, Vec<_>) = hevc[1..].iter().copied().partition(|(_, t)| may_be_el(t));
    let rivals: Vec<&Track> = others.into_iter().map(|(_, t)| t).filter(|t| rivals(t)).collect();
    if !rivals.is_empty() {
        let all: Vec<String> = [film].into_iter().chain(rivals).map(describe).collect();
        return Err(ScanError::Ambiguous(format!("{} could each be the film", all.join(" and "))));
    }
    if film.video.as_ref().is_some_and(|v| v.interlaced) {
        return Err(ScanError::Interlaced("the container's FlagInterlaced is set"));
    }
    Ok(Selection { bl, el: layers.into_iter().map(|(i, _)| i).take(MAX_EL).collect() })
}

/// Position of a track among the video tracks, as ffmpeg's `0:v:N` counts.
pub(crate) fn video_position(header: &Header, track: usize) -> usize {
    header.tracks.iter().take(track).filter(|t| t.kind == TrackKind::Video).count()
}
