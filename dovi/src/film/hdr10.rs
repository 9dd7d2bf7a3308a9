//! Static HDR10 metadata: SEI before container before RPU level 6, and where they disagree.
use serde::{Deserialize, Serialize};

use crate::{
    matroska::{Colour, Mastering},
    rpu::L6,
    sei::{Cll, Mdcv},
};

/// P3-D65 in SEI order (green, blue, red) and D65 white: the primaries of nearly every HDR10 grade.
const P3_D65: [(u16, u16); 3] = [(13250, 34500), (7500, 3000), (34000, 16000)];
const BT2020: [(u16, u16); 3] = [(8500, 39850), (6550, 2300), (35400, 14600)];
const D65: (u16, u16) = (15635, 16450);

/// Where a value came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hdr10Source {
    /// SEI of the first access unit that has one.
    Sei,
    /// Colour element of the container.
    Container,
    /// Level 6 of the RPU, with the primaries level 9 names, else P3-D65.
    L6,
}

/// Static metadata of the base layer.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Hdr10 {
    /// Mastering display.
    pub mdcv: Option<Mdcv>,
    /// Its source.
    pub mdcv_source: Option<Hdr10Source>,
    /// Content light level; never invented.
    pub cll: Option<Cll>,
    /// Its source.
    pub cll_source: Option<Hdr10Source>,
    /// Human-readable disagreements between the sources.
    pub disagreements: Vec<String>,
}

/// The values each source has.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sources<'a> {
    pub(crate) sei_mdcv: Option<Mdcv>,
    pub(crate) sei_cll: Option<Cll>,
    pub(crate) colour: Option<&'a Colour>,
    pub(crate) l6: Option<L6>,
    pub(crate) l9_primaries: Option<u8>,
    /// SEI messages with other values than the first.
    pub(crate) sei_changed: u64,
}

impl Hdr10 {
    pub(crate) fn merge(sources: &Sources<'_>) -> Self {
        let container_mdcv = sources.colour.and_then(|c| c.mastering.as_ref()).map(from_mastering);
        let container_cll = sources.colour.and_then(|c| {
            let nits = |v: u64| u16::try_from(v).unwrap_or(u16::MAX);
            c.max_cll.map(|cll| Cll { max_cll: nits(cll), max_fall: nits(c.max_fall.unwrap_or(0)) })
        });
        let l6_mdcv = sources.l6.filter(|l6| l6.max_nits > 0).map(|l6| Mdcv {
            primaries_gbr: if sources.l9_primaries == Some(2) { BT2020 } else { P3_D65 },
            white: D65,
            max_luminance: u32::from(l6.max_nits) * 10_000,
            min_luminance: u32::from(l6.min_0_0001),
        });
        let l6_cll = sources
            .l6
            .filter(|l6| l6.max_cll > 0)
            .map(|l6| Cll { max_cll: l6.max_cll, max_fall: l6.max_fall });
        let (mdcv, mdcv_source) = first([
            (sources.sei_mdcv, Hdr10Source::Sei),
            (container_mdcv, Hdr10Source::Container),
            (l6_mdcv, Hdr10Source::L6),
        ]);
        let (cll, cll_source) = first([
            (sources.sei_cll, Hdr10Source::Sei),
            (container_cll, Hdr10Source::Container),
            (l6_cll, Hdr10Source::L6),
        ]);
        let mut disagreements = Vec::new();
        if sources.sei_changed > 0 {
            disagreements.push(format!(
                "mastering or light messages with other values than the first, which count: {}",
                sources.sei_changed
            ));
        }
        if let (Some(a), Some(b)) = (sources.sei_mdcv, container_mdcv)
            && !close(&a, &b)
        {
            disagreements.push(format!("mastering display: sei {}, container {}", a.to_x265(), b.to_x265()));
        }
        if let (Some(a), Some(b)) = (sources.sei_cll, container_cll)
            && a != b
        {
            disagreements.push(format!(
                "content light: sei {},{}, container {},{}",
                a.max_cll, a.max_fall, b.max_cll, b.max_fall
            ));
        }
        if let (Some(used), Some(l6), Some(from)) = (mdcv, l6_mdcv, mdcv_source)
            && from != Hdr10Source::L6
            && (used.max_luminance, used.min_luminance) != (l6.max_luminance, l6.min_luminance)
        {
            disagreements.push(format!(
                "mastering luminance: base layer {:.4}..{} nits, rpu level 6 {:.4}..{} nits",
                f64::from(used.min_luminance) / 1e4,
                used.max_luminance / 10_000,
                f64::from(l6.min_luminance) / 1e4,
                l6.max_luminance / 10_000
            ));
        }
        if let (Some(used), Some(l6), Some(from)) = (cll, l6_cll, cll_source)
            && from != Hdr10Source::L6
            && used != l6
        {
            disagreements.push(format!(
                "content light: base layer {},{}, rpu level 6 {},{}",
                used.max_cll, used.max_fall, l6.max_cll, l6.max_fall
            ));
        }
        Self { mdcv, mdcv_source, cll, cll_source, disagreements }
    }
}

