//! `fuzz-seeds DIR`: fills a folder with inputs to begin from, one folder for each target of `dovi/fuzz`.
//!
//! They come from generated films. Slices are cut to their headers, which is all that anything in `dovi` reads of
//! them: so a whole film fits into a few kilobytes, and a fuzzer spends its time on what matters.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use common::job::{Certificate, FailureCode, FailureReport, JobMessage, Mode, Recipe};
use dovi::annexb::write_nal;
use dovi::au::AuReader;
use dovi::nal::{NalHeader, NalType, unescape};
use e2e::films::{Cm, FilmSpec, Gop, Layers, Studio, Timing};
use e2e::tool;
use serde_json::json;

/// Bytes kept of a slice: more than `dovi::slice` looks at.
const SLICE: usize = 48;
/// Pictures kept of a film: one GOP and the beginning of the next. Small inputs are tried more often.
const PICTURES: usize = 28;
/// The same where something happens in the middle of the film.
const PICTURES_TO_JOINT: usize = 52;
/// Bytes kept of a file with all extras: up to the first pictures.
const HEAD: usize = 32 << 10;

fn main() -> Result<()> {
    let dir = PathBuf::from(std::env::args_os().nth(1).context("usage: fuzz-seeds DIR")?);
    let films = tempfile::tempdir()?;
    let mut studio = Studio::open()?;
    let mut seeds = Seeds { dir, count: 0 };
    for spec in specs() {
        let spec = spec.frames(72).size(256, 144);
        let film = films.path().join(&spec.path);
        studio.make(&film, &spec)?;
        for (track, stream) in streams(&film, films.path(), &spec)? {
            let pictures = if spec.name == "eos" { PICTURES_TO_JOINT } else { PICTURES };
            let nals = skeleton(&stream, pictures)?;
            seeds.stream(&format!("{}-{track}", spec.name), &nals, films.path())?;
        }
        if matches!(spec.name, "mel" | "dual" | "hdr10") {
            let whole = fs::read(&film)?;
            seeds.put("matroska", &format!("{}-head", spec.name), &whole[..whole.len().min(HEAD)])?;
        }
    }
    seeds.bodies()?;
    println!("{} seeds in {}", seeds.count, seeds.dir.display());
    Ok(())
}

fn specs() -> Vec<FilmSpec> {
    vec![
        FilmSpec::new("mel", Layers::Mel),
        FilmSpec::new("fel-open", Layers::Fel).gop(Gop::Open).cm(Cm::V29),
        FilmSpec::new("expanding", Layers::FelExpanding).letterbox(16),
        FilmSpec::new("eos", Layers::Mel).gop(Gop::OpenWithEos).hdr10plus(),
        FilmSpec::new("cra", Layers::Mel).gop(Gop::OpenFromCra).timing(Timing::Variable),
        FilmSpec::new("dual", Layers::Mel).dual_track(),
        FilmSpec::new("p81", Layers::Profile81),
        FilmSpec::new("p5", Layers::Profile5),
        FilmSpec::new("hdr10", Layers::Hdr10),
        FilmSpec::new("sdr", Layers::Sdr),
    ]
}

/// The video tracks as Annex B, by ffmpeg.
fn streams(film: &Path, dir: &Path, spec: &FilmSpec) -> Result<Vec<(usize, Vec<u8>)>> {
    let tracks = if spec.recipe.storage == e2e::films::Storage::DualTrack { 2 } else { 1 };
    (0..tracks)
        .map(|track| {
            let out = dir.join("stream.hevc");
            let mut command = tool::ffmpeg();
            command.arg("-i").arg(tool::file_url(film)).args(["-map", &format!("0:v:{track}"), "-c", "copy"]);
            tool::run(command.args(["-f", "hevc"]).arg(tool::file_url(&out)))?;
            Ok((track, fs::read(out)?))
        })
        .collect()
}

type Nals = Vec<(NalHeader, Vec<u8>)>;

/// The NAL units of so many pictures, slices cut to their headers.
fn skeleton(stream: &[u8], pictures: usize) -> Result<Nals> {
    let mut reader = AuReader::new(stream);
    let mut nals = Nals::new();
    for _ in 0..pictures {
        let Some(unit) = reader.next_au()? else { break };
        for (header, nal) in unit.nals() {
            let slice = header.ty.is_vcl() || header.ty == NalType::EL;
            let mut nal = nal[..if slice { nal.len().min(SLICE) } else { nal.len() }].to_vec();
            // A NAL unit never ends in a zero byte.
            nal.extend((nal.last() == Some(&0)).then_some(0x80));
            nals.push((header, nal));
        }
    }
    Ok(nals)
}

struct Seeds {
    dir: PathBuf,
    count: usize,
}

impl Seeds {
    fn put(&mut self, target: &str, name: &str, bytes: &[u8]) -> Result<()> {
        let dir = self.dir.join(target);
        fs::create_dir_all(&dir).with_context(|| format!("make {}", dir.display()))?;
        fs::write(dir.join(name), bytes).with_context(|| format!("write seed {name}"))?;
        self.count += 1;
        Ok(())
    }

