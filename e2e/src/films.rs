//! The film maker: true Dolby Vision profile 7 films from open tools, every frame numbered twice.
//!
//! Each picture shows its display index as a row of squares, and the L1 of each RPU carries it as well, so a test
//! can tell from outside whether a result shows the right metadata with the right picture ([`truth`]). Films are
//! the same bytes in every run on one machine. The pictures, and the residual of an EL, mean nothing beyond that.

pub mod breaker;
mod catalogue;
mod clip;
mod container;
mod corpus;
mod ebml;
mod extras;
mod hdr10plus;
mod interleave;
mod large_rpu;
mod library;
mod metadata;
mod mux;
mod packets;
mod spec;
mod studio;
pub mod truth;

pub use catalogue::{Edge, Shown, edges};
pub use corpus::page;
pub use library::{FilmSet, LibraryOptions, make_library};
pub use metadata::L1;
pub use spec::{
    Cm, Coding, Container, Expected, ExtraVideo, FileDamage, FilmRecipe, FilmSpec, Gop, Grade, Layers, Light,
    Outcome, RpuDamage, Sound, Storage, Timing,
};
pub use studio::{Studio, make_film};
