//! RPUs of a film by display index: fingerprints of what was found, and the profile 8.1 form in one arena.
use std::fmt;

use super::ScanError;
use crate::rpu;

/// Fingerprint of a complete NAL 62: the first 16 bytes of its BLAKE3 hash.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct RpuHash([u8; 16]);

impl RpuHash {
    /// Of a complete NAL 62, header included, without zero bytes behind its end.
    #[must_use]
    pub fn of(nal62: &[u8]) -> Self {
        let end = nal62.iter().rposition(|b| *b != 0).map_or(0, |last| last + 1);
        let mut short = [0; 16];
        short.copy_from_slice(&blake3::hash(&nal62[..end]).as_bytes()[..16]);
        Self(short)
    }
}

impl fmt::Debug for RpuHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for RpuHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// One frame's RPU.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Slot {
    pub(crate) raw: RpuHash,
    pub(crate) p81: Option<P81>,
}

/// A profile 8.1 NAL in the arena.
#[derive(Debug, Clone, Copy)]
pub(crate) struct P81 {
    start: usize,
    /// 0 if only the hash is known.
    len: usize,
    hash: RpuHash,
}

/// When frames without an RPU may be filled.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MissingPolicy {
    /// Largest share of all frames, 0 to 1.
    pub max_share: f64,
    /// Longest run of consecutive frames.
    pub max_run: u64,
}

impl Default for MissingPolicy {
    /// 0.1 % of the film and half a second.
    fn default() -> Self {
        Self { max_share: 0.001, max_run: 12 }
    }
}

/// RPUs by display index.
#[derive(Debug, Clone, Default)]
pub struct RpuTable {
    arena: Vec<u8>,
    slots: Vec<Option<Slot>>,
}

impl RpuTable {
    /// Adds a NAL to the arena.
    pub(crate) fn store(&mut self, p81: &[u8]) -> P81 {
        let start = self.arena.len();
        self.arena.extend_from_slice(p81);
        P81 { start, len: p81.len(), hash: RpuHash::of(p81) }
    }

    /// A form that can be compared but not written: [`Self::p81`] stays `None`.
    pub(crate) fn fingerprint_only(hash: RpuHash) -> P81 {
        P81 { start: 0, len: 0, hash }
    }

    /// The bytes of a NAL that was stored.
    pub(crate) fn nal(&self, p81: P81) -> Option<&[u8]> {
        self.arena.get(p81.start..p81.start + p81.len).filter(|nal| !nal.is_empty())
    }

    pub(crate) fn set_slots(&mut self, by_display: Vec<Option<Slot>>) {
        self.slots = by_display;
        self.arena.shrink_to_fit();
    }

    /// Frames of the film, with or without RPU.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if the film has no frames.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    fn slot(&self, display: u64) -> Option<&Slot> {
        self.slots.get(usize::try_from(display).ok()?)?.as_ref()
    }

    /// The profile 8.1 NAL 62 of a frame (header, escaped, no start code). `None` if the frame has no RPU, its
    /// profile has no such form, or the scan was told not to convert.
    #[must_use]
    pub fn p81(&self, display: u64) -> Option<&[u8]> {
        let p81 = self.slot(display)?.p81.filter(|p81| p81.len > 0)?;
        self.arena.get(p81.start..p81.start + p81.len)
    }

    /// Fingerprint of [`Self::p81`]; for a profile 8 film that of the NAL in the film, also without conversion. So
    /// the table of a result compares with the table of its source.
    #[must_use]
    pub fn p81_hash(&self, display: u64) -> Option<RpuHash> {
        Some(self.slot(display)?.p81?.hash)
    }

    /// Fingerprint of the NAL 62 as it stands in the film.
    #[must_use]
    pub fn raw_hash(&self, display: u64) -> Option<RpuHash> {
        Some(self.slot(display)?.raw)
    }

    /// Bytes the converted RPUs take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.arena.len()
    }

    /// Display indices of the frames without RPU.
    pub fn missing(&self) -> impl Iterator<Item = u64> + '_ {
        (0u64..).zip(&self.slots).filter(|(_, slot)| slot.is_none()).map(|(i, _)| i)
    }

    /// Whether the gaps are within `policy`. One that is nothing but the very last frame is under any policy: rips
    /// that end one RPU short are known, and nothing comes after it.
    ///
    /// # Errors
    /// [`ScanError::RpuMissing`] if there are more than `policy` allows, or no RPU at all.
    pub fn check_missing(&self, policy: MissingPolicy) -> Result<(), ScanError> {
        let missing: Vec<u64> = self.missing().collect();
        let Some(first) = missing.first().copied() else { return Ok(()) };
        let (frames, count) = (self.slots.len() as u64, missing.len() as u64);
        let longest_run = longest_run(&missing);
        let only_last = frames > 1 && missing == [frames - 1];
        let too_many = count as f64 > policy.max_share * frames as f64;
        if count == frames || !only_last && (too_many || longest_run > policy.max_run) {
            return Err(ScanError::RpuMissing { missing: count, frames, longest_run, first });
        }
        Ok(())
    }

    /// Gives frames without RPU the one of the frame shown before them (after them at the start of the film),
    /// with its scene-refresh flag taken off. Returns the filled display indices.
    ///
    /// # Errors
    /// As [`Self::check_missing`].
    pub fn fill_missing(&mut self, policy: MissingPolicy) -> Result<Vec<u64>, ScanError> {
        let missing: Vec<u64> = self.missing().collect();
        let Some(first) = missing.first().copied() else { return Ok(missing) };
        self.check_missing(policy)?;
        let frames = self.slots.len() as u64;
        let longest_run = longest_run(&missing);
        let refuse = || ScanError::RpuMissing { missing: missing.len() as u64, frames, longest_run, first };
        let Some(mut last) = (0..frames).find(|i| self.p81(*i).is_some()) else { return Err(refuse()) };
        for display in 0..frames {
            if self.slot(display).is_some() {
                last = display;
                continue;
            }
            let plain = self
                .p81(last)
                .ok_or_else(refuse)
                .and_then(|nal| rpu::without_scene_refresh(nal).map_err(|_| refuse()))?;
            let p81 = self.store(&plain);
            let slot = Slot { raw: p81.hash, p81: Some(p81) };
            if let Some(place) = usize::try_from(display).ok().and_then(|i| self.slots.get_mut(i)) {
                *place = Some(slot);
            }
            last = display;
        }
        Ok(missing)
    }
}

/// Longest run of consecutive numbers in an ascending list.
pub(crate) fn longest_run(sorted: &[u64]) -> u64 {
    let (mut longest, mut run, mut previous) = (0, 0, None);
    for &i in sorted {
        run = if previous == Some(i.wrapping_sub(1)) { run + 1 } else { 1 };
        longest = longest.max(run);
        previous = Some(i);
    }
    longest
}
