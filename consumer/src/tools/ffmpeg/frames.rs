//! A few decoded pictures of a film, small and each with its time: the argument builder and the reader of its output.

use std::io::Cursor;
use std::path::PathBuf;

use common::process::ToolCommand;
use dovi::matroska::{MatroskaError, MatroskaReader};

use super::Capabilities;
use super::input::file_url;

/// Width of a small picture in luma samples.
pub const WIDTH: usize = 160;
/// Height of a small picture in luma samples.
pub const HEIGHT: usize = 90;
/// Luma samples of a small picture.
const LUMA: usize = WIDTH * HEIGHT;
/// Samples of each chroma plane (4:2:0).
const CHROMA: usize = LUMA / 4;
/// Bytes of a small picture: 10 bit samples in two bytes each.
pub const FRAME_BYTES: usize = (LUMA + 2 * CHROMA) * 2;

/// Decode the pictures of one stretch of time, scaled down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrameArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The film, absolute.
    pub file: PathBuf,
    /// The film's video track among the video tracks, from 0.
    pub video_position: usize,
    /// Decode from the last key frame before this time, in nanoseconds; `None` from the beginning.
    pub seek_ns: Option<i64>,
    /// Pictures from this time on, in nanoseconds.
    pub from_ns: i64,
    /// Pictures before this time, in nanoseconds.
    pub to_ns: i64,
}

impl FrameArgs {
    /// The command line. Matroska comes on standard output, since it keeps each picture's time.
    ///
    /// Measured with ffmpeg 4.2, 5.1 and 7.0, which give the same bytes:
    /// - times are the file's own: `-copyts` for what comes out and `-seek_timestamp` for what goes in, or both would
    ///   count from the first picture;
    /// - `-noaccurate_seek` leaves the cut to `trim`, which knows one clock only;
    /// - without `-enc_time_base` times are rounded to a whole number of frames, wrong with variable rate;
    /// - planes stay YUV of 10 bit from end to end: a conversion to gray stretches the range by the file's tags, and so
    ///   would hide samples in the wrong range.
    pub fn command(&self, can: &Capabilities) -> ToolCommand {
        let filter = format!(
            "trim=start={}:end={},scale={WIDTH}:{HEIGHT}:flags=area,format=yuv420p10le",
            seconds(self.from_ns),
            seconds(self.to_ns)
        );
        let command = ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "error"])
            .args(["-copyts", "-seek_timestamp", "1", "-noaccurate_seek"])
            .arg2_opt("-ss", self.seek_ns.map(seconds));
        command
            .arg2("-i", file_url(&self.file))
            .arg2("-map", format!("0:v:{}", self.video_position))
            .args(["-an", "-sn", "-dn"])
            .args(can.passthrough())
            .args(["-enc_time_base", "1:1000"])
            .arg2("-vf", filter)
            .args(["-c:v", "rawvideo", "-allow_raw_vfw", "1", "-f", "matroska", "pipe:1"])
    }
}

/// Seconds with six digits behind the point, which is all that ffmpeg reads.
fn seconds(ns: i64) -> String {
    let us = ns.div_euclid(1000).max(0);
    format!("{}.{:06}", us / 1_000_000, us % 1_000_000)
}

/// One decoded picture, scaled down to [`WIDTH`] x [`HEIGHT`]; samples have 10 bit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmallFrame {
    /// When it is shown, in nanoseconds; a whole number of milliseconds.
    pub pts_ns: i64,
    /// Brightness, row by row.
    pub luma: Vec<u16>,
    /// Both colour planes, one after the other.
    pub chroma: Vec<u16>,
}

