//! Scanning of generated profile 7 films.
#[path = "support/films.rs"]
mod films;

use std::{io::Cursor, ops::ControlFlow, path::Path, process::Command};

use dovi::{
    film::{
        Hdr10Source, L5Behaviour, MissingPolicy, Rate, Rule, ScanError, ScanOptions, Verdict, sample, scan,
    },
    rpu::CmVersion,
};
use films::{AVG, CLOSED, FRAMES, Kind, OPEN, RADL, Rpus};

/// Frames ffmpeg's decoder puts out.
fn decoded_frames(path: &Path) -> u64 {
    let output = Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v:0", "-count_frames", "-show_entries"])
        .args(["stream=nb_read_frames", "-of", "default=nk=1:nw=1"])
        .arg(path)
        .output()
        .expect("ffprobe is on PATH");
    String::from_utf8_lossy(&output.stdout).trim().parse().expect("a number")
}

fn expected_averages() -> Vec<Option<u16>> {
    (0..FRAMES as u16).map(|i| Some(AVG + i)).collect()
}

#[test]
fn mel_film_gives_every_rpu_its_display_place_in_every_gop_structure() {
    for gop in [CLOSED, OPEN, RADL] {
        let dir = tempfile::tempdir().unwrap();
        let path = films::film(dir.path(), "mel", gop, &Rpus::of(Kind::Mel));
        let index = films::scan_file(&path).unwrap();
        assert_eq!(index.verdict, Verdict::Mel, "{gop}: {}", index.evidence.summary());
        assert_eq!(films::averages(&index), expected_averages(), "{gop}");
        assert_eq!((index.frames, index.counts.rpus, index.counts.missing), (48, 48, 0));
        assert!(index.counts.el_nals >= 48 && index.counts.el_bytes > 0);
        assert_eq!((index.counts.duplicate, index.counts.not_last), (0, 0));
        assert_eq!(index.expected().frames(), 48);
        assert_eq!(index.video.rate, Rate::Cfr { num: 24000, den: 1001 });
        assert_eq!((index.video.width, index.video.height, index.video.bit_depth), (320, 180, 10));
        assert_eq!(index.video.vui.map(|v| (v.colour_primaries, v.transfer, v.matrix)), Some((9, 16, 9)));
    }
}

#[test]
fn header_hdr10_tracks_and_evidence_are_complete() {
    let dir = tempfile::tempdir().unwrap();
    let rpus = Rpus { l5: [0, 0, 22, 22], ..Rpus::of(Kind::Mel) };
    let path = films::film(dir.path(), "mel", CLOSED, &rpus);
    let index = films::scan_file(&path).unwrap();
    assert_eq!(index.header.title.as_deref(), Some("Test film"));
    assert_eq!((index.header.chapters(), index.header.attachments.len()), (2, 1));
    assert_eq!(
        (index.header.attachments[0].name.as_str(), index.header.attachments[0].size),
        ("note.txt", 8)
    );
    assert!(index.header.tags.len() >= 3);
    let dovi = index.header.tracks[0].dovi.unwrap();
    assert_eq!((dovi.profile, dovi.rpu, dovi.el, dovi.bl, dovi.compat), (7, true, true, true, 6));
    assert_eq!(
        index.hdr10.mdcv.unwrap().to_x265(),
        "G(13250,34500)B(7500,3000)R(34000,16000)WP(15635,16450)L(10000000,50)"
    );
    assert_eq!(index.hdr10.mdcv_source, Some(Hdr10Source::Sei));
    assert_eq!(index.hdr10.cll.map(|c| (c.max_cll, c.max_fall)), Some((1000, 400)));
    assert!(index.hdr10.disagreements.is_empty(), "{:?}", index.hdr10.disagreements);
    assert_eq!(index.evidence.l5, L5Behaviour::Constant([0, 0, 22, 22]));
    assert_eq!((index.evidence.cm, index.evidence.scene_cuts), (Some(CmVersion::V40), 2));
    assert!(index.evidence.rules.is_empty() && index.evidence.notes.is_empty(), "{:?}", index.evidence);
    let kinds: Vec<_> = index.tracks.iter().map(|t| (t.codec_id.as_str(), t.frames)).collect();
    assert_eq!(kinds, [("A_AC3", 58), ("S_TEXT/UTF8", 2)]);
    // The fingerprint is that of the elementary stream, however it was cut into blocks.
    let audio = std::fs::read(dir.path().join("audio.ac3")).unwrap();
    assert_eq!(index.tracks[0].payload, blake3::hash(&audio).to_hex().to_string());
    assert_eq!(index.tracks[1].payload, blake3::hash(b"HelloThere").to_hex().to_string());
}

