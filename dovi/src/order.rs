//! Display order while the stream runs.
//!
//! The display index of a picture is the number of pictures in earlier coded video sequences plus the rank of
//! its picture order count (POC) in its own. Nobody has to wait for the rank when counts are dense:
//!
//! ```text
//! opening ── first trailing picture ──▶ dense    index = base + POC - smallest POC of IRAP and leading pictures
//!    │  └──── POCs do not step by 1 ──▶ generic  index = rank, known when 16 later-shown pictures wait
//!    └─ sequence ends: rank by sorting
//! ```
//!
//! Dense is measured for x265 and assumed of no encoder: the first sequence is looked at until its step is
//! known, and every sequence is proven to use each index exactly once. All answers come in decode order.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::poc::Picture;

/// Pictures that may be decoded before and shown after a picture: at most 15, since `MaxDpbSize` is 16
/// (H.265 A.4.2). One more is tolerance.
const MAX_WAITING: usize = 16;

/// Most pictures held back. Leading pictures and mini-GOPs of real encoders stay below 65.
const MAX_HELD: usize = 256;

/// Why pictures have no provable display order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum OrderError {
    /// Two pictures of a sequence have the same count.
    #[error("pictures {first} and {second} of the stream share picture order count {poc}")]
    Duplicate {
        /// The repeated count.
        poc: i64,
        /// Decode index of the earlier picture, or of the opening one if the earlier is long gone.
        first: u64,
        /// Decode index of the later picture.
        second: u64,
    },
    /// A count below one whose place has been given away.
    #[error("picture {decode_index} has picture order count {poc}, which is before pictures already placed")]
    Late {
        /// Its decode index.
        decode_index: u64,
        /// Its count.
        poc: i64,
    },
    /// A display index that no picture of the sequence has.
    #[error("no picture of the stream has display index {missing} (noticed at picture {decode_index})")]
    Gap {
        /// The index.
        missing: u64,
        /// Decode index of the picture that proves it: the last of the sequence, or one that came too far ahead.
        decode_index: u64,
    },
    /// More pictures without a place than any decoder could reorder.
    #[error("{0} pictures in a row have no display index yet")]
    TooManyHeld(usize),
}

/// How display indices were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Method {
    /// From the counts themselves, which step by one.
    Dense,
    /// By ranking, in at least one sequence.
    Generic,
}

/// A picture's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Placed {
    /// Number of the picture in the stream.
    pub decode_index: u64,
    /// Number of the picture on the screen, if every picture were shown.
    pub display_index: u64,
}

#[derive(Debug)]
enum Sequence {
    /// `(poc, decode_index)` of everything so far, and how many of them are the IRAP and its leading pictures.
    Opening {
        held: Vec<(i64, u64)>,
        leading: usize,
    },
    Dense {
        first: i64,
        opened_at: u64,
        low: u64,
        ahead: BTreeSet<u64>,
    },
    Generic {
        waiting: BTreeMap<i64, u64>,
        shown: Option<i64>,
        next: u64,
        queue: VecDeque<(u64, Option<u64>)>,
    },
}

/// Streaming display order; see the module.
#[derive(Debug)]
pub struct DisplayOrder {
    sequence: Sequence,
    /// Display index of the sequence's first shown picture: pictures of all earlier sequences.
    base: u64,
    /// Decode index of the latest picture.
    latest: u64,
    learned: Option<Method>,
    generic_used: bool,
}

impl Default for DisplayOrder {
    fn default() -> Self {
        Self {
            sequence: Sequence::Opening { held: Vec::new(), leading: 0 },
            base: 0,
            latest: 0,
            learned: None,
            generic_used: false,
        }
    }
}

impl DisplayOrder {
    /// At the start of a stream.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next picture in decode order, and appends to `placed` what is now known, in decode order.
    ///
    /// # Errors
    /// Counts that cannot be an order. Pictures placed before stay right only as far as their sequence was
    /// proven, so the caller must discard its work.
    pub fn push(&mut self, picture: &Picture, placed: &mut Vec<Placed>) -> Result<(), OrderError> {
        if picture.opens_cvs {
            self.close(placed)?;
        }
        self.latest = picture.decode_index;
        match &mut self.sequence {
            Sequence::Opening { held, leading } => {
                if held.is_empty() || held.len() == *leading && picture.nal_type.is_leading() {
                    *leading += 1;
                }
                held.push((picture.poc, picture.decode_index));
                self.decide(placed)
            }
            _ => self.place(picture.poc, picture.decode_index, placed),
        }
    }

    /// Ends the stream: the rest is placed, the last sequence proven.
    ///
    /// # Errors
    /// As [`DisplayOrder::push`].
    pub fn finish(&mut self, placed: &mut Vec<Placed>) -> Result<(), OrderError> {
        self.close(placed)
    }

    /// How indices were found so far.
    #[must_use]
    pub const fn method(&self) -> Method {
        if self.generic_used { Method::Generic } else { Method::Dense }
    }

