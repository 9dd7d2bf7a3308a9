//! What dovi_tool does where dovi_tool is not installed, for the tests: `convert`, `extract-rpu` and `inject-rpu` in display
//! order as hevc_parser has it. That is the library dovi_tool asks, so RPUs are misplaced where it misplaces them.
//!
//! `--shift` before everything else puts each RPU one picture further, as no dovi_tool does.

use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use dolby_vision::rpu::ConversionMode;
use dolby_vision::rpu::dovi_rpu::DoviRpu;
use hevc_parser::HevcParser;
use hevc_parser::hevc::{NAL_UNSPEC62, NAL_UNSPEC63, NALUnit};

const START_CODE: [u8; 4] = [0, 0, 0, 1];

fn main() -> ExitCode {
    match run(std::env::args_os().skip(1).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(e) => {
            eprintln!("Error: {e:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(mut args: Vec<OsString>) -> Result<()> {
    let shift = args.first().is_some_and(|a| a == "--shift");
    args.drain(..usize::from(shift));
    if args.iter().any(|a| a == "--version") {
        println!("dovi_tool 2.3.1-stand-in");
        return Ok(());
    }
    let has = |word: &str| args.iter().any(|a| a == word);
    let after = |flag: &str| -> Result<PathBuf> {
        let at = args.iter().position(|a| a == flag).with_context(|| format!("no {flag}"))?;
        Ok(args.get(at + 1).with_context(|| format!("nothing after {flag}"))?.into())
    };
    let stream = Stream::read(&if has("-") { PathBuf::from("-") } else { after("-i")? })?;
    let out = if has("convert") {
        convert(&stream, shift)?
    } else if has("extract-rpu") {
        extract(&stream)?
    } else if has("inject-rpu") {
        inject(&stream, &after("--rpu-in")?, shift)?
    } else {
        bail!("cannot do {args:?}");
    };
    std::fs::write(after("-o")?, out).context("write the output")
}

/// A raw stream, cut, with the order of its pictures.
struct Stream {
    bytes: Vec<u8>,
    nals: Vec<NALUnit>,
    /// Display index by decode index.
    order: Vec<usize>,
}

impl Stream {
    fn read(path: &Path) -> Result<Self> {
        let mut bytes = Vec::new();
        if path == Path::new("-") {
            std::io::stdin().read_to_end(&mut bytes)?;
        } else {
            bytes = std::fs::read(path)?;
        }
        let (mut parser, mut offsets) = (HevcParser::default(), Vec::new());
        parser.get_offsets(&bytes, &mut offsets);
        let last = *offsets.last().context("No frames parsed!")?;
        let nals = parser.split_nals(&bytes, &offsets, last, true)?;
        parser.finish();
        let frames = parser.ordered_frames();
        let mut order = vec![0; frames.len()];
        for frame in frames {
            order[usize::try_from(frame.decoded_number)?] = usize::try_from(frame.presentation_number)?;
        }
        Ok(Self { bytes, nals, order })
    }

    fn nal(&self, unit: &NALUnit) -> &[u8] {
        &self.bytes[unit.start..unit.end]
    }

    /// RPUs in decode order, in Profile 8.1.
    fn converted(&self) -> Result<Vec<Vec<u8>>> {
        let all = self.nals.iter().filter(|nal| nal.nal_type == NAL_UNSPEC62);
        all.map(|nal| {
            let mut rpu = DoviRpu::parse_unspec62_nalu(self.nal(nal))?;
            rpu.convert_with_mode(ConversionMode::To81)?;
            rpu.write_hevc_unspec62_nalu()
        })
        .collect()
    }
}

fn put(out: &mut Vec<u8>, nal: &[u8]) -> Result<()> {
    out.write_all(&START_CODE)?;
    Ok(out.write_all(nal)?)
}

/// Everything as it is, without enhancement layer, each RPU converted in its place.
fn convert(stream: &Stream, shift: bool) -> Result<Vec<u8>> {
    let mut rpus = stream.converted()?;
    if shift && !rpus.is_empty() {
        rpus.rotate_left(1);
    }
    let (mut next, mut out) = (rpus.iter(), Vec::new());
    for nal in &stream.nals {
        match nal.nal_type {
            NAL_UNSPEC63 => {}
            NAL_UNSPEC62 => put(&mut out, next.next().context("an RPU for each RPU")?)?,
            _ => put(&mut out, stream.nal(nal))?,
        }
    }
    Ok(out)
}

/// All RPUs without header; the n-th counts as that of the n-th picture.
fn extract(stream: &Stream) -> Result<Vec<u8>> {
    let rpus = stream.converted()?;
    ensure!(rpus.len() <= stream.order.len(), "Missing frame/slices for metadata!");
    let mut sorted: Vec<_> = stream.order.iter().zip(&rpus).collect();
    sorted.sort_by_key(|(display, _)| **display);
    let mut out = Vec::new();
    sorted.iter().try_for_each(|(_, rpu)| put(&mut out, &rpu[2..]))?;
    Ok(out)
}

/// The stream with one RPU behind each picture; the last one again where they are too few.
fn inject(stream: &Stream, rpus: &Path, shift: bool) -> Result<Vec<u8>> {
    let file = std::fs::read(rpus).context("read the RPUs")?;
    let mut offsets = Vec::new();
    HevcParser::default().get_offsets(&file, &mut offsets);
    let ends = offsets.iter().skip(1).copied().chain([file.len()]);
    let rpus: Vec<&[u8]> = offsets.iter().zip(ends).map(|(start, end)| strip(&file[*start..end])).collect();
    let pictures = stream.order.len();
    if rpus.len() != pictures {
        println!("\nWarning: mismatched lengths. video {pictures}, RPU {}", rpus.len());
    }
    let mut out = Vec::new();
    for (i, nal) in stream.nals.iter().enumerate() {
        if nal.nal_type != NAL_UNSPEC62 {
            put(&mut out, stream.nal(nal))?;
        }
        let picture = nal.decoded_frame_index;
        if stream.nals.get(i + 1).is_none_or(|next| next.decoded_frame_index != picture) {
            let display = stream.order[usize::try_from(picture)?] + usize::from(shift);
            let rpu = rpus.get(display).or(rpus.last()).context("no RPUs")?;
            put(&mut out, &[&[0x7c, 0x01], *rpu].concat())?;
        }
    }
    Ok(out)
}

/// An RPU without the start code before and the zero bytes behind it.
fn strip(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(|b| *b == 1).map_or(0, |one| one + 1);
    let end = bytes.iter().rposition(|b| *b != 0).map_or(start, |last| last + 1);
    &bytes[start..end.max(start)]
}
