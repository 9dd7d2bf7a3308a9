//! Command lines for mkvmerge.
//!
//! They go through a JSON option file: there, a name that begins with `@` or `+` or holds quotes is a name and no
//! command (measured; on the command line mkvmerge reads such names as option files and as "append").

use std::path::{Path, PathBuf};

use common::process::ToolCommand;

/// When the frames of the new video track are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Timing {
    /// Evenly: frames per second as a fraction. `24000/1001p` and not `23.976p`, which is 41 ns off per frame (measured).
    Constant {
        /// Numerator.
        num: u32,
        /// Denominator.
        den: u32,
        /// When the first frame is shown, in milliseconds.
        start_ms: i64,
    },
    /// By a file of timestamps in display order, format version 2.
    File(PathBuf),
    /// As the file has them. Options would have mkvmerge count from zero (measured).
    Kept,
}

/// Colour description for the container. It repeats what is in the stream, for players that read only this.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Colour {
    /// H.273 matrix coefficients.
    pub matrix: Option<u64>,
    /// 1 limited, 2 full.
    pub range: Option<u64>,
    /// H.273 transfer characteristics.
    pub transfer: Option<u64>,
    /// H.273 colour primaries.
    pub primaries: Option<u64>,
    /// Matroska chroma siting, horizontal and vertical.
    pub siting: Option<(u64, u64)>,
    /// Largest and average light level in cd/m².
    pub light: Option<(u64, u64)>,
    /// Red x, y, green x, y, blue x, y.
    pub chromaticity: Option<[f64; 6]>,
    /// White x, y.
    pub white: Option<[f64; 2]>,
    /// Largest and smallest luminance of the mastering display in cd/m².
    pub luminance: Option<(f64, f64)>,
}

/// How large or how wide the picture is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Display {
    /// So many pixels.
    Pixels(u64, u64),
    /// In this ratio of width to height.
    Ratio(u64, u64),
}

/// The new video track. What is `None` is left to mkvmerge's defaults.
#[derive(Debug, Clone, PartialEq)]
pub struct VideoTrack {
    /// The raw HEVC stream or a Matroska file of it, absolute.
    pub file: PathBuf,
    /// Track name.
    pub name: Option<String>,
    /// Language, IETF or ISO 639-2.
    pub language: Option<String>,
    /// Matroska's FlagDefault.
    pub default: bool,
    /// Matroska's FlagForced.
    pub forced: bool,
    /// Matroska's FlagEnabled.
    pub enabled: bool,
    /// Further flags that the source's track has: mkvmerge's option and its value.
    pub flags: Vec<(&'static str, bool)>,
    /// How it is shown.
    pub display: Option<Display>,
    /// Pixels a player leaves out: left, top, right, bottom.
    pub crop: Option<[u64; 4]>,
    /// A file with tags about this track, absolute.
    pub tags: Option<PathBuf>,
    /// Colour for the container.
    pub colour: Colour,
    /// When its frames are shown.
    pub timing: Timing,
}

/// One film: a new video track and everything else of the source.
#[derive(Debug, Clone, PartialEq)]
pub struct Mux {
    /// The mkvmerge to run.
    pub mkvmerge: PathBuf,
    /// The folder to write in. mkvmerge runs there and is told a bare name: it makes folders that are missing (measured), also in
    /// the empty mount point of a share that just went away.
    pub folder: PathBuf,
    /// The file to write there.
    pub output: String,
    /// The new track.
    pub video: VideoTrack,
    /// The film everything else comes from, absolute.
    pub source: PathBuf,
    /// mkvmerge ids (positions among all tracks) of the source's video tracks that are left out.
    pub without: Vec<u64>,
    /// The source has video tracks beside those.
    pub other_video: bool,
    /// Order of the result's tracks: `None` is the new one, `Some(id)` one of the source.
    pub order: Vec<Option<u64>>,
}

impl Mux {
    /// The content of the option file: a JSON list of arguments. Names must be UTF-8 in JSON; the caller links what is
    /// not under a plain name, see [`Mux::plain`].
    pub fn options(&self) -> Vec<String> {
        let v = &self.video;
        let text = |p: &Path| p.to_string_lossy().into_owned();
        let mut o: Vec<String> = Vec::new();
        let mut put = |flag: &str, value: String| o.extend([flag.to_owned(), value]);
        put("--output", self.output.clone());
        if let Some(name) = &v.name {
            put("--track-name", format!("0:{name}"));
        }
        if let Some(language) = &v.language {
            put("--language", format!("0:{language}"));
        }
        put("--default-track-flag", format!("0:{}", yes(v.default)));
        put("--forced-display-flag", format!("0:{}", yes(v.forced)));
        put("--track-enabled-flag", format!("0:{}", yes(v.enabled)));
        for (flag, on) in &v.flags {
            put(flag, format!("0:{}", yes(*on)));
        }
        match v.display {
            Some(Display::Pixels(w, h)) => put("--display-dimensions", format!("0:{w}x{h}")),
            Some(Display::Ratio(w, h)) => put("--aspect-ratio", format!("0:{w}/{h}")),
            None => {}
        }
        if let Some([left, top, right, bottom]) = v.crop {
            put("--cropping", format!("0:{left},{top},{right},{bottom}"));
        }
        if let Some(tags) = &v.tags {
            put("--tags", format!("0:{}", text(tags)));
        }
        for (flag, value) in v.colour.options() {
            put(flag, format!("0:{value}"));
        }
        match &v.timing {
            Timing::Constant { num, den, start_ms } => {
                put("--default-duration", format!("0:{num}/{den}p"));
                if *start_ms != 0 {
                    put("--sync", format!("0:{start_ms}"));
                }
            }
            Timing::File(file) => put("--timestamps", format!("0:{}", text(file))),
            Timing::Kept => {}
        }
        o.push(text(&v.file));
        if self.other_video {
            let without: Vec<_> = self.without.iter().map(u64::to_string).collect();
            o.extend(["--video-tracks".into(), format!("!{}", without.join(","))]);
        } else {
            o.push("--no-video".into());
        }
        o.push(text(&self.source));
        let order: Vec<_> =
            self.order.iter().map(|t| t.map_or("0:0".into(), |id| format!("1:{id}"))).collect();
        o.extend(["--track-order".into(), order.join(",")]);
        o
    }