/// Output that is not what [`FrameArgs`] asks for.
#[derive(Debug, thiserror::Error)]
pub enum FramesError {
    /// Not Matroska, or cut.
    #[error("the decoded pictures cannot be read: {0}")]
    Matroska(#[from] MatroskaError),
    /// A picture of another size.
    #[error("a decoded picture has {found} bytes instead of {FRAME_BYTES}")]
    Size {
        /// Bytes.
        found: usize,
    },
}

/// Reads what [`FrameArgs::command`] prints; pictures in the order in which they are shown.
///
/// # Errors
/// [`FramesError`].
pub fn read_frames(output: &[u8]) -> Result<Vec<SmallFrame>, FramesError> {
    let mut reader = MatroskaReader::open(Cursor::new(output))?;
    let (mut frames, mut buffer) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block(&mut |_| true, &mut buffer)? {
        if buffer.len() != FRAME_BYTES {
            return Err(FramesError::Size { found: buffer.len() });
        }
        let mut luma: Vec<u16> =
            buffer.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        let chroma = luma.split_off(LUMA);
        frames.push(SmallFrame { pts_ns: block.pts_ns, luma, chroma });
    }
    frames.sort_by_key(|f| f.pts_ns);
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn args(file: &str) -> FrameArgs {
        FrameArgs {
            ffmpeg: "ffmpeg".into(),
            file: file.into(),
            video_position: 1,
            seek_ns: Some(61_043_999_999),
            from_ns: 61_042_000_000,
            to_ns: 61_460_000_000,
        }
    }

    #[test]
    fn the_command_line_is_exactly_this() {
        let can = Capabilities { fps_mode: true, ..Default::default() };
        let tail = "-i 'file:/films/a: b.mkv' -map 0:v:1 -an -sn -dn -fps_mode passthrough -enc_time_base 1:1000 \
             -vf trim=start=61.042000:end=61.460000,scale=160:90:flags=area,format=yuv420p10le \
             -c:v rawvideo -allow_raw_vfw 1 -f matroska pipe:1";
        let head =
            "ffmpeg -nostdin -hide_banner -nostats -v error -copyts -seek_timestamp 1 -noaccurate_seek";
        let mut args = args("/films/a: b.mkv");
        assert_eq!(args.command(&can).to_string(), format!("{head} -ss 61.043999 {tail}"));
        args.seek_ns = None;
        assert_eq!(args.command(&can).to_string(), format!("{head} {tail}"));
    }

    #[test]
    fn a_time_before_zero_is_zero() {
        assert_eq!([-2_000_000, 999, 1_000_000_000].map(seconds), ["0.000000", "0.000000", "1.000000"]);
    }

    /// A film of 24 gray pictures at 25 a second, each lighter than the one before, the first at 84 ms.
    fn film(dir: &std::path::Path) -> PathBuf {
        let path = dir.join("ramp.mkv");
        let graph = "color=gray:size=320x180:rate=25,format=yuv420p10le,geq=lum='100+20*N':cb=512:cr=600";
        let made = Command::new("ffmpeg")
            .args(["-v", "error", "-f", "lavfi", "-i", graph, "-frames:v", "24", "-c:v", "ffv1", "-g", "8"])
            .args(["-output_ts_offset", "0.084"])
            .arg(&path)
            .status()
            .unwrap();
        assert!(made.success());
        path
    }

    #[test]
    fn every_picture_comes_with_its_own_time_and_its_own_samples() {
        let dir = tempfile::tempdir().unwrap();
        let ms = |n: i64| n * 1_000_000;
        let args = FrameArgs {
            file: film(dir.path()),
            video_position: 0,
            seek_ns: Some(ms(484)),
            from_ns: ms(482),
            to_ns: ms(610),
            ..args("")
        };
        let can = Capabilities { fps_mode: true, ..Default::default() };
        let command = args.command(&can);
        let output = Command::new("ffmpeg").args(command.get_args()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let frames = read_frames(&output.stdout).unwrap();
        let found: Vec<_> = frames.iter().map(|f| (f.pts_ns / ms(1), f.luma[0], f.luma[LUMA - 1])).collect();
        assert_eq!(found, [(484, 300, 300), (524, 320, 320), (564, 340, 340), (604, 360, 360)]);
        assert!(frames[0].chroma[..CHROMA].iter().all(|c| *c == 512));
        assert!(frames[0].chroma[CHROMA..].iter().all(|c| *c == 600));
    }

    #[test]
    fn what_is_no_film_of_small_pictures_is_an_error() {
        assert!(matches!(read_frames(b""), Err(FramesError::Matroska(_))));
        assert!(matches!(read_frames(&[7; 4096]), Err(FramesError::Matroska(_))));
        let dir = tempfile::tempdir().unwrap();
        let film = std::fs::read(film(dir.path())).unwrap();
        assert!(matches!(read_frames(&film), Err(FramesError::Size { .. })));
        assert!(read_frames(&film[..film.len() / 2]).is_err());
    }
}
