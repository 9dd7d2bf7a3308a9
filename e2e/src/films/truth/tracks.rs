//! Compares everything of two films but their picture: sound, subtitles, flags, chapters, attachments and tags.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::video;
use crate::tool;

/// What two films have in common and what not, their picture aside.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrackReport {
    /// Sound and subtitle tracks of the source.
    pub tracks: usize,
    /// Every difference found, for people; empty for equal films.
    pub differences: Vec<String>,
}

impl TrackReport {
    /// No difference.
    pub fn is_equal(&self) -> bool {
        self.differences.is_empty()
    }

    fn compare(&mut self, what: &str, source: &Value, result: &Value) {
        if source != result {
            self.differences.push(format!("{what}: {source} became {result}"));
        }
    }
}

/// Properties of a track that may change: what mkvmerge numbers, counts and packs anew in
/// each file.
const OWN: [&str; 4] = ["number", "minimum_timestamp", "num_index_entries", "content_encoding_algorithms"];

/// Properties a video track has for its viewers, which hold for the film's own track although that is a new one.
const SHOWN: [&str; 11] = [
    "language",
    "language_ietf",
    "track_name",
    "default_track",
    "forced_track",
    "enabled_track",
    "flag_original",
    "flag_commentary",
    "flag_hearing_impaired",
    "flag_visual_impaired",
    "display_dimensions",
];

/// Compares the sound, subtitle and extra video tracks of two films in their order (payload and time stamp of every
/// packet, and all properties mkvmerge knows), the name, language and flags of the film's own track, their title,
/// chapters, attachments (bytes too) and global tags.
///
/// # Errors
/// A tool failed on either file.
pub fn tracks_equal(source: &Path, result: &Path) -> Result<TrackReport> {
    let mut report = TrackReport::default();
    let (old, new) = (identify(source)?, identify(result)?);
    let (old_film, new_film) = (video::of(&old)?, video::of(&new)?);
    for key in SHOWN {
        let name = format!("{key} of the film's track");
        report.compare(&name, &old_film["properties"][key], &new_film["properties"][key]);
    }
    let (old_tracks, new_tracks) = (tracks(&old, old_film), tracks(&new, new_film));
    report.tracks = old_tracks.len();
    report.compare("number of tracks", &old_tracks.len().into(), &new_tracks.len().into());
    for (at, (old, new)) in old_tracks.iter().zip(&new_tracks).enumerate() {
        let keys = old.keys().chain(new.keys().filter(|k| !old.contains_key(*k)));
        for key in keys {
            let of = |track: &Map<String, Value>| track.get(key).cloned().unwrap_or_default();
            report.compare(&format!("{key} of track {at}"), &of(old), &of(new));
        }
    }
    let title = |file: &Value| file["container"]["properties"]["title"].clone();
    report.compare("title", &title(&old), &title(&new));
    report.compare("attachments", &old["attachments"], &new["attachments"]);
    report.compare("attached bytes", &attached(source, &old)?, &attached(result, &new)?);
    let (old, new) = (probe(source)?, probe(result)?);
    report.compare("chapters", &chapters(&old), &chapters(&new));
    report.compare("tags", &tags(&old), &tags(&new));
    let (old, new) = (payloads(source)?, payloads(result)?);
    report.compare("number of streams", &old.len().into(), &new.len().into());
    for (at, (old, new)) in old.iter().zip(&new).enumerate() {
        let first = old.iter().zip(new).find(|(a, b)| !a.equals(b));
        if first.is_some() || old.len() != new.len() {
            let counts = (old.len(), new.len());
            report
                .differences
                .push(format!("packets of stream {at}: {counts:?}, first difference {first:?}"));
        }
    }
    Ok(report)
}

fn identify(film: &Path) -> Result<Value> {
    let mut command = tool::command("mkvmerge");
    command.arg("-J").arg(tool::absolute(film)?);
    tool::run_json(&mut command)
}

