//! What films are that were built in unusual ways: times, layers in other places, rivals, fields, mixed metadata.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/films.rs"]
mod films;
#[path = "support/mkv.rs"]
mod mkv;

use std::io::Cursor;

use dolby_vision::rpu::{
    dovi_rpu::DoviRpu,
    rpu_data_mapping::{DoviMMRCurve, DoviMappingMethod},
    vdr_dm_data::CmVersion,
};
use dovi::{
    film::{FilmIndex, MissingPolicy, ScanError, Verdict, sample},
    matroska::MatroskaReader,
    nal::NalType,
};
use films::{AVG, CLOSED, FRAMES, Kind, OPEN, Rpus};
use mkv::{Frame, Video};

type Units = Vec<Vec<Vec<u8>>>;

/// Milliseconds of one frame of the films here.
const STEP: u64 = 42;

/// The configuration record mkvmerge makes of a stream.
fn private(dir: &std::path::Path, stream: &[u8]) -> Vec<u8> {
    let bytes = std::fs::read(films::mux(dir, "private", stream, &[], &[])).unwrap();
    let reader = MatroskaReader::open(Cursor::new(bytes)).unwrap();
    reader.header().tracks[0].codec_private.clone()
}

/// Access units and their display indices, as frames of a track.
fn frames(track: u8, units: &Units) -> Vec<Frame> {
    let order = films::access_units(&films::annexb(units));
    let frame = |(nals, (_, display)): (&Vec<Vec<u8>>, &(_, usize))| Frame {
        track,
        ms: *display as u64 * STEP,
        nals: nals.clone(),
        addition: None,
    };
    units.iter().zip(&order).map(frame).collect()
}

/// Film and its track.
fn film(gop: &str, rpus: &Rpus) -> (Video, Vec<Frame>) {
    let dir = tempfile::tempdir().unwrap();
    let units = films::units(dir.path(), gop, rpus);
    let private = private(dir.path(), &films::annexb(&units));
    (Video { mappings: vec![mkv::dvcc7()], ..Video::new(1, (320, 180), &private) }, frames(1, &units))
}

/// Base layer with nothing but its own, and the frames of an enhancement layer track with the RPUs.
fn dual(gop: &str) -> (Video, Vec<Frame>, Video, Vec<Frame>) {
    let dir = tempfile::tempdir().unwrap();
    let (bl, el) = (films::bl(dir.path(), gop), films::el(dir.path(), gop));
    let base = films::interleave(&bl, None, &[]);
    let layer = films::interleave(&el, None, &Rpus::of(Kind::Mel).nals(FRAMES));
    let video = Video::new(1, (320, 180), &private(dir.path(), &bl));
    let second = Video {
        name: "second layer",
        mappings: vec![mkv::dvcc7()],
        ..Video::new(2, (160, 90), &private(dir.path(), &films::annexb(&layer)))
    };
    (video, frames(1, &base), second, frames(2, &layer))
}

/// Frames of several tracks, in the order a muxer would write them.
fn interleaved(tracks: &[&[Frame]]) -> Vec<Frame> {
    let longest = tracks.iter().map(|t| t.len()).max().unwrap_or(0);
    (0..longest).flat_map(|i| tracks.iter().filter_map(move |t| t.get(i)).cloned()).collect()
}

fn averages() -> Vec<Option<u16>> {
    (0..FRAMES as u16).map(|i| Some(AVG + i)).collect()
}

fn notes(index: &FilmIndex) -> String {
    index.evidence.notes.join("\n")
}

