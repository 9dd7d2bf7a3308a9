//! Rebuilds mkvmerge's files into forms that other programs write.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::ebml::{self, Element};
use super::spec::{Container, FilmRecipe, Sound, Storage, Timing};

/// Bytes of the length in front of each NAL unit in mkvmerge's HEVC blocks.
const LENGTH: usize = 4;
/// 24000/1001 frames per second.
const FRAME_MS: f64 = 1001.0 / 24.0;
/// Track number of the film.
const FILM: u8 = 1;

/// Changes the file in place, where the recipe wants it.
pub(super) fn rebuild(recipe: &FilmRecipe, path: &Path) -> Result<()> {
    let additions = recipe.storage == Storage::Additions;
    let as_written = matches!(recipe.container, Container::Plain | Container::Zlib | Container::NoCues);
    let clock_kept = !matches!(recipe.timing, Timing::Rounded | Timing::StepsBack(_));
    let sound_kept = !matches!(recipe.sound, Sound::TrueHdGap | Sound::NoDuration);
    if as_written && clock_kept && sound_kept && !additions {
        return Ok(());
    }
    let mut file = ebml::parse(&fs::read(path)?).context("what mkvmerge wrote")?;
    for element in &mut file {
        // Their positions do not hold any longer; both are optional.
        element.remove(&[ebml::SEEK_HEAD, ebml::CUES, ebml::VOID]);
        // Without them, ffprobe finds nothing that stands behind the clusters.
        if let Some(children) = element.children_mut() {
            children.sort_by_key(|child| child.id == ebml::CLUSTER);
        }
        if additions {
            move_to_additions(element);
        }
        match recipe.container {
            Container::Live => live(element),
            Container::Voids => voids(element),
            Container::NoRecord => element.remove(&[ebml::BLOCK_ADDITION_MAPPING]),
            Container::RecordOnly => each_block(element, FILM, &mut |block| strip(block)),
            Container::HeaderStripped => strip_headers(element),
            _ => {}
        }
        match recipe.timing {
            Timing::Rounded => forget_duration(element, 0..1),
            Timing::StepsBack(frames) => step_back(element, recipe.middle(), f64::from(frames) * FRAME_MS),
            _ => {}
        }
        match recipe.sound {
            Sound::TrueHdGap => leave_a_gap(element),
            Sound::NoDuration => forget_duration(element, 1..3),
            _ => {}
        }
    }
    fs::write(path, ebml::write(&file))?;
    Ok(())
}

/// Unknown sizes, nothing that is only known at the end. The duration is not.
fn live(element: &mut Element) {
    element.remove(&[ebml::DURATION]);
    if element.id == ebml::SEGMENT {
        element.unsized_ = true;
        element.each(ebml::CLUSTER, &mut |cluster| cluster.unsized_ = true);
    }
}

/// Voids of different sizes, also empty ones, wherever an element may stand.
fn voids(element: &mut Element) {
    for id in [ebml::SEGMENT, ebml::TRACKS, ebml::TRACK_ENTRY, ebml::CLUSTER, ebml::BLOCK_GROUP, ebml::INFO] {
        element.each(id, &mut |master| {
            let Some(children) = master.children_mut() else { return };
            let old = std::mem::take(children);
            for (at, child) in old.into_iter().enumerate() {
                if at % 3 == 0 {
                    children.push(Element::void([0, 1, 130, 20_000][at / 3 % 4]));
                }
                children.push(child);
            }
            children.push(Element::void(5));
        });
    }
}

/// The blocks of a track.
fn each_block(element: &mut Element, number: u8, change: &mut dyn FnMut(&mut Vec<u8>)) {
    for id in [ebml::SIMPLE_BLOCK, ebml::BLOCK] {
        element.each(id, &mut |block| {
            if let ebml::Content::Bytes(bytes) = &mut block.content
                && ebml::block_head(bytes).is_some_and(|(track, ..)| track == number)
            {
                change(bytes);
            }
        });
    }
}

/// Moves a block in time.
fn shift(block: &mut [u8], ms: f64) {
    if let Some((_, time, _)) = ebml::block_head(block) {
        let moved = f64::from(time) + ms.round();
        block[1..3].copy_from_slice(&(moved as i16).to_be_bytes());
    }
}

/// The TrueHD track, which is the last but for subtitles, is silent for a quarter of a second after its 1200th frame.
fn leave_a_gap(element: &mut Element) {
    let mut seen = 0;
    each_block(element, FILM + 3, &mut |block| {
        seen += 1;
        if seen > 1200 {
            shift(block, 250.0);
        }
    });
}

/// Takes the frame duration of these tracks, counted from 0.
fn forget_duration(element: &mut Element, tracks: std::ops::Range<usize>) {
    let mut at = 0;
    element.each(ebml::TRACK_ENTRY, &mut |track| {
        if tracks.contains(&at) {
            track.remove(&[ebml::DEFAULT_DURATION]);
        }
        at += 1;
    });
}

