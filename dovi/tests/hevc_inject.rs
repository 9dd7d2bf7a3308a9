//! Injection beyond the plain case: SEI, foreign metadata, ends of sequence, other steps, and every refusal.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/hevc.rs"]
mod support;

use std::io::{self, Read, Write};

use dovi::annexb::write_nal;
use dovi::au::{AuError, AuReader};
use dovi::inject::{InjectError, InjectPlan, InjectReport, RpuByDisplay, inject};
use dovi::order::Method;
use dovi::sei::{self, Cll, Mdcv, SeiNal};
use support::{
    FRAMES, Numbered, after_first_slices, encode, encode_with, naive_nals, number, plan, structure, truth, ty,
};

const MDCV: Mdcv = Mdcv {
    primaries_gbr: [(13250, 34500), (7500, 3000), (34000, 16000)],
    white: (15635, 16450),
    max_luminance: 10_000_000,
    min_luminance: 50,
};
const CLL: Cll = Cll { max_cll: 1032, max_fall: 401 };
const CLOSED: &str = "bframes=4:keyint=24:min-keyint=24:open-gop=0";

fn run(stream: &[u8], plan: &InjectPlan<'_>) -> Result<(Vec<u8>, InjectReport), InjectError> {
    let mut out = Vec::new();
    let report = inject(stream, &mut out, plan, &mut |_| {})?;
    Ok((out, report))
}

/// Numbers of the RPUs of all pictures in decode order; panics unless each picture has one.
fn numbers(stream: &[u8]) -> Vec<u64> {
    after_first_slices(stream)
        .iter()
        .map(|picture| {
            let rpus: Vec<_> = picture.iter().filter(|nal| ty(nal) == 62).collect();
            assert_eq!(rpus.len(), 1);
            number(rpus[0])
        })
        .collect()
}

/// The mastering displays and light levels of every access unit that has some.
fn hdr10(stream: &[u8]) -> Vec<(bool, Vec<Mdcv>, Vec<Cll>)> {
    let mut reader = AuReader::new(stream);
    let mut all = Vec::new();
    while let Some(unit) = reader.next_au().unwrap() {
        let (mut mdcv, mut cll) = (Vec::new(), Vec::new());
        for sei in unit.nals().filter_map(|(_, nal)| SeiNal::read(nal)) {
            for message in sei.messages() {
                match message.ty {
                    sei::MASTERING_DISPLAY => mdcv.push(Mdcv::parse(message.payload).unwrap()),
                    sei::CONTENT_LIGHT => cll.push(Cll::parse(message.payload).unwrap()),
                    _ => {}
                }
            }
        }
        if !(mdcv.is_empty() && cll.is_empty()) || unit.picture.nal_type.is_irap() {
            all.push((unit.picture.nal_type.is_irap(), mdcv, cll));
        }
    }
    all
}

#[test]
fn hdr10_is_there_once_in_every_irap_whatever_the_encoder_did() {
    let rpus = Numbered::new(FRAMES);
    let plan = InjectPlan { mdcv: Some(MDCV), cll: Some(CLL), ..plan(&rpus, FRAMES) };
    let other = "master-display=G(1,2)B(3,4)R(5,6)WP(7,8)L(90000,1):max-cll=9,9";
    let same = format!("master-display={}:max-cll=1032,401", MDCV.to_x265());
    for (encoder, inserted, replaced) in [("", 10, 0), (other, 10, 10), (same.as_str(), 0, 0)] {
        let stream = encode(&format!("{CLOSED}:{encoder}"));
        let (out, report) = run(&stream, &plan).unwrap();
        assert_eq!((report.sei_inserted, report.sei_replaced), (inserted, replaced), "{encoder}");
        assert_eq!(hdr10(&out), vec![(true, vec![MDCV], vec![CLL]); 5], "{encoder}");
        for (index, nal) in naive_nals(&out).iter().enumerate().filter(|(_, nal)| ty(nal) == 39) {
            let next = naive_nals(&out)[index + 1..].iter().map(|nal| ty(nal)).find(|ty| *ty != 39);
            assert!(next.is_some_and(|ty| ty < 32), "SEI {nal:?} is followed by {next:?}");
        }
    }
}

