//! Copy mode from a film to a profile 8.1 film.
#[path = "support/films.rs"]
mod films;

use std::{io::Cursor, ops::ControlFlow, path::Path};

use dovi::{
    copy::{CopyReport, copy_p81, scan_and_copy},
    film::{FilmIndex, MissingPolicy, Verdict},
};
use films::{CLOSED, Kind, OPEN, RADL, Rpus};

fn copy(source: &Path, index: &FilmIndex) -> (Vec<u8>, CopyReport) {
    let mut out = Vec::new();
    let source = Cursor::new(std::fs::read(source).expect("film was made"));
    let report = copy_p81(source, &mut out, index, &mut |_| ControlFlow::Continue(())).expect("copy works");
    (out, report)
}

#[test]
fn copied_film_is_profile_8_1_with_the_same_slices_and_every_rpu_in_place() {
    for (gop, kind) in [(CLOSED, Kind::Mel), (OPEN, Kind::FelCurve), (RADL, Kind::Mel)] {
        let dir = tempfile::tempdir().unwrap();
        let source = films::film(dir.path(), "source", gop, &Rpus::of(kind));
        let plan = films::scan_file(&source).unwrap();
        let (stream, report) = copy(&source, &plan);
        assert_eq!((report.frames, report.rpus, report.vcl), (48, 48, plan.vcl));
        assert_eq!((report.el_dropped, report.bytes as usize), (plan.counts.el_nals, stream.len()));
        let path = films::mux(dir.path(), "result", &stream, &[], &[]);
        let result = films::scan_file(&path).unwrap();
        assert_eq!(result.verdict, Verdict::Profile8 { compat: 1 });
        assert_eq!((result.vcl, result.pts_ns.len(), result.counts.el_nals), (plan.vcl, 48, 0));
        assert_eq!(
            (result.counts.not_last, result.counts.duplicate, result.hdr10.mdcv),
            (0, 0, plan.hdr10.mdcv)
        );
        assert_eq!(result.pts_ns, plan.pts_ns);
        for display in 0..48 {
            assert!(plan.rpus.p81_hash(display).is_some());
            assert_eq!(result.rpus.p81_hash(display), plan.rpus.p81_hash(display));
            assert_eq!(result.rpus.raw_hash(display), plan.rpus.p81_hash(display));
            assert_ne!(plan.rpus.raw_hash(display), plan.rpus.p81_hash(display));
        }
        let dovi = result.header.tracks[0].dovi.unwrap();
        assert_eq!((dovi.profile, dovi.compat, dovi.rpu, dovi.el, dovi.bl), (8, 1, true, false, true));
    }
}

/// Everything but NAL 62 and 63 stands as it stood, and the RPU is the last NAL of its access unit.
#[test]
fn stream_is_the_base_layer_byte_for_byte() {
    let dir = tempfile::tempdir().unwrap();
    let source = films::film(dir.path(), "source", CLOSED, &Rpus::of(Kind::Mel));
    let plan = films::scan_file(&source).unwrap();
    let (stream, _) = copy(&source, &plan);
    let raw = std::process::Command::new("mkvextract")
        .arg(&source)
        .args(["tracks", "0:raw.hevc"])
        .current_dir(dir.path())
        .output()
        .unwrap();
    assert!(raw.status.success());
    let raw = std::fs::read(dir.path().join("raw.hevc")).unwrap();
    let keep = |units: Vec<(Vec<Vec<u8>>, usize)>| -> Vec<Vec<u8>> {
        units.into_iter().flat_map(|(nals, _)| nals).filter(|nal| nal[0] >> 1 < 62).collect()
    };
    let units = films::access_units(&stream);
    for (nals, display) in &units {
        assert_eq!(nals.last().map(Vec::as_slice), plan.rpus.p81(*display as u64));
        assert_eq!(nals.iter().filter(|n| n[0] >> 1 >= 62).count(), 1);
    }
    assert_eq!(keep(units), keep(films::access_units(&raw)));
}

#[test]
fn end_of_sequence_stays_last_and_out_of_band_sets_come_first() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel));
    units[23].push(vec![36 << 1, 1]);
    let path = films::mux(dir.path(), "eos", &films::annexb(&units), &[], &[]);
    let plan = films::scan_file(&path).unwrap();
    assert_eq!((plan.counts.end_of_sequence, plan.counts.not_last), (1, 0));
    let (stream, _) = copy(&path, &plan);
    let copied = films::access_units(&stream);
    let types: Vec<u8> = copied[23].0.iter().map(|nal| nal[0] >> 1).collect();
    assert_eq!(types[types.len() - 2..], [62, 36]);
    let first: Vec<u8> = copied[0].0.iter().map(|nal| nal[0] >> 1).take(3).collect();
    assert_eq!(first, [32, 33, 34]);
}

#[test]
fn a_frame_without_rpu_and_a_changed_source_stop_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel));
    units[5].pop();
    let path = films::mux(dir.path(), "gap", &films::annexb(&units), &[], &[]);
    let mut plan = films::scan_file(&path).unwrap();
    let bytes = std::fs::read(&path).unwrap();
    let run = |bytes: &[u8], plan: &FilmIndex| {
        copy_p81(Cursor::new(bytes), Vec::new(), plan, &mut |_| ControlFlow::Continue(()))
    };
    assert_eq!(run(&bytes, &plan).unwrap_err().code(), "rpu.missing");
    plan.rpus.fill_missing(MissingPolicy { max_share: 0.1, max_run: 1 }).unwrap();
    assert_eq!(run(&bytes, &plan).unwrap().rpus, 48);
    let other = films::film(dir.path(), "other", OPEN, &Rpus::of(Kind::Mel));
    let error = run(&std::fs::read(other).unwrap(), &plan).unwrap_err();
    assert_eq!(error.code(), "source.changed", "{error}");
}