#[test]
fn fel_verdicts_follow_the_rules() {
    let dir = tempfile::tempdir().unwrap();
    let scan = |rpus: &Rpus| films::scan_file(&films::film(dir.path(), "fel", CLOSED, rpus)).unwrap();
    let plain = scan(&Rpus::of(Kind::Fel));
    assert_eq!((plain.verdict, plain.evidence.nlq_constant), (Verdict::Fel, Some(true)));
    assert!(plain.evidence.max_luma_deviation < 0.5);
    let curve =
        scan(&Rpus { cm: dolby_vision::rpu::vdr_dm_data::CmVersion::V29, ..Rpus::of(Kind::FelCurve) });
    assert_eq!((curve.verdict, curve.evidence.cm), (Verdict::Fel, Some(CmVersion::V29)));
    assert!(curve.evidence.max_luma_deviation > 20.0 && curve.evidence.identity_share == 0.0);
    // Mode "to 8.1" removes the predictor of the residual.
    let converted = dovi::rpu::RpuInfo::of(&dovi::rpu::parse(curve.rpus.p81(0).unwrap()).unwrap());
    assert!(converted.identity_mapping() && converted.el.is_none());
    let bright = scan(&Rpus { l1_max: 3500, ..Rpus::of(Kind::Fel) });
    assert_eq!((bright.verdict, &bright.evidence.rules[..]), (Verdict::FelExpanding, &[Rule::R2][..]));
    assert_eq!(bright.evidence.longest_over, 48);
    let mastered = scan(&Rpus { source_max_pq: 3696, ..Rpus::of(Kind::Fel) });
    assert_eq!((mastered.verdict, &mastered.evidence.rules[..]), (Verdict::FelExpanding, &[Rule::R1][..]));
    assert!(mastered.evidence.summary().contains("R1"), "{}", mastered.evidence.summary());
}

#[test]
fn other_profiles_and_plain_hdr10_are_named() {
    let dir = tempfile::tempdir().unwrap();
    for (kind, verdict) in [(Kind::P81, Verdict::Profile8 { compat: 1 }), (Kind::P5, Verdict::Profile5)] {
        let index = films::scan_file(&films::film(dir.path(), "other", CLOSED, &Rpus::of(kind))).unwrap();
        assert_eq!(index.verdict, verdict);
        assert_eq!(index.rpus.p81_hash(7).is_some(), kind == Kind::P81);
        assert_eq!(
            index.rpus.p81_hash(7).is_some_and(|h| index.rpus.raw_hash(7) == Some(h)),
            kind == Kind::P81
        );
    }
    let bl = films::bl(dir.path(), CLOSED);
    let hdr10 = films::mux(dir.path(), "hdr10", &bl, &[], &[]);
    let index = films::scan_file(&hdr10).unwrap();
    assert_eq!((index.verdict, index.counts.rpus, index.counts.missing), (Verdict::Hdr10, 0, 48));
    let sdr = films::encode(dir.path(), "testsrc2=s=320x180", 12, "log-level=error");
    let index = films::scan_file(&films::mux(dir.path(), "sdr", &sdr, &[], &[])).unwrap();
    assert_eq!(index.verdict, Verdict::Sdr);
}

