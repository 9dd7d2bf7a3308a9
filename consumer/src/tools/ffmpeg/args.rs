//! Command lines for ffmpeg.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use common::process::ToolCommand;

use super::Capabilities;

/// x265 settings that Profile 8.1 needs, in x265's own words and units.
#[derive(Debug, Clone, PartialEq)]
pub struct X265 {
    /// Preset name.
    pub preset: String,
    /// Constant rate factor.
    pub crf: f32,
    /// Chroma sample location type, H.265 Annex E; 2 (top left) on UHD discs.
    pub chroma_loc: Option<u8>,
    /// Mastering display as x265 writes it, `G(x,y)B(x,y)R(x,y)WP(x,y)L(max,min)`.
    pub master_display: Option<String>,
    /// Largest and average light level in cd/m².
    pub max_cll: Option<(u16, u16)>,
    /// Longest distance of two key frames, in frames.
    pub keyint: u32,
    /// Further `key=value` pairs; where x265 sees a key twice, the later one counts.
    pub extra: Vec<String>,
}

impl X265 {
    /// The value of `-x265-params`.
    ///
    /// `repeat-headers`: with 0 a raw stream has no parameter sets at all (measured). Level 5.1 High with a buffer of
    /// 100 Mbit bounds the rate as UHD discs do; it also holds for smaller pictures.
    pub fn params(&self) -> String {
        let mut p: Vec<String> = [
            "repeat-headers=1",
            "aud=1",
            "colorprim=bt2020",
            "transfer=smpte2084",
            "colormatrix=bt2020nc",
            "range=limited",
            "hdr10=1",
            "level-idc=5.1",
            "high-tier=1",
            "vbv-maxrate=100000",
            "vbv-bufsize=100000",
            "open-gop=0",
            "log-level=warning",
        ]
        .map(String::from)
        .into();
        p.push(format!("keyint={}", self.keyint));
        p.extend(self.chroma_loc.map(|c| format!("chromaloc={c}")));
        p.extend(self.master_display.as_ref().map(|m| format!("master-display={m}")));
        p.extend(self.max_cll.map(|(cll, fall)| format!("max-cll={cll},{fall}")));
        p.extend(self.extra.iter().cloned());
        p.join(":")
    }
}

/// Decode one video track of a film and encode it to a raw HEVC stream on standard output.
#[derive(Debug, Clone, PartialEq)]
pub struct EncodeArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The film, absolute.
    pub source: PathBuf,
    /// The film's video track among the video tracks, from 0.
    pub video_position: usize,
    /// Encoder settings.
    pub x265: X265,
}

impl EncodeArgs {
    /// The command line.
    ///
    /// Every decoded frame is encoded exactly once: the default frame rate conversion would drop frames of a film with
    /// variable frame rate, and invent some before one that starts late (110 and 122 instead of 120, measured).
    pub fn command(&self, can: &Capabilities) -> ToolCommand {
        let command = ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "warning"])
            .arg2("-i", file_url(&self.source))
            .arg2("-map", format!("0:v:{}", self.video_position))
            .args(["-an", "-sn", "-dn"])
            .args(can.passthrough())
            .args(["-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-profile:v", "main10"])
            .arg2("-preset", &self.x265.preset)
            .arg2("-crf", self.x265.crf.to_string());
        // Builds that know the option would otherwise write RPUs of their own making, wherever they can.
        let command = if can.dolbyvision { command.arg2("-dolbyvision", "0") } else { command };
        command.arg2("-x265-params", self.x265.params()).args(["-f", "hevc", "pipe:1"])
    }
}

/// Encode a few generated frames with the settings of a film, to see whether this machine's ffmpeg can.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TestEncodeArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// Picture width.
    pub width: u32,
    /// Picture height.
    pub height: u32,
    /// Frames.
    pub frames: u32,
}

impl TestEncodeArgs {
    /// The command line.
    pub fn command(&self, can: &Capabilities) -> ToolCommand {
        let x265 = X265 {
            preset: "ultrafast".into(),
            crf: 28.0,
            chroma_loc: Some(2),
            master_display: Some(
                "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,1)".into(),
            ),
            max_cll: Some((1000, 400)),
            keyint: 24,
            extra: Vec::new(),
        };
        ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "warning", "-f", "lavfi"])
            .arg2("-i", format!("testsrc2=size={}x{}:rate=24", self.width, self.height))
            .arg2("-frames:v", self.frames.to_string())
            .args(can.passthrough())
            .args(["-c:v", "libx265", "-pix_fmt", "yuv420p10le", "-profile:v", "main10"])
            .arg2("-preset", &x265.preset)
            .arg2("-x265-params", x265.params())
            .args(["-f", "hevc", "pipe:1"])
    }
}

