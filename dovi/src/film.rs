//! A film as this system sees it: one sequential read gives everything that conversion and proof need.
mod assemble;
pub(crate) mod au;
mod base_layer;
mod collect;
mod error;
mod evidence;
mod hdr10;
mod hvcc;
mod index;
mod rate;
mod rpus;
mod sample;
mod scan;
mod select;
mod tracks;
mod verdict;

pub use error::ScanError;
pub use evidence::{Evidence, L5Behaviour, Rule};
pub use hdr10::{Hdr10, Hdr10Source};
pub(crate) use hvcc::Hvcc;
pub use index::{Counts, ElTrack, Expected, FilmIndex, Progress, ScanOptions, VideoFacts};
pub use rate::Rate;
pub use rpus::{MissingPolicy, RpuHash, RpuTable};
pub use sample::{Sample, sample};
pub use scan::scan;
pub use tracks::TrackDigest;
pub use verdict::{UnknownVerdict, Verdict};