#[test]
fn missing_rpus_are_placed_and_filled_within_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel));
    units[0].pop();
    let last = units[30].pop().unwrap();
    assert_eq!(last[0], 0x7C);
    let path = films::mux(dir.path(), "missing", &films::annexb(&units), &[], &[]);
    let mut index = films::scan_file(&path).unwrap();
    assert_eq!((index.counts.rpus, index.counts.missing, index.counts.missing_longest_run), (46, 2, 1));
    let gone = u64::from(index.display_of[30]);
    assert_eq!(index.counts.missing_first, [0, gone]);
    for display in 0..48u64 {
        let expected = (display != 0 && display != gone).then(|| AVG + display as u16);
        assert_eq!(films::averages(&index)[display as usize], expected);
    }
    let refused = index.rpus.clone().fill_missing(MissingPolicy::default()).unwrap_err();
    assert_eq!(refused.code(), "rpu.missing");
    let filled = index.rpus.fill_missing(MissingPolicy { max_share: 0.1, max_run: 2 }).unwrap();
    assert_eq!(filled, [0, gone]);
    let averages = films::averages(&index);
    assert_eq!(averages[0], Some(AVG + 1));
    assert_eq!(averages[gone as usize], Some(AVG + gone as u16 - 1));
    let info = dovi::rpu::describe(index.rpus.p81(gone).unwrap(), false).unwrap().0;
    assert!(!info.scene_refresh);
}

#[test]
fn doubled_misplaced_and_broken_rpus() {
    let dir = tempfile::tempdir().unwrap();
    let good = films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel));
    let scan = |units: &[Vec<Vec<u8>>]| {
        films::scan_file(&films::mux(dir.path(), "rpus", &films::annexb(units), &[], &[]))
    };
    let mut same = good.clone();
    let rpu = same[5].last().unwrap().clone();
    same[5].push(rpu);
    let at = same[9].len() - 2;
    same[9].swap(at, at + 1);
    let index = scan(&same).unwrap();
    assert_eq!((index.counts.duplicate, index.counts.not_last, index.counts.rpus), (1, 1, 48));
    let mut other = good.clone();
    let rpu = good[6].last().unwrap().clone();
    other[5].push(rpu);
    let error = scan(&other).unwrap_err();
    assert!(matches!(error, ScanError::RpuDuplicate { frame: 5, .. }), "{error}");
    let mut broken = good;
    let rpu = broken[7].last_mut().unwrap();
    rpu[40] ^= 0x10;
    let error = scan(&broken).unwrap_err();
    assert!(matches!(error, ScanError::RpuInvalid { frame: 7, .. }), "{error}");
    assert_eq!(error.code(), "rpu.invalid");
}

#[test]
fn dual_track_film_takes_its_rpus_from_the_enhancement_track() {
    let dir = tempfile::tempdir().unwrap();
    let bl = films::bl(dir.path(), OPEN);
    let el = films::el(dir.path(), OPEN);
    let el = films::annexb(&films::interleave(&el, None, &Rpus::of(Kind::Mel).nals(FRAMES)));
    let el_path = dir.path().join("el.hevc");
    std::fs::write(&el_path, el).unwrap();
    let more = ["--default-duration", "0:24000/1001p", el_path.to_str().unwrap()];
    let path = films::mux(dir.path(), "dual", &bl, &[], &more);
    let index = films::scan_file(&path).unwrap();
    assert_eq!((index.verdict, index.counts.rpus, index.counts.el_nals), (Verdict::Mel, 48, 48));
    assert_eq!(films::averages(&index), expected_averages());
    let el = index.video.el_track.unwrap();
    assert_eq!((el.track_id, el.video_position, index.video.track_id), (1, 1, 0));
    assert!(index.tracks.is_empty());
    let sampled = sample(Cursor::new(std::fs::read(path).unwrap())).unwrap();
    assert_eq!(sampled.verdict, Verdict::Mel);
    // The sample ends with the 48th base layer frame; a few blocks of the other track come behind it.
    assert!((40..=48).contains(&sampled.rpus), "{}", sampled.rpus);
}