/// The properties of the tracks that are neither the film nor its enhancement layer, with type and codec, without
/// what changes in any remux.
fn tracks(file: &Value, film: &Value) -> Vec<Map<String, Value>> {
    let all = file["tracks"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter(|t| !video::is_layer(t, film))
        .map(|track| {
            let mut properties = track["properties"].as_object().cloned().unwrap_or_default();
            // Statistics tags are rewritten by every mkvmerge run.
            properties.retain(|key, _| !OWN.contains(&key.as_str()) && !key.starts_with("tag_"));
            properties.insert("type".to_owned(), track["type"].clone());
            properties.insert("codec".to_owned(), track["codec"].clone());
            properties
        })
        .collect()
}

/// Checksums of the attached files' bytes.
fn attached(film: &Path, file: &Value) -> Result<Value> {
    let ids: Vec<u64> =
        file["attachments"].as_array().into_iter().flatten().filter_map(|a| a["id"].as_u64()).collect();
    if ids.is_empty() {
        return Ok(Value::Array(Vec::new()));
    }
    let dir = tempfile::tempdir().context("make a temporary folder")?;
    let mut command = tool::command("mkvextract");
    command.arg(tool::absolute(film)?).arg("attachments").current_dir(dir.path());
    command.args(ids.iter().map(|id| format!("{id}:{id}.bin")));
    tool::run(&mut command)?;
    let mut bytes = Vec::new();
    for id in ids {
        let content = fs::read(dir.path().join(format!("{id}.bin"))).context("an extracted attachment")?;
        bytes.push(Value::String(blake3_hex(&content)));
    }
    Ok(Value::Array(bytes))
}

fn blake3_hex(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn probe(film: &Path) -> Result<Value> {
    let mut command = tool::ffprobe();
    command.args(["-of", "json", "-show_chapters", "-show_format", "-i"]).arg(tool::file_url(film));
    tool::run_json(&mut command)
}

/// Chapters, without the ends ffprobe guesses from the duration of a file.
fn chapters(probe: &Value) -> Value {
    let all = probe["chapters"].as_array().into_iter().flatten();
    all.map(|c| serde_json::json!([c["id"], c["start"], c["time_base"], c["tags"]])).collect()
}

/// Global tags, without those that name the program that wrote the file and when.
fn tags(probe: &Value) -> Value {
    let mut tags = probe["format"]["tags"].as_object().cloned().unwrap_or_default();
    tags.retain(|key, _| !["encoder", "creation_time"].contains(&key.to_lowercase().as_str()));
    Value::Object(tags)
}

/// A packet of a track that is copied.
#[derive(Debug, PartialEq, Eq)]
struct Packet {
    /// In ticks of the file, which are ms.
    pts: i64,
    /// Size and MD5 of the payload.
    payload: (String, String),
}

impl Packet {
    /// The same bytes at the same time, give or take the rounding of one more remux.
    fn equals(&self, other: &Self) -> bool {
        self.payload == other.payload && self.pts.abs_diff(other.pts) <= 1
    }
}

/// The packets of each extra video, sound and subtitle stream.
fn payloads(film: &Path) -> Result<Vec<Vec<Packet>>> {
    let mut command = tool::ffmpeg();
    command.args(["-copyts", "-i"]).arg(tool::file_url(film));
    for stream in video::extras(film)? {
        command.args(["-map", &format!("0:{stream}")]);
    }
    command.args(["-map", "0:a?", "-map", "0:s?", "-c", "copy", "-f", "framehash", "-hash", "md5", "pipe:1"]);
    let text = String::from_utf8(tool::run(&mut command)?).context("packet list")?;
    let mut streams: Vec<Vec<Packet>> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        // stream, dts, pts, duration, size, hash; durations of copied packets are guesses of the demuxer
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [stream, _, pts, _, size, hash] = fields[..] else { continue };
        let stream: usize = stream.parse().context("stream number")?;
        streams.resize_with(streams.len().max(stream + 1), Vec::new);
        let payload = (size.to_owned(), hash.to_owned());
        streams[stream].push(Packet { pts: pts.parse().context("time stamp")?, payload });
    }
    Ok(streams)
}