#[test]
fn a_light_level_that_nobody_knows_is_not_invented() {
    let rpus = Numbered::new(FRAMES);
    let plan = InjectPlan { mdcv: Some(MDCV), cll: None, ..plan(&rpus, FRAMES) };
    let mastering = format!("master-display={}", MDCV.to_x265());
    let stream = encode(&format!("{CLOSED}:{mastering}"));
    let zeros = Cll { max_cll: 0, max_fall: 0 };
    assert_eq!(
        hdr10(&stream),
        vec![(true, vec![MDCV], vec![zeros]); 5],
        "x265 does not write zeros any longer"
    );
    assert_eq!(hdr10(&run(&stream, &plan).unwrap().0), vec![(true, vec![MDCV], vec![]); 5]);
    let known = encode(&format!("{CLOSED}:{mastering}:max-cll=9,9"));
    let nine = Cll { max_cll: 9, max_fall: 9 };
    assert_eq!(hdr10(&run(&known, &plan).unwrap().0), vec![(true, vec![MDCV], vec![nine]); 5]);
}

#[test]
fn metadata_of_the_encoder_is_replaced() {
    let (stream, truth) = structure("open");
    let mut foreign = Vec::new();
    for nal in naive_nals(stream) {
        write_nal(&mut foreign, nal).unwrap();
        if ty(nal) < 32 {
            write_nal(&mut foreign, &[0x7e, 0x01, 0x40, 0x01, 0x0c]).unwrap();
            write_nal(&mut foreign, &[0x7c, 0x01, 0x19, 0x08, 0x80]).unwrap();
        }
    }
    let rpus = Numbered::new(FRAMES);
    let (out, report) = run(&foreign, &plan(&rpus, FRAMES)).unwrap();
    assert_eq!(report.dropped_foreign_nals, 2 * FRAMES as u64);
    assert_eq!(numbers(&out), *truth);
    assert_eq!(out, run(stream, &plan(&rpus, FRAMES)).unwrap().0);
}

#[test]
fn end_of_sequence_stays_last_and_restarts_the_count() {
    let (stream, truth) = structure("open");
    let mut cut = Vec::new();
    let mut irap = 0;
    for nal in naive_nals(stream) {
        // x265 puts its parameter sets before every IRAP: a VPS opens that access unit.
        if ty(nal) == 32 {
            irap += 1;
            if irap == 3 {
                write_nal(&mut cut, &[0x48, 0x01]).unwrap();
            }
        }
        write_nal(&mut cut, nal).unwrap();
    }
    write_nal(&mut cut, &[0x48, 0x01]).unwrap();
    write_nal(&mut cut, &[0x4a, 0x01]).unwrap();
    let rpus = Numbered::new(FRAMES);
    let (out, _) = run(&cut, &plan(&rpus, FRAMES)).unwrap();
    assert_eq!(numbers(&out), *truth, "a new sequence at the CRA changes no index");
    let types: Vec<u8> = naive_nals(&out).iter().map(|nal| ty(nal)).collect();
    assert_eq!(types[types.len() - 3..], [62, 36, 37]);
    let middle = types.iter().position(|ty| *ty == 36).unwrap();
    assert_eq!((types[middle - 1], types[middle + 1]), (62, 32));

    let mut reader = AuReader::new(cut.as_slice());
    let mut hidden = 0;
    while let Some(unit) = reader.next_au().unwrap() {
        let picture = unit.picture;
        assert_eq!(picture.no_output_of_prior_pics, picture.cvs == 1 && picture.opens_cvs);
        assert!(picture.output || picture.nal_type.is_rasl() && picture.cvs == 1);
        hidden += u64::from(!picture.output);
    }
    assert_eq!(hidden, 3, "the RASL pictures of the CRA behind the end of sequence");
}

