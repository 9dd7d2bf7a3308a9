//! The film's own track: which it is, when its pictures are shown, and its HDR10 values.

use std::path::Path;

use anyhow::{Context, Result};
use serde_json::Value;

use crate::films::spec::FilmSpec;
use crate::tool;

/// Numerator and denominator as ffprobe prints them: primaries (red, green, blue), white point, luminances.
pub type Fractions = Vec<String>;

/// HDR10 values of a film's first picture.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Light {
    /// Mastering display, if any.
    pub mastering: Option<Fractions>,
    /// MaxCLL and MaxFALL in cd/m2, if any.
    pub content: Option<(u64, u64)>,
}

/// The largest HEVC track in what `mkvmerge -J` says.
pub(super) fn of(file: &Value) -> Result<&Value> {
    let videos = file["tracks"].as_array().into_iter().flatten();
    let hevc = videos.filter(|t| t["properties"]["codec_id"] == "V_MPEGH/ISO/HEVC");
    hevc.max_by_key(|t| area(t)).context("the film has no HEVC track")
}

fn dimensions(track: &Value) -> (u64, u64) {
    let text = track["properties"]["pixel_dimensions"].as_str().unwrap_or_default();
    let side = |s: &str| s.parse().unwrap_or_default();
    text.split_once('x').map_or((0, 0), |(w, h)| (side(w), side(h)))
}

/// The earlier of two equal tracks is the greater.
fn area(track: &Value) -> (u64, std::cmp::Reverse<u64>) {
    let (w, h) = dimensions(track);
    (w * h, std::cmp::Reverse(track["id"].as_u64().unwrap_or_default()))
}

/// This is the film, or its enhancement layer: HEVC of half its size.
pub(super) fn is_layer(track: &Value, film: &Value) -> bool {
    let (w, h) = dimensions(film);
    let hevc = track["properties"]["codec_id"] == "V_MPEGH/ISO/HEVC";
    track["id"] == film["id"] || (hevc && dimensions(track) == (w / 2, h / 2))
}

fn identify(film: &Path) -> Result<Value> {
    let mut command = tool::command("mkvmerge");
    tool::run_json(command.arg("-J").arg(tool::absolute(film)?))
}

/// ffmpeg's stream index of the film's track; mkvmerge counts alike.
pub(super) fn main(film: &Path) -> Result<u64> {
    of(&identify(film)?)?["id"].as_u64().context("a track id")
}

/// Stream indices of video tracks that are no layer of the film.
pub(super) fn extras(film: &Path) -> Result<Vec<u64>> {
    let file = identify(film)?;
    let own = of(&file)?;
    let videos = file["tracks"].as_array().into_iter().flatten().filter(|t| t["type"] == "video");
    Ok(videos.filter(|t| !is_layer(t, own)).filter_map(|t| t["id"].as_u64()).collect())
}

/// The time stamps of the film's packets, in ms and decode order.
pub(super) fn times(film: &Path, track: u64) -> Result<Vec<i64>> {
    let mut command = tool::ffprobe();
    let stream = track.to_string();
    command.args(["-select_streams", &stream, "-show_entries", "packet=pts", "-of", "csv=p=0", "-i"]);
    let text = String::from_utf8(tool::run(command.arg(tool::file_url(film)))?).context("packet list")?;
    let field =
        |line: &str| line.trim_end_matches(',').parse().with_context(|| format!("time stamp {line:?}"));
    text.lines().filter(|l| !l.is_empty()).map(field).collect()
}

/// By how many ms at most a picture of `result` is shown at another time than in `source`. A result may lack the
/// pictures no decoder outputs.
///
/// # Errors
/// A tool failed, or the numbers of pictures fit in neither way.
pub fn time_shift_ms(source: &Path, result: &Path, spec: &FilmSpec) -> Result<u64> {
    let sorted = |film: &Path| {
        times(film, main(film)?).map(|mut all| {
            all.sort_unstable();
            all
        })
    };
    let (source, result) = (sorted(source)?, sorted(result)?);
    let places = if result.len() == source.len() {
        (0..source.len()).collect()
    } else {
        spec.decodable().into_iter().filter_map(|i| usize::try_from(i).ok()).collect::<Vec<_>>()
    };
    anyhow::ensure!(places.len() == result.len(), "{} pictures of {}", result.len(), source.len());
    let shift = |(place, time): (&usize, &i64)| source.get(*place).map(|at| at.abs_diff(*time));
    Ok(places.iter().zip(&result).filter_map(shift).max().unwrap_or_default())
}

/// The HDR10 values of the first picture as a decoder passes them on (SEI messages).
///
/// # Errors
/// ffprobe failed.
pub fn light(film: &Path) -> Result<Light> {
    let mut command = tool::ffprobe();
    let stream = main(film)?.to_string();
    command.args([
        "-select_streams",
        &stream,
        "-read_intervals",
        "%+#1",
        "-show_frames",
        "-of",
        "json",
        "-i",
    ]);
    let frames = tool::run_json(command.arg(tool::file_url(film)))?;
    let data = frames["frames"][0]["side_data_list"].as_array().cloned().unwrap_or_default();
    let of = |name: &str| data.iter().find(|d| d["side_data_type"] == name);
    let fields = [
        "red_x",
        "red_y",
        "green_x",
        "green_y",
        "blue_x",
        "blue_y",
        "white_point_x",
        "white_point_y",
        "min_luminance",
        "max_luminance",
    ];
    let mastering = of("Mastering display metadata")
        .map(|d| fields.iter().map(|f| d[*f].as_str().unwrap_or_default().to_owned()).collect());
    let content = of("Content light level metadata").and_then(|d| {
        let nits = |name: &str| d[name].as_u64();
        nits("max_content").zip(nits("max_average"))
    });
    Ok(Light { mastering, content })
}
