//! Counts the frames of a result whose RPU or picture is not the one of their place.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, ensure};

use crate::films::clip::{NUMBER_BITS, number_cell};
use crate::films::hdr10plus;
use crate::films::metadata::{read_l1, read_l5};
use crate::films::packets::{self, Packet, nal_type, nals};
use crate::films::spec::FilmSpec;
use crate::tool;

use super::video;

/// How far a result is from the film it was made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WrongFrames {
    /// Pictures in the result.
    pub frames: u64,
    /// Pictures whose RPU is unreadable or carries another frame's number.
    pub wrong: u64,
    /// Frames of the film that are not there, and pictures without any RPU.
    pub missing: u64,
    /// Pictures the film does not have, and second RPUs.
    pub extra: u64,
    /// Decoded pictures that show another number than the one of their place (also counts missing or extra ones).
    pub wrong_pictures: u64,
    /// Pictures whose RPU names another active area (level 5) than the film's.
    pub wrong_areas: u64,
    /// Places in display order of the first few pictures with a fault of any kind.
    pub examples: Vec<u64>,
}

impl WrongFrames {
    /// No fault of any kind.
    pub fn is_clean(&self) -> bool {
        self.wrong + self.missing + self.extra + self.wrong_pictures + self.wrong_areas == 0
    }

    fn note(&mut self, place: u64) {
        if self.examples.len() < 8 && !self.examples.contains(&place) {
            self.examples.push(place);
        }
    }
}

/// Compares `result` with what `spec` says.
///
/// Pictures are ordered by their time in the container. A result may hold all pictures of the film (copied) or only
/// those a decoder outputs (encoded again); which of the two is told by their count, and then held against it.
/// Decoded pictures are read as well, so metadata that is right by count but sits on the wrong picture shows.
///
/// # Errors
/// A tool failed, or the file has no HEVC video.
pub fn wrong_frames(result: &Path, spec: &FilmSpec) -> Result<WrongFrames> {
    let joint = spec.recipe.steps_back().then(|| usize::try_from(spec.recipe.middle())).transpose()?;
    let track = video::main(result)?;
    let shown = in_order(demux(result, track)?, joint)?;
    let all: Vec<u64> = (0..spec.frame_count()).collect();
    let decodable = spec.decodable();
    let expected = if shown.len() == decodable.len() { &decodable } else { &all };

    let mut report = WrongFrames { frames: shown.len() as u64, ..WrongFrames::default() };
    report.missing = (expected.len() as u64).saturating_sub(report.frames);
    report.extra = report.frames.saturating_sub(expected.len() as u64);
    for (packet, number) in shown.iter().zip(expected) {
        let units = nals(&packet.bytes);
        let rpus: Vec<&[u8]> = units.into_iter().filter(|n| nal_type(n) == 62).collect();
        let says = rpus.first().map(|rpu| read_l1(rpu).ok().and_then(|l1| spec.frame_of(l1)));
        match says {
            None => report.missing += 1,
            Some(says) if says != Some(*number) => report.wrong += 1,
            Some(_) => {}
        }
        report.extra += rpus.len().saturating_sub(1) as u64;
        let area = rpus.first().and_then(|rpu| read_l5(rpu).ok());
        let wrong_area = area.is_some_and(|area| area != spec.expected_l5(*number));
        report.wrong_areas += u64::from(wrong_area);
        if says != Some(Some(*number)) || rpus.len() > 1 || wrong_area {
            report.note(packet.display);
        }
    }

    let pictures = decoded_numbers(result, track, spec)?;
    report.wrong_pictures = decodable.len().abs_diff(pictures.len()) as u64;
    for (place, _) in
        pictures.iter().zip(&decodable).enumerate().filter(|(_, (shows, number))| shows != number)
    {
        report.wrong_pictures += 1;
        report.note(place as u64);
    }
    Ok(report)
}