    /// Whether every name can be written into an option file.
    pub fn plain(path: &Path) -> bool {
        path.is_absolute() && path.to_str().is_some()
    }

    /// The command line around an option file.
    pub fn command(&self, option_file: &Path) -> ToolCommand {
        let mut at = std::ffi::OsString::from("@");
        at.push(option_file);
        // Translated messages could not be read by us.
        ToolCommand::new(&self.mkvmerge)
            .arg2("--ui-language", "en_US")
            .arg("--gui-mode")
            .arg(at)
            .cwd(&self.folder)
            .env("LC_ALL", "C.UTF-8")
    }
}

impl Colour {
    /// Spelt `colour`: mkvtoolnix 65 may know only that, 74 knows both.
    fn options(&self) -> Vec<(&'static str, String)> {
        let pair = |(a, b): (u64, u64)| format!("{a},{b}");
        let list = |n: &[f64]| n.iter().map(f64::to_string).collect::<Vec<_>>().join(",");
        let number = |n: Option<u64>| n.map(|n| n.to_string());
        [
            ("--colour-matrix-coefficients", number(self.matrix)),
            ("--colour-range", number(self.range)),
            ("--colour-transfer-characteristics", number(self.transfer)),
            ("--colour-primaries", number(self.primaries)),
            ("--chroma-siting", self.siting.map(pair)),
            ("--max-content-light", self.light.map(|l| l.0.to_string())),
            ("--max-frame-light", self.light.map(|l| l.1.to_string())),
            ("--chromaticity-coordinates", self.chromaticity.map(|c| list(&c))),
            ("--white-colour-coordinates", self.white.map(|w| list(&w))),
            ("--max-luminance", self.luminance.map(|l| l.0.to_string())),
            ("--min-luminance", self.luminance.map(|l| l.1.to_string())),
        ]
        .into_iter()
        .filter_map(|(flag, value)| Some((flag, value?)))
        .collect()
    }
}

fn yes(flag: bool) -> &'static str {
    if flag { "yes" } else { "no" }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mux() -> Mux {
        Mux {
            mkvmerge: "mkvmerge".into(),
            folder: "/out".into(),
            output: ".@Film \"x\".mkv.abc.partial".into(),
            video: VideoTrack {
                file: "/s/video.hevc".into(),
                name: Some("Main: 4K".into()),
                language: Some("en-GB".into()),
                default: true,
                forced: false,
                enabled: true,
                flags: vec![("--original-flag", true)],
                display: Some(Display::Pixels(3840, 2160)),
                crop: Some([0, 276, 0, 276]),
                tags: Some("/s/tags.xml".into()),
                colour: Colour {
                    matrix: Some(9),
                    range: Some(1),
                    transfer: Some(16),
                    primaries: Some(9),
                    siting: Some((1, 1)),
                    light: Some((1000, 400)),
                    chromaticity: Some([0.708, 0.292, 0.17, 0.797, 0.131, 0.046]),
                    white: Some([0.3127, 0.329]),
                    luminance: Some((1000.0, 0.0001)),
                },
                timing: Timing::Constant { num: 24000, den: 1001, start_ms: 84 },
            },
            source: "/films/+a.mkv".into(),
            without: vec![0],
            other_video: false,
            order: vec![None, Some(1), Some(2)],
        }
    }

