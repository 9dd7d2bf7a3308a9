//! How much room a film needs before it is begun: a disk that fills up after a day of encoding is a day lost.

/// Bytes that must be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// In the scratch folder: the new video track.
    pub scratch: u64,
    /// In the result's folder: the whole film.
    pub target: u64,
}

/// For logs, option files and what else is small.
const MARGIN: u64 = 64 << 20;

/// The needs of a film. Copy mode writes the base layer again, so the video track is at most as large as now. An encode is
/// smaller than its source at any sensible setting; half of the video is set aside for it in scratch, and the source's
/// own size for the result, whatever the setting.
pub fn needs(film_bytes: u64, video_bytes: u64, copy: bool) -> Needs {
    let video = video_bytes.min(film_bytes);
    Needs { scratch: if copy { video } else { video / 2 } + MARGIN, target: film_bytes + MARGIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn copies_need_the_whole_video_and_encodes_half() {
        let copy = needs(100 << 30, 90 << 30, true);
        let encode = needs(100 << 30, 90 << 30, false);
        assert_eq!(copy.scratch - encode.scratch, 45 << 30);
        assert_eq!(copy.target, encode.target);
        assert!(copy.target > 100 << 30);
    }
}