#[test]
fn times_that_stand_still_or_overlap_at_a_branch_leave_the_order_certain() {
    let (track, regular) = film(CLOSED, &Rpus::of(Kind::Mel));
    let second = regular.iter().rposition(|f| f.nals.iter().any(|n| matches!(n[0] >> 1, 19 | 20))).unwrap();
    for (back, counts) in [(0, (0, 0, None)), (1, (1, 0, Some(24))), (3, (0, 1, Some(24)))] {
        let mut shifted = regular.clone();
        for frame in &mut shifted[second..] {
            frame.ms -= back * STEP;
        }
        let index = films::scan_bytes(&mkv::file(std::slice::from_ref(&track), &shifted)).unwrap();
        let c = &index.counts;
        assert_eq!((c.equal_pts, c.backward_pts, c.irregular_pts_at), counts, "{back} frames back");
        assert_eq!(films::averages(&index), averages(), "{back} frames back");
        assert_eq!(index.pts_ns[24], (24 - back as i64) * STEP as i64 * 1_000_000);
    }
    // Inside a sequence there is no such excuse.
    let mut swapped = regular;
    let (a, b) = (swapped[10].ms, swapped[11].ms);
    (swapped[10].ms, swapped[11].ms) = (b, a);
    let error = films::scan_bytes(&mkv::file(&[track], &swapped)).unwrap_err();
    assert_eq!(error.code(), "align.order", "{error}");
}

#[test]
fn an_enhancement_track_is_found_wherever_it_stands() {
    for gop in [CLOSED, OPEN] {
        let (video, base, second, layer) = dual(gop);
        let extra = Video { name: "picture in picture", ..Video::new(3, (160, 90), &video.private) };
        let inset: Vec<Frame> = base.iter().map(|f| Frame { track: 3, ..f.clone() }).collect();
        let shapes: [(Vec<Video>, Vec<Frame>); 3] = [
            (vec![video.clone(), second.clone()], interleaved(&[&base, &layer])),
            (vec![second.clone(), video.clone()], interleaved(&[&layer, &base])),
            (vec![extra.clone(), video.clone(), second.clone()], interleaved(&[&inset, &base, &layer])),
        ];
        for (tracks, frames) in shapes {
            let bytes = mkv::file(&tracks, &frames);
            let index = films::scan_bytes(&bytes).unwrap();
            assert_eq!((index.verdict, index.counts.missing), (Verdict::Mel, 0));
            assert_eq!(
                (index.video.track_number, index.video.el_track.map(|el| el.track_number)),
                (1, Some(2))
            );
            assert_eq!(films::averages(&index), averages());
            assert_eq!(index.tracks.len(), tracks.len() - 2);
            assert_eq!(notes(&index), "");
            let sampled = sample(Cursor::new(&bytes)).unwrap();
            assert_eq!((sampled.verdict, sampled.el_track), (Verdict::Mel, Some(2)));
        }
    }
}

#[test]
fn an_enhancement_track_that_does_not_fit_is_named() {
    let (video, base, second, layer) = dual(CLOSED);
    let scan = |layer: &[Frame]| {
        films::scan_bytes(&mkv::file(&[video.clone(), second.clone()], &interleaved(&[&base, layer])))
    };
    // Three frames short: the base layer's last frames have no RPU.
    let short: Vec<Frame> = layer.iter().filter(|f| f.ms < 45 * STEP).cloned().collect();
    let index = scan(&short).unwrap();
    assert_eq!((index.counts.missing, index.counts.missing_first.clone()), (3, vec![45, 46, 47]));
    assert!(notes(&index).contains("has 45 frames, the base layer 48"), "{}", notes(&index));
    // Half a frame late: nothing belongs to anything.
    let late: Vec<Frame> = layer.iter().map(|f| Frame { ms: f.ms + STEP / 2, ..f.clone() }).collect();
    let error = scan(&late).unwrap_err();
    assert_eq!(error.code(), "dv.el-unreadable");
    assert!(
        error.to_string().contains("48 of its 48 frames") && error.to_string().contains("0.021 s"),
        "{error}"
    );
    // Rounded differently: still the same frames.
    let odd: Vec<Frame> = layer.iter().map(|f| Frame { ms: f.ms + f.ms % 2, ..f.clone() }).collect();
    assert_eq!(films::averages(&scan(&odd).unwrap()), averages());
    // Stored in another order: the times tell.
    let mut moved = layer;
    moved.swap(3, 4);
    let index = scan(&moved).unwrap();
    assert_eq!(films::averages(&index), averages());
    assert!(notes(&index).contains("2 frames of the enhancement layer track"), "{}", notes(&index));
}

