//! RPUs of more than 1023 bytes, as real films have in scenes with elaborate colour mapping.

use anyhow::{Result, ensure};
use dolby_vision::rpu::dovi_rpu::DoviRpu;
use dolby_vision::rpu::rpu_data_mapping::{DoviMMRCurve, DoviMappingMethod};

/// Pieces of a curve; the most there can be.
const PIECES: usize = 8;
/// Coefficients of each order of a multivariate regression.
const COEFFICIENTS: u64 = 7;
/// What such an RPU is larger than: x265's reader of RPU files, for one, stops there.
pub(super) const LARGE: usize = 1023;

/// Gives both chroma components eight pieces of third-order regression, with coefficients near identity that all
/// differ, so that no byte of them can be lost unseen.
pub(super) fn grow(rpu: &mut DoviRpu) -> Result<()> {
    let Some(mapping) = rpu.rpu_data_mapping.as_mut() else { return Ok(()) };
    for (component, curve) in (0u64..).zip(&mut mapping.curves).skip(1) {
        curve.num_pivots_minus2 = PIECES as u64 - 1;
        // The first is absolute, the others are distances; 10 bits in all.
        curve.pivots = [vec![0], vec![127; PIECES - 1], vec![1023 - 127 * (PIECES as u16 - 1)]].concat();
        curve.mapping_idc = DoviMappingMethod::MMR;
        curve.polynomial = None;
        let mut mmr = DoviMMRCurve::default();
        for piece in 0..PIECES as u64 {
            mmr.mmr_order_minus1.push(2);
            mmr.mmr_constant_int.push(0);
            mmr.mmr_constant.push(component * 100 + piece);
            // The linear term of the component itself is 1, all others are nearly nothing.
            let int = |order: u64, k: u64| i64::from(order == 0 && k == component);
            let fraction = |order: u64, k: u64| 1 + 1000 * piece + 100 * order + 10 * k + component;
            let all = 0..COEFFICIENTS;
            mmr.mmr_coef_int.push((0..3).map(|order| all.clone().map(|k| int(order, k)).collect()).collect());
            mmr.mmr_coef
                .push((0..3).map(|order| all.clone().map(|k| fraction(order, k)).collect()).collect());
        }
        curve.mmr = Some(mmr);
    }
    rpu.modified = true;
    let bytes = rpu.write_hevc_unspec62_nalu()?.len();
    ensure!(bytes > LARGE, "a large RPU has only {bytes} bytes");
    Ok(())
}