#[test]
fn leading_pictures_without_their_reference_are_not_expected_from_a_decoder() {
    let dir = tempfile::tempdir().unwrap();
    let units = films::units(dir.path(), OPEN, &Rpus::of(Kind::Mel));
    // Cut before the second key frame, a CRA whose RASL pictures then refer to nothing.
    let cra = units.iter().rposition(|au| au.iter().any(|nal| nal[0] >> 1 == 21)).unwrap();
    let path = films::mux(dir.path(), "cra", &films::annexb(&units[cra..]), &[], &[]);
    let index = films::scan_file(&path).unwrap();
    assert_eq!(index.frames as usize, FRAMES - cra);
    assert!(index.counts.not_output > 0);
    assert_eq!(index.expected().frames(), decoded_frames(&path));
    let first = index.expected().display(0).unwrap();
    assert_eq!(first, index.counts.not_output);
    assert_eq!(index.expected().p81(0), index.rpus.p81(first));
}

#[test]
fn variable_rate_start_offset_and_timestamps_against_picture_order() {
    let dir = tempfile::tempdir().unwrap();
    let stream = films::annexb(&films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel)));
    let late = films::mux(dir.path(), "late", &stream, &["--sync", "0:84"], &[]);
    let index = films::scan_file(&late).unwrap();
    assert_eq!((index.video.start_ns, index.video.rate), (84_000_000, Rate::Cfr { num: 24000, den: 1001 }));
    let times = dir.path().join("times.txt");
    let list: String = (0..FRAMES).map(|i| format!("{}\n", i * 40 + i * i / 4)).collect();
    std::fs::write(&times, format!("# timestamp format v2\n{list}")).unwrap();
    let arg = format!("0:{}", times.display());
    let vfr = films::mux(dir.path(), "vfr", &stream, &["--timestamps", &arg], &[]);
    let index = films::scan_file(&vfr).unwrap();
    assert_eq!(index.video.rate, Rate::Vfr);
    assert_eq!(films::averages(&index), expected_averages());
    // Two video blocks swap their timestamps: the only witness left is the picture order.
    let mut bytes = std::fs::read(&late).unwrap();
    let mut reader = dovi::matroska::MatroskaReader::open(Cursor::new(bytes.clone())).unwrap();
    let mut offsets = Vec::new();
    while let Some(block) = reader.next_block(&mut |_| true, &mut Vec::new()).unwrap() {
        offsets.push(block.offset as usize);
    }
    let time_at = |bytes: &[u8], at: usize| {
        let head = if bytes[at] == 0xA0 { panic!("expected simple blocks") } else { at + 1 };
        head + bytes[head].leading_zeros() as usize + 2
    };
    let (a, b) = (time_at(&bytes, offsets[10]), time_at(&bytes, offsets[11]));
    for i in 0..2 {
        bytes.swap(a + i, b + i);
    }
    assert_eq!(films::scan_bytes(&bytes).unwrap_err().code(), "align.order");
}

#[test]
fn truncation_is_named_by_scan_and_sample() {
    let dir = tempfile::tempdir().unwrap();
    let path = films::film(dir.path(), "whole", CLOSED, &Rpus::of(Kind::Mel));
    let bytes = std::fs::read(path).unwrap();
    for keep in [bytes.len() - 1, bytes.len() * 3 / 4, bytes.len() / 2] {
        let error = films::scan_bytes(&bytes[..keep]).unwrap_err();
        assert_eq!(error.code(), "source.truncated", "{keep}: {error}");
        let sampled = sample(Cursor::new(&bytes[..keep])).unwrap();
        assert!(sampled.integrity.truncated && sampled.verdict == Verdict::Mel);
    }
    assert_eq!(films::scan_bytes(&[]).unwrap_err().code(), "source.empty");
    assert_eq!(films::scan_bytes(b"RIFFxxxxAVI LIST").unwrap_err().code(), "source.not-matroska");
    let mut holes = bytes.clone();
    let middle = bytes.len() / 2;
    holes[middle..].fill(0);
    let error = films::scan_bytes(&holes).unwrap_err();
    assert_eq!(error.code(), "source.damaged", "{error}");
    let stopped = scan(Cursor::new(&bytes), &ScanOptions::default(), &mut |_| ControlFlow::Break(()));
    assert_eq!(stopped.unwrap_err().code(), "cancelled");
}

