//! Sequence and picture parameter sets: what frame order, colour tags and checks need from them.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bits::{BitError, BitReader};
use crate::nal::{NalError, NalHeader, NalType, unescape};

/// Largest parameter set that is looked at. Real ones have tens of bytes, a few kB with scaling lists.
const MAX_PARAMETER_SET: usize = 64 << 10;

/// Why a parameter set was not understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ParamError {
    /// Not a NAL at all.
    #[error(transparent)]
    Nal(#[from] NalError),
    /// The fields of a sequence parameter set are cut or impossible.
    #[error("unreadable sequence parameter set: {0}")]
    Sps(#[source] BitError),
    /// The fields of a picture parameter set are cut or impossible.
    #[error("unreadable picture parameter set: {0}")]
    Pps(#[source] BitError),
    /// More than 64 KiB.
    #[error("parameter set of {0} bytes")]
    TooLarge(usize),
}

/// Video usability information, as far as this project needs it (H.265 E.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vui {
    /// `colour_primaries`; 2 (unspecified) when not sent. BT.2020 is 9.
    pub colour_primaries: u8,
    /// `transfer_characteristics`; 2 when not sent. PQ is 16, HLG 18.
    pub transfer: u8,
    /// `matrix_coeffs`; 2 when not sent. BT.2020 non-constant is 9.
    pub matrix: u8,
    /// `video_full_range_flag`; false when not sent.
    pub full_range: bool,
    /// `chroma_sample_loc_type_top_field`; UHD-BD has 2 (top left).
    pub chroma_loc: Option<u8>,
    /// `field_seq_flag`: every picture is one field.
    pub field_seq: bool,
    /// `(num_units_in_tick, time_scale)`. Not to be trusted for the frame rate: containers overrule it.
    pub timing: Option<(u32, u32)>,
}

/// Sequence parameter set (H.265 7.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sps {
    /// `sps_seq_parameter_set_id`, 0..=15.
    pub id: u8,
    /// Picture width in luma samples, after the conformance window is cut off.
    pub width: u32,
    /// Picture height in luma samples, after the conformance window is cut off.
    pub height: u32,
    /// `chroma_format_idc`: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4.
    pub chroma_format_idc: u8,
    /// `separate_colour_plane_flag`: slices carry a plane id.
    pub separate_colour_planes: bool,
    /// Luma bit depth, 8..=16.
    pub bit_depth_luma: u8,
    /// Chroma bit depth, 8..=16.
    pub bit_depth_chroma: u8,
    /// `log2_max_pic_order_cnt_lsb_minus4 + 4`, 4..=16.
    pub log2_max_poc_lsb: u8,
    /// `general_interlaced_source_flag` without `general_progressive_source_flag`: the pictures hold two fields.
    pub interlaced_source: bool,
    /// `frame_field_info_present_flag`: picture timing SEI say whether a picture is a field.
    pub frame_field_info: bool,
    /// `sps_max_num_reorder_pics` of the highest sub-layer.
    pub max_num_reorder: u32,
    /// `general_profile_idc`; Main 10 is 2.
    pub general_profile_idc: u8,
    /// `general_tier_flag`: true is the High tier.
    pub high_tier: bool,
    /// `general_level_idc`: 30 times the level, 153 is 5.1.
    pub level_idc: u8,
    /// VUI, if sent and readable.
    pub vui: Option<Vui>,
    /// The part behind the picture order count fields, where the VUI lives, could not be read. Order is still
    /// known then, colour is not.
    pub vui_damaged: bool,
}

/// Picture parameter set: only the fields that move the slice header (H.265 7.3.2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pps {
    /// `pps_pic_parameter_set_id`, 0..=63.
    pub id: u8,
    /// Id of the SPS it belongs to; looked up when a slice uses it, so a later SPS with that id counts.
    pub sps_id: u8,
    /// `output_flag_present_flag`.
    pub output_flag_present: bool,
    /// `num_extra_slice_header_bits`.
    pub extra_slice_header_bits: u8,
}