#[test]
fn counts_that_step_wider_are_ranked() {
    // A sub-bitstream: the pictures of the highest temporal layer are taken out, and POC steps by two.
    let (stream, _) = structure("temporal-layers");
    let mut half = Vec::new();
    for nal in naive_nals(stream).into_iter().filter(|nal| ty(nal) >= 32 || nal[1] & 7 == 1) {
        write_nal(&mut half, nal).unwrap();
    }
    let truth = truth(&half);
    assert!(truth.len() < FRAMES * 2 / 3 && truth.len() > 20, "{}", truth.len());
    let rpus = Numbered::new(truth.len());
    let (out, report) = run(&half, &plan(&rpus, truth.len())).unwrap();
    assert_eq!(report.reordered_by, Method::Generic);
    assert_eq!(numbers(&out), truth);
}

#[test]
fn hdr10plus_goes_before_the_first_slice_of_its_frame() {
    let (stream, truth) = structure("slices");
    let payload = |n: usize| vec![0xb5, 0, 0x3c, 0, 1, 4, 1, n as u8, 0, 0, 1, 7];
    let all: Vec<Option<Vec<u8>>> =
        (0..FRAMES).map(|n| (n % 10 != 9).then(|| sei::hdr10plus_nal(&payload(n)))).collect();
    let rpus = Numbered::new(FRAMES);
    let plan = InjectPlan { hdr10plus: Some(&all), mdcv: Some(MDCV), ..plan(&rpus, FRAMES) };
    let (out, report) = run(stream, &plan).unwrap();
    assert_eq!(report.hdr10plus_inserted, 90);
    let mut reader = AuReader::new(out.as_slice());
    while let Some(unit) = reader.next_au().unwrap() {
        let display = truth[unit.picture.decode_index as usize] as usize;
        let nals: Vec<_> = unit.nals().map(|(_, nal)| nal).collect();
        let slice = nals.iter().position(|nal| ty(nal) < 32).unwrap();
        let found = slice.checked_sub(1).and_then(|before| SeiNal::read(nals[before])).filter(|sei| {
            sei.messages().any(|message| message.ty == sei::T35 && sei::is_hdr10plus(message.payload))
        });
        let carried = found.map(|sei| sei.messages().next().unwrap().payload.to_vec());
        assert_eq!(carried, (display % 10 != 9).then(|| payload(display)), "frame {display}");
    }
    // A second run finds them there.
    assert_eq!(run(&out, &plan).unwrap().1.hdr10plus_inserted, 0);
}

#[test]
fn another_frame_count_names_both() {
    let (stream, _) = structure("closed");
    for planned in [0, FRAMES - 1, FRAMES + 1] {
        let rpus = Numbered::new(planned);
        let error = run(stream, &plan(&rpus, planned)).unwrap_err();
        assert_eq!(error.code(), "encode.frames");
        assert_eq!(error.to_string(), format!("the encoder produced 100 frames, {planned} were planned"));
    }
    let none = run(&[], &plan(&Numbered::new(1), 1)).unwrap_err();
    assert!(matches!(none, InjectError::FrameCount { planned: 1, encoded: 0 }), "{none}");
}

#[test]
fn an_rpu_that_is_missing_or_broken_names_its_frame() {
    let (stream, _) = structure("closed");
    let missing = run(stream, &plan(&Numbered::new(FRAMES - 1), FRAMES)).unwrap_err();
    assert!(matches!(missing, InjectError::RpuMissing(99)), "{missing}");
    for broken in [&[0x7e, 1, 5][..], &[0x7c, 1], &[0x7c, 1, 0, 0, 1, 5], &[0x7c, 1, 5, 0], &[]] {
        let mut rpus = Numbered::new(FRAMES);
        rpus.0[41] = broken.to_vec();
        let error = run(stream, &plan(&rpus, FRAMES)).unwrap_err();
        assert!(matches!(error, InjectError::RpuInvalid(41)), "{broken:?}: {error}");
    }
}

