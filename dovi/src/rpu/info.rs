//! What a verdict needs to know about one RPU, small enough to fold over every frame.
use dolby_vision::rpu::{
    dovi_rpu::DoviRpu,
    extension_metadata::blocks::ExtMetadataBlock,
    rpu_data_header::RpuDataHeader,
    rpu_data_mapping::{DoviMappingMethod, DoviReshapingCurve},
    rpu_data_nlq::DoviELType,
};
use serde::{Deserialize, Serialize};

/// Kind of enhancement layer a profile 7 RPU describes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ElType {
    /// Minimal: the trivial NLQ, the layer adds nothing.
    Mel,
    /// Full: the layer is a residual.
    Fel,
}

/// Content mapping version of the display management data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum CmVersion {
    /// CM v2.9.
    V29,
    /// CM v4.0: a second block list with level 254 is present.
    V40,
}

/// Level 1: luminance of the frame, 12-bit PQ codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct L1 {
    /// Darkest.
    pub min: u16,
    /// Brightest.
    pub max: u16,
    /// Average.
    pub avg: u16,
}

/// Level 6: the HDR10 values as the RPU knows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct L6 {
    /// Mastering display maximum, nits.
    pub max_nits: u16,
    /// Mastering display minimum, in 0.0001 nits.
    pub min_0_0001: u16,
    /// MaxCLL, nits.
    pub max_cll: u16,
    /// MaxFALL, nits.
    pub max_fall: u16,
}

/// Facts of one RPU.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RpuInfo {
    /// Profile guessed from the header: 4, 5, 7 or 8; 0 if none fits.
    pub profile: u8,
    /// Enhancement layer; `None` without NLQ, which includes frames that reuse the previous mapping.
    pub el: Option<ElType>,
    /// Content mapping version; `None` without display management data.
    pub cm_version: Option<CmVersion>,
    /// Level 1 of this frame.
    pub l1: Option<L1>,
    /// Level 5: left, right, top, bottom offsets of the active area, in luma samples.
    pub l5: Option<[u16; 4]>,
    /// Level 6.
    pub l6: Option<L6>,
    /// Level 9: index of the mastering primaries (0 = P3-D65, 2 = BT.2020).
    pub l9_primaries: Option<u8>,
    /// First frame of a scene.
    pub scene_refresh: bool,
    /// Mastering display black, 12-bit PQ.
    pub source_min_pq: u16,
    /// Mastering display white, 12-bit PQ.
    pub source_max_pq: u16,
    /// The frame reuses the mapping of an earlier RPU.
    pub uses_previous: bool,
    /// Greatest distance of the luma mapping curve from identity, in 10-bit codes; `None` without a polynomial
    /// luma curve of its own.
    pub luma_deviation: Option<f32>,
    /// Luma NLQ parameters (offset, in_max, slope, threshold), integer part in the upper half of each; `None`
    /// without NLQ.
    pub nlq_luma: Option<[u64; 4]>,
}

