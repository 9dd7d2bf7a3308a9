//! What `-progress` prints: `key=value` lines, one block about every half second, ended by `progress=`.
//!
//! Used where standard output is free. An encode's progress is counted in its stream instead: there, every frame passes
//! through our own hands.

/// One finished block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Update {
    /// Frames so far.
    pub frames: u64,
    /// The last block.
    pub end: bool,
}

/// Collects lines into blocks.
#[derive(Debug, Default)]
pub struct ProgressParser {
    frames: u64,
}

impl ProgressParser {
    /// Takes one line; gives the block that it ends. Lines of other shapes are passed over.
    pub fn line(&mut self, line: &str) -> Option<Update> {
        let (key, value) = line.split_once('=')?;
        match (key.trim(), value.trim()) {
            ("frame", n) => {
                self.frames = n.parse().unwrap_or(self.frames);
                None
            }
            ("progress", state) => Some(Update { frames: self.frames, end: state == "end" }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Printed by ffmpeg 5.1.9 for a film of 120 frames.
    const CAPTURED: &str = "frame=57\nfps=0.00\nstream_0_0_q=-0.0\nbitrate=N/A\ntotal_size=N/A\nout_time_us=N/A\n\
        out_time_ms=N/A\nout_time=N/A\ndup_frames=0\ndrop_frames=0\nspeed=N/A\nprogress=continue\nframe=120\n\
        fps=214.31\nstream_0_0_q=-0.0\nbitrate=N/A\ntotal_size=N/A\nout_time_us=5005000\nout_time_ms=5005000\n\
        out_time=00:00:05.005000\ndup_frames=0\ndrop_frames=0\nspeed=8.94x\nprogress=end\n";

    #[test]
    fn captured_blocks() {
        let mut parser = ProgressParser::default();
        let got: Vec<_> = CAPTURED.lines().filter_map(|l| parser.line(l)).collect();
        assert_eq!(got, [Update { frames: 57, end: false }, Update { frames: 120, end: true }]);
    }

    #[test]
    fn nonsense_is_passed_over() {
        let mut parser = ProgressParser::default();
        assert_eq!(parser.line("frame=N/A"), None);
        assert_eq!(parser.line("x265 [info]: hello"), None);
        assert_eq!(parser.line("progress=continue"), Some(Update::default()));
    }
}