    /// Leaves the opening as soon as it is clear how this sequence counts.
    fn decide(&mut self, placed: &mut Vec<Placed>) -> Result<(), OrderError> {
        let Sequence::Opening { held, leading } = &mut self.sequence else { return Ok(()) };
        if held.len() == *leading {
            return if held.len() > MAX_HELD { Err(OrderError::TooManyHeld(held.len())) } else { Ok(()) };
        }
        let Some(first) = held[..*leading].iter().map(|(poc, _)| *poc).min() else { return Ok(()) };
        let method = match self.learned {
            Some(method) => method,
            // IRAP and leading pictures are shown without a gap, and all of them are here.
            None if *leading > 1 => contiguous(held[..*leading].iter().map(|(poc, _)| *poc)),
            None if held.iter().any(|(poc, _)| *poc == first + 1) => Method::Dense,
            None if held.len() > 2 + MAX_WAITING => Method::Generic,
            None => return Ok(()),
        };
        self.learned = Some(method);
        let held = std::mem::take(held);
        let opened_at = held.first().map_or(0, |(_, decode)| *decode);
        self.sequence = match method {
            Method::Dense => Sequence::Dense { first, opened_at, low: 0, ahead: BTreeSet::new() },
            Method::Generic => {
                self.generic_used = true;
                let (waiting, queue) = (BTreeMap::new(), VecDeque::new());
                Sequence::Generic { waiting, shown: None, next: self.base, queue }
            }
        };
        held.into_iter().try_for_each(|(poc, decode)| self.place(poc, decode, placed))
    }

    fn place(&mut self, poc: i64, decode_index: u64, placed: &mut Vec<Placed>) -> Result<(), OrderError> {
        match &mut self.sequence {
            Sequence::Opening { .. } => Ok(()),
            Sequence::Dense { first, opened_at, low, ahead } => {
                let index =
                    u64::try_from(poc - *first).map_err(|_| OrderError::Late { decode_index, poc })?;
                if index < *low || !ahead.insert(index) {
                    return Err(OrderError::Duplicate { poc, first: *opened_at, second: decode_index });
                }
                while ahead.first() == Some(low) {
                    ahead.pop_first();
                    *low += 1;
                }
                if ahead.len() > MAX_WAITING {
                    return Err(OrderError::Gap { missing: self.base + *low, decode_index });
                }
                placed.push(Placed { decode_index, display_index: self.base + index });
                Ok(())
            }
            Sequence::Generic { waiting, shown, next, queue } => {
                if shown.is_some_and(|shown| poc < shown) {
                    return Err(OrderError::Late { decode_index, poc });
                }
                if let Some(first) = waiting.insert(poc, decode_index) {
                    return Err(OrderError::Duplicate { poc, first, second: decode_index });
                }
                queue.push_back((decode_index, None));
                while waiting.len() > MAX_WAITING {
                    show(waiting, shown, next, queue);
                }
                drain(queue, placed);
                if queue.len() > MAX_HELD { Err(OrderError::TooManyHeld(queue.len())) } else { Ok(()) }
            }
        }
    }

    /// Ends the sequence: proves it, places what is held, and moves the base behind it.
    fn close(&mut self, placed: &mut Vec<Placed>) -> Result<(), OrderError> {
        let opening = Sequence::Opening { held: Vec::new(), leading: 0 };
        match std::mem::replace(&mut self.sequence, opening) {
            Sequence::Opening { held, .. } => {
                let mut rank = BTreeMap::new();
                for (poc, decode) in &held {
                    if let Some(first) = rank.insert(*poc, *decode) {
                        return Err(OrderError::Duplicate { poc: *poc, first, second: *decode });
                    }
                }
                if held.len() > 1 {
                    let method = contiguous(rank.keys().copied());
                    self.generic_used |= method == Method::Generic;
                    self.learned.get_or_insert(method);
                }
                let from = placed.len();
                placed.extend(
                    (self.base..)
                        .zip(rank.values())
                        .map(|(display_index, decode)| Placed { decode_index: *decode, display_index }),
                );
                placed[from..].sort_unstable();
                self.base += held.len() as u64;
            }
            Sequence::Dense { low, ahead, .. } => {
                if !ahead.is_empty() {
                    return Err(OrderError::Gap { missing: self.base + low, decode_index: self.latest });
                }
                self.base += low;
            }
            Sequence::Generic { mut waiting, mut shown, mut next, mut queue } => {
                while !waiting.is_empty() {
                    show(&mut waiting, &mut shown, &mut next, &mut queue);
                }
                drain(&mut queue, placed);
                self.base = next;
            }
        }
        Ok(())
    }
}

/// Dense if the counts are `n, n+1, n+2, ..` in some order.
fn contiguous(pocs: impl Iterator<Item = i64>) -> Method {
    let all: BTreeSet<i64> = pocs.collect();
    let span = all.first().zip(all.last()).map_or(0, |(first, last)| last - first + 1);
    if i64::try_from(all.len()) == Ok(span) { Method::Dense } else { Method::Generic }
}

/// Gives the waiting picture with the smallest count the next index.
fn show(
    waiting: &mut BTreeMap<i64, u64>,
    shown: &mut Option<i64>,
    next: &mut u64,
    queue: &mut VecDeque<(u64, Option<u64>)>,
) {
    let Some((poc, decode)) = waiting.pop_first() else { return };
    *shown = Some(poc);
    if let Ok(at) = queue.binary_search_by_key(&decode, |(decode, _)| *decode) {
        queue[at].1 = Some(*next);
    }
    *next += 1;
}

/// Hands out the front of the queue as far as it has indices.
fn drain(queue: &mut VecDeque<(u64, Option<u64>)>, placed: &mut Vec<Placed>) {
    while let Some((decode_index, Some(display_index))) = queue.front().copied() {
        queue.pop_front();
        placed.push(Placed { decode_index, display_index });
    }
}
