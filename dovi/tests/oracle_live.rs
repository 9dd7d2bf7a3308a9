//! A real dovi_tool beside our code, on machines that have one:
//!
//! ```sh
//! DOVI_TEST_DOVI_TOOL=/path/to/dovi_tool cargo test -p dovi --test oracle_live -- --ignored
//! ```
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

#[path = "support/films.rs"]
mod films;

#[path = "support/hevc.rs"]
mod support;

#[path = "support/oracle.rs"]
mod oracle;

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::process::Command;

use films::{Kind, Rpus};
use oracle::{
    GAP, RADL, all, digest, digests, injected, injected_by, misplaced, our_order, p81_rpus, parser_order,
    path, profile7, stream,
};
use support::{FRAMES, STRUCTURES, naive_nals, plan, structure, truth, ty};

/// Where each run has its files, and the program.
struct Tool {
    program: PathBuf,
    dir: tempfile::TempDir,
}

impl Tool {
    fn find() -> Self {
        let program = std::env::var_os("DOVI_TEST_DOVI_TOOL").map_or("dovi_tool".into(), PathBuf::from);
        Self { program, dir: tempfile::tempdir().unwrap() }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }

    /// Runs it to its good end and gives its output file, and what it said.
    fn run(&self, args: &[&str], input: &Path, more: &[&str]) -> (Vec<u8>, String) {
        let out = self.dir.path().join("out");
        let mut command = Command::new(&self.program);
        command.args(args).arg(input).args(more).arg("-o").arg(&out).env("RUST_BACKTRACE", "0");
        let ran = command.output().expect("DOVI_TEST_DOVI_TOOL names a dovi_tool");
        let said = [ran.stdout, ran.stderr].map(|b| String::from_utf8(b).unwrap()).concat();
        assert!(ran.status.success(), "{command:?}\n{said}");
        let bytes = std::fs::read(&out).unwrap();
        std::fs::remove_file(out).unwrap();
        (bytes, said)
    }

    fn convert(&self, profile7: &[u8]) -> Vec<u8> {
        self.run(&["-m", "2", "convert", "--discard"], &self.file("in.hevc", profile7), &[]).0
    }

    fn extract(&self, profile7: &[u8]) -> Vec<u8> {
        self.run(&["-m", "2", "extract-rpu"], &self.file("in.hevc", profile7), &[]).0
    }

    fn inject(&self, stream: &[u8], rpus: &[u8]) -> (Vec<u8>, String) {
        let rpus = self.file("rpu.bin", rpus);
        let more = ["--no-add-aud", "--rpu-in", rpus.to_str().unwrap()];
        self.run(&["inject-rpu"], &self.file("in.hevc", stream), &more)
    }
}

/// `extract-rpu`'s form of RPUs in display order.
fn rpu_file(rpus: &[Vec<u8>]) -> Vec<u8> {
    let order: Vec<u64> = (0..rpus.len() as u64).collect();
    oracle::rpu_file(rpus, &order)
}