/// A reader that fails when its bytes are used up, as a pipe of a killed process might.
struct Failing<'a>(&'a [u8]);

impl Read for Failing<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        if self.0.is_empty() { Err(io::Error::other("gone")) } else { self.0.read(buf) }
    }
}

#[test]
fn wrong_tags_stop_at_the_first_picture() {
    let stream = encode_with(CLOSED, "log-level=error:repeat-headers=1:colorprim=bt2020:range=limited");
    let rpus = Numbered::new(FRAMES);
    // Only the head of the stream can be read, so anything later than the first picture would be an I/O error.
    let head = Failing(&stream[..stream.len() / 4]);
    let error = inject(head, io::sink(), &plan(&rpus, FRAMES), &mut |_| {}).unwrap_err();
    assert_eq!(error.code(), "encode.stream");
    assert_eq!(
        error.to_string(),
        "encoded stream is not what was asked for: transfer is 2 instead of 16, matrix is 2 instead of 9, \
         chroma location is 0 instead of 2"
    );
}

#[test]
fn failing_ends_are_told_apart() {
    struct Full(usize);
    impl Write for Full {
        fn write(&mut self, data: &[u8]) -> io::Result<usize> {
            self.0 = self.0.checked_sub(data.len()).ok_or(io::ErrorKind::StorageFull)?;
            Ok(data.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let (stream, _) = structure("closed");
    let rpus = Numbered::new(FRAMES);
    for room in [0, 1000, stream.len()] {
        let error = inject(stream.as_slice(), Full(room), &plan(&rpus, FRAMES), &mut |_| {}).unwrap_err();
        assert!(matches!(error, InjectError::Output(_)) && error.code() == "disk.full", "{error}");
    }
    let cut = Failing(&stream[..stream.len() / 2]);
    let error = inject(cut, io::sink(), &plan(&rpus, FRAMES), &mut |_| {}).unwrap_err();
    assert!(matches!(error, InjectError::Input(AuError::Stream(_))), "{error}");
    let error = run(&[0x1a, 0x45, 0xdf, 0xa3], &plan(&rpus, FRAMES)).unwrap_err();
    assert_eq!(error.code(), "encode.stream");
}

#[test]
fn rpus_from_a_vector() {
    let rpus = Numbered::new(3);
    assert_eq!(rpus.0.rpu(2), Some(rpus.0[2].as_slice()));
    assert_eq!(rpus.0.rpu(3), None);
    assert_eq!(rpus.0.rpu(u64::MAX), None);
}

/// Found by fuzzing: a NAL unit of another layer behind a SEI that was left out became part of the picture before.
#[test]
fn other_layers_are_left_out_and_what_stands_before_its_picture_is_refused() {
    let stream = encode(CLOSED);
    let with = |odd: &[u8]| {
        let mut out = Vec::new();
        for nal in naive_nals(&stream) {
            if ty(nal) < 32 && nal[2] & 0x80 != 0 {
                write_nal(&mut out, odd).unwrap();
            }
            write_nal(&mut out, nal).unwrap();
        }
        out
    };
    let rpus = Numbered::new(FRAMES);
    let vps_of_layer_1 = [0x40, 0x09, 1, 2, 0x80];
    let (out, report) = run(&with(&vps_of_layer_1), &plan(&rpus, FRAMES)).unwrap();
    assert_eq!(report.dropped_foreign_nals, FRAMES as u64);
    assert!(!naive_nals(&out).contains(&&vps_of_layer_1[..]));
    assert_eq!(out, run(&stream, &plan(&rpus, FRAMES)).unwrap().0);
    for late in [&[0x50, 0x01, 1, 1, 7, 0x80][..], &[0x4c, 0x01, 0xff, 0x80]] {
        let error = run(&with(late), &plan(&rpus, FRAMES)).unwrap_err();
        assert!(matches!(error, InjectError::Misplaced { .. }), "{error}");
        assert_eq!(error.code(), "encode.stream");
    }
}