impl RpuInfo {
    /// Reads the facts out of a parsed RPU.
    #[must_use]
    pub fn of(rpu: &DoviRpu) -> Self {
        let dm = rpu.vdr_dm_data.as_ref();
        let block = |level: u8| dm.and_then(|dm| dm.get_block(level));
        let nlq = rpu.rpu_data_mapping.as_ref().and_then(|m| m.nlq.as_ref());
        Self {
            profile: rpu.dovi_profile,
            el: rpu.el_type.as_ref().map(|el| match el {
                DoviELType::MEL => ElType::Mel,
                DoviELType::FEL => ElType::Fel,
            }),
            cm_version: dm
                .map(|dm| if dm.cmv40_metadata.is_some() { CmVersion::V40 } else { CmVersion::V29 }),
            l1: match block(1) {
                Some(ExtMetadataBlock::Level1(b)) => Some(L1 { min: b.min_pq, max: b.max_pq, avg: b.avg_pq }),
                _ => None,
            },
            l5: match block(5) {
                Some(ExtMetadataBlock::Level5(b)) => Some([
                    b.active_area_left_offset,
                    b.active_area_right_offset,
                    b.active_area_top_offset,
                    b.active_area_bottom_offset,
                ]),
                _ => None,
            },
            l6: match block(6) {
                Some(ExtMetadataBlock::Level6(b)) => Some(L6 {
                    max_nits: b.max_display_mastering_luminance,
                    min_0_0001: b.min_display_mastering_luminance,
                    max_cll: b.max_content_light_level,
                    max_fall: b.max_frame_average_light_level,
                }),
                _ => None,
            },
            l9_primaries: match block(9) {
                Some(ExtMetadataBlock::Level9(b)) => Some(b.source_primary_index),
                _ => None,
            },
            scene_refresh: dm.is_some_and(|dm| dm.scene_refresh_flag != 0),
            source_min_pq: dm.map_or(0, |dm| dm.source_min_pq),
            source_max_pq: dm.map_or(0, |dm| dm.source_max_pq),
            uses_previous: rpu.header.use_prev_vdr_rpu_flag,
            luma_deviation: rpu.rpu_data_mapping.as_ref().and_then(|m| deviation(&m.curves[0], &rpu.header)),
            nlq_luma: nlq.map(|n| {
                let join = |int: u64, frac: u64| (int << 32) | (frac & 0xFFFF_FFFF);
                [
                    u64::from(n.nlq_offset[0]),
                    join(n.vdr_in_max_int[0], n.vdr_in_max[0]),
                    join(n.linear_deadzone_slope_int[0], n.linear_deadzone_slope[0]),
                    join(n.linear_deadzone_threshold_int[0], n.linear_deadzone_threshold[0]),
                ]
            }),
        }
    }

    /// True if the luma curve moves no 10-bit code by more than half a step.
    #[must_use]
    pub fn identity_mapping(&self) -> bool {
        self.luma_deviation.is_none_or(|d| d < 0.5)
    }
}

/// Samples the piecewise polynomial against y = x. Pivots are delta coded, as ETSI GS CCM 001 has them.
fn deviation(curve: &DoviReshapingCurve, header: &RpuDataHeader) -> Option<f32> {
    if curve.mapping_idc != DoviMappingMethod::Polynomial {
        return None;
    }
    let poly = curve.polynomial.as_ref()?;
    let coefficient = |int: i64, frac: u64| -> f64 {
        if header.coefficient_data_type == 0 {
            int as f64 + frac as f64 / (1u64 << header.coefficient_log2_denom.min(32)) as f64
        } else {
            f64::from(f32::from_bits(frac as u32))
        }
    };
    let mut start = 0u32;
    let mut worst = 0f64;
    for (piece, pair) in curve.pivots.windows(2).enumerate() {
        if piece == 0 {
            start = u32::from(pair[0]);
        }
        let end = start + u32::from(pair[1]);
        let ints = poly.poly_coef_int.get(piece)?;
        let fracs = poly.poly_coef.get(piece)?;
        for step in 0..=8u32 {
            let x = (f64::from(start) + f64::from(end - start) * f64::from(step) / 8.0) / 1023.0;
            let mut power = 1.0;
            let mut y = 0.0;
            for (j, frac) in fracs.iter().enumerate() {
                y += coefficient(ints.get(j).copied().unwrap_or(0), *frac) * power;
                power *= x;
            }
            worst = worst.max((y.clamp(0.0, 1.0) - x.min(1.0)).abs());
        }
        start = end;
    }
    Some((worst * 1023.0) as f32)
}

/// Nits of a 12-bit PQ code (SMPTE ST 2084).
#[must_use]
pub fn pq12_to_nits(code: u16) -> f64 {
    dolby_vision::utils::pq_to_nits(f64::from(code.min(4095)) / 4095.0)
}

/// Nearest 12-bit PQ code of a luminance in nits.
#[must_use]
pub fn nits_to_pq12(nits: f64) -> u16 {
    dolby_vision::utils::nits_to_pq_12_bit(nits.clamp(0.0, 10_000.0))
}
