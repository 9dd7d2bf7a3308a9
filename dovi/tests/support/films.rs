//! Small true profile 7 films for the film tests: x265 base and enhancement layer, generated RPUs, mkvmerge.
#![allow(dead_code, clippy::allow_attributes, reason = "every test file uses another part of this module")]

use std::{
    io::Cursor,
    ops::ControlFlow,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use dolby_vision::rpu::{
    ConversionMode,
    dovi_rpu::DoviRpu,
    extension_metadata::blocks::{
        ExtMetadataBlock, ExtMetadataBlockLevel1, ExtMetadataBlockLevel5, ExtMetadataBlockLevel6,
    },
    generate::{GenerateConfig, GenerateProfile, VideoShot},
    rpu_data_nlq::RpuDataNlq,
    vdr_dm_data::CmVersion,
};
use dovi::{
    annexb::write_nal,
    au::AuReader,
    film::{FilmIndex, ScanError, ScanOptions, scan},
};

pub const FRAMES: usize = 48;
/// Level 1 average of frame `i` is this plus `i`: a wrong place shows.
pub const AVG: u16 = 1229;
const TAGS: &str = "log-level=error:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:range=limited:\
                    chromaloc=2:hdr10=1:master-display=G(13250,34500)B(7500,3000)R(34000,16000)\
                    WP(15635,16450)L(10000000,50):max-cll=1000,400:repeat-headers=1";
pub const CLOSED: &str = "keyint=24:min-keyint=24:scenecut=0:b-adapt=0:bframes=4:open-gop=0";
pub const OPEN: &str = "keyint=24:min-keyint=24:scenecut=0:b-adapt=0:bframes=4:open-gop=1";
pub const RADL: &str = "keyint=24:min-keyint=24:scenecut=0:b-adapt=0:bframes=4:open-gop=0:radl=3";

fn run(command: &mut Command) {
    let output = command.stdin(Stdio::null()).output().expect("tool is on PATH");
    // mkvmerge exits with 1 after warnings.
    assert!(
        output.status.code().is_some_and(|c| c < 2) && (output.status.success() || !output.stdout.is_empty()),
        "{command:?}\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Annex B stream of a lavfi source.
pub fn encode(dir: &Path, lavfi: &str, frames: usize, params: &str) -> Vec<u8> {
    let out = dir.join("encode.hevc");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", lavfi, "-frames:v", &frames.to_string()])
        .args(["-pix_fmt", "yuv420p10le", "-c:v", "libx265", "-preset", "ultrafast", "-x265-params", params])
        .args(["-f", "hevc"])
        .arg(&out));
    std::fs::read(out).expect("ffmpeg wrote it")
}

/// What the RPUs of a film are.
#[derive(Clone)]
pub struct Rpus {
    pub kind: Kind,
    pub l1_max: u16,
    pub source_max_pq: u16,
    pub l5: [u16; 4],
    pub cm: CmVersion,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    Mel,
    Fel,
    /// FEL whose luma curve has slope 1.05.
    FelCurve,
    P81,
    P5,
}

impl Rpus {
    pub fn of(kind: Kind) -> Self {
        Self { kind, l1_max: 2900, source_max_pq: 3079, l5: [0; 4], cm: CmVersion::V40 }
    }

    /// NAL 62 by display index.
    pub fn nals(&self, frames: usize) -> Vec<Vec<u8>> {
        let config = GenerateConfig {
            cm_version: self.cm,
            profile: if self.kind == Kind::P5 {
                GenerateProfile::Profile5
            } else {
                GenerateProfile::Profile81
            },
            length: frames,
            source_max_pq: Some(self.source_max_pq),
            level5: ExtMetadataBlockLevel5::from_offsets(self.l5[0], self.l5[1], self.l5[2], self.l5[3]),
            level6: Some(ExtMetadataBlockLevel6 {
                max_display_mastering_luminance: 1000,
                min_display_mastering_luminance: 50,
                max_content_light_level: 1000,
                max_frame_average_light_level: 400,
            }),
            shots: vec![VideoShot { duration: frames, ..VideoShot::default() }],
            ..GenerateConfig::default()
        };
        let list = config.generate_rpu_list().expect("config is valid");
        list.into_iter().zip(0u16..).map(|(rpu, i)| self.one(rpu, i)).collect()
    }

    fn one(&self, mut rpu: DoviRpu, i: u16) -> Vec<u8> {
        let dm = rpu.vdr_dm_data.as_mut().expect("generated with it");
        dm.set_scene_cut(i.is_multiple_of(24));
        let l1 = ExtMetadataBlockLevel1::new(0, self.l1_max, AVG + i);
        dm.replace_metadata_block(ExtMetadataBlock::Level1(l1)).expect("level 1 may be replaced");
        if matches!(self.kind, Kind::Mel | Kind::Fel | Kind::FelCurve) {
            rpu.convert_with_mode(ConversionMode::ToMel).expect("8.1 converts to mel");
        }
        if matches!(self.kind, Kind::Fel | Kind::FelCurve) {
            let mapping = rpu.rpu_data_mapping.as_mut().expect("generated with it");
            mapping.nlq = Some(RpuDataNlq {
                nlq_offset: [512; 3],
                vdr_in_max_int: [0; 3],
                vdr_in_max: [1_048_576; 3],
                linear_deadzone_slope: [2048; 3],
                ..RpuDataNlq::default()
            });
            if self.kind == Kind::FelCurve {
                let luma = mapping.curves[0].polynomial.as_mut().expect("luma curve is polynomial");
                luma.poly_coef_int[0][1] = 1;
                luma.poly_coef[0][1] = 419_430;
            }
            rpu.el_type = rpu.get_enhancement_layer_type();
        }
        rpu.modified = true;
        rpu.dovi_profile = rpu.header.get_dovi_profile();
        rpu.write_hevc_unspec62_nalu().expect("rpu is valid")
    }
}

/// Access units of an Annex B stream: NAL units in order, and the display index.
pub fn access_units(stream: &[u8]) -> Vec<(Vec<Vec<u8>>, usize)> {
    let mut reader = AuReader::new(Cursor::new(stream));
    let mut units = Vec::new();
    while let Some(unit) = reader.next_au().expect("x265 wrote it") {
        let nals: Vec<Vec<u8>> = unit.nals().map(|(_, nal)| nal.to_vec()).collect();
        units.push((nals, (unit.picture.cvs, unit.picture.poc)));
    }
    let mut order: Vec<_> = units.iter().map(|(_, key)| *key).collect();
    order.sort_unstable();
    units
        .into_iter()
        .map(|(nals, key)| (nals, order.iter().position(|k| *k == key).expect("it is in the list")))
        .collect()
}

/// Base layer, wrapped enhancement layer and RPU of each access unit.
pub fn interleave(bl: &[u8], el: Option<&[u8]>, rpus: &[Vec<u8>]) -> Vec<Vec<Vec<u8>>> {
    let el = el.map(access_units);
    let wrap = |nal: &Vec<u8>| [&[0x7E, 0x01], nal.as_slice()].concat();
    access_units(bl)
        .into_iter()
        .enumerate()
        .map(|(i, (mut nals, display))| {
            if let Some(el) = &el {
                nals.extend(el[i].0.iter().map(wrap));
            }
            nals.extend(rpus.get(display).cloned());
            nals
        })
        .collect()
}

pub fn annexb(units: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut out = Vec::new();
    for nal in units.iter().flatten() {
        write_nal(&mut out, nal).expect("memory takes it");
    }
    out
}

/// mkvmerge of one stream with more arguments for it and more inputs behind it.
pub fn mux(dir: &Path, name: &str, stream: &[u8], args: &[&str], more: &[&str]) -> PathBuf {
    let (es, out) = (dir.join(format!("{name}.hevc")), dir.join(format!("{name}.mkv")));
    std::fs::write(&es, stream).expect("scratch is writable");
    let rate: &[&str] =
        if args.contains(&"--timestamps") { &[] } else { &["--default-duration", "0:24000/1001p"] };
    run(Command::new("mkvmerge").arg("-o").arg(&out).args(rate).args(args).arg(&es).args(more));
    out
}

pub fn bl(dir: &Path, gop: &str) -> Vec<u8> {
    encode(dir, "testsrc2=s=320x180:r=24000/1001", FRAMES, &format!("{TAGS}:{gop}"))
}

pub fn el(dir: &Path, gop: &str) -> Vec<u8> {
    encode(
        dir,
        "color=gray:s=160x90:r=24000/1001",
        FRAMES,
        &format!("log-level=error:repeat-headers=1:{gop}"),
    )
}

/// Access units of a single-track film.
pub fn units(dir: &Path, gop: &str, rpus: &Rpus) -> Vec<Vec<Vec<u8>>> {
    let has_el = matches!(rpus.kind, Kind::Mel | Kind::Fel | Kind::FelCurve);
    let el = has_el.then(|| el(dir, gop));
    interleave(&bl(dir, gop), el.as_deref(), &rpus.nals(FRAMES))
}

/// The usual film: profile 7 video, AC-3 and a subtitle, chapters and an attachment.
pub fn film(dir: &Path, name: &str, gop: &str, rpus: &Rpus) -> PathBuf {
    let stream = annexb(&units(dir, gop, rpus));
    let audio = dir.join("audio.ac3");
    run(Command::new("ffmpeg")
        .args(["-v", "error", "-y", "-f", "lavfi", "-i", "sine=d=2", "-c:a", "ac3"])
        .arg(&audio));
    let text = |file: &str, content: &str| {
        let path = dir.join(file);
        std::fs::write(&path, content).expect("scratch is writable");
        path.to_str().expect("scratch path is utf-8").to_owned()
    };
    let srt = text(
        "subtitle.srt",
        "1\n00:00:00,100 --> 00:00:01,000\nHello\n\n2\n00:00:01,100 --> 00:00:01,900\nThere\n",
    );
    let chapters = text(
        "chapters.txt",
        "CHAPTER01=00:00:00.000\nCHAPTER01NAME=A\nCHAPTER02=00:00:01.000\nCHAPTER02NAME=B\n",
    );
    let note = text("note.txt", "attached");
    let audio = audio.to_str().expect("scratch path is utf-8");
    mux(
        dir,
        name,
        &stream,
        &["--title", "Test film", "--chapters", &chapters, "--attach-file", &note],
        &[audio, "--compression", "0:zlib", &srt],
    )
}

pub fn scan_bytes(bytes: &[u8]) -> Result<FilmIndex, ScanError> {
    scan(Cursor::new(bytes), &ScanOptions::default(), &mut |_| ControlFlow::Continue(()))
}

pub fn scan_file(path: &Path) -> Result<FilmIndex, ScanError> {
    scan_bytes(&std::fs::read(path).expect("film was made"))
}

/// Level 1 average of the RPU of each display index, as converted.
pub fn averages(index: &FilmIndex) -> Vec<Option<u16>> {
    (0..index.frames)
        .map(|i| {
            let rpu = dovi::rpu::parse(index.rpus.p81(i)?).expect("converted rpu parses");
            assert_eq!(rpu.dovi_profile, 8);
            dovi::rpu::RpuInfo::of(&rpu).l1.map(|l1| l1.avg)
        })
        .collect()
}