    #[test]
    fn the_option_file_is_exactly_this() {
        assert_eq!(
            mux().options().join(" "),
            "--output .@Film \"x\".mkv.abc.partial --track-name 0:Main: 4K --language 0:en-GB \
             --default-track-flag 0:yes --forced-display-flag 0:no --track-enabled-flag 0:yes \
             --original-flag 0:yes --display-dimensions 0:3840x2160 --cropping 0:0,276,0,276 --tags 0:/s/tags.xml \
             --colour-matrix-coefficients 0:9 --colour-range 0:1 --colour-transfer-characteristics 0:16 \
             --colour-primaries 0:9 --chroma-siting 0:1,1 --max-content-light 0:1000 --max-frame-light 0:400 \
             --chromaticity-coordinates 0:0.708,0.292,0.17,0.797,0.131,0.046 --white-colour-coordinates 0:0.3127,0.329 \
             --max-luminance 0:1000 --min-luminance 0:0.0001 --default-duration 0:24000/1001p --sync 0:84 /s/video.hevc \
             --no-video /films/+a.mkv --track-order 0:0,1:1,1:2"
        );
        assert_eq!(
            mux().command(Path::new("/s/mux.json")).to_string(),
            "cd /out && LC_ALL=C.UTF-8 mkvmerge --ui-language en_US --gui-mode @/s/mux.json"
        );
    }

    #[test]
    fn other_video_tracks_stay_and_the_enhancement_layer_goes() {
        let mux =
            Mux { without: vec![1, 3], other_video: true, order: vec![Some(0), None, Some(2)], ..mux() };
        let line = mux.options().join(" ");
        assert!(line.contains("--video-tracks !1,3 /films/+a.mkv --track-order 1:0,0:0,1:2"), "{line}");
        assert!(!line.contains("--no-video"));
    }

    #[test]
    fn a_file_with_times_keeps_them() {
        let mut mux = mux();
        mux.video.timing = Timing::Kept;
        let line = mux.options().join(" ");
        assert!(!line.contains("--default-duration") && !line.contains("--sync"), "{line}");
    }

    #[test]
    fn a_ratio_is_given_as_such() {
        let mut mux = mux();
        mux.video.display = Some(Display::Ratio(16, 9));
        let line = mux.options().join(" ");
        assert!(line.contains(" --aspect-ratio 0:16/9 ") && !line.contains("--display-dimensions"), "{line}");
    }

    #[test]
    fn a_variable_rate_goes_by_its_timestamps_alone() {
        let mut mux = mux();
        mux.video.timing = Timing::File("/s/times.txt".into());
        let line = mux.options().join(" ");
        assert!(
            line.contains("--timestamps 0:/s/times.txt /s/video.hevc") && !line.contains("--sync"),
            "{line}"
        );
    }
}
