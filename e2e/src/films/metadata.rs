//! RPUs that carry the number of their frame, and the way back from an RPU to that number.

use anyhow::{Context, Result, bail};
use dolby_vision::rpu::ConversionMode;
use dolby_vision::rpu::dovi_rpu::DoviRpu;
use dolby_vision::rpu::extension_metadata::blocks::{
    ExtMetadataBlock, ExtMetadataBlockLevel1, ExtMetadataBlockLevel2, ExtMetadataBlockLevel5,
    ExtMetadataBlockLevel6,
};
use dolby_vision::rpu::generate::{GenerateConfig, GenerateProfile};
use dolby_vision::rpu::rpu_data_nlq::RpuDataNlq;
use dolby_vision::rpu::vdr_dm_data::CmVersion;

use super::large_rpu;
use super::spec::{Cm, FilmRecipe, FilmSpec, GOP, Layers, Light};

/// Frames told apart by the average alone; above that the maximum counts on.
const AVERAGES: u64 = 800;
/// Lowest average CM v4.0 allows, so that no tool clamps the number away.
const FIRST_AVERAGE: u16 = 1229;

/// L1 of one frame as 12-bit PQ codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L1 {
    /// Darkest pixel.
    pub min: u16,
    /// Brightest pixel.
    pub max: u16,
    /// Average.
    pub avg: u16,
}

impl FilmSpec {
    /// L1 of the frame shown as number `display_index` (0-based): the average counts frames, and the maximum
    /// counts how often the average started over.
    pub fn expected_l1(&self, display_index: u64) -> L1 {
        self.recipe.l1(display_index)
    }

    /// The frame number an L1 stands for; none for a value the film maker never writes.
    pub fn frame_of(&self, l1: L1) -> Option<u64> {
        let low = u64::from(l1.avg.checked_sub(FIRST_AVERAGE)?);
        let high = u64::from(l1.max.checked_sub(self.recipe.first_max())?);
        (low < AVERAGES && l1.min == 0).then_some(high * AVERAGES + low)
    }
}

impl FilmRecipe {
    fn l1(&self, display_index: u64) -> L1 {
        let round = u16::try_from(display_index / AVERAGES).unwrap_or(u16::MAX / 2);
        let step = u16::try_from(display_index % AVERAGES).unwrap_or_default();
        L1 { min: 0, max: self.first_max().saturating_add(round), avg: FIRST_AVERAGE + step }
    }

    /// Below 1000 nits (3079), or near 2000 nits where the EL expands the brightness of a 1000 nits base layer.
    fn first_max(&self) -> u16 {
        if self.layers == Layers::FelExpanding { 3400 } else { 2200 }
    }

    fn generate_config(&self) -> GenerateConfig {
        let bars = u16::try_from(self.letterbox).unwrap_or_default();
        let brighter = self.layers == Layers::FelExpanding || self.light == Light::OtherInLevel6;
        let peak = if brighter { 4000 } else { 1000 };
        let (max_cll, max_fall) = if self.light == Light::NoCll { (0, 0) } else { (1000, 400) };
        let profile = if self.layers == Layers::Profile5 {
            GenerateProfile::Profile5
        } else {
            GenerateProfile::Profile81
        };
        GenerateConfig {
            cm_version: if self.cm == Cm::V29 { CmVersion::V29 } else { CmVersion::V40 },
            profile,
            level5: ExtMetadataBlockLevel5::from_offsets(0, 0, bars, bars),
            level6: Some(ExtMetadataBlockLevel6 {
                max_display_mastering_luminance: peak,
                min_display_mastering_luminance: 1,
                max_content_light_level: max_cll,
                max_frame_average_light_level: max_fall,
            }),
            default_metadata_blocks: [100, 600, 1000]
                .into_iter()
                .map(|nits| ExtMetadataBlock::Level2(ExtMetadataBlockLevel2::from_nits(nits)))
                .collect(),
            ..GenerateConfig::default()
        }
    }