#[test]
fn rivals_are_listed() {
    let (video, base, second, layer) = dual(CLOSED);
    let twin = Video { number: 3, name: "third layer", ..second.clone() };
    let again: Vec<Frame> = layer.iter().map(|f| Frame { track: 3, ..f.clone() }).collect();
    let bytes = mkv::file(&[video.clone(), second, twin], &interleaved(&[&base, &layer, &again]));
    let error = films::scan_bytes(&bytes).unwrap_err();
    assert_eq!(error.code(), "source.ambiguous");
    assert_eq!(
        error.to_string(),
        "track 2 (160x90, \"second layer\", says Profile 7) and track 3 (160x90, \"third layer\", \
         says Profile 7) could each be the enhancement layer"
    );
    // A smaller track that calls itself Dolby Vision, and a larger one that does not.
    let small = Video { mappings: vec![mkv::dvcc7()], ..Video::new(2, (256, 144), &video.private) };
    let error = films::scan_bytes(&mkv::file(&[video.clone(), small], &base)).unwrap_err();
    assert!(error.to_string().contains("track 1 (320x180) and track 2 (256x144, says Profile 7)"), "{error}");
    // Two of one size, whatever they call themselves, unless one is nothing but a layer.
    let same = Video { mappings: vec![mkv::dvcc7()], ..Video::new(2, (320, 180), &video.private) };
    let error = films::scan_bytes(&mkv::file(&[video.clone(), same.clone()], &base)).unwrap_err();
    assert_eq!(error.code(), "source.ambiguous", "{error}");
    let mut only = same;
    // Flags RPU and EL without BL.
    only.mappings[0].1[3] &= !1;
    let index = films::scan_bytes(&mkv::file(&[only, video.clone()], &base)).unwrap();
    assert_eq!(index.video.track_number, 1);
    // Cover art and other codecs are no rivals, whatever their size.
    let cover = Video { codec: "V_MJPEG", ..Video::new(2, (4000, 4000), &[]) };
    let avc = Video { codec: "V_MPEG4/ISO/AVC", ..Video::new(3, (320, 180), &[]) };
    let index = films::scan_bytes(&mkv::file(&[cover, avc, video], &base)).unwrap();
    assert_eq!((index.video.track_number, index.verdict), (1, Verdict::Hdr10));
}

#[test]
fn a_layer_beside_the_frames_is_refused_if_it_is_needed() {
    let (video, base, ..) = dual(CLOSED);
    let hvce = (u32::from_be_bytes(*b"hvcE"), vec![1; 40]);
    let with = |nals: Vec<Frame>, mappings| {
        let frames: Vec<Frame> =
            nals.into_iter().map(|f| Frame { addition: Some(vec![7; 30]), ..f }).collect();
        mkv::file(&[Video { mappings, ..video.clone() }], &frames)
    };
    for mappings in [vec![mkv::dvcc7()], vec![mkv::dvcc7(), hvce.clone()], vec![hvce.clone()]] {
        let kinds = mappings.len();
        let bytes = with(base.clone(), mappings);
        for error in [films::scan_bytes(&bytes).unwrap_err(), sample(Cursor::new(&bytes)).unwrap_err()] {
            assert_eq!(error.code(), "dv.el-unreadable", "{error}");
            let ScanError::ElElsewhere { blocks, bytes, kind, .. } = &error else { panic!("{error}") };
            assert!(*blocks == 48 && *bytes >= 48 * 30, "{error}");
            assert!(kinds == 1 || kind == "dvcC, hvcE", "{error}");
        }
    }
    // Additions of a film that claims nothing are somebody else's.
    let index = films::scan_bytes(&with(base, Vec::new())).unwrap();
    assert_eq!(index.verdict, Verdict::Hdr10);
    // With RPUs in the frames nothing is missing.
    let dir = tempfile::tempdir().unwrap();
    let bare = films::interleave(&films::bl(dir.path(), CLOSED), None, &Rpus::of(Kind::Mel).nals(FRAMES));
    let index = films::scan_bytes(&with(frames(1, &bare), vec![mkv::dvcc7(), hvce])).unwrap();
    assert_eq!((index.verdict, index.counts.missing), (Verdict::Mel, 0));
    assert!(notes(&index).contains("48 blocks have additions (dvcC, hvcE"), "{}", notes(&index));
}

