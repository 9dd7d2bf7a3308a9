//! Somebody who is shown the film while it is read.
use super::{ScanError, au::Au};
use crate::matroska::{Header, Track};

/// Is shown the base layer.
pub(crate) trait Tap {
    /// Before the first frame: the file's header and the base layer's track.
    fn begin(&mut self, header: &Header, track: &Track) -> Result<(), ScanError>;

    /// The next frame in decode order, with the profile 8.1 form of the RPU that is in it.
    fn frame(&mut self, au: &Au<'_>, pts_ns: i64, p81: Option<&[u8]>) -> Result<(), ScanError>;
}
