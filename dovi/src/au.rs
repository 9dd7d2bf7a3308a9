//! Access units: the NAL units of one picture, grouped by the rules of H.265 7.4.2.4.4.

use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

use thiserror::Error;

use crate::annexb::{AnnexBError, NalReader, START_CODE};
use crate::nal::{NalError, NalHeader, NalType};
use crate::params::{ParamError, ParamSets, Sps};
use crate::poc::{Picture, PocTracker};
use crate::slice::{SliceError, SliceHeader, is_first_slice};

/// Largest access unit by default, all layers together.
pub const DEFAULT_MAX_AU: usize = 128 << 20;

/// Most NAL units in one access unit: 600 slices at the highest level, as many again for the enhancement
/// layer, and room.
const MAX_NALS: usize = 8192;

/// Access units whose buffers are kept for reuse.
const SPARE: usize = 4;

/// Why NAL units could not be grouped. `picture` counts pictures in decode order, from 0.
#[derive(Debug, Error)]
pub enum AuError {
    /// The byte stream could not be cut.
    #[error(transparent)]
    Stream(#[from] AnnexBError),
    /// A NAL header is damaged.
    #[error("near picture {picture}: {source}")]
    Nal {
        /// Pictures before the damage.
        picture: u64,
        /// What is wrong.
        source: NalError,
    },
    /// A parameter set is damaged.
    #[error("near picture {picture}: {source}")]
    Params {
        /// Pictures before the damage.
        picture: u64,
        /// What is wrong.
        source: ParamError,
    },
    /// A slice header is damaged or refers to nothing.
    #[error("at picture {picture}: {source}")]
    Slice {
        /// The picture itself.
        picture: u64,
        /// What is wrong.
        source: SliceError,
    },
    /// A slice that is not its picture's first came where a picture must begin.
    #[error("at picture {picture}: its first slice is missing")]
    FirstSliceMissing {
        /// The picture itself.
        picture: u64,
    },
    /// NAL units that belong to no picture at the end of the stream or block.
    #[error("{nals} NAL units without a picture behind picture {picture}")]
    NoPicture {
        /// Pictures before them.
        picture: u64,
        /// How many there are.
        nals: usize,
    },
    /// Too many bytes or NAL units for one picture.
    #[error("access unit of picture {picture} has {nals} NAL units and {bytes} bytes, which is too much")]
    TooLarge {
        /// The picture.
        picture: u64,
        /// Its NAL units so far.
        nals: usize,
        /// Its bytes so far.
        bytes: usize,
    },
}

/// Place of one NAL in its access unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NalRange {
    /// Its header.
    pub header: NalHeader,
    /// Its bytes in [`AccessUnit::bytes`], start code not included.
    pub range: Range<usize>,
}

/// All NAL units of one picture, of every layer, in stream order, with the Dolby Vision ones (62, 63).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessUnit {
    /// The base layer picture.
    pub picture: Picture,
    /// The SPS it uses.
    pub sps: Arc<Sps>,
    bytes: Vec<u8>,
    nals: Vec<NalRange>,
}

impl AccessUnit {
    /// The whole access unit as Annex B, every NAL behind a start code of four bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Where its NAL units are.
    #[must_use]
    pub fn ranges(&self) -> &[NalRange] {
        &self.nals
    }

    /// Its NAL units, without start codes.
    pub fn nals(&self) -> impl Iterator<Item = (NalHeader, &[u8])> {
        self.nals.iter().map(|nal| (nal.header, &self.bytes[nal.range.clone()]))
    }

    /// Its NAL units of one type (of layer 0).
    pub fn of_type(&self, ty: NalType) -> impl Iterator<Item = &[u8]> {
        self.nals().filter(move |(header, _)| header.ty == ty && header.layer_id == 0).map(|(_, nal)| nal)
    }
}

/// Groups NAL units, from Annex B or from Matroska blocks, into access units.
#[derive(Debug)]
pub struct AuParser {
    params: ParamSets,
    order: PocTracker,
    picture: Option<(Picture, Arc<Sps>)>,
    bytes: Vec<u8>,
    nals: Vec<NalRange>,
    spare: Vec<(Vec<u8>, Vec<NalRange>)>,
    max_bytes: usize,
}

impl Default for AuParser {
    fn default() -> Self {
        Self::with_max_bytes(DEFAULT_MAX_AU)
    }
}

impl AuParser {
    /// Accepts access units of up to [`DEFAULT_MAX_AU`].
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Accepts access units of up to `max_bytes`.
    #[must_use]
    pub fn with_max_bytes(max_bytes: usize) -> Self {
        Self {
            params: ParamSets::new(),
            order: PocTracker::new(),
            picture: None,
            bytes: Vec::new(),
            nals: Vec::new(),
            spare: Vec::new(),
            max_bytes,
        }
    }

