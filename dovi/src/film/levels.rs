//! What each frame's RPU says, as far as a proof looks at it: small enough to keep for every frame of a film.
use crate::rpu::{L1, L6, RpuInfo};

/// Facts of one frame's RPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLevels {
    /// Profile guessed from the header: 4, 5, 7 or 8; 0 if none fits.
    pub profile: u8,
    /// It has NLQ parameters, which only an enhancement layer needs.
    pub nlq: bool,
    /// Level 1: luminance of the frame.
    pub l1: Option<L1>,
    /// Level 5: left, right, top, bottom offsets of the active area, in luma samples.
    pub l5: Option<[u16; 4]>,
    /// Level 6: the HDR10 values as the RPU knows them.
    pub l6: Option<L6>,
    /// Mastering display black and white, 12-bit PQ; both 0 without display management data.
    pub source_pq: (u16, u16),
    /// First frame of a scene.
    pub scene_cut: bool,
}

impl From<&RpuInfo> for FrameLevels {
    fn from(info: &RpuInfo) -> Self {
        Self {
            profile: info.profile,
            nlq: info.el.is_some(),
            l1: info.l1,
            l5: info.l5,
            l6: info.l6,
            source_pq: (info.source_min_pq, info.source_max_pq),
            scene_cut: info.scene_refresh,
        }
    }
}