fn first<T>(options: [(Option<T>, Hdr10Source); 3]) -> (Option<T>, Option<Hdr10Source>) {
    options
        .into_iter()
        .find_map(|(value, source)| value.map(|v| (Some(v), Some(source))))
        .unwrap_or((None, None))
}

fn from_mastering(m: &Mastering) -> Mdcv {
    let point = |(x, y): (f64, f64)| ((x * 50_000.0).round() as u16, (y * 50_000.0).round() as u16);
    Mdcv {
        primaries_gbr: [point(m.green), point(m.blue), point(m.red)],
        white: point(m.white),
        max_luminance: (m.max_nits * 10_000.0).round() as u32,
        min_luminance: (m.min_nits * 10_000.0).round() as u32,
    }
}

/// Containers store floats; one unit of rounding is no disagreement.
fn close(a: &Mdcv, b: &Mdcv) -> bool {
    let points = a.primaries_gbr.iter().chain([&a.white]).zip(b.primaries_gbr.iter().chain([&b.white]));
    let mut near = points.map(|(p, q)| p.0.abs_diff(q.0) <= 1 && p.1.abs_diff(q.1) <= 1);
    near.all(|x| x)
        && a.max_luminance.abs_diff(b.max_luminance) <= 1
        && a.min_luminance.abs_diff(b.min_luminance) <= 1
}

#[cfg(test)]
mod tests {
    use super::*;

    const L6: L6 = L6 { max_nits: 4000, min_0_0001: 50, max_cll: 900, max_fall: 200 };

    #[test]
    fn sei_wins_and_disagreements_are_listed() {
        let mdcv = Mdcv { primaries_gbr: P3_D65, white: D65, max_luminance: 10_000_000, min_luminance: 50 };
        let cll = Cll { max_cll: 1000, max_fall: 400 };
        let hdr10 = Hdr10::merge(&Sources {
            sei_mdcv: Some(mdcv),
            sei_cll: Some(cll),
            l6: Some(L6),
            ..Sources::default()
        });
        assert_eq!((hdr10.mdcv, hdr10.mdcv_source), (Some(mdcv), Some(Hdr10Source::Sei)));
        assert_eq!((hdr10.cll, hdr10.cll_source), (Some(cll), Some(Hdr10Source::Sei)));
        assert_eq!(hdr10.disagreements.len(), 2);
    }

    #[test]
    fn level_6_is_the_last_resort_and_zero_is_unknown() {
        let zero = L6 { max_cll: 0, ..L6 };
        let hdr10 = Hdr10::merge(&Sources { l6: Some(zero), l9_primaries: Some(2), ..Sources::default() });
        assert_eq!(hdr10.mdcv.map(|m| (m.primaries_gbr, m.max_luminance)), Some((BT2020, 40_000_000)));
        assert_eq!((hdr10.cll, hdr10.cll_source), (None, None));
        assert!(hdr10.disagreements.is_empty());
    }
}