impl Sps {
    /// Reads a complete SPS NAL.
    ///
    /// # Errors
    /// Cut or impossible fields up to the picture order count; later ones only set [`Sps::vui_damaged`].
    pub fn parse(nal: &[u8]) -> Result<Self, ParamError> {
        let rbsp = payload(nal)?;
        let mut reader = BitReader::new(&rbsp);
        let (mut sps, sub_layers) = sps_head(&mut reader).map_err(ParamError::Sps)?;
        match sps_tail(&mut reader, &mut sps, sub_layers) {
            Ok(vui) => sps.vui = vui,
            Err(_) => sps.vui_damaged = true,
        }
        Ok(sps)
    }
}

impl Pps {
    /// Reads a complete PPS NAL.
    ///
    /// # Errors
    /// Cut or impossible fields.
    pub fn parse(nal: &[u8]) -> Result<Self, ParamError> {
        let rbsp = payload(nal)?;
        let mut reader = BitReader::new(&rbsp);
        pps_fields(&mut reader).map_err(ParamError::Pps)
    }
}

fn payload(nal: &[u8]) -> Result<Vec<u8>, ParamError> {
    if nal.len() > MAX_PARAMETER_SET {
        return Err(ParamError::TooLarge(nal.len()));
    }
    Ok(unescape(nal.get(2..).unwrap_or_default(), MAX_PARAMETER_SET))
}

/// A checked `ue(v)` as one byte; every `max` used here is below 256.
fn small(reader: &mut BitReader<'_>, max: u32, what: &'static str) -> Result<u8, BitError> {
    u8::try_from(reader.ue_max(max, what)?).map_err(|_| BitError::Value(what))
}

fn pps_fields(reader: &mut BitReader<'_>) -> Result<Pps, BitError> {
    let id = small(reader, 63, "picture parameter set id")?;
    let sps_id = small(reader, 15, "sequence parameter set id")?;
    reader.flag()?; // dependent_slice_segments_enabled_flag
    let output_flag_present = reader.flag()?;
    let extra_slice_header_bits = reader.bits(3)?.to_le_bytes()[0];
    Ok(Pps { id, sps_id, output_flag_present, extra_slice_header_bits })
}

fn sps_head(reader: &mut BitReader<'_>) -> Result<(Sps, u32), BitError> {
    reader.skip(4)?; // sps_video_parameter_set_id
    let sub_layers = reader.bits(3)?;
    if sub_layers > 6 {
        return Err(BitError::Value("sub-layer count"));
    }
    reader.flag()?; // temporal_id_nesting
    let (general_profile_idc, high_tier, interlaced_source, level_idc) =
        profile_tier_level(reader, sub_layers)?;
    let id = small(reader, 15, "sequence parameter set id")?;
    let chroma_format_idc = small(reader, 3, "chroma format")?;
    let separate_colour_planes = chroma_format_idc == 3 && reader.flag()?;
    let coded_width = reader.ue_max(1 << 16, "width")?;
    let coded_height = reader.ue_max(1 << 16, "height")?;
    let mut window = [0u32; 4];
    if reader.flag()? {
        for edge in &mut window {
            *edge = reader.ue_max(1 << 16, "conformance window")?;
        }
    }
    let unit_x = if matches!(chroma_format_idc, 1 | 2) { 2 } else { 1 };
    let unit_y = if chroma_format_idc == 1 { 2 } else { 1 };
    let width = coded_width.checked_sub(unit_x * (window[0] + window[1])).filter(|w| *w > 0);
    let height = coded_height.checked_sub(unit_y * (window[2] + window[3])).filter(|h| *h > 0);
    let bit_depth_luma = 8 + small(reader, 8, "luma bit depth")?;
    let bit_depth_chroma = 8 + small(reader, 8, "chroma bit depth")?;
    let log2_max_poc_lsb = 4 + small(reader, 12, "picture order count length")?;
    let sps = Sps {
        id,
        width: width.ok_or(BitError::Value("width"))?,
        height: height.ok_or(BitError::Value("height"))?,
        chroma_format_idc,
        separate_colour_planes,
        bit_depth_luma,
        bit_depth_chroma,
        log2_max_poc_lsb,
        interlaced_source,
        frame_field_info: false,
        max_num_reorder: 0,
        general_profile_idc,
        high_tier,
        level_idc,
        vui: None,
        vui_damaged: false,
    };
    Ok((sps, sub_layers))
}