/// Decode the first video track of a file and throw the pictures away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecodeArgs {
    /// The ffmpeg to run.
    pub ffmpeg: PathBuf,
    /// The file, absolute.
    pub file: PathBuf,
    /// The track among the video tracks, from 0.
    pub video_position: usize,
}

impl DecodeArgs {
    /// The command line. Progress comes on standard output, complaints on standard error.
    pub fn command(&self, can: &Capabilities) -> ToolCommand {
        ToolCommand::new(&self.ffmpeg)
            .args(["-nostdin", "-hide_banner", "-nostats", "-v", "error", "-progress", "pipe:1"])
            .args(["-err_detect", "crccheck"])
            .arg2("-i", file_url(&self.file))
            .arg2("-map", format!("0:v:{}", self.video_position))
            .args(can.passthrough())
            .args(["-f", "null", "-"])
    }
}

/// The `file:` protocol takes every Unix name as it is; a bare name with a colon or a leading dash is read otherwise.
fn file_url(path: &Path) -> OsString {
    let mut url = OsString::from("file:");
    url.push(path);
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    fn x265() -> X265 {
        X265 {
            preset: "slow".into(),
            crf: 18.0,
            chroma_loc: Some(2),
            master_display: Some(
                "G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1)".into(),
            ),
            max_cll: Some((1000, 400)),
            keyint: 120,
            extra: vec!["aq-mode=3".into()],
        }
    }

    fn encode() -> EncodeArgs {
        EncodeArgs {
            ffmpeg: "ffmpeg".into(),
            source: "/films/-a: b.mkv".into(),
            video_position: 1,
            x265: x265(),
        }
    }

    #[test]
    fn the_encode_is_exactly_this() {
        let can = Capabilities { fps_mode: true, libx265: true, dolbyvision: false, ..Default::default() };
        assert_eq!(
            encode().command(&can).to_string(),
            "ffmpeg -nostdin -hide_banner -nostats -v warning -i 'file:/films/-a: b.mkv' -map 0:v:1 -an -sn -dn \
             -fps_mode passthrough -c:v libx265 -pix_fmt yuv420p10le -profile:v main10 -preset slow -crf 18 \
             -x265-params 'repeat-headers=1:aud=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:\
             range=limited:hdr10=1:level-idc=5.1:high-tier=1:vbv-maxrate=100000:vbv-bufsize=100000:open-gop=0:\
             log-level=warning:keyint=120:chromaloc=2:\
             master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1):\
             max-cll=1000,400:aq-mode=3' -f hevc pipe:1"
        );
    }

    #[test]
    fn old_builds_get_vsync_and_new_ones_are_kept_from_writing_rpus() {
        let old = encode().command(&Capabilities::default()).to_string();
        assert!(old.contains(" -vsync passthrough ") && !old.contains("fps_mode"), "{old}");
        let new = Capabilities { fps_mode: true, libx265: true, dolbyvision: true, ..Default::default() };
        assert!(encode().command(&new).to_string().contains(" -dolbyvision 0 "));
    }

    #[test]
    fn what_the_source_does_not_have_is_not_invented() {
        let bare = X265 { chroma_loc: None, master_display: None, max_cll: None, extra: vec![], ..x265() };
        let params = bare.params();
        assert!(
            !params.contains("max-cll")
                && !params.contains("master-display")
                && !params.contains("chromaloc")
        );
    }

    #[test]
    fn a_decode_prints_progress_only() {
        let args =
            DecodeArgs { ffmpeg: "/usr/bin/ffmpeg".into(), file: "/t/.x.partial".into(), video_position: 0 };
        assert_eq!(
            args.command(&Capabilities { fps_mode: true, ..Default::default() }).to_string(),
            "/usr/bin/ffmpeg -nostdin -hide_banner -nostats -v error -progress pipe:1 -err_detect crccheck \
             -i file:/t/.x.partial -map 0:v:0 -fps_mode passthrough -f null -"
        );
    }
}