/// The metadata of testdata: MEL, FEL, FEL with a curve, 24 frames each.
fn metadata() -> Vec<u8> {
    let kinds = [Kind::Mel, Kind::Fel, Kind::FelCurve];
    let of = kinds.map(|kind| Rpus::of(kind).nals(120));
    let mut out = Vec::new();
    for frame in 0..120 {
        dovi::annexb::write_nal(&mut out, &of[frame / 24 % 3][frame]).unwrap();
    }
    out
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn digests_are_those_of_dovi_tool() {
    let tool = Tool::find();
    let write = std::env::var_os("DOVI_TEST_WRITE_DIGESTS").is_some();
    if write {
        std::fs::write(path("profile7.rpus"), metadata()).unwrap();
    }
    let version = Command::new(&tool.program).arg("--version").output().unwrap();
    let version = String::from_utf8(version.stdout).unwrap();
    let mut text = format!("# BLAKE3 of what {} wrote; see make.sh.\n", version.trim());
    let mut row = |stream: &str, what: &str, bytes: &[u8]| {
        writeln!(text, "{stream} {what} {}", digest(bytes)).unwrap();
    };
    for name in all() {
        let (bytes, truth) = stream(name);
        let film = profile7(&bytes, &truth, None);
        row(name, "stream", &bytes);
        row(name, "profile7", &film);
        row(name, "convert", &tool.convert(&film));
        row(name, "extract", &tool.extract(&film));
        row(name, "inject", &tool.inject(&bytes, &rpu_file(&p81_rpus()[..truth.len()])).0);
    }
    let (bytes, truth) = stream("closed");
    let extracted = tool.extract(&profile7(&bytes, &truth, Some(GAP)));
    row("closed-gap", "extract", &extracted);
    let (gap, said) = tool.inject(&bytes, &extracted);
    assert!(said.contains("Warning: mismatched lengths. video 120, RPU 119"), "{said}");
    row("closed-gap", "inject", &gap);
    if write {
        std::fs::write(path("digests.txt"), &text).unwrap();
    }
    let rows: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).map(str::to_owned).collect();
    let kept = digests();
    assert_eq!(rows.len(), kept.len());
    for ((stream, what), digest) in kept {
        assert!(rows.contains(&format!("{stream} {what} {digest}")), "{stream} {what}");
    }
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn every_structure_gives_the_same_bytes_or_dovi_tool_is_wrong() {
    let tool = Tool::find();
    let rpus = Rpus::of(Kind::FelCurve).nals(FRAMES);
    let rpus: Vec<_> = rpus.iter().map(|nal| dovi::rpu::to_p81(nal).unwrap()).collect();
    let mut figures = Vec::new();
    for (name, _) in STRUCTURES {
        let (bytes, truth) = structure(name);
        let mut ours = Vec::new();
        dovi::inject::inject(bytes.as_slice(), &mut ours, &plan(&rpus, FRAMES), &mut |_| {}).unwrap();
        let (theirs, _) = tool.inject(bytes, &rpu_file(&rpus));
        let wrong = misplaced(&theirs, truth, &rpus);
        assert_eq!(misplaced(&ours, truth, &rpus), 0, "{name}");
        assert_eq!(ours == theirs, wrong == 0, "{name}: equal bytes mean equal places and no other way");
        assert_eq!(
            theirs,
            injected_by(bytes, &rpus, &parser_order(bytes)),
            "{name}: it is its library's order"
        );
        figures.push((name, wrong));
    }
    println!("misplaced of {FRAMES} by dovi_tool: {figures:?}");
    let wrong: Vec<_> = figures.iter().filter(|(_, wrong)| *wrong > 0).map(|(name, _)| *name).collect();
    assert_eq!(wrong, ["radl"]);
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn generated_films_of_all_kinds_give_the_same_bytes() {
    let tool = Tool::find();
    for (gop, kind) in [
        (films::CLOSED, Kind::Mel),
        (films::CLOSED, Kind::Fel),
        (films::OPEN, Kind::FelCurve),
        (films::OPEN, Kind::Mel),
        (films::RADL, Kind::Mel),
    ] {
        let name = format!("{kind:?} {gop}");
        let dir = tempfile::tempdir().unwrap();
        let film = films::film(dir.path(), "film", gop, &Rpus::of(kind));
        let index = films::scan_file(&film).unwrap();
        let raw = dir.path().join("raw.hevc");
        let track = format!("0:{}", raw.display());
        let cut = Command::new("mkvextract").arg(&film).arg("tracks").arg(track).output().unwrap();
        assert!(cut.status.success());
        let raw = std::fs::read(raw).unwrap();

        let source = std::io::Cursor::new(std::fs::read(&film).unwrap());
        let mut ours = Vec::new();
        let go_on = &mut |_| std::ops::ControlFlow::Continue(());
        dovi::copy::copy_p81(source, &mut ours, &index, go_on).unwrap();
        assert!(ours == tool.convert(&raw), "{name}: convert");

        let sorted: Vec<Vec<u8>> =
            (0..index.frames).map(|display| index.rpus.p81(display).unwrap().to_vec()).collect();
        let same = rpu_file(&sorted) == tool.extract(&raw);
        assert_eq!(same, gop != films::RADL, "{name}: extract");
        let truth = truth(&raw);
        let in_decode_order: Vec<Vec<u8>> =
            naive_nals(&ours).into_iter().filter(|nal| ty(nal) == 62).map(<[u8]>::to_vec).collect();
        let by_truth: Vec<&Vec<u8>> = truth.iter().map(|display| &sorted[*display as usize]).collect();
        assert!(in_decode_order.iter().eq(by_truth), "{name}: ours are right in both");
    }
}

#[test]
#[ignore = "needs dovi_tool; DOVI_TEST_DOVI_TOOL=/path cargo test -- --ignored"]
fn an_end_of_sequence_does_not_stay_last_in_dovi_tool() {
    let tool = Tool::find();
    let (mut cut, truth) = stream("closed");
    cut.extend_from_slice(&[0, 0, 0, 1, 0x48, 0x01]);
    let rpus = p81_rpus();
    let (theirs, _) = tool.inject(&cut, &rpu_file(&rpus));
    let (ours, _) = injected(&cut, &rpus, truth.len());
    let last = |stream: &[u8]| naive_nals(stream).into_iter().rev().take(2).map(ty).collect::<Vec<_>>();
    assert_eq!((last(&ours), last(&theirs)), (vec![36, 62], vec![62, 36]));
    assert_eq!(our_order(&cut), truth);
    assert_eq!(stream(RADL).1.len(), 120);
}