/// How often each NAL unit type occurs in the video: 62 are RPUs, 63 wrapped EL.
///
/// # Errors
/// A tool failed, or the file has no HEVC video.
pub fn nal_counts(film: &Path) -> Result<BTreeMap<u8, u64>> {
    let mut counts = BTreeMap::new();
    for packet in demux(film, video::main(film)?)? {
        nals(&packet.bytes).into_iter().for_each(|nal| *counts.entry(nal_type(nal)).or_default() += 1);
    }
    Ok(counts)
}

/// All RPU NAL units in display order, with their place in it.
///
/// # Errors
/// A tool failed, or the file has no HEVC video.
pub fn rpus(film: &Path) -> Result<Vec<(u64, Vec<u8>)>> {
    let packets = in_order(demux(film, video::main(film)?)?, None)?;
    let of = |p: &Packet| {
        let units = nals(&p.bytes).into_iter().filter(|n| nal_type(n) == 62);
        units.map(|n| (p.display, n.to_vec())).collect::<Vec<_>>()
    };
    Ok(packets.iter().flat_map(of).collect())
}

/// The frame numbers in the HDR10+ messages, in display order; none for a picture without such a message.
///
/// # Errors
/// A tool failed, or the file has no HEVC video.
pub fn hdr10plus_numbers(film: &Path) -> Result<Vec<Option<u64>>> {
    let packets = in_order(demux(film, video::main(film)?)?, None)?;
    Ok(packets.iter().map(|p| hdr10plus::number(&p.bytes)).collect())
}

/// The video packets of a Matroska file as Annex B, in decode order.
fn demux(film: &Path, track: u64) -> Result<Vec<Packet>> {
    let dir = tempfile::tempdir().context("make a temporary folder")?;
    let mut command = tool::ffmpeg();
    command.current_dir(dir.path()).args(["-copyts", "-i"]).arg(tool::file_url(&tool::absolute(film)?));
    // Leading pictures of a first CRA are shown before it: copypriorss keeps them.
    command.args([
        "-map",
        &format!("0:{track}"),
        "-c",
        "copy",
        "-copypriorss",
        "1",
        "-bsf:v",
        "hevc_mp4toannexb",
    ]);
    command.args(["-f", "tee", &packets::tee("video")]);
    tool::run(&mut command)?;
    let mut packets = packets::read(dir.path(), "video")?;
    // ffmpeg's muxers move a pts that lies before its dts, which it does for leading pictures of a first CRA
    // (measured), so the times come from the demuxer alone.
    let times = video::times(film, track)?;
    ensure!(
        times.len() == packets.len(),
        "{} packets but {} times in {}",
        packets.len(),
        times.len(),
        film.display()
    );
    packets.iter_mut().zip(times).for_each(|(packet, pts)| packet.pts = pts);
    Ok(packets)
}

/// Display order, by time; where the clock steps back at a joint (a place in decode order), before and after it.
fn in_order(mut packets: Vec<Packet>, joint: Option<usize>) -> Result<Vec<Packet>> {
    let joint = joint.unwrap_or_default().min(packets.len());
    let (before, after) = packets.split_at_mut(joint);
    packets::rank(before)?;
    packets::rank(after)?;
    after.iter_mut().for_each(|packet| packet.display += joint as u64);
    packets.sort_by_key(|p| p.display);
    Ok(packets)
}

/// Decodes the film and reads the number painted into each picture, in output order.
fn decoded_numbers(film: &Path, track: u64, spec: &FilmSpec) -> Result<Vec<u64>> {
    let cell = number_cell(spec.recipe.width);
    let (width, top) = (cell * NUMBER_BITS, spec.recipe.letterbox);
    let mut command = tool::ffmpeg();
    command.arg("-i").arg(tool::file_url(&tool::absolute(film)?));
    command.args(["-map", &format!("0:{track}"), "-fps_mode", "passthrough"]);
    let filter = format!("crop={width}:{cell}:0:{top},format=gray,scale={NUMBER_BITS}:1:flags=area");
    command.args(["-vf", &filter, "-f", "rawvideo", "pipe:1"]);
    let squares = tool::run(&mut command)?;
    let number = |row: &[u8]| row.iter().rev().fold(0, |n, square| n << 1 | u64::from(*square > 127));
    Ok(squares.chunks_exact(NUMBER_BITS as usize).map(number).collect())
}
