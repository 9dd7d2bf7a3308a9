//! What a generated film shall be, and what the system under test is expected to make of it.

mod film;
mod kinds;
mod recipe;

pub use film::{Expected, FilmSpec, Outcome};
pub use kinds::{
    Cm, Coding, Container, ExtraVideo, FileDamage, Gop, Grade, Layers, Light, RpuDamage, Sound, Storage,
    Timing,
};
pub use recipe::FilmRecipe;

/// Frames from one key frame to the next in every generated stream.
pub(super) const GOP: u64 = 24;
/// Pictures between two reference pictures plus one (`bframes=4:b-adapt=0`).
pub(super) const MINI_GOP: u64 = 5;
/// Leading pictures of a CRA: what is left of a GOP after its last reference picture. They refer to the GOP
/// before, so a decoder that starts at the CRA does not output them (H.265 8.1.3, measured: 96 of 99).
pub(super) const LEADING: u64 = (GOP - 1) % MINI_GOP;
/// Pictures still waiting for output when a CRA follows an end of sequence: its inferred NoOutputOfPriorPicsFlag
/// discards them (H.265 C.5.2.2). Two with this B-pyramid (measured: ffmpeg outputs 235 of 240).
const DISCARDED: u64 = 2;
