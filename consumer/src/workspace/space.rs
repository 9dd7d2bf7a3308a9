//! How much room a film needs before it is begun: a disk that fills up after a day of encoding is a day lost.

/// Bytes that must be free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Needs {
    /// In the scratch folder: the new video track.
    pub scratch: u64,
    /// In the result's folder: the whole film.
    pub target: u64,
}

/// For logs, option files and what else is small, in bytes. No film needs less, in scratch or in the results' folder.
pub const MARGIN: u64 = 64 << 20;

/// The needs of a film. Copy mode writes the base layer again, so the video track is at most as large as now. An encode is
/// smaller than its source at any sensible setting; half of the video is set aside for it in scratch, and the source's
/// own size for the result, whatever the setting.
pub fn needs(film_bytes: u64, video_bytes: u64, copy: bool) -> Needs {
    let video = video_bytes.min(film_bytes);
    Needs { scratch: if copy { video } else { video / 2 } + MARGIN, target: film_bytes + MARGIN }
}

/// What dovi_tool needs in scratch besides. It puts metadata only into a file, so the encoder's stream is there twice, with
/// the metadata of every frame beside it. A copy passes through a pipe; the enhancement layer of a film that has it in a
/// second track lies in a file meanwhile, but is part of the video already and not of the result.
pub fn needs_of_dovi_tool(video_bytes: u64, frames: u64, copy: bool) -> u64 {
    /// More than one frame's metadata has in any film.
    const RPU: u64 = 1024;
    if copy { 0 } else { video_bytes / 2 + frames * RPU }
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

    #[test]
    fn dovi_tool_needs_the_encode_twice() {
        let video = 100 << 30;
        assert_eq!(needs_of_dovi_tool(video, 200_000, true), 0);
        assert_eq!(needs_of_dovi_tool(video, 200_000, false), (50 << 30) + 204_800_000);
    }
}