    fn stream(&mut self, name: &str, nals: &Nals, scratch: &Path) -> Result<()> {
        let mut bytes = Vec::new();
        nals.iter().try_for_each(|(_, nal)| write_nal(&mut bytes, nal))?;
        self.put("annexb", name, &[&[7], &bytes[..bytes.len().min(12 << 10)]].concat())?;
        self.put("inject", name, &[&[28, 0], &bytes[..]].concat())?;

        let headers = nals.iter().filter(|(h, _)| !matches!(h.ty, NalType::RPU | NalType::EL));
        let framed = headers.take(90).filter_map(|(_, nal)| {
            let length = u16::try_from(nal.len()).ok()?;
            Some([&length.to_be_bytes()[..], nal].concat())
        });
        self.put("headers", name, &framed.collect::<Vec<_>>().concat())?;

        let rpus = nals.iter().filter(|(h, _)| h.ty == NalType::RPU).map(|(_, nal)| nal);
        for (at, nal) in rpus.take(2).enumerate() {
            self.put("rpu", &format!("{name}-{at}-nal"), &[&[0], &nal[..]].concat())?;
            let rbsp = unescape(nal.get(3..).unwrap_or_default(), usize::MAX);
            let bits = rbsp.get(..rbsp.len().saturating_sub(5)).unwrap_or_default();
            self.put("rpu", &format!("{name}-{at}-bits"), &[&[1], bits].concat())?;
        }
        let is_sei = |h: &NalHeader| matches!(h.ty, NalType::PREFIX_SEI | NalType::SUFFIX_SEI);
        for (at, (_, nal)) in nals.iter().filter(|(h, _)| is_sei(h)).take(4).enumerate() {
            self.put("sei", &format!("{name}-{at}"), nal)?;
        }
        self.film(name, &bytes, scratch)
    }

    /// The skeleton as a film, stored plain and packed.
    fn film(&mut self, name: &str, stream: &[u8], scratch: &Path) -> Result<()> {
        let (raw, film) = (scratch.join("skeleton.hevc"), scratch.join("skeleton.mkv"));
        fs::write(&raw, stream)?;
        for packing in ["none", "zlib"] {
            let mut command = tool::command("mkvmerge");
            command.args(["--deterministic", "dovi", "--output"]).arg(&film);
            command.args(["--compression", &format!("0:{packing}")]).arg(&raw);
            tool::run_accepting(&mut command, &[0, 1])?;
            let bytes = fs::read(&film)?;
            ensure!(bytes.len() < 2 * HEAD, "a skeleton film of {} bytes", bytes.len());
            self.put("matroska", &format!("{name}-{packing}"), &bytes)?;
        }
        Ok(())
    }

    /// What the programs write to each other. The first byte tells the target which of the three it is.
    fn bodies(&mut self) -> Result<()> {
        let recipe = Recipe { mode: Mode::Copy, max_missing_rpu_percent: 0.1, ..Recipe::default() };
        let film = "films:The Long Harbour (2019)/film.mkv".parse()?;
        let job = JobMessage::new(film, 61_203_948_551, 1_700_000_000_123_456_789, recipe, "MEL".into());
        self.put("certificate", "job", &[&[0][..], &job.to_body()?].concat())?;

        let facts = |path: &str| json!({"path": path, "size": 7, "mtime_ns": -1});
        let certificate: Certificate = serde_json::from_value(json!({
            "v": 1,
            "job": job.id,
            "film": job.film,
            "source": facts("/library/a.mkv"),
            "result": facts("/converted/a.mkv"),
            "verdict": "MEL",
            "evidence": "240 of 240 frames",
            "recipe": job.recipe,
            "frames": 240,
            "wrong_frames": 0,
            "checks": [{"name": "frames", "ok": true, "found": "240 = 240"}],
            "notices": ["3 frames had no rpu"],
            "tools": {"dovi_fleet": "0.1.0", "ffmpeg": "5.1", "mkvmerge": "74.0"},
            "stages": [{"stage": "prescan", "seconds": 12.503_171}],
            "worker": "nas-1",
            "at": job.queued_at,
        }))?;
        self.put("certificate", "certificate", &[&[1][..], &serde_json::to_vec(&certificate)?].concat())?;

        let code = FailureCode::SourceTruncated;
        let report: FailureReport = serde_json::from_value(json!({
            "v": 1,
            "job": job,
            "code": code,
            "class": code.class(),
            "stage": "prescan",
            "summary": code.meaning(),
            "hint": code.hint(),
            "causes": ["file ends"],
            "tool": {"command": "mkvmerge --output 'a b.mkv'", "outcome": "exit status 2", "tail": ["Error"]},
            "attempt": 2,
            "worker": "nas-1",
            "at": job.queued_at,
            "log": "logs/a.log",
        }))?;
        self.put("certificate", "report", &[&[2][..], &serde_json::to_vec(&report)?].concat())
    }
}