/// Takes what all frames of the film begin with out of them, and tells the reader to put it back (compression by
/// header removal).
fn strip_headers(element: &mut Element) {
    let mut common: Option<Vec<u8>> = None;
    each_block(element, FILM, &mut |block| {
        let frame = &block[4..];
        let so_far = common.get_or_insert_with(|| frame.to_vec());
        let same = so_far.iter().zip(frame).take_while(|(a, b)| a == b).count();
        so_far.truncate(same);
    });
    let Some(header) = common else { return };
    each_block(element, FILM, &mut |block| drop(block.drain(4..4 + header.len())));
    let compression = vec![
        Element::bytes(ebml::CONTENT_COMP_ALGO, [3]),
        Element::bytes(ebml::CONTENT_COMP_SETTINGS, header),
    ];
    let encoding = Element::master(
        ebml::CONTENT_ENCODING,
        vec![Element::master(ebml::CONTENT_COMPRESSION, compression)],
    );
    let encodings = Element::master(ebml::CONTENT_ENCODINGS, vec![encoding]);
    let mut film = Some(encodings);
    element.each(ebml::TRACK_ENTRY, &mut |track| {
        if let (Some(children), Some(encodings)) = (track.children_mut(), film.take()) {
            children.push(encodings);
        }
    });
}

/// Sorts the NAL units of a block into those of the base layer, and EL and RPU; each still with its length.
fn layers(block: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let (mut base, mut rest) = (block[..4].to_vec(), Vec::new());
    let mut at = 4;
    while let Some(length) = block.get(at..at + LENGTH) {
        let size = length.iter().fold(0, |n, b| n << 8 | usize::from(*b));
        let Some(unit) = block.get(at..at + LENGTH + size) else { break };
        let dolby = unit.get(LENGTH).is_some_and(|header| matches!(header >> 1 & 0x3F, 62 | 63));
        if dolby {
            rest.extend_from_slice(unit);
        } else {
            base.extend_from_slice(unit);
        }
        at += LENGTH + size;
    }
    (base, rest)
}

/// Takes RPU and EL out of a block.
fn strip(block: &mut Vec<u8>) {
    *block = layers(block).0;
}

/// Makes block groups of the film's blocks, with EL and RPU in a block addition.
fn move_to_additions(element: &mut Element) {
    element.each(ebml::CLUSTER, &mut |cluster| {
        let Some(children) = cluster.children_mut() else { return };
        for child in children {
            let Some((1, _, flags)) =
                ebml::block_head(child.data()).filter(|_| child.id == ebml::SIMPLE_BLOCK)
            else {
                continue;
            };
            let (mut block, rest) = layers(child.data());
            // The key frame flag exists in simple blocks only.
            block[3] = flags & 0x7F;
            let more = Element::master(
                ebml::BLOCK_MORE,
                vec![Element::bytes(ebml::BLOCK_ADD_ID, [1]), Element::bytes(ebml::BLOCK_ADDITIONAL, rest)],
            );
            let mut group = vec![Element::bytes(ebml::BLOCK, block)];
            group.push(Element::master(ebml::BLOCK_ADDITIONS, vec![more]));
            if flags & 0x80 == 0 {
                group.push(Element::bytes(ebml::REFERENCE_BLOCK, [0xD6]));
            }
            *child = Element::master(ebml::BLOCK_GROUP, group);
        }
    });
    let mut first = true;
    element.each(ebml::TRACK_ENTRY, &mut |track| {
        if std::mem::take(&mut first)
            && let Some(children) = track.children_mut()
        {
            children.push(Element::bytes(ebml::MAX_BLOCK_ADDITION_ID, [1]));
        }
    });
}

/// Lets the film's clock step back from its middle on. The joint is a closed one: that many pictures lie before it in
/// the file as well.
fn step_back(element: &mut Element, middle: u64, ms: f64) {
    let mut seen = 0;
    each_block(element, FILM, &mut |block| {
        seen += 1;
        if seen > middle {
            shift(block, -ms);
        }
    });
}

/// Offset and length of the blocks of a track, in a file as mkvmerge writes it.
pub(super) fn blocks(file: &[u8], number: u8) -> Result<Vec<(usize, usize)>> {
    let mut found = Vec::new();
    let mut from = 0;
    for element in &mut ebml::parse(file)? {
        each_block(element, number, &mut |block| {
            // In file order, so the search never goes far.
            if let Some(at) = file[from..].windows(block.len()).position(|w| w == block.as_slice()) {
                found.push((from + at, block.len()));
                from += at + block.len();
            }
        });
    }
    Ok(found)
}
