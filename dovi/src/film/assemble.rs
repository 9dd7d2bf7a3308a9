//! From what the read collected to an index by display order.
use std::collections::HashMap;

use super::{
    Counts, ElTrack, FilmIndex, Hdr10, Rate, ScanError, TrackDigest, VideoFacts,
    base_layer::{BaseLayer, Row},
    collect::{Collector, Found},
    evidence::Context,
    hdr10::Sources,
    index::Hdr10PlusTable,
    rpus::longest_run,
    scan::ElCandidate,
    select::{Selection, video_position},
};
use crate::matroska::{Header, Integrity};

/// Timestamps of the two tracks of a dual-track film may be rounded differently by this much.
const PAIRING_NS: i64 = 1_000_000;

pub(crate) struct Parts {
    pub(crate) header: Header,
    pub(crate) integrity: Integrity,
    pub(crate) selection: Selection,
    pub(crate) base: BaseLayer,
    pub(crate) own: Collector,
    /// RPUs of the base layer track in decode order.
    pub(crate) found: Vec<Option<Found>>,
    pub(crate) el: Option<ElCandidate>,
    pub(crate) tracks: Vec<TrackDigest>,
}

pub(crate) fn index(parts: Parts) -> Result<FilmIndex, ScanError> {
    let Parts { header, integrity, selection, mut base, own, mut found, el, mut tracks } = parts;
    let track = &header.tracks[selection.bl];
    let rows = base.finish_rows();
    let (Some(sps), false) = (base.sps.clone(), rows.is_empty()) else {
        return Err(ScanError::NoFrames { track: track.number });
    };
    let order = display_order(&rows)?;
    let mut collector = own;
    let mut el_track = None;
    if let Some(el) = el.filter(|el| collector.rpus == 0 && (el.rpus.rpus > 0 || el.error.is_some()))
        && let Some(position) = selection.el
    {
        if let Some(error) = el.error {
            return Err(error);
        }
        found = pair(&rows, &el.found)?;
        tracks.retain(|t| t.number != el.number);
        collector = el.rpus;
        collector.el_nals += el.slices;
        collector.el_bytes += el.bytes;
        el_track = Some(ElTrack {
            track_number: el.number,
            track_id: position,
            video_position: video_position(&header, position),
        });
    }

    let in_order = |i: &u32| rows[*i as usize];
    let pts_ns: Vec<i64> = order.iter().map(|i| in_order(i).pts_ns).collect();
    let output: Vec<bool> = order.iter().map(|i| in_order(i).output).collect();
    let mut display_of = vec![0u32; rows.len()];
    for (display, decode) in (0u32..).zip(&order) {
        display_of[*decode as usize] = display;
    }
    let by_display: Vec<Option<Found>> = order.iter().map(|i| found[*i as usize]).collect();
    let l1_max: Vec<Option<u16>> = by_display.iter().map(|f| f.and_then(|f| f.l1_max)).collect();
    let hdr10plus = Hdr10PlusTable {
        arena: std::mem::take(&mut base.hdr10plus),
        by_display: order.iter().map(|i| in_order(i).hdr10plus).collect(),
    };

    let colour = track.video.as_ref().and_then(|v| v.colour.as_ref());
    let (l6, l9_primaries) = collector.fold.levels();
    let hdr10 = Hdr10::merge(&Sources {
        sei_mdcv: base.light.mdcv,
        sei_cll: base.light.cll,
        colour,
        l6,
        l9_primaries,
    });
    let missing: Vec<u64> = (0u64..).zip(&by_display).filter(|(_, f)| f.is_none()).map(|(i, _)| i).collect();
    let counts = Counts {
        rpus: collector.rpus,
        el_nals: collector.el_nals,
        el_bytes: collector.el_bytes,
        missing: missing.len() as u64,
        missing_first: missing.iter().copied().take(16).collect(),
        missing_longest_run: longest_run(&missing),
        duplicate: collector.duplicate,
        not_last: collector.not_last,
        end_of_sequence: base.end_of_sequence,
        cvs: rows.last().map_or(0, |row| row.cvs + 1),
        not_output: output.iter().filter(|o| !**o).count() as u64,
        drops_prior: base.drops_prior,
        hdr10plus: hdr10plus.by_display.iter().flatten().count() as u64,
    };
    let rate = Rate::detect(&pts_ns, track.default_duration_ns);
    let (start_ns, last_ns) = (pts_ns[0], pts_ns[pts_ns.len() - 1]);
    let transfer = sps.vui.map(|v| u64::from(v.transfer)).filter(|t| *t != 2);
    let claim = el_track.and_then(|el| header.tracks[el.track_id].dovi).or(track.dovi);
    let (verdict, evidence) = std::mem::take(&mut collector.fold).finish(&Context {
        sampled: false,
        frames: rows.len() as u64,
        l1_max: &l1_max,
        hdr10: &hdr10,
        el_bytes: collector.el_bytes,
        seconds: (last_ns.saturating_sub(start_ns)) as f64 / 1e9 + rate.frame_ns().unwrap_or(0) as f64 / 1e9,
        transfer: transfer.or(colour.and_then(|c| c.transfer)),
        claim,
    });
    let mut rpus = std::mem::take(&mut collector.table);
    rpus.set_slots(by_display.into_iter().map(|f| f.map(|f| f.slot)).collect());
    let video = VideoFacts {
        track_number: track.number,
        video_position: video_position(&header, selection.bl),
        track_id: selection.bl,
        width: sps.width,
        height: sps.height,
        bit_depth: sps.bit_depth_luma,
        chroma_format_idc: sps.chroma_format_idc,
        vui: sps.vui,
        start_ns,
        rate,
        default_duration_ns: track.default_duration_ns,
        el_track,
    };
    Ok(FilmIndex {
        video,
        frames: rows.len() as u64,
        pts_ns,
        display_of,
        output,
        rpus,
        counts,
        hdr10,
        verdict,
        evidence,
        vcl: base.vcl.finish(),
        tracks,
        integrity,
        hdr10plus,
        header,
    })
}