#[test]
fn hdr10plus_is_indexed_by_display_and_survives_the_copy() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), OPEN, &Rpus::of(Kind::Mel));
    let displays: Vec<usize> =
        films::access_units(&films::annexb(&units)).into_iter().map(|(_, display)| display).collect();
    let sei = |display: usize| {
        dovi::sei::hdr10plus_nal(&[0xB5, 0, 0x3C, 0, 1, 4, 1, display as u8, 0, 0, 1, 0, 0, 0])
    };
    for (unit, display) in units.iter_mut().zip(&displays) {
        let first_slice = unit.iter().position(|nal| nal[0] >> 1 < 32).unwrap();
        unit.insert(first_slice, sei(*display));
    }
    let path = films::mux(dir.path(), "plus", &films::annexb(&units), &[], &[]);
    let plan = films::scan_file(&path).unwrap();
    let (stream, _) = copy(&path, &plan);
    let result = films::scan_file(&films::mux(dir.path(), "copied", &stream, &[], &[])).unwrap();
    for index in [&plan, &result] {
        assert_eq!(index.counts.hdr10plus, 48);
        for display in 0..48 {
            assert_eq!(index.hdr10plus(display as u64), Some(sei(display).as_slice()));
        }
    }
}

/// The film that comes of one read: same slices, same times, every RPU in place, and a record that says what it is.
#[test]
fn one_read_writes_what_two_reads_would() {
    for (gop, kind) in [(CLOSED, Kind::Mel), (OPEN, Kind::FelCurve), (RADL, Kind::Mel)] {
        let dir = tempfile::tempdir().unwrap();
        let source = films::film(dir.path(), "source", gop, &Rpus::of(kind));
        let plan = films::scan_file(&source).unwrap();
        let path = dir.path().join("one.mkv");
        let (input, out) = (std::fs::File::open(&source).unwrap(), std::fs::File::create(&path).unwrap());
        let (index, report) = scan_and_copy(input, out, &mut |_| ControlFlow::Continue(())).unwrap();
        let report = report.unwrap();
        assert_eq!((report.frames, report.rpus, report.vcl), (48, 48, plan.vcl));
        assert_eq!(report.bytes, std::fs::metadata(&path).unwrap().len());
        assert_eq!((report.el_dropped, index.vcl), (plan.counts.el_nals, plan.vcl));
        let result = films::scan_file(&path).unwrap();
        assert_eq!(result.verdict, Verdict::Profile8 { compat: 1 });
        assert_eq!((result.vcl, &result.pts_ns, result.counts.el_nals), (plan.vcl, &plan.pts_ns, 0));
        assert_eq!((result.counts.not_last, result.counts.missing), (0, 0));
        assert_eq!(result.video.default_duration_ns, Some(41_708_333));
        for display in 0..48 {
            assert_eq!(index.rpus.p81(display), plan.rpus.p81(display));
            assert_eq!(result.rpus.raw_hash(display), plan.rpus.p81_hash(display));
        }
        let dovi = result.header.tracks[0].dovi.unwrap();
        assert_eq!((dovi.profile, dovi.compat, dovi.rpu, dovi.el, dovi.bl), (8, 1, true, false, true));
        // Frame by frame the same NAL units as in the raw stream.
        let (stream, _) = copy(&source, &plan);
        let raw = std::process::Command::new("mkvextract")
            .arg(&path)
            .args(["tracks", "0:raw.hevc"])
            .current_dir(dir.path())
            .output()
            .unwrap();
        assert!(raw.status.success());
        let raw = std::fs::read(dir.path().join("raw.hevc")).unwrap();
        let coded = |bytes: &[u8]| -> Vec<Vec<u8>> {
            let units = films::access_units(bytes).into_iter().flat_map(|(nals, _)| nals);
            // Parameter sets are in the record as well, and extraction repeats them.
            units.filter(|nal| !(32..=35).contains(&(nal[0] >> 1))).collect()
        };
        assert_eq!(coded(&raw), coded(&stream));
    }
}

#[test]
fn a_frame_without_rpu_leaves_one_read_without_a_report() {
    let dir = tempfile::tempdir().unwrap();
    let mut units = films::units(dir.path(), CLOSED, &Rpus::of(Kind::Mel));
    units[5].pop();
    let path = films::mux(dir.path(), "gap", &films::annexb(&units), &[], &[]);
    let bytes = std::fs::read(path).unwrap();
    let (index, report) =
        scan_and_copy(Cursor::new(bytes), Cursor::new(Vec::new()), &mut |_| ControlFlow::Continue(()))
            .unwrap();
    assert_eq!((index.counts.missing, report), (1, None));
}

#[test]
fn a_full_disk_is_named_in_one_read_too() {
    struct Full(usize);
    impl std::io::Write for Full {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0 = self.0.checked_sub(bytes.len()).ok_or(std::io::ErrorKind::StorageFull)?;
            Ok(bytes.len())
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    impl std::io::Seek for Full {
        fn seek(&mut self, _: std::io::SeekFrom) -> std::io::Result<u64> {
            Ok(0)
        }
    }
    let dir = tempfile::tempdir().unwrap();
    let source = std::fs::read(films::film(dir.path(), "source", CLOSED, &Rpus::of(Kind::Mel))).unwrap();
    for room in [0, 2000] {
        let copied = scan_and_copy(Cursor::new(&source), Full(room), &mut |_| ControlFlow::Continue(()));
        assert_eq!(copied.unwrap_err().code(), "disk.full", "{room} bytes");
    }
}