#[test]
fn a_claim_without_metadata_is_named() {
    let (video, base, ..) = dual(CLOSED);
    let claims = Video { mappings: vec![mkv::dvcc7()], ..video };
    let bytes = mkv::file(&[claims], &base);
    let index = films::scan_bytes(&bytes).unwrap();
    let sampled = sample(Cursor::new(&bytes)).unwrap();
    for (verdict, evidence) in [(index.verdict, &index.evidence), (sampled.verdict, &sampled.evidence)] {
        assert_eq!(verdict, Verdict::Hdr10);
        assert_eq!(evidence.claim.map(|c| c.profile), Some(7));
        assert_eq!(evidence.notes, ["container claims profile 7, but there is no rpu"]);
    }
    // And the other way round: the RPUs count.
    let (mut track, frames) = film(CLOSED, &Rpus::of(Kind::Mel));
    track.mappings[0].1[2] = 5 << 1;
    let index = films::scan_bytes(&mkv::file(&[track], &frames)).unwrap();
    assert_eq!(index.verdict, Verdict::Mel);
    assert_eq!(notes(&index), "container claims profile 5, rpus are profile 7: the rpus count");
}

#[test]
fn fields_are_refused_by_name() {
    let (track, frames) = film(CLOSED, &Rpus::of(Kind::Mel));
    let flagged = mkv::file(&[Video { interlaced: true, ..track.clone() }], &frames);
    // general_progressive_source_flag 1 and general_interlaced_source_flag 0 become 0 and 1.
    let mut coded = frames;
    for nal in coded.iter_mut().flat_map(|f| &mut f.nals).filter(|n| n[0] >> 1 == NalType::SPS.0) {
        let at = 4 + nal[4..].iter().position(|b| *b == 0x90).unwrap();
        nal[at] = 0x50;
    }
    let coded = mkv::file(&[track], &coded);
    for (bytes, why) in [(flagged, "FlagInterlaced"), (coded, "interlaced")] {
        for error in [films::scan_bytes(&bytes).unwrap_err(), sample(Cursor::new(&bytes)).unwrap_err()] {
            assert_eq!(error.code(), "source.unsupported", "{error}");
            assert!(error.to_string().contains(why), "{error}");
        }
    }
}

#[test]
fn mixed_versions_and_areas_are_counted_and_foreign_areas_named() {
    let dir = tempfile::tempdir().unwrap();
    let old = Rpus { cm: CmVersion::V29, l5: [0, 0, 80, 80], ..Rpus::of(Kind::Mel) };
    let mut nals = Rpus { l5: [0, 0, 22, 22], ..Rpus::of(Kind::Mel) }.nals(FRAMES);
    nals[..12].clone_from_slice(&old.nals(FRAMES)[..12]);
    let units = films::interleave(&films::bl(dir.path(), CLOSED), None, &nals);
    let index = films::scan_file(&films::mux(dir.path(), "mixed", &films::annexb(&units), &[], &[])).unwrap();
    let e = &index.evidence;
    assert_eq!((e.cm_rpus, e.versions()), ([12, 36], "CM v2.9 and v4.0 (25 % v2.9)".to_owned()));
    assert_eq!(e.areas(), "variable (2 areas: 0/0/22/22 on 75 %, 0/0/80/80 on 25 %)");
    assert!(notes(&index).contains("leaves 320x20 of a 320x180 picture"), "{}", notes(&index));
    assert_eq!(e.certainty(), "from all 48 frames");
}

