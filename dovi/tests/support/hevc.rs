//! Real x265 streams and an independent truth about them, for the HEVC tests.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::allow_attributes,
    reason = "every test file uses another part of this module"
)]

use std::process::{Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use dovi::expect::StreamExpectation;
use dovi::inject::{InjectPlan, RpuByDisplay};

/// Frames of every stream made here.
pub const FRAMES: usize = 100;

/// PQ, BT.2020, limited range, top-left chroma: what [`expected`] describes.
const TAGS: &str = "log-level=error:repeat-headers=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:\
                    range=limited:chromaloc=2:b-adapt=0:scenecut=0:rc-lookahead=40";

/// The GOP structures that display order has to survive.
pub const STRUCTURES: [(&str, &str); 9] = [
    ("closed", "bframes=4:keyint=24:min-keyint=24:open-gop=0"),
    ("open", "bframes=4:keyint=24:min-keyint=24:open-gop=1"),
    ("radl", "bframes=4:keyint=24:min-keyint=24:open-gop=0:radl=3"),
    ("slices", "bframes=4:keyint=24:min-keyint=24:open-gop=0:slices=2"),
    ("temporal-layers", "bframes=7:keyint=32:min-keyint=32:open-gop=0:temporal-layers=1:b-pyramid=1"),
    ("aud", "bframes=3:keyint=24:min-keyint=24:open-gop=1:aud=1:hrd=1:vbv-maxrate=5000:vbv-bufsize=5000"),
    ("short-poc", "bframes=3:keyint=24:min-keyint=24:open-gop=1:log2-max-poc-lsb=4"),
    ("no-b", "bframes=0:keyint=30:min-keyint=30"),
    ("long-b", "bframes=16:b-pyramid=1:keyint=60:min-keyint=60"),
];

/// The stream of one of [`STRUCTURES`], and what [`truth`] says about it; made once in each test program.
pub fn structure(name: &str) -> &'static (Vec<u8>, Vec<u64>) {
    static MADE: [OnceLock<(Vec<u8>, Vec<u64>)>; STRUCTURES.len()] =
        [const { OnceLock::new() }; STRUCTURES.len()];
    let at = STRUCTURES.iter().position(|(known, _)| *known == name).expect("a name of the table");
    MADE[at].get_or_init(|| {
        let stream = encode(STRUCTURES[at].1);
        let truth = truth(&stream);
        (stream, truth)
    })
}

/// Encodes [`FRAMES`] frames of a test picture with these x265 parameters; Annex B.
pub fn encode(params: &str) -> Vec<u8> {
    encode_with(params, TAGS)
}

/// As [`encode`], with other tags.
pub fn encode_with(params: &str, tags: &str) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-f", "lavfi", "-i", "testsrc2=s=320x180:r=24000/1001"])
        .args(["-frames:v", &FRAMES.to_string(), "-pix_fmt", "yuv420p10le", "-c:v", "libx265"])
        .args(["-preset", "ultrafast", "-x265-params", &format!("{tags}:{params}")])
        .args(["-f", "hevc", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is on PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!output.stdout.is_empty());
    output.stdout
}

/// Display index of every access unit in decode order, told by ffmpeg's decoder: it puts frames out in display
/// order, each with the place of its packet in the file, and places grow in decode order.
pub fn truth(stream: &[u8]) -> Vec<u64> {
    let mut decoded: Vec<(u64, u64)> = shown(stream).into_iter().zip(0..).collect();
    decoded.sort_unstable();
    decoded.into_iter().map(|(_, display)| display).collect()
}

/// Places (in bytes) of the packets of all frames that ffmpeg's decoder puts out, in display order.
pub fn shown(stream: &[u8]) -> Vec<u64> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let name = format!("dovi-{}-{}.hevc", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
    let path = std::env::temp_dir().join(name);
    std::fs::write(&path, stream).unwrap();
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-f", "hevc", "-show_frames", "-show_entries", "frame=pkt_pos", "-of", "json"])
        .arg(&path)
        .output()
        .expect("ffprobe is on PATH");
    std::fs::remove_file(&path).unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split("\"pkt_pos\": \"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect()
}

/// NAL units of a stream, cut the slow and obvious way.
pub fn naive_nals(stream: &[u8]) -> Vec<&[u8]> {
    let mut starts: Vec<usize> = Vec::new();
    for at in 0..stream.len().saturating_sub(2) {
        if stream[at..at + 3] == [0, 0, 1] {
            starts.push(at + 3);
        }
    }
    let ends = starts.iter().skip(1).map(|start| start - 3).chain([stream.len()]);
    let mut nals = Vec::new();
    for (start, end) in starts.iter().zip(ends) {
        let mut nal = &stream[*start..end.max(*start)];
        while let [head @ .., 0] = nal {
            nal = head;
        }
        if !nal.is_empty() {
            nals.push(nal);
        }
    }
    nals
}

/// The `nal_unit_type` of a NAL.
pub fn ty(nal: &[u8]) -> u8 {
    nal[0] >> 1 & 63
}

/// NALs of each picture, cut at every first slice: independent of the access unit rules under test, and right
/// for what comes at or after a first slice.
pub fn after_first_slices(stream: &[u8]) -> Vec<Vec<&[u8]>> {
    let mut pictures: Vec<Vec<&[u8]>> = Vec::new();
    for nal in naive_nals(stream) {
        if ty(nal) < 32 && nal[2] & 0x80 != 0 {
            pictures.push(Vec::new());
        }
        if let Some(picture) = pictures.last_mut() {
            picture.push(nal);
        }
    }
    pictures
}

/// Stand-in RPUs whose bytes carry their display index.
pub struct Numbered(pub Vec<Vec<u8>>);

impl Numbered {
    pub fn new(frames: usize) -> Self {
        Self((0..frames as u32).map(stand_in).collect())
    }
}

impl RpuByDisplay for Numbered {
    fn rpu(&self, display: u64) -> Option<&[u8]> {
        self.0.rpu(display)
    }
}

fn stand_in(index: u32) -> Vec<u8> {
    let mut nal = vec![0x7c, 0x01, 0x19];
    nal.extend((0..8).map(|digit| 0x40 | (index >> (28 - 4 * digit) & 15) as u8));
    nal.resize(150, 0xaa);
    nal.push(0x80);
    nal
}

/// The display index in a stand-in.
pub fn number(rpu: &[u8]) -> u64 {
    rpu[3..11].iter().fold(0, |sum, digit| sum << 4 | u64::from(digit & 15))
}

/// What [`encode`] makes.
pub fn expected() -> StreamExpectation {
    StreamExpectation {
        width: 320,
        height: 180,
        bit_depth: 10,
        primaries: 9,
        transfer: 16,
        matrix: 9,
        full_range: false,
        chroma_loc: Some(2),
    }
}

/// A plan with nothing but RPUs.
pub fn plan(rpus: &dyn RpuByDisplay, frames: usize) -> InjectPlan<'_> {
    InjectPlan { rpus, frames: frames as u64, mdcv: None, cll: None, hdr10plus: None, expect: expected() }
}