#[test]
fn sample_agrees_with_scan() {
    let dir = tempfile::tempdir().unwrap();
    for kind in [Kind::Mel, Kind::Fel, Kind::P81] {
        let path = films::film(dir.path(), "sample", OPEN, &Rpus::of(kind));
        let bytes = std::fs::read(path).unwrap();
        let index = films::scan_bytes(&bytes).unwrap();
        let sampled = sample(Cursor::new(&bytes)).unwrap();
        assert_eq!(sampled.verdict, index.verdict);
        assert_eq!((sampled.frames, sampled.rpus, sampled.hdr10.mdcv), (48, 48, index.hdr10.mdcv));
        assert_eq!((sampled.width, sampled.height), (320, 180));
        assert!(!sampled.integrity.truncated && sampled.unreadable.is_empty());
        assert!(
            sampled.evidence.sampled && sampled.evidence.summary().contains("from 48 of about 48 frames")
        );
    }
}

/// An end of sequence before a CRA, as seamless branching leaves it: the decoder loses the leading pictures and the
/// ones that still waited.
#[test]
fn branch_points_are_counted_as_the_decoder_does() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), OPEN, &Rpus::of(Kind::Mel));
    let cra = units.iter().rposition(|au| au.iter().any(|nal| nal[0] >> 1 == 21)).unwrap();
    units[cra - 1].push(vec![36 << 1, 1]);
    let path = films::mux(dir.path(), "branch", &films::annexb(&units), &[], &[]);
    let index = films::scan_file(&path).unwrap();
    assert_eq!((index.frames, index.counts.end_of_sequence, index.counts.drops_prior), (48, 1, 1));
    assert_eq!(index.expected().frames(), decoded_frames(&path));
    assert!(index.expected().frames() < 48);
}

#[test]
fn mixed_layers_are_fel_and_a_moving_active_area_is_variable() {
    let dir = tempfile::tempdir().unwrap();
    let mel = Rpus { l5: [0, 0, 10, 10], ..Rpus::of(Kind::Mel) };
    let mut nals = mel.nals(FRAMES);
    nals[20..30].clone_from_slice(&Rpus::of(Kind::Fel).nals(FRAMES)[20..30]);
    let (bl, el) = (films::bl(dir.path(), CLOSED), films::el(dir.path(), CLOSED));
    let units = films::interleave(&bl, Some(&el), &nals);
    let index = films::scan_file(&films::mux(dir.path(), "mixed", &films::annexb(&units), &[], &[])).unwrap();
    assert_eq!(index.verdict, Verdict::Fel);
    assert_eq!((index.evidence.mel_rpus, index.evidence.fel_rpus), (38, 10));
    assert_eq!(index.evidence.l5, L5Behaviour::Variable(2));
    assert!(index.evidence.notes.iter().any(|n| n.contains("MEL on 38")), "{:?}", index.evidence.notes);
    // Without its enhancement layer the same metadata still tells what it was made for.
    let bare = films::annexb(&films::interleave(&bl, None, &mel.nals(FRAMES)));
    let index = films::scan_file(&films::mux(dir.path(), "bare", &bare, &[], &[])).unwrap();
    assert_eq!((index.verdict, index.counts.el_nals), (Verdict::Mel, 0));
    assert!(index.evidence.notes.iter().any(|n| n.contains("without an enhancement")));
}