/// Two takes of one film, joined: other HDR10 values, and an SPS of the same id with another count length.
#[test]
fn a_parameter_set_that_changes_in_mid_stream_counts_from_there_on() {
    let dir = tempfile::tempdir().unwrap();
    let take = |light: &str, more: &str| {
        let params = format!(
            "log-level=error:repeat-headers=1:hdr10=1:transfer=smpte2084:max-cll={light}:{CLOSED}{more}"
        );
        films::encode(dir.path(), "testsrc2=s=320x180:r=24000/1001", FRAMES / 2, &params)
    };
    let stream = [take("1000,400", ""), take("900,300", ":log2-max-poc-lsb=4")].concat();
    let units = films::interleave(&stream, None, &Rpus::of(Kind::Mel).nals(FRAMES));
    let path = films::mux(dir.path(), "joined", &films::annexb(&units), &[], &[]);
    let index = films::scan_file(&path).unwrap();
    assert_eq!((index.counts.cvs, index.frames), (2, 48));
    assert_eq!(films::averages(&index), averages());
    assert_eq!(index.hdr10.cll.map(|c| c.max_cll), Some(1000));
    assert_eq!(
        index.hdr10.disagreements[0],
        "mastering or light messages with other values than the first, which count: 1"
    );
}

#[test]
fn only_a_gap_at_the_very_end_is_filled_without_being_asked() {
    let none = MissingPolicy { max_share: 0.0, max_run: 0 };
    let (track, frames) = film(CLOSED, &Rpus::of(Kind::Mel));
    for (gone, filled) in [(&[47][..], true), (&[46], false), (&[46, 47], false), (&[0], false)] {
        let mut frames = frames.clone();
        for frame in frames.iter_mut().filter(|f| gone.contains(&(f.ms / STEP))) {
            frame.nals.retain(|n| n[0] >> 1 != NalType::RPU.0);
        }
        let mut index = films::scan_bytes(&mkv::file(std::slice::from_ref(&track), &frames)).unwrap();
        assert_eq!(index.rpus.check_missing(none).is_ok(), filled, "{gone:?}");
        assert_eq!(index.rpus.fill_missing(none).ok(), filled.then(|| gone.to_vec()), "{gone:?}");
        assert_eq!(films::averages(&index)[47].is_some(), filled || !gone.contains(&47));
    }
}

/// More than the 1023 bytes some encoders can take.
#[test]
fn large_rpus_are_like_others() {
    let large = |nal: &Vec<u8>| {
        let mut rpu = DoviRpu::parse_unspec62_nalu(nal).unwrap();
        for curve in &mut rpu.rpu_data_mapping.as_mut().unwrap().curves[1..] {
            let mut mmr = DoviMMRCurve::default();
            for piece in 0..8u64 {
                mmr.mmr_order_minus1.push(2);
                mmr.mmr_constant_int.push(0);
                mmr.mmr_constant.push(7919 * (piece + 1));
                mmr.mmr_coef_int.push(Default::default());
                mmr.mmr_coef.push(Default::default());
                let (ints, fractions) =
                    (mmr.mmr_coef_int.last_mut().unwrap(), mmr.mmr_coef.last_mut().unwrap());
                for order in 0..3u64 {
                    ints.push(Default::default());
                    fractions.push(Default::default());
                    for i in 0..7u64 {
                        ints.last_mut().unwrap().push(0);
                        fractions.last_mut().unwrap().push(1 + 104_729 * (i + 7 * order) % 8_000_000);
                    }
                }
            }
            curve.num_pivots_minus2 = 7;
            curve.pivots = vec![0, 128, 128, 128, 128, 128, 128, 128, 127];
            (curve.mapping_idc, curve.polynomial, curve.mmr) = (DoviMappingMethod::MMR, None, Some(mmr));
        }
        rpu.modified = true;
        rpu.write_hevc_unspec62_nalu().unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let nals: Vec<Vec<u8>> = Rpus::of(Kind::Mel).nals(FRAMES).iter().map(large).collect();
    assert!(nals[0].len() > 1200, "{}", nals[0].len());
    let units = films::interleave(&films::bl(dir.path(), CLOSED), None, &nals);
    let index = films::scan_file(&films::mux(dir.path(), "large", &films::annexb(&units), &[], &[])).unwrap();
    assert_eq!(
        (index.verdict, index.evidence.largest_rpu),
        (Verdict::Mel, nals.iter().map(Vec::len).max().unwrap())
    );
    assert_eq!(films::averages(&index), averages());
    assert!(index.rpus.p81(0).unwrap().len() > 1023);
}