/// H.265 7.3.3 with `profilePresentFlag` 1; gives profile, tier, whether the source is interlaced, and level.
fn profile_tier_level(reader: &mut BitReader<'_>, sub_layers: u32) -> Result<(u8, bool, bool, u8), BitError> {
    reader.skip(2)?; // general_profile_space
    let high_tier = reader.flag()?;
    let profile = reader.bits(5)?.to_le_bytes()[0];
    reader.skip(32)?; // compatibility flags
    let (progressive, interlaced) = (reader.flag()?, reader.flag()?);
    reader.skip(46)?;
    let level = reader.byte()?;
    let mut present = Vec::with_capacity(8);
    for _ in 0..sub_layers {
        present.push((reader.flag()?, reader.flag()?));
    }
    if sub_layers > 0 {
        reader.skip(2 * (8 - sub_layers as usize))?;
    }
    for (profile_present, level_present) in present {
        reader.skip(88 * usize::from(profile_present) + 8 * usize::from(level_present))?;
    }
    Ok((profile, high_tier, interlaced && !progressive, level))
}

/// Everything between the picture order count length and the end of the VUI timing.
fn sps_tail(reader: &mut BitReader<'_>, sps: &mut Sps, sub_layers: u32) -> Result<Option<Vui>, BitError> {
    let all_sub_layers = reader.flag()?;
    for _ in 0..if all_sub_layers { sub_layers + 1 } else { 1 } {
        reader.ue()?; // max_dec_pic_buffering
        sps.max_num_reorder = reader.ue()?;
        reader.ue()?; // max_latency_increase
    }
    for _ in 0..6 {
        reader.ue()?; // coding and transform block sizes and depths
    }
    if reader.flag()? && reader.flag()? {
        scaling_list_data(reader)?;
    }
    reader.skip(2)?; // amp, sao
    if reader.flag()? {
        reader.skip(8)?; // pcm bit depths
        reader.ue()?;
        reader.ue()?;
        reader.flag()?;
    }
    let sets = reader.ue_max(64, "reference picture set count")?;
    let mut previous = 0u32;
    for index in 0..sets {
        previous = short_term_ref_pic_set(reader, index, previous)?;
    }
    if reader.flag()? {
        for _ in 0..reader.ue_max(32, "long-term picture count")? {
            reader.skip(usize::from(sps.log2_max_poc_lsb) + 1)?;
        }
    }
    reader.skip(2)?; // temporal_mvp, strong_intra_smoothing
    if reader.flag()? { vui(reader, &mut sps.frame_field_info).map(Some) } else { Ok(None) }
}

/// H.265 7.3.4.
fn scaling_list_data(reader: &mut BitReader<'_>) -> Result<(), BitError> {
    for size_id in 0..4u32 {
        for _ in 0..if size_id == 3 { 2 } else { 6 } {
            if !reader.flag()? {
                reader.ue()?;
                continue;
            }
            if size_id > 1 {
                reader.se()?;
            }
            for _ in 0..64.min(1u32 << (4 + 2 * size_id)) {
                reader.se()?;
            }
        }
    }
    Ok(())
}