    /// The RPU all frames of the film with this layer have in common.
    fn base_rpu(&self, layers: Layers) -> Result<DoviRpu> {
        let config = self.generate_config();
        let mut rpu = match layers {
            Layers::Profile5 => DoviRpu::profile5_config(&config)?,
            _ => DoviRpu::profile81_config(&config)?,
        };
        if layers.has_el() {
            rpu.convert_with_mode(ConversionMode::ToMel)?;
        }
        if layers.is_full() {
            make_full(&mut rpu, layers != Layers::FelIdentity)?;
        }
        if layers == Layers::Profile4 {
            rpu.header.vdr_bit_depth_minus8 = 2;
            rpu.dovi_profile = rpu.header.get_dovi_profile();
        }
        if self.large_rpus {
            large_rpu::grow(&mut rpu)?;
        }
        rpu.modified = true;
        Ok(rpu)
    }

    /// The NAL units (type 62, escaped, without start code) of every frame in display order.
    pub(crate) fn rpus(&self) -> Result<Vec<Vec<u8>>> {
        if !self.layers.has_rpu() {
            bail!("{:?} has no RPUs", self.layers);
        }
        let mixed = self.layers == Layers::Mixed;
        let base = self.base_rpu(if mixed { Layers::Mel } else { self.layers })?;
        let full = if mixed { self.base_rpu(Layers::Fel)? } else { base.clone() };
        let of = |i: u64| frame_rpu(if i / GOP % 2 == 1 { &full } else { &base }, self, i);
        (0..self.frames).map(of).collect()
    }
}

fn frame_rpu(base: &DoviRpu, recipe: &FilmRecipe, display: u64) -> Result<Vec<u8>> {
    let mut rpu = base.clone();
    let l1 = recipe.l1(display);
    let dm = rpu.vdr_dm_data.as_mut().context("a generated RPU has display management data")?;
    dm.set_scene_cut(display.is_multiple_of(GOP));
    dm.replace_metadata_block(ExtMetadataBlock::Level1(ExtMetadataBlockLevel1::new(l1.min, l1.max, l1.avg)))?;
    if recipe.imax {
        let bars = u16::try_from(recipe.bars(display)).unwrap_or_default();
        let area = ExtMetadataBlockLevel5::from_offsets(0, 0, bars, bars);
        dm.replace_metadata_block(ExtMetadataBlock::Level5(area))?;
    }
    rpu.write_hevc_unspec62_nalu()
}

/// Turns a MEL RPU into a FEL one: an NLQ that does something, and (if `sloped`) a luma curve of slope 1.05 that is
/// only right together with the residual.
fn make_full(rpu: &mut DoviRpu, sloped: bool) -> Result<()> {
    let mapping = rpu.rpu_data_mapping.as_mut().context("a generated RPU has a mapping")?;
    mapping.nlq = Some(RpuDataNlq {
        nlq_offset: [512; 3],
        vdr_in_max_int: [0; 3],
        vdr_in_max: [1_048_576; 3],
        linear_deadzone_slope: [2048; 3],
        ..RpuDataNlq::default()
    });
    if sloped {
        let luma = mapping.curves[0].polynomial.as_mut().context("a generated curve is a polynomial")?;
        luma.poly_coef_int[0][1] = 1;
        luma.poly_coef[0][1] = 419_430;
    }
    rpu.dovi_profile = rpu.header.get_dovi_profile();
    rpu.el_type = rpu.get_enhancement_layer_type();
    Ok(())
}

/// Reads the active area (left, right, top, bottom) back from an RPU NAL unit; zeros where it has no level 5.
pub(super) fn read_l5(nal: &[u8]) -> Result<[u16; 4]> {
    let rpu = DoviRpu::parse_unspec62_nalu(nal)?;
    let dm = rpu.vdr_dm_data.context("an RPU without display management data")?;
    Ok(match dm.get_block(5) {
        Some(ExtMetadataBlock::Level5(l5)) => [
            l5.active_area_left_offset,
            l5.active_area_right_offset,
            l5.active_area_top_offset,
            l5.active_area_bottom_offset,
        ],
        _ => [0; 4],
    })
}

/// Reads L1 back from an RPU NAL unit.
pub(super) fn read_l1(nal: &[u8]) -> Result<L1> {
    let rpu = DoviRpu::parse_unspec62_nalu(nal)?;
    let dm = rpu.vdr_dm_data.context("an RPU without display management data")?;
    match dm.get_block(1) {
        Some(ExtMetadataBlock::Level1(l1)) => Ok(L1 { min: l1.min_pq, max: l1.max_pq, avg: l1.avg_pq }),
        _ => bail!("an RPU without L1"),
    }
}
