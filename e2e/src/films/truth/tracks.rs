//! Compares everything of two films but their picture: sound, subtitles, flags, chapters, attachments and tags.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde_json::{Map, Value};

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

/// Properties of a track that may change: what mkvmerge numbers and counts anew in each file.
const OWN: [&str; 3] = ["number", "minimum_timestamp", "num_index_entries"];

/// Compares the sound and subtitle tracks of two films in their order (payload and time stamp of every packet, and
/// all properties mkvmerge knows), their title, chapters, attachments (bytes too) and global tags.
///
/// # Errors
/// A tool failed on either file.
pub fn tracks_equal(source: &Path, result: &Path) -> Result<TrackReport> {
    let mut report = TrackReport::default();
    let (old, new) = (identify(source)?, identify(result)?);
    let (old_tracks, new_tracks) = (tracks(&old), tracks(&new));
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
    report.compare("chapters", &old["chapters"], &new["chapters"]);
    report.compare("tags", &tags(&old), &tags(&new));
    for (at, (old, new)) in payloads(source)?.iter().zip(&payloads(result)?).enumerate() {
        let (old, new) = (old.as_str(), new.as_str());
        if old != new {
            let first = old.lines().zip(new.lines()).find(|(a, b)| a != b);
            let counts = (old.lines().count(), new.lines().count());
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

/// The properties of the tracks that are no video, with type and codec, without what changes in any remux.
fn tracks(file: &Value) -> Vec<Map<String, Value>> {
    let all = file["tracks"].as_array().map(Vec::as_slice).unwrap_or_default();
    all.iter()
        .filter(|t| t["type"] != "video")
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

/// Global tags, without those that name the program that wrote the file and when.
fn tags(probe: &Value) -> Value {
    let mut tags = probe["format"]["tags"].as_object().cloned().unwrap_or_default();
    tags.retain(|key, _| !["encoder", "creation_time"].contains(&key.to_lowercase().as_str()));
    Value::Object(tags)
}

/// Per sound and subtitle stream: one line per packet with time stamp, size and MD5.
fn payloads(film: &Path) -> Result<Vec<String>> {
    let mut command = tool::ffmpeg();
    command.args(["-copyts", "-i"]).arg(tool::file_url(film));
    command.args(["-map", "0:a?", "-map", "0:s?", "-c", "copy", "-f", "framehash", "-hash", "md5", "pipe:1"]);
    let text = String::from_utf8(tool::run(&mut command)?).context("packet list")?;
    let mut streams: Vec<String> = Vec::new();
    for line in text.lines().filter(|l| !l.starts_with('#')) {
        // stream, dts, pts, duration, size, hash; durations of copied packets are guesses of the demuxer
        let fields: Vec<&str> = line.split(',').map(str::trim).collect();
        let [stream, _, pts, _, size, hash] = fields[..] else { continue };
        let stream: usize = stream.parse().context("stream number")?;
        streams.resize(streams.len().max(stream + 1), String::new());
        streams[stream].push_str(&format!("{pts} {size} {hash}\n"));
    }
    Ok(streams)
}
