//! From what the read collected to an index by display order.
use super::{
    Counts, ElTrack, FilmIndex, Hdr10, Rate, ScanError, TrackDigest, VideoFacts,
    additions::elsewhere,
    base_layer::BaseLayer,
    collect::{Collector, Found},
    el_track::{ElCandidate, choose, pair},
    fold::Context,
    hdr10::Sources,
    index::Hdr10PlusTable,
    order::display_order,
    rpus::longest_run,
    select::{Selection, video_position},
};
use crate::matroska::{Header, Integrity};

pub(crate) struct Parts {
    pub(crate) header: Header,
    pub(crate) integrity: Integrity,
    pub(crate) selection: Selection,
    pub(crate) base: BaseLayer,
    pub(crate) own: Collector,
    /// RPUs of the base layer track in decode order.
    pub(crate) found: Vec<Option<Found>>,
    pub(crate) els: Vec<ElCandidate>,
    pub(crate) tracks: Vec<TrackDigest>,
}

pub(crate) fn index(parts: Parts) -> Result<FilmIndex, ScanError> {
    let Parts { header, integrity, selection, mut base, own, mut found, els, mut tracks } = parts;
    let track = &header.tracks[selection.bl];
    let rows = base.finish_rows();
    let (Some(sps), false) = (base.sps.clone(), rows.is_empty()) else {
        return Err(ScanError::NoFrames { track: track.number });
    };
    let (order, clock) = display_order(&rows)?;
    let mut collector = own;
    let mut el_track = None;
    let mut notes = Vec::new();
    if let Some(el) = choose(collector.rpus, els, &header)? {
        if collector.rpus == 0 {
            let (paired, said) = pair(&rows, &el.frames)?;
            (found, notes) = (paired, said);
            collector = el.rpus;
        } else if el.rpus.rpus > 0 {
            notes.push(format!("track {} has rpus as well; those of the base layer count", el.number));
        }
        tracks.retain(|t| t.number != el.number);
        collector.el_nals += el.slices;
        collector.el_bytes += el.bytes;
        el_track = Some(ElTrack {
            track_number: el.number,
            track_id: el.position,
            video_position: video_position(&header, el.position),
        });
    }
    notes.extend(elsewhere(track, collector.rpus, collector.el_bytes, base.additions)?);

    let in_order = |i: &u32| rows[*i as usize];
    let pts_ns: Vec<i64> = order.iter().map(|i| in_order(i).pts_ns).collect();
    let output: Vec<bool> = order.iter().map(|i| in_order(i).output).collect();
    let mut display_of = vec![0u32; rows.len()];
    for (display, decode) in (0u32..).zip(&order) {
        display_of[*decode as usize] = display;
    }
    let by_display: Vec<Option<Found>> = order.iter().map(|i| found[*i as usize]).collect();
    let l1_max: Vec<Option<u16>> =
        by_display.iter().map(|f| f.and_then(|f| f.levels.l1).map(|l1| l1.max)).collect();
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
        sei_changed: base.light.changed,
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
        equal_pts: clock.equal,
        backward_pts: clock.backward,
        irregular_pts_at: clock.first,
        hdr10plus: hdr10plus.by_display.iter().flatten().count() as u64,
    };
    let rate = Rate::detect(&pts_ns, track.default_duration_ns);
    let (start_ns, last_ns) = (pts_ns[0], pts_ns[pts_ns.len() - 1]);
    let transfer = sps.vui.map(|v| u64::from(v.transfer)).filter(|t| *t != 2);
    let claim = el_track.and_then(|el| header.tracks[el.track_id].dovi).or(track.dovi);
    let (verdict, mut evidence) = std::mem::take(&mut collector.fold).finish(&Context {
        sampled: false,
        frames: rows.len() as u64,
        frames_of: Some(rows.len() as u64),
        places: 1,
        l1_max: &l1_max,
        hdr10: &hdr10,
        el_bytes: collector.el_bytes,
        seconds: (last_ns.saturating_sub(start_ns)) as f64 / 1e9 + rate.frame_ns().unwrap_or(0) as f64 / 1e9,
        transfer: transfer.or(colour.and_then(|c| c.transfer)),
        claim,
        size: (sps.width, sps.height),
    });
    evidence.notes.extend(notes);
    let mut rpus = std::mem::take(&mut collector.table);
    let levels = by_display.iter().map(|f| f.map(|f| f.levels)).collect();
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
        levels,
        pictures: rows.iter().map(|row| row.mark).collect(),
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