#[test]
fn the_film_is_told_from_cover_art_extras_and_rivals() {
    let dir = tempfile::tempdir().unwrap();
    let stream = films::annexb(&films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel)));
    let ffmpeg = |args: &[&str]| {
        let mut command = Command::new("ffmpeg");
        command.current_dir(dir.path()).args(["-v", "error", "-y"]).args(args);
        assert!(command.status().unwrap().success());
    };
    films::mux(dir.path(), "single", &stream, &[], &[]);
    ffmpeg(&["-f", "lavfi", "-i", "sine=d=1", "-c:a", "flac", "audio.mkv"]);
    ffmpeg(&["-f", "lavfi", "-i", "color=red:s=640x640", "-frames:v", "1", "-c:v", "mjpeg", "cover.mkv"]);
    let join = |name: &str, inputs: &[&str]| {
        let mut command = Command::new("mkvmerge");
        command.current_dir(dir.path()).args(["-q", "-o", name]).args(inputs);
        // 1 is a warning: the rivals have the same track id.
        assert!(command.output().unwrap().status.code().is_some_and(|code| code < 2));
        std::fs::read(dir.path().join(name)).unwrap()
    };
    let covered = films::scan_bytes(&join("covered.mkv", &["cover.mkv", "single.mkv"])).unwrap();
    assert_eq!((covered.video.track_id, covered.video.video_position), (1, 1));
    assert_eq!((covered.verdict, covered.tracks[0].codec_id.as_str()), (Verdict::Mel, "V_MJPEG"));
    let error = films::scan_bytes(&join("rivals.mkv", &["single.mkv", "single.mkv"])).unwrap_err();
    assert_eq!(error.code(), "source.ambiguous", "{error}");
    let error = films::scan_bytes(&join("audio-only.mkv", &["audio.mkv"])).unwrap_err();
    assert_eq!(error.code(), "source.no-video", "{error}");
}

/// The bright part is far behind the head of the film; cues lead there, and without cues a search for clusters does.
#[test]
fn sample_looks_at_places_all_over_the_film() {
    let dir = tempfile::tempdir().unwrap();
    let frames = 288;
    let params = format!("log-level=error:repeat-headers=1:transfer=smpte2084:{CLOSED}");
    let bl = films::encode(dir.path(), "testsrc2=s=320x180:r=24000/1001", frames, &params);
    let mut nals = Rpus::of(Kind::Fel).nals(frames);
    let bright = Rpus { l1_max: 3600, ..Rpus::of(Kind::Fel) }.nals(frames);
    nals[144..].clone_from_slice(&bright[144..]);
    let stream = films::annexb(&films::interleave(&bl, None, &nals));
    for cues in [&["--cluster-length", "500ms"][..], &["--cluster-length", "500ms", "--no-cues"]] {
        let path = films::mux(dir.path(), "long", &stream, cues, &[]);
        let bytes = std::fs::read(path).unwrap();
        let sampled = sample(Cursor::new(&bytes)).unwrap();
        assert_eq!(sampled.verdict, Verdict::FelExpanding, "{}", sampled.evidence.summary());
        assert_eq!(sampled.evidence.rules, [Rule::R2]);
        assert!((150..=288).contains(&sampled.frames), "{}", sampled.frames);
        assert!(sampled.unreadable.is_empty(), "{:?}", sampled.unreadable);
        assert_eq!(sampled.integrity.resyncs > 0, cues.len() == 3);
        let index = films::scan_bytes(&bytes).unwrap();
        assert_eq!((index.evidence.frames_over, index.evidence.longest_over), (144, 144));
        // Cut in the middle, the head still tells what the film is.
        let cut = sample(Cursor::new(&bytes[..bytes.len() / 3])).unwrap();
        assert!(cut.integrity.truncated && cut.verdict.is_profile7());
    }
}
