//! Puts the layers together: per access unit the BL's NAL units, the EL's wrapped in type 63, the RPU last.

use anyhow::{Result, ensure};

use super::hdr10plus;
use super::packets::{Packet, nal_type, nals};
use super::spec::{FilmRecipe, Light, RpuDamage, Storage};

const START_CODE: [u8; 4] = [0, 0, 0, 1];
/// Header of NAL type 63 (layer 0, temporal id 0) in front of every EL NAL unit.
const EL_HEADER: [u8; 2] = [0x7E, 0x01];
/// A whole end-of-sequence NAL unit (type 36).
const END_OF_SEQUENCE: [u8; 2] = [0x48, 0x01];
/// NAL type, and payload type of the content light level message, of which x265 makes a NAL unit of its own.
const PREFIX_SEI: u8 = 39;
const CONTENT_LIGHT: u8 = 144;

/// The elementary streams of a film.
pub(super) struct Streams {
    /// The main track.
    pub main: Vec<u8>,
    /// The second track of dual-track films.
    pub second: Option<Vec<u8>>,
}

/// Interleaves the layers in decode order; `rpus` are in display order and may be absent.
pub(super) fn interleave(
    recipe: &FilmRecipe,
    bl: &[Packet],
    el: Option<&[Packet]>,
    rpus: Option<&[Vec<u8>]>,
) -> Result<Streams> {
    if let Some(el) = el {
        let same = bl.iter().map(|p| p.display).eq(el.iter().map(|p| p.display));
        ensure!(same, "the layers differ in structure, their access units cannot be paired");
    }
    let dual = recipe.storage.is_dual();
    let bare = recipe.storage == Storage::DualWithoutRpus;
    let mut main = Vec::new();
    let mut second = Vec::new();
    for (at, unit) in bl.iter().enumerate() {
        put_base(&mut main, unit, recipe);
        let own = rpus.filter(|_| !bare).map(|all| rpus_of(recipe, all, unit.display)).unwrap_or_default();
        let early = recipe.rpu_damage == RpuDamage::NotLast;
        let track = if dual { &mut second } else { &mut main };
        if early {
            own.iter().for_each(|rpu| put(track, rpu));
        }
        if let Some(el) = el.map(|el| &el[at]).filter(|_| recipe.storage != Storage::NoEl) {
            if dual {
                track.extend_from_slice(&el.bytes);
            } else {
                nals(&el.bytes).into_iter().for_each(|nal| put(track, &[&EL_HEADER, nal].concat()));
            }
        }
        if !early {
            own.iter().for_each(|rpu| put(track, rpu));
        }
        // The end of sequence is the last NAL unit of its access unit (H.265 7.4.2.4.4).
        let next_is_joint = bl.get(at + 1).is_some_and(|next| next.display == recipe.middle());
        if recipe.has_joint() && next_is_joint {
            put(&mut main, &END_OF_SEQUENCE);
        }
    }
    Ok(Streams { main, second: dual.then_some(second) })
}

/// The BL's part of an access unit: as the encoder wrote it, or with an HDR10+ message before the first slice, or
/// without the content light message of zeros that x265 writes beside every mastering display.
fn put_base(stream: &mut Vec<u8>, unit: &Packet, recipe: &FilmRecipe) {
    let no_cll = recipe.light == Light::NoCll;
    if !recipe.hdr10plus && !no_cll {
        return stream.extend_from_slice(&unit.bytes);
    }
    let mut message = recipe.hdr10plus.then(|| hdr10plus::sei(unit.display));
    for nal in nals(&unit.bytes) {
        if no_cll && nal_type(nal) == PREFIX_SEI && nal.get(2) == Some(&CONTENT_LIGHT) {
            continue;
        }
        // Types below 32 are slices.
        if nal_type(nal) < 32
            && let Some(message) = message.take()
        {
            put(stream, &message);
        }
        put(stream, nal);
    }
}

/// What the frame shown as number `display` gets: its RPU, or what the recipe wants broken about it.
fn rpus_of(recipe: &FilmRecipe, all: &[Vec<u8>], display: u64) -> Vec<Vec<u8>> {
    let of = |i: u64| all.get(usize::try_from(i).unwrap_or(usize::MAX)).cloned();
    let own: Vec<Vec<u8>> = of(display).into_iter().collect();
    match recipe.rpu_damage {
        _ if recipe.lacks_rpu(display) => Vec::new(),
        RpuDamage::Garbage(at) if at == display => own.into_iter().map(corrupt).collect(),
        RpuDamage::Duplicate(at) if at == display => own.into_iter().chain(of(display + 1)).collect(),
        RpuDamage::Twice(at) if at == display => [own.clone(), own].concat(),
        _ => own,
    }
}

/// Flips every bit of some bytes in the middle, where no start code can arise and the prefix stays whole.
fn corrupt(mut rpu: Vec<u8>) -> Vec<u8> {
    let middle = rpu.len() / 2;
    for byte in &mut rpu[middle..middle + 8] {
        // Setting the high bit keeps 00 00 0x sequences out of it.
        *byte = !*byte | 0x80;
    }
    rpu
}

fn put(stream: &mut Vec<u8>, nal: &[u8]) {
    stream.extend_from_slice(&START_CODE);
    stream.extend_from_slice(nal);
}