/// H.265 7.3.7 inside an SPS, where the reference set is always the one before. Gives the number of entries.
fn short_term_ref_pic_set(reader: &mut BitReader<'_>, index: u32, previous: u32) -> Result<u32, BitError> {
    let mut entries = 0;
    if index > 0 && reader.flag()? {
        reader.flag()?; // delta_rps_sign
        reader.ue()?; // abs_delta_rps_minus1
        for _ in 0..=previous {
            // used_by_curr_pic_flag, else use_delta_flag
            entries += u32::from(reader.flag()? || reader.flag()?);
        }
    } else {
        let negative = reader.ue_max(16, "reference picture count")?;
        entries = negative + reader.ue_max(16, "reference picture count")?;
        for _ in 0..entries {
            reader.ue()?;
            reader.flag()?;
        }
    }
    if entries > 32 { Err(BitError::Value("reference picture count")) } else { Ok(entries) }
}

/// H.265 E.2.1 up to the timing fields.
fn vui(reader: &mut BitReader<'_>, frame_field_info: &mut bool) -> Result<Vui, BitError> {
    let mut vui = Vui {
        colour_primaries: 2,
        transfer: 2,
        matrix: 2,
        full_range: false,
        chroma_loc: None,
        field_seq: false,
        timing: None,
    };
    if reader.flag()? && reader.byte()? == 255 {
        reader.skip(32)?; // explicit sample aspect ratio
    }
    if reader.flag()? {
        reader.flag()?; // overscan_appropriate
    }
    if reader.flag()? {
        reader.skip(3)?; // video_format
        vui.full_range = reader.flag()?;
        if reader.flag()? {
            vui.colour_primaries = reader.byte()?;
            vui.transfer = reader.byte()?;
            vui.matrix = reader.byte()?;
        }
    }
    if reader.flag()? {
        vui.chroma_loc = Some(small(reader, 5, "chroma sample location")?);
        reader.ue()?;
    }
    reader.flag()?; // neutral_chroma_indication
    vui.field_seq = reader.flag()?;
    *frame_field_info = reader.flag()?;
    if reader.flag()? {
        for _ in 0..4 {
            reader.ue()?; // default display window
        }
    }
    if reader.flag()? {
        vui.timing = Some((reader.bits(32)?, reader.bits(32)?));
    }
    Ok(vui)
}

/// Parameter sets by id; the latest definition wins (H.265 7.4.2.4.2).
#[derive(Debug, Clone)]
pub struct ParamSets {
    sps: [Option<(Vec<u8>, Arc<Sps>)>; 16],
    pps: [Option<Pps>; 64],
}

impl Default for ParamSets {
    fn default() -> Self {
        Self { sps: [const { None }; 16], pps: [None; 64] }
    }
}

impl ParamSets {
    /// None known yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes any NAL. An SPS or PPS of layer 0 is stored under its id, everything else is ignored.
    ///
    /// # Errors
    /// An SPS or PPS that cannot be read; the sets known before are kept.
    pub fn feed(&mut self, nal: &[u8]) -> Result<(), ParamError> {
        let header = NalHeader::parse(nal)?;
        match header.ty {
            _ if header.layer_id != 0 => {}
            NalType::SPS => {
                // Encoders repeat the same SPS before every IRAP: no need to read it again.
                if self.sps.iter().flatten().any(|(raw, _)| raw == nal) {
                    return Ok(());
                }
                let sps = Sps::parse(nal)?;
                if let Some(slot) = self.sps.get_mut(usize::from(sps.id)) {
                    *slot = Some((nal.to_vec(), Arc::new(sps)));
                }
            }
            NalType::PPS => {
                let pps = Pps::parse(nal)?;
                if let Some(slot) = self.pps.get_mut(usize::from(pps.id)) {
                    *slot = Some(pps);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The SPS with this id.
    #[must_use]
    pub fn sps(&self, id: u8) -> Option<&Arc<Sps>> {
        self.sps.get(usize::from(id))?.as_ref().map(|(_, sps)| sps)
    }

    /// The PPS with this id.
    #[must_use]
    pub fn pps(&self, id: u8) -> Option<Pps> {
        *self.pps.get(usize::from(id))?
    }
}