    /// Parameter sets known so far. Those of a Matroska CodecPrivate are given with
    /// [`AuParser::learn_parameter_set`].
    #[must_use]
    pub const fn params(&self) -> &ParamSets {
        &self.params
    }

    /// Takes a parameter set that is not part of the stream.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn learn_parameter_set(&mut self, nal: &[u8]) -> Result<(), AuError> {
        self.params.feed(nal).map_err(|source| AuError::Params { picture: self.order.decoded(), source })
    }

    /// Takes the next NAL (no start code). Gives the access unit that this NAL proves to be complete.
    ///
    /// # Errors
    /// Damage; the parser should not be used further.
    pub fn push(&mut self, nal: &[u8]) -> Result<Option<AccessUnit>, AuError> {
        let picture = self.order.decoded();
        let header = NalHeader::parse(nal).map_err(|source| AuError::Nal { picture, source })?;
        let base = header.layer_id == 0;
        let slice = base && header.ty.is_slice();
        let first = slice && is_first_slice(nal);
        let complete = if base && (first || header.ty.starts_access_unit()) { self.take() } else { None };
        if first {
            let parsed =
                SliceHeader::parse(nal, &self.params).map_err(|source| AuError::Slice { picture, source })?;
            self.picture = Some((self.order.picture(&parsed, header), parsed.sps));
        } else if slice && self.picture.is_none() {
            return Err(AuError::FirstSliceMissing { picture });
        } else if base && header.ty.is_parameter_set() {
            self.learn_parameter_set(nal)?;
        } else if base && matches!(header.ty, NalType::EOS | NalType::EOB) {
            self.order.end_of_sequence();
        }
        let start = self.bytes.len() + START_CODE.len();
        let end = start.saturating_add(nal.len());
        if end > self.max_bytes || self.nals.len() >= MAX_NALS {
            return Err(AuError::TooLarge { picture, nals: self.nals.len() + 1, bytes: end });
        }
        self.bytes.extend_from_slice(&START_CODE);
        self.bytes.extend_from_slice(nal);
        self.nals.push(NalRange { header, range: start..end });
        Ok(complete)
    }

    /// Ends the access unit: at the end of the stream, or of a block (Matroska has one access unit in each).
    /// `None` if nothing was pushed since.
    ///
    /// # Errors
    /// NAL units, but no picture.
    pub fn flush(&mut self) -> Result<Option<AccessUnit>, AuError> {
        if self.picture.is_none() && !self.nals.is_empty() {
            return Err(AuError::NoPicture { picture: self.order.decoded(), nals: self.nals.len() });
        }
        Ok(self.take())
    }

    /// Gives the buffers of an access unit back, which saves the next one its allocations.
    pub fn recycle(&mut self, unit: AccessUnit) {
        if self.spare.len() < SPARE {
            let (mut bytes, mut nals) = (unit.bytes, unit.nals);
            bytes.clear();
            nals.clear();
            self.spare.push((bytes, nals));
        }
    }

    /// The pending NAL units, if they have a picture.
    fn take(&mut self) -> Option<AccessUnit> {
        let (picture, sps) = self.picture.take()?;
        let (bytes, nals) = self.spare.pop().unwrap_or_default();
        let bytes = std::mem::replace(&mut self.bytes, bytes);
        let nals = std::mem::replace(&mut self.nals, nals);
        Some(AccessUnit { picture, sps, bytes, nals })
    }
}

/// Access units of an Annex B stream.
#[derive(Debug)]
pub struct AuReader<R> {
    nals: NalReader<R>,
    parser: AuParser,
}

impl<R: Read> AuReader<R> {
    /// Reads with the default limits.
    pub fn new(source: R) -> Self {
        Self::with_parts(NalReader::new(source), AuParser::new())
    }

    /// Reads with other limits.
    pub const fn with_parts(nals: NalReader<R>, parser: AuParser) -> Self {
        Self { nals, parser }
    }

    /// The next access unit in decode order; `None` at the end.
    ///
    /// # Errors
    /// Damage or a failing reader; not to be called again then.
    pub fn next_au(&mut self) -> Result<Option<AccessUnit>, AuError> {
        while let Some(nal) = self.nals.next_nal()? {
            if let Some(unit) = self.parser.push(nal)? {
                return Ok(Some(unit));
            }
        }
        self.parser.flush()
    }

    /// See [`AuParser::recycle`].
    pub fn recycle(&mut self, unit: AccessUnit) {
        self.parser.recycle(unit);
    }
}
