//! A verdict from a few hundred frames, for walking a library.
use std::io::{Read, Seek};

use super::{
    Evidence, Hdr10, ScanError, Verdict,
    look::{Look, Quota, Span},
    select::select,
};
use crate::{
    matroska::{Header, Integrity, MatroskaReader},
    params::Sps,
};

/// Looked at in the beginning.
const HEAD: Quota = Quota { frames: 48, least: 12, bytes: 1 << 20 };
/// Places after it, and what is looked at in each. Neighbouring frames are of one shot and say the same, so that the
/// many megabytes which 24 frames of a disc are would be read for nothing (measured: 53 verdicts per second instead
/// of several hundred, on a warm cache).
const PLACES: usize = 10;
const PLACE: Quota = Quota { frames: 24, least: 3, bytes: 256 << 10 };
/// Small reads suit sampling: most of a large buffer would be thrown away at the next seek.
const BUFFER: usize = 128 << 10;

/// What a few hundred frames say about a film.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Container header as far as it stands before the clusters.
    pub header: Header,
    /// Position of the base layer among all tracks.
    pub track_id: usize,
    /// Number of the track with the enhancement layer, if that is another one.
    pub el_track: Option<u64>,
    /// Verdict; a FEL may still turn out to be expanding in frames that were not looked at.
    pub verdict: Verdict,
    /// Its evidence, with `sampled` set.
    pub evidence: Evidence,
    /// Base layer frames looked at.
    pub frames: u64,
    /// RPUs found; from another track they may belong to frames before or behind.
    pub rpus: u64,
    /// NAL 63, or slices of an enhancement layer track, among them.
    pub el_nals: u64,
    /// Static metadata.
    pub hdr10: Hdr10,
    /// Frames with HDR10+ metadata.
    pub hdr10plus: u64,
    /// Declared duration; a claim only.
    pub duration_ns: Option<u64>,
    /// The first SPS in use.
    pub sps: Option<Sps>,
    /// Width from the SPS, else the container.
    pub width: u32,
    /// Height from the SPS, else the container.
    pub height: u32,
    /// Structure of the file; `integrity.truncated` is set if the file ends before its declared end.
    pub integrity: Integrity,
    /// Places that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// A place of the film that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The failure code a full read would give.
    pub code: &'static str,
    /// What is wrong there.
    pub text: String,
    /// The place is one that the film's own index names, so what was found there is certain. Places that were
    /// searched for may be no places at all.
    pub certain: bool,
}

/// Looks at the header, the first 48 frames and 24 frames at each of about ten places; at fewer, but 12 and 3, where
/// frames are large. Films without any RPU at the start and without a Dolby Vision record are not looked at further.
///
/// # Errors
/// If the header, the selection of the film, or the first frames fail. A truncated file is no error here as long as
/// its first frames can be read.
pub fn sample<R: Read + Seek>(source: R) -> Result<Sample, ScanError> {
    let mut reader = MatroskaReader::with_buffer(source, BUFFER)?;
    let selection = select(reader.header())?;
    let mut look = Look::new(reader.header(), &selection)?;
    let mut unreadable = Vec::new();
    let mut span = Span { places: 1, whole: false };
    match look.read(&mut reader, &HEAD) {
        Err(error) if look.frames == 0 || error.code() != "source.truncated" => return Err(error),
        Err(error) => {
            unreadable.push(Unreadable { code: error.code(), text: error.to_string(), certain: true });
        }
        Ok(ended) => span.whole = ended,
    }
    if look.frames == 0 {
        return Err(ScanError::NoFrames { track: look.bl });
    }
    let claimed = reader.header().tracks.iter().any(|t| t.dovi.is_some());
    if !span.whole && (look.has_rpus() || claimed) {
        for place in places(&mut reader, look.bl, look.furthest) {
            if place.offset() <= look.furthest {
                continue;
            }
            look.next_place();
            let (found, certain) = match place {
                Place::Cluster(at) => (reader.seek_cluster(at).map(|()| true), true),
                Place::Near(at) => (reader.resync(at), false),
            };
            let before = look.frames;
            let result = match found {
                Ok(false) => break,
                Ok(true) => look.read(&mut reader, &PLACE),
                Err(error) => Err(error.into()),
            };
            span.places += u64::from(look.frames > before);
            if let Err(error) = result {
                // Frames of a place have no number of their own; the byte tells where it is.
                unreadable.push(Unreadable { code: error.code(), text: error.unnumbered(), certain });
            }
        }
    }
    look.finish(&reader, &selection, span, unreadable)
}

enum Place {
    Cluster(u64),
    Near(u64),
}

impl Place {
    fn offset(&self) -> u64 {
        match self {
            Self::Cluster(at) | Self::Near(at) => *at,
        }
    }
}

/// Cue points spread over the rest of the film; even steps in bytes if there are none.
fn places<R: Read + Seek>(reader: &mut MatroskaReader<R>, track: u64, after: u64) -> Vec<Place> {
    let integrity = reader.integrity();
    let end = integrity.declared_end.unwrap_or(u64::MAX).min(integrity.file_end);
    let mut clusters = reader.cue_clusters(track);
    clusters.retain(|at| *at > after && *at < end);
    clusters.sort_unstable();
    clusters.dedup();
    if clusters.is_empty() && after < end {
        let step = (end - after) / (PLACES as u64 + 1);
        let nears = (1..=PLACES as u64).map(|i| Place::Near(after + i * step));
        return if step > 0 { nears.collect() } else { Vec::new() };
    }
    let count = clusters.len().min(PLACES);
    (0..count).map(|i| Place::Cluster(clusters[(i * clusters.len()) / count])).collect()
}