/// Decode indices in display order: by picture order count inside each coded video sequence. The timestamps must
/// agree, strictly; two witnesses, or no certain order.
fn display_order(rows: &[Row]) -> Result<Vec<u32>, ScanError> {
    let mut order: Vec<u32> = (0u32..).take(rows.len()).collect();
    order.sort_by_key(|i| (rows[*i as usize].cvs, rows[*i as usize].poc));
    for pair in order.windows(2) {
        let (a, b) = (&rows[pair[0] as usize], &rows[pair[1] as usize]);
        if (a.cvs, a.poc) == (b.cvs, b.poc) {
            return Err(ScanError::Order(format!(
                "frames {} and {} (decode order) have the same picture order count",
                pair[0], pair[1]
            )));
        }
        if a.pts_ns >= b.pts_ns {
            return Err(ScanError::Order(format!(
                "frame {} (decode order) is shown before frame {}, but its timestamp {:.3} s is not before {:.3} s",
                pair[0],
                pair[1],
                a.pts_ns as f64 / 1e9,
                b.pts_ns as f64 / 1e9
            )));
        }
    }
    Ok(order)
}

/// RPUs of the enhancement layer track for the frames of the base layer, by timestamp.
fn pair(rows: &[Row], found: &[(i64, Found)]) -> Result<Vec<Option<Found>>, ScanError> {
    let by_pts: HashMap<i64, Found> = found.iter().copied().collect();
    if by_pts.len() != found.len() {
        return Err(ScanError::ElTrack("two of its frames have the same timestamp".to_owned()));
    }
    let near = |pts: i64| {
        let steps = [0, -PAIRING_NS, PAIRING_NS];
        steps.into_iter().find_map(|step| by_pts.get(&pts.saturating_add(step)).copied())
    };
    let paired: Vec<Option<Found>> = rows.iter().map(|row| near(row.pts_ns)).collect();
    let hits = paired.iter().flatten().count();
    if hits < found.len() {
        return Err(ScanError::ElTrack(format!(
            "{} of its {} rpus have no frame with their timestamp",
            found.len() - hits,
            found.len()
        )));
    }
    Ok(paired)
}
