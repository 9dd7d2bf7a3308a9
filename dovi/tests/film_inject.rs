//! The whole byte path: index a profile 7 film, encode its decoded frames anew, inject, mux, index again.
#[path = "support/films.rs"]
mod films;

use std::{
    path::Path,
    process::{Command, Stdio},
};

use dovi::{
    expect::StreamExpectation,
    film::{FilmIndex, Verdict},
    inject::{InjectPlan, inject},
};
use films::{CLOSED, Kind, OPEN, RADL, Rpus};

const ENCODER: &str = "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:\
                       chromaloc=2:repeat-headers=1:bframes=3:keyint=20:min-keyint=20:b-adapt=0:open-gop=1";

fn reencode(film: &Path, plan: &FilmIndex) -> Vec<u8> {
    let output = Command::new("ffmpeg")
        .args(["-v", "error", "-i"])
        .arg(film)
        .args(["-map", &format!("0:v:{}", plan.video.video_position), "-fps_mode", "passthrough"])
        .args(["-c:v", "libx265", "-preset", "ultrafast", "-x265-params", ENCODER, "-f", "hevc", "pipe:1"])
        .stdin(Stdio::null())
        .output()
        .expect("ffmpeg is on PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

fn convert(dir: &Path, film: &Path) -> (FilmIndex, FilmIndex) {
    let plan = films::scan_file(film).expect("source is sound");
    let expected = plan.expected();
    let vui = plan.video.vui.expect("source is tagged");
    let job = InjectPlan {
        rpus: &expected,
        frames: expected.frames(),
        mdcv: plan.hdr10.mdcv,
        cll: plan.hdr10.cll,
        hdr10plus: (plan.counts.hdr10plus > 0).then_some(&expected),
        expect: StreamExpectation {
            width: plan.video.width,
            height: plan.video.height,
            bit_depth: plan.video.bit_depth,
            primaries: vui.colour_primaries,
            transfer: vui.transfer,
            matrix: vui.matrix,
            full_range: vui.full_range,
            chroma_loc: vui.chroma_loc,
        },
    };
    let mut out = Vec::new();
    let report = inject(&reencode(film, &plan)[..], &mut out, &job, &mut |_| {}).expect("injection works");
    assert_eq!((report.frames, report.rpus_written), (expected.frames(), expected.frames()));
    let result = films::scan_file(&films::mux(dir, "result", &out, &[], &[])).expect("result is sound");
    assert_eq!(report.vcl, result.vcl);
    (plan, result)
}

#[test]
fn every_frame_of_the_encode_has_the_rpu_of_its_source_frame() {
    for (gop, kind) in [(CLOSED, Kind::Mel), (OPEN, Kind::Fel), (RADL, Kind::Mel)] {
        let dir = tempfile::tempdir().unwrap();
        let (plan, result) = convert(dir.path(), &films::film(dir.path(), "source", gop, &Rpus::of(kind)));
        assert_eq!((result.verdict, result.frames), (Verdict::Profile8 { compat: 1 }, 48));
        assert_eq!((result.hdr10.mdcv, result.hdr10.cll), (plan.hdr10.mdcv, plan.hdr10.cll));
        for i in 0..48 {
            assert!(result.rpus.p81_hash(i).is_some());
            assert_eq!(result.rpus.p81_hash(i), plan.rpus.p81_hash(i));
        }
    }
}

/// The frames a decoder does not put out take their RPUs with them.
#[test]
fn skipped_leading_pictures_do_not_shift_the_rest() {
    let dir = tempfile::tempdir().unwrap();
    let units = films::units(dir.path(), OPEN, &Rpus::of(Kind::Mel));
    let cra = units.iter().rposition(|au| au.iter().any(|nal| nal[0] >> 1 == 21)).unwrap();
    let film = films::mux(dir.path(), "cra", &films::annexb(&units[cra..]), &[], &[]);
    let (plan, result) = convert(dir.path(), &film);
    assert!(result.frames < plan.frames);
    for i in 0..result.frames {
        assert_eq!(result.rpus.p81_hash(i), plan.expected().p81_hash(i));
        assert_ne!(result.rpus.p81_hash(i), plan.rpus.p81_hash(i));
    }
}
