//! The films of the sets, and the edge cases they stand for.

mod broken;
mod demo;
mod edges;
mod edges_of_files;
mod hostile;
mod layers;
mod pictures;
mod tracks;

use super::spec::FilmSpec;

pub(super) use demo::demo;
pub use edges::{Edge, Shown, edges};

/// Every film there is.
pub(super) fn full() -> Vec<FilmSpec> {
    let parts = [
        layers::films(),
        pictures::films(),
        layers::rpus(),
        tracks::films(),
        broken::films(),
        hostile::films(),
    ];
    parts.into_iter().flatten().collect()
}
